"""Group commit: many lanes, one transaction. A lane hands in what it wants recorded and goes on when that is durable.

Promises: when `record` returns, what the job changed survives a power cut; jobs that arrive while a transaction is being made durable
share the next one. A job that the ledger cannot take now (locked, disk full) waits until it can; a job that raises for a reason of its own
costs no other job anything.
Failures: `RecorderClosedError` (ours) for a job that was not recorded when the recorder was closed; otherwise what the job raised.
Limits: a job may run more than once, because a failed transaction is undone and begun again; it must change nothing but the ledger.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from appliance.core.errors import ApplianceError, Fault
from appliance.ledger.database import Ledger
from appliance.ledger.faults import LedgerError, LedgerScopeError, LedgerStatementError
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

Result = TypeVar("Result")

# house.md section 6: at most 50 rows or 20 ms a transaction. A job settles one row and claims one.
_MOST_JOBS = 25
_MOST_S = 0.02
# A ledger that is locked or whose disk is full is asked again this often.
_RETRY_S = 1.0


class RecorderClosedError(ApplianceError):
    """The sender ended before this could be recorded; the next one finds the delivery unfinished and sends it again."""

    fault = Fault.OURS


class _Job(Generic[Result]):
    """One piece of work and where its end is announced."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self.work = work
        self.done = threading.Event()
        self.error: BaseException | None = None
        self._result: list[Result] = []

    def run(self) -> None:
        self._result[:] = [self.work()]

    def finish(self, error: BaseException | None = None) -> None:
        self.error = error
        self.done.set()

    def result(self) -> Result:
        self.done.wait()
        if self.error is not None:
            raise self.error
        return self._result[0]


class Recorder:
    """The one thread of a sender that works in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        """Prepare; nothing is recorded before `start`."""
        self._ledger = ledger
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._gate = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._unavailable = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Record what was handed in, if the ledger takes it at once, and end."""
        with self._gate:
            self._closed.set()
            self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def record(self, work: Callable[[], Result]) -> Result:
        """Run `work` inside the ledger's `write()` and return its result once that is durable. Raises what it raises."""
        job: _Job[Result] = _Job(work)
        with self._gate:
            if self._closed.is_set():
                raise RecorderClosedError("the recorder is closed")
            self._jobs.put(job)  # type: ignore[arg-type]
        return job.result()

    def _run(self) -> None:
        pending: list[_Job[object]] = []
        ending = False
        try:
            while pending or not ending:
                ending = self._collect(pending, ending=ending)
                if pending:
                    del pending[: self._commit(pending)]
        finally:
            with self._gate:
                # However this thread ends, nobody may wait for it afterwards.
                self._closed.set()
                while not self._jobs.empty():
                    job = self._jobs.get_nowait()
                    pending += [] if job is None else [job]
            for left in pending:
                left.finish(RecorderClosedError("the ledger did not take it before the sender ended"))
            self._ledger.close()

    def _collect(self, pending: list[_Job[object]], *, ending: bool) -> bool:
        """Add what was handed in to `pending`, waiting for the first. Return whether the end was announced."""
        while not ending:
            try:
                job = self._jobs.get(block=not pending)
            except queue.Empty:
                break
            if job is None:
                return True
            pending.append(job)
        return ending

    def _commit(self, pending: list[_Job[object]]) -> int:
        """Do as many jobs as one transaction takes and return how many are finished, from the front."""
        done: list[_Job[object]] = []
        culprits = pending[:_MOST_JOBS]
        try:
            with self._ledger.write():
                began = time.monotonic()
                for job in pending[:_MOST_JOBS]:
                    culprits = [job]
                    job.run()
                    done.append(job)
                    if time.monotonic() - began > _MOST_S:
                        break
                # Should the commit itself fail in a way that is not the disk's, nobody may believe that it was recorded.
                culprits = done
        except Exception as error:  # noqa: BLE001  # boundary: one job's fault must end neither the recorder nor the other jobs
            return self._undone(pending, culprits, error)
        if self._unavailable:
            self._unavailable = False
            log.info("ledger.available")
        for job in done:
            job.finish()
        return len(done)

    def _undone(self, pending: list[_Job[object]], culprits: list[_Job[object]], error: Exception) -> int:
        """After a transaction that was undone: wait where the ledger is at fault, else take out the jobs at fault."""
        if not isinstance(error, LedgerError) or isinstance(error, LedgerStatementError | LedgerScopeError):
            for job in culprits:
                pending.remove(job)
                job.finish(error)
            return 0
        if not self._unavailable:
            self._unavailable = True
            log.error("ledger.unavailable", error=type(error).__name__, text=str(error))
        if self._closed.wait(_RETRY_S):
            for job in pending:
                job.finish(RecorderClosedError("the ledger did not take it before the sender ended"))
            return len(pending)
        return 0
