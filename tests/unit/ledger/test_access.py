"""Who may have the ledger open: everybody at once, or one who rebuilds it alone, and nobody while a rebuild is wanted."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from appliance.ledger import faults
from appliance.ledger.access import RebuildCause, Share, alone, clear_request, rebuild_requested, request_rebuild
from appliance.ledger.database import Ledger, await_ledger
from appliance.ledger.watch import LedgerWatch
from tests.support.eventually import eventually
from tests.unit.ledger.bench import KEY, Bench

# A program that opens the ledger, says so, and keeps it until its standard input ends.
_HOLDS = """
import sys
from pathlib import Path
from appliance.ledger.database import Ledger
ledger = Ledger.open(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), migrate=False)
print("open", flush=True)
sys.stdin.read()
"""


def _open(data: Path) -> Ledger:
    return Ledger.open(data, KEY, migrate=False)


def test_an_open_ledger_is_not_rebuilt(bench: Bench) -> None:
    """While anybody has the ledger open nobody has it alone, and afterwards somebody may."""
    second = _open(bench.data)

    bench.ledger.let_go()
    with pytest.raises(faults.LedgerInUseError), alone(bench.data):
        pytest.fail("alone although somebody has it open")
    second.let_go()

    with alone(bench.data):
        pass


def test_a_ledger_that_nobody_refers_to_is_not_open(bench: Bench) -> None:
    """A ledger that was forgotten without a word holds nobody up."""
    bench.ledger.let_go()
    second = _open(bench.data)
    second.close()

    del second
    gc.collect()

    with alone(bench.data):
        pass


def test_closing_a_thread_connection_keeps_the_share(bench: Bench) -> None:
    """A thread that ends its connection does not let the process's ledger be rebuilt."""
    bench.ledger.close()

    with pytest.raises(faults.LedgerInUseError), alone(bench.data):
        pytest.fail("alone although the ledger is still in use")


def test_a_killed_process_has_nothing_open(bench: Bench) -> None:
    """The kernel ends the share of a process that was killed."""
    bench.ledger.let_go()
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(bench.data), KEY.hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    with pytest.raises(faults.LedgerInUseError), alone(bench.data):
        pytest.fail("alone although another process has it open")

    process.kill()
    process.communicate()

    with alone(bench.data):
        pass


def test_nobody_opens_while_it_is_rebuilt(bench: Bench) -> None:
    """Who comes while somebody has the ledger alone is told so, and is not kept waiting."""
    bench.ledger.let_go()

    with alone(bench.data), pytest.raises(faults.LedgerRebuildingError):
        _open(bench.data)
    _open(bench.data).let_go()


@pytest.mark.parametrize("migrate", [True, False])
def test_nobody_opens_before_it_is_rebuilt(bench: Bench, *, migrate: bool) -> None:
    """From the request to its end nobody opens the ledger, as little the one who would make a new one."""
    bench.ledger.let_go()
    request_rebuild(bench.data, RebuildCause.DAMAGED)
    bench.data.joinpath("ledger", "ledger.db").unlink()

    with pytest.raises(faults.LedgerRebuildingError):
        Ledger.open(bench.data, KEY, migrate=migrate)

    assert not bench.data.joinpath("ledger", "ledger.db").exists()


def test_waiting_for_the_others(bench: Bench) -> None:
    """Who rebuilds waits until the others have let go."""
    entered = threading.Event()

    def enter() -> None:
        with alone(bench.data, threading.Event()):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    early = entered.is_set()
    bench.ledger.let_go()
    thread.join(5)

    assert (early, entered.is_set()) == (False, True)


def test_waiting_ends_with_the_daemon(bench: Bench) -> None:
    """Who is told to stop while waiting for the others gives up."""
    stopping = threading.Event()
    stopping.set()

    with pytest.raises(faults.LedgerInUseError), alone(bench.data, stopping):
        pytest.fail("alone although the ledger is in use")


def test_awaiting_the_ledger(bench: Bench) -> None:
    """A daemon that starts during a rebuild gets the ledger when it is over, or nothing when it is stopped."""
    request_rebuild(bench.data, RebuildCause.REQUESTED)
    opened: list[Ledger | None] = []
    thread = threading.Thread(target=lambda: opened.append(await_ledger(bench.data, KEY, threading.Event())))
    thread.start()
    early = list(opened)
    clear_request(bench.data)
    thread.join(5)
    stopped = threading.Event()
    stopped.set()

    assert early == []
    assert len(opened) == 1
    assert opened[0] is not None
    assert await_ledger(bench.data, KEY, stopped) is None


def test_a_request_is_not_weakened(tmp_path: Path) -> None:
    """What a person asked for is not turned into a mere check by somebody who met damage; the other way round it is."""
    seen = [rebuild_requested(tmp_path)]
    for cause in (RebuildCause.DAMAGED, RebuildCause.MISSING, RebuildCause.REQUESTED, RebuildCause.DAMAGED):
        request_rebuild(tmp_path, cause)
        seen.append(rebuild_requested(tmp_path))
    clear_request(tmp_path)
    clear_request(tmp_path)

    assert seen == [None, RebuildCause.DAMAGED, RebuildCause.MISSING, RebuildCause.REQUESTED, RebuildCause.REQUESTED]
    assert rebuild_requested(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"requ", b"\xff\xff"])
def test_a_mark_that_says_nothing_asks_for_a_check(tmp_path: Path, content: bytes) -> None:
    """A mark whose word was never written, or that somebody made by hand, counts as damage."""
    (tmp_path / "ledger.rebuild").write_bytes(content)

    assert rebuild_requested(tmp_path) is RebuildCause.DAMAGED


def test_trouble_with_the_lock_is_told(tmp_path: Path) -> None:
    """A lock or mark that cannot be made is an error of the ledger."""
    (tmp_path / "ledger.open").mkdir()
    (tmp_path / "ledger.rebuild").mkdir()

    with pytest.raises(faults.LedgerStorageError), alone(tmp_path):
        pytest.fail("alone without a lock")
    with pytest.raises(faults.LedgerStorageError):
        Share(tmp_path)
    with pytest.raises(faults.LedgerStorageError):
        request_rebuild(tmp_path, RebuildCause.DAMAGED)


def _overwrite_pages(bench: Bench, first: int) -> None:
    """Overwrite the database from a page on, in the file that everybody has open, and forget what is cached."""
    bench.ledger.close()
    path = bench.data / "ledger" / "ledger.db"
    content = bytearray(path.read_bytes())
    for offset in range(first * 4096 + 100, len(content), 4096):
        content[offset] ^= 1
    with path.open("r+b") as file:
        file.write(content)


@pytest.mark.parametrize("first", [0, 1])
def test_damage_asks_for_a_rebuild(bench: Bench, first: int) -> None:
    """Whoever meets damage, in the first page or another, notes it, so that the ledger is not opened again before it was looked at."""
    with bench.ledger.write():
        bench.ledger.change("INSERT INTO study VALUES (NULL, '1', '', '', '', '', '', '', '', 0)")
    _overwrite_pages(bench, first)

    with pytest.raises(faults.LedgerDamagedError), bench.ledger.read():
        bench.ledger.rows("SELECT * FROM study, instance")

    assert rebuild_requested(bench.data) is RebuildCause.DAMAGED


def test_a_ledger_that_vanished_is_not_made_anew(bench: Bench) -> None:
    """A new thread of a process whose ledger was deleted does not make an empty one; it notes that it is missing."""
    bench.ledger.close()
    (bench.data / "ledger" / "ledger.db").unlink()

    with pytest.raises(faults.LedgerMissingError), bench.ledger.read():
        pytest.fail("read a ledger that is not there")

    assert not (bench.data / "ledger" / "ledger.db").exists()
    assert rebuild_requested(bench.data) is RebuildCause.MISSING


def _requested(bench: Bench) -> None:
    request_rebuild(bench.data, RebuildCause.REQUESTED)


def _deleted(bench: Bench) -> None:
    (bench.data / "ledger" / "ledger.db").unlink()


def _replaced(bench: Bench) -> None:
    path = bench.data / "ledger" / "ledger.db"
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.rename(path)


@pytest.mark.parametrize(("event", "cause"), [(_requested, RebuildCause.REQUESTED), (_deleted, RebuildCause.MISSING), (_replaced, None)])
def test_the_watch_ends_the_daemon(bench: Bench, event: object, cause: RebuildCause | None) -> None:
    """A daemon is told to end when a rebuild is wanted, and when its ledger was deleted or replaced; not before."""
    stopping = threading.Event()
    watch = LedgerWatch(bench.data, bench.ledger, stopping.set, stopping, look_s=0.01)
    watch.start()
    early = stopping.wait(0.05)

    assert callable(event)
    event(bench)

    assert not early
    assert eventually(stopping.is_set)
    watch.join(5)
    assert rebuild_requested(bench.data) is cause


def test_the_watch_ends_with_the_daemon(bench: Bench) -> None:
    """A daemon that stops takes its watch with it."""
    stopping = threading.Event()
    watch = LedgerWatch(bench.data, bench.ledger, stopping.set, stopping, look_s=60.0)
    watch.start()

    stopping.set()
    watch.join(5)

    assert not watch.is_alive()


def test_the_watch_outlasts_trouble(bench: Bench) -> None:
    """What cannot be looked at now is looked at again."""
    stopping = threading.Event()
    (bench.data / "ledger.rebuild").mkdir()
    watch = LedgerWatch(bench.data, bench.ledger, stopping.set, stopping, look_s=0.01)
    watch.start()
    early = stopping.wait(0.05)

    (bench.data / "ledger.rebuild").rmdir()
    request_rebuild(bench.data, RebuildCause.REQUESTED)

    assert not early
    assert eventually(stopping.is_set)
    watch.join(5)
