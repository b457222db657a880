"""Group commit: what is recorded, in how many transactions, and what a failing job or ledger does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.deliver.recorder import Recorder, RecorderClosedError
from appliance.deliver.runs import SenderRun
from appliance.ledger.faults import LedgerLockedError
from tests.support.eventually import eventually


class FakeLedger:
    """A ledger that counts its transactions; `fault` is raised at the commit while it is set."""

    def __init__(self) -> None:
        """Work."""
        self.transactions = 0
        self.fault: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.is_busy = threading.Event()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Wait for the gate, run the block, commit."""
        self.is_busy.set()
        self.gate.wait()
        yield
        if self.fault is not None:
            raise self.fault
        self.transactions += 1

    def close(self) -> None:
        """End."""


@pytest.fixture
def ledger() -> FakeLedger:
    """A ledger that works."""
    return FakeLedger()


@pytest.fixture
def recorder(ledger: FakeLedger) -> Iterator[Recorder]:
    """A running recorder."""
    running = Recorder(ledger)  # type: ignore[arg-type]
    running.start()
    yield running
    running.close()


def in_threads(recorder: Recorder, jobs: dict[str, object]) -> tuple[list[threading.Thread], dict[str, object]]:
    """Record each job in a thread of its own; return the threads, and where results and errors are put."""
    results: dict[str, object] = {}

    def record(name: str, job: object) -> None:
        try:
            results[name] = recorder.record(lambda: job() if callable(job) else job)
        except Exception as error:  # noqa: BLE001  # boundary: the error is what the test asks for
            results[name] = error

    threads = [threading.Thread(target=record, args=item) for item in jobs.items()]
    for thread in threads:
        thread.start()
    return threads, results


def handed_in(recorder: Recorder, ledger: FakeLedger, jobs: dict[str, object]) -> tuple[list[threading.Thread], dict[str, object]]:
    """Hand the jobs in while a transaction with another job is under way and waits for the gate."""
    ledger.gate.clear()
    first, _ = in_threads(recorder, {"first": 0})
    ledger.is_busy.wait(5)
    threads, results = in_threads(recorder, jobs)
    eventually(lambda: recorder._jobs.qsize() == len(jobs))
    return first + threads, results


def fail() -> None:
    """Fail as a defect does."""
    raise ValueError("a defect")


def test_a_result_comes_back(recorder: Recorder, ledger: FakeLedger) -> None:
    """`record` returns what the job returned, after its transaction."""
    assert (recorder.record(lambda: 7), ledger.transactions) == (7, 1)


def test_what_arrives_together_is_committed_together(recorder: Recorder, ledger: FakeLedger) -> None:
    """Jobs handed in while a transaction is under way share the next one."""
    threads, results = handed_in(recorder, ledger, {str(number): number for number in range(10)})

    ledger.gate.set()
    for thread in threads:
        thread.join(5)

    assert results == {str(number): number for number in range(10)}
    assert ledger.transactions == 2


def test_one_jobs_fault_is_its_own(recorder: Recorder, ledger: FakeLedger) -> None:
    """A job that raises gets its error; the jobs beside it are recorded."""
    threads, results = handed_in(recorder, ledger, {"bad": fail, "good": 1, "better": 2})

    ledger.gate.set()
    for thread in threads:
        thread.join(5)

    assert (type(results["bad"]), results["good"], results["better"]) == (ValueError, 1, 2)
    assert recorder.record(lambda: 3) == 3


def test_a_ledger_that_is_locked_is_waited_for(recorder: Recorder, ledger: FakeLedger) -> None:
    """While another program has the ledger nothing is lost, and nobody is told that it was recorded."""
    ledger.fault = LedgerLockedError("another program keeps the ledger locked")
    threads, results = in_threads(recorder, {"job": 1})
    eventually(lambda: recorder._unavailable)
    told = dict(results)

    ledger.fault = None
    for thread in threads:
        thread.join(5)

    assert (told, results, ledger.transactions) == ({}, {"job": 1}, 1)


def test_a_commit_that_fails_in_an_unknown_way_was_not_recorded(recorder: Recorder, ledger: FakeLedger) -> None:
    """An unknown error of the commit goes to every job in it."""
    ledger.fault = RuntimeError("unknown")

    with pytest.raises(RuntimeError):
        recorder.record(lambda: 1)

    ledger.fault = None
    assert recorder.record(lambda: 2) == 2


def test_closing_lets_go_of_those_who_wait(recorder: Recorder, ledger: FakeLedger) -> None:
    """A recorder that is closed while the ledger is locked tells the waiting jobs, and takes no more."""
    ledger.fault = LedgerLockedError("another program keeps the ledger locked")
    threads, results = in_threads(recorder, {"job": 1})
    eventually(lambda: recorder._unavailable)

    recorder.close()
    for thread in threads:
        thread.join(5)

    assert isinstance(results["job"], RecorderClosedError)
    with pytest.raises(RecorderClosedError):
        recorder.record(lambda: 1)


def test_closing_records_what_was_handed_in(ledger: FakeLedger) -> None:
    """Jobs handed in before the end are recorded before it."""
    recorder = Recorder(ledger)  # type: ignore[arg-type]
    recorder.start()
    threads, results = handed_in(recorder, ledger, {"one": 1, "two": 2})
    closing = threading.Thread(target=recorder.close)
    closing.start()

    ledger.gate.set()
    for thread in [*threads, closing]:
        thread.join(5)

    assert results == {"one": 1, "two": 2}


def test_runs_know_who_lives(tmp_path: Path) -> None:
    """A run whose lock is held lives; the file of one that is gone is swept."""
    first, second = SenderRun(tmp_path, "first"), SenderRun(tmp_path, "second")
    first.take()
    second.take()
    (tmp_path / "sender" / "dead.lock").touch()

    both = first.living()
    second.let_go()
    one = first.living()
    first.let_go()

    assert (both, one) == ({"first", "second"}, {"first"})
    assert list((tmp_path / "sender").iterdir()) == []
