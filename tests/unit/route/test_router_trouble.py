"""The router in trouble: crashes, damage, disks and ledgers that refuse."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.ledger.database import Ledger, Row, Value
from appliance.ledger.faults import LedgerLockedError, LedgerStatementError, LedgerStorageError
from appliance.ledger.instances import InstanceState
from appliance.runtime.wakeup import HintListener, hint
from appliance.spool.names import SpoolName
from appliance.spool.sealed import SealedObject
from appliance.spool.store import Spool
from tests.support.eventually import eventually
from tests.unit.route.bench import Bench, Crash
from tests.unit.route.sites import a_route, a_site

_EVERYTHING = a_site(routes=[a_route("everything", "archive", "room")])


class CrashingSpool(Spool):
    """A spool whose process is killed between the ledger's commit and the move, or the removal."""

    def move_to_store(self, names: Sequence[SpoolName]) -> None:
        """Crash, unless there is nothing to move."""
        if names:
            raise Crash

    def remove(self, name: SpoolName) -> None:  # noqa: ARG002 (the spool's signature)
        """Crash."""
        raise Crash


class StuckSpool(Spool):
    """A spool on a disk that does not take names any more."""

    def move_to_store(self, names: Sequence[SpoolName]) -> None:  # noqa: ARG002 (the spool's signature)
        """Refuse."""
        raise OSError(errno.ENOSPC, "no space")


class UnreadableSpool(Spool):
    """A spool with bad sectors under the first object; a router that looks again is told so again."""

    def open(self, name: SpoolName) -> SealedObject:
        """Refuse the first object of the folder."""
        if name == self.incoming()[0]:
            raise OSError(errno.EIO, "input/output error")
        return super().open(name)


class _DeliveryLedger(Ledger):
    """A ledger in which something happens at the second delivery."""

    error: BaseException

    def change(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Raise at the delivery to the second destination."""
        if "delivery" in sql and "room" in parameters:
            raise self.error
        return super().change(sql, parameters)


class CrashingLedger(_DeliveryLedger):
    """The process is killed in the transaction."""

    error = Crash()


class FullLedger(_DeliveryLedger):
    """The disk is full in the transaction."""

    error = LedgerStorageError("no space is left for the ledger", full=True)


class PickyLedger(Ledger):
    """A ledger that does not take one instance."""

    def change(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Refuse the instance 1.2.3.1.2."""
        if "1.2.3.1.2" in parameters:
            raise LedgerStatementError("the ledger refused a statement")
        return super().change(sql, parameters)


class LockedLedger(Ledger):
    """A ledger that another program has open, for the first two statements."""

    refusals = 2

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Refuse twice."""
        if self.refusals:
            self.refusals -= 1
            raise LedgerLockedError("another program keeps the ledger locked")
        return super().rows(sql, parameters)


def test_crash_between_commit_and_move(tmp_path: Path) -> None:
    """What was recorded and not moved is moved by the next router, and not recorded again."""
    bench = Bench(tmp_path, _EVERYTHING, spool=CrashingSpool)
    names = [str(bench.receive_image(f"1.2.3.1.{number}")) for number in range(3)]
    with pytest.raises(Crash):
        bench.router.step()
    recorded = bench.counts()[InstanceState.STORED]
    bench.start()

    moved = bench.router.recover()
    bench.route()

    assert recorded == moved
    assert bench.counts() == {InstanceState.STORED: 3}
    assert bench.delivery_count() == 6
    assert ([], names) == (bench.incoming(), bench.stored())


def test_crash_is_made_good_without_recover(tmp_path: Path) -> None:
    """A step moves what is recorded already; the file is not opened for it."""
    bench = Bench(tmp_path, _EVERYTHING, spool=CrashingSpool)
    name = bench.receive_image("1.2.3.1.1")
    with pytest.raises(Crash):
        bench.router.step()
    bench.damage(name, lambda _content: b"")
    bench.start()

    bench.route()

    assert ([], [str(name)], []) == (bench.incoming(), bench.stored(), bench.quarantined())
    assert bench.delivery_count() == 2


def test_crash_before_commit(tmp_path: Path) -> None:
    """A crash in the transaction leaves no instance without its deliveries, and the next router records both."""
    bench = Bench(tmp_path, _EVERYTHING, ledger=CrashingLedger)
    name = bench.receive_image("1.2.3.1.1")
    with pytest.raises(Crash):
        bench.router.step()
    left = (bench.counts(), bench.delivery_count(), bench.incoming(), bench.woken)
    bench.start()

    bench.router.recover()
    bench.route()

    assert ({}, 0, [str(name)], 0) == left
    assert bench.counts() == {InstanceState.STORED: 1}
    assert bench.delivery_count() == 2


def test_crash_before_a_repeated_file_is_moved(tmp_path: Path) -> None:
    """A repeat that was recorded and whose file was not moved owes nothing twice, also when it was delivered meanwhile."""
    bench = Bench(tmp_path, _EVERYTHING)
    bench.receive_image("1.2.3.1.1")
    bench.route()
    bench.deliver("1.2.3.1.1")
    bench.receive_image("1.2.3.1.1")
    bench.start(spool=CrashingSpool)
    with pytest.raises(Crash):
        bench.router.step()
    bench.deliver("1.2.3.1.1")
    bench.start()

    bench.router.recover()
    bench.route()

    assert (bench.incoming(), len(bench.stored()), bench.delivery_count()) == ([], 2, 4)


def _flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "change",
    [_flipped(0), _flipped(40), _flipped(80), _flipped(400), _flipped(-1), lambda content: content[:-40], lambda _content: b""],
    ids=["version", "recipient", "stanza", "content", "last byte", "cut", "empty"],
)
def test_damaged_object_is_quarantined(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """An object that is not what was sealed goes to quarantine, whole objects before and behind it are routed."""
    bench = Bench(tmp_path, _EVERYTHING)
    bench.receive_image("1.2.3.1.1")
    damaged = bench.receive_image("1.2.3.1.2")
    bench.receive_image("1.2.3.1.3")
    bench.damage(damaged, change)

    with capture_logs() as logs:
        bench.route()

    assert [str(damaged)] == bench.quarantined()
    assert bench.counts() == {InstanceState.STORED: 2}
    assert (bench.incoming(), len(bench.stored())) == ([], 2)
    assert [damaged.object_id] == [line["object_id"] for line in logs if line["event"] == "spool.object.quarantined"]


def test_key_that_is_not_there(tmp_path: Path) -> None:
    """Objects of a generation whose key is missing stay where they are, and are routed when the key is back."""
    bench = Bench(tmp_path, _EVERYTHING)
    name = bench.receive_image("1.2.3.1.1")
    keys = bench.take_keys()
    bench.route()
    left = (bench.incoming(), bench.quarantined())
    bench.put_keys(keys)

    bench.route()

    assert ([str(name)], []) == left
    assert bench.counts() == {InstanceState.STORED: 1}


def test_object_that_cannot_be_read_now(tmp_path: Path) -> None:
    """An I/O error sets one object aside, is logged once, and it is tried again after a while."""
    bench = Bench(tmp_path, _EVERYTHING, spool=UnreadableSpool)
    name = bench.receive_image("1.2.3.1.1")
    bench.receive_image("1.2.3.1.2")
    with capture_logs() as logs:
        bench.route()
        left = bench.incoming()
        bench.route()
        bench.clock.sleep(61)
        bench.route()
    bench.start()

    bench.route()

    assert [str(name)] == left
    assert [(name.object_id, errno.EIO)] == [(line["object_id"], line["number"]) for line in logs if line["event"] == "object.set_aside"]
    assert bench.counts() == {InstanceState.STORED: 2}


def test_set_aside_for_a_while_only(tmp_path: Path) -> None:
    """What could not be read is not touched before its time, and is routed then when it can be read."""
    bench = Bench(tmp_path, _EVERYTHING)
    bench.receive_image("1.2.3.1.1")
    keys = bench.take_keys()
    bench.route()
    bench.spool._identities = keys

    early = bench.router.step()
    bench.clock.sleep(61)
    late = bench.router.step()

    assert (early, late) == (0, 1)
    assert bench.counts() == {InstanceState.STORED: 1}


def test_instance_that_the_ledger_refuses(tmp_path: Path) -> None:
    """An instance that the ledger does not take stays where it is, and those around it are recorded."""
    bench = Bench(tmp_path, _EVERYTHING, ledger=PickyLedger)
    names = [bench.receive_image(f"1.2.3.1.{number}") for number in (1, 2, 3)]

    bench.route()

    assert bench.counts() == {InstanceState.STORED: 2}
    assert bench.delivery_count() == 4
    assert [str(names[1])] == bench.incoming()


def test_full_ledger(tmp_path: Path) -> None:
    """A ledger without space stops the step, records nothing by halves and costs no object its place."""
    bench = Bench(tmp_path, _EVERYTHING, ledger=FullLedger)
    names = [str(bench.receive_image(f"1.2.3.1.{number}")) for number in (1, 2)]
    with pytest.raises(LedgerStorageError):
        bench.router.step()
    left = (bench.counts(), bench.delivery_count(), bench.incoming(), bench.woken)
    bench.start()

    bench.route()

    assert ({}, 0, names, 0) == left
    assert ([], names) == (bench.incoming(), bench.stored())


def test_store_that_takes_nothing(tmp_path: Path) -> None:
    """When recorded objects cannot be moved they are owed all the same, and the router waits instead of spinning."""
    bench = Bench(tmp_path, _EVERYTHING, spool=StuckSpool)
    name = bench.receive_image("1.2.3.1.1")

    steps = [bench.router.step(), bench.router.step()]

    assert steps == [1, 0]
    assert [str(name)] == bench.incoming()
    assert bench.delivery_count() == 2


def test_run_outlasts_a_locked_ledger(tmp_path: Path) -> None:
    """The loop waits when the ledger is locked, routes when it is free, is woken by a hint, and ends when told to."""
    bench = Bench(tmp_path, _EVERYTHING, ledger=LockedLedger)
    bench.receive_image("1.2.3.1.1")
    stopping = threading.Event()
    hints = HintListener(tmp_path / "run", "router")
    thread = threading.Thread(target=bench.router.run, args=(stopping, hints))

    thread.start()
    eventually(lambda: bench.woken == 1)
    bench.receive_image("1.2.3.1.2")
    hint(tmp_path / "run", "router")
    eventually(lambda: bench.woken == 2)
    stopping.set()
    hint(tmp_path / "run", "router")
    thread.join(10)
    hints.close()

    assert not thread.is_alive()
    assert bench.counts() == {InstanceState.STORED: 2}
