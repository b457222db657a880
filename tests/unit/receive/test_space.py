"""When the disk takes objects."""

from __future__ import annotations

import errno

import pytest

from appliance.config.model import Retention
from appliance.receive.space import StorageWatch
from appliance.runtime.clock import Instant
from appliance.spool.admission import SpoolWriteError
from appliance.spool.files import Space

GIB = 1 << 30


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        """Start somewhere."""
        self.at = 100.0

    def now(self) -> Instant:
        """Return the moment."""
        return Instant(0.0, self.at, "boot")

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.at += seconds


class Disk:
    """A file system that a test fills."""

    def __init__(self, *, free: int = 50 * GIB, inodes: int = 100_000) -> None:
        """Have 100 GiB."""
        self.free = free
        self.inodes = inodes
        self.asked = 0
        self.error: OSError | None = None

    def __call__(self) -> Space:
        """Return what is left."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return Space(100 * GIB, self.free, self.inodes)


@pytest.mark.parametrize(
    ("free", "inodes", "accepts"),
    [
        (50 * GIB, 100_000, True),
        (5 * GIB, 100_000, True),
        (5 * GIB - 1, 100_000, False),
        (50 * GIB, 256, False),
        (50 * GIB, 257, True),
    ],
)
def test_the_refuse_mark(free: int, inodes: int, accepts: bool) -> None:  # noqa: FBT001
    """Below the share, the reserve or the last inodes nothing is accepted."""
    watch = StorageWatch(Disk(free=free, inodes=inodes), Retention, Hands())

    assert watch.may_accept() is accepts


def test_room_for_one_and_a_half_of_the_largest() -> None:
    """An object of 10 GiB, once seen, needs 15 GiB free from then on."""
    watch = StorageWatch(Disk(free=14 * GIB), Retention, Hands())
    watch.stored(10 * GIB)
    watch.stored(1)

    assert not watch.may_accept()


def test_the_share_in_use() -> None:
    """A disk filled above refuse_at takes nothing even with the reserve free."""
    watch = StorageWatch(Disk(free=6 * GIB), lambda: Retention(refuse_at=0.9), Hands())

    assert not watch.may_accept()


def test_space_that_comes_back_is_noticed_within_a_second() -> None:
    """The file system is asked at most once a second, and believed."""
    disk, hands = Disk(free=0), Hands()
    watch = StorageWatch(disk, Retention, hands)

    refused = [watch.may_accept(), watch.may_accept()]
    disk.free = 50 * GIB
    hands.at += 1.0

    assert refused == [False, False]
    assert disk.asked == 1
    assert watch.may_accept()


def test_a_failed_write_stops_reception_for_ten_seconds() -> None:
    """After a failure nothing is accepted, and then it is tried again (F-05, F-06)."""
    hands = Hands()
    watch = StorageWatch(Disk(), Retention, hands)

    watch.failed(SpoolWriteError(OSError(errno.EIO, "")))

    assert not watch.may_accept()
    hands.at += 9.9
    assert not watch.may_accept()
    hands.at += 0.2
    assert watch.may_accept()


def test_a_disk_that_does_not_answer_takes_nothing() -> None:
    """A file system that cannot even be asked accepts nothing, and nothing is raised."""
    disk = Disk()
    disk.error = OSError(errno.EIO, "")

    assert not StorageWatch(disk, Retention, Hands()).may_accept()
