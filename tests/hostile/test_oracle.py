"""The oracle's own test: it is shown each thing that it must not overlook, so that its silence in all rows means something."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.hostile.rows import scanner
from tests.support import planted
from tests.support.caller import RELEASED
from tests.support.honest import HonestPeer
from tests.support.oracle import Limits, Oracle, Row
from tests.support.planted import an_object
from tests.support.samples import new_uid

# tcpmux: no machine has had it for decades.
_NOBODY_LISTENS = 1


@contextmanager
def _fails(oracle: Oracle, message: str, limits: Limits | None = None) -> Iterator[Row]:
    """Watch a row that must fail with this message when it ends."""
    watching: AbstractContextManager[Row] = oracle.row(limits)
    row = watching.__enter__()
    try:
        yield row
    finally:
        with pytest.raises(AssertionError, match=message):
            watching.__exit__(None, None, None)


def test_it_sees_a_connection_that_stays(oracle: Oracle) -> None:
    """A thread and a descriptor more than before are not overlooked."""
    with _fails(oracle, "the daemons to settle", Limits(settle_s=0.3)) as row:
        held = scanner(row)

    assert held.release() == RELEASED


def test_it_sees_an_honest_peer_that_is_not_served() -> None:
    """A visit that fails is not overlooked."""
    peer = HonestPeer(lambda: _NOBODY_LISTENS)
    peer.start()

    with pytest.raises(AssertionError, match="not served: ConnectionRefused"):
        peer.wait_for_visit()
    with pytest.raises(AssertionError, match="not served"):
        peer.close()


def test_it_sees_memory_that_is_kept(oracle: Oracle) -> None:
    """A process that is larger than its limit is not overlooked."""
    with _fails(oracle, "MiB kept", Limits(kept_bytes=-(1 << 30))) as row:
        row.honest()


def test_it_sees_what_is_lost_and_what_nobody_sent(oracle: Oracle) -> None:
    """An object that was acknowledged and is not kept, and one that is kept and nobody sent, are not overlooked."""
    uid, other = new_uid(), new_uid()
    with _fails(oracle, "acknowledged, and not kept") as row:
        row.acknowledged(uid, b"never sent")
    del oracle.owed[uid]
    with _fails(oracle, "never sent as a whole") as row:
        caller = scanner(row)
        assert caller.store(an_object(other), other) == 0
        caller.release()
    with oracle.row() as row:
        row.acknowledged(other, an_object(other))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (lambda row: row.box.temporary / "left", "temporary files"),
        (lambda row: row.box.data / "run" / "left", "in clear.*left"),
        (lambda row: row.box.data / planted.PATIENT_ID, "its name"),
        (lambda row: row.box.data / "spool" / "receiving" / "left", "half objects"),
    ],
    ids=["temporary", "run", "name", "receiving"],
)
def test_it_sees_files_that_nobody_may_find(oracle: Oracle, place: Callable[[Row], Path], message: str) -> None:
    """A temporary file, a half object, and the planted patient in a file or in its name are not overlooked."""
    with _fails(oracle, message) as row:
        left = place(row)
        left.write_bytes(planted.NAME.encode("ascii"))
        row.honest()

    left.unlink()


def test_it_sees_a_secret_in_the_log(oracle: Oracle) -> None:
    """What a row plants is looked for in the log as well."""
    with _fails(oracle, "stderr") as row:
        row.plant(b'"event": "association.accepted"')
        row.honest()


def test_it_sees_a_flood_of_lines(oracle: Oracle) -> None:
    """More lines than a row allows are not overlooked."""
    with oracle.row() as row:
        row.honest()
        with pytest.raises(AssertionError, match="more than 0"):
            row.expect_log("association.accepted", at_most=0)


def test_it_sees_a_daemon_that_was_started_again(oracle: Oracle) -> None:
    """Another process with the same name is not overlooked."""
    with _fails(oracle, "daemons ended") as row:
        pid = next(pid for pid, name in row.box.daemons().items() if name == "sender")
        row._before.daemons[pid + 1] = row._before.daemons.pop(pid)
        row.honest()
