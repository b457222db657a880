"""Where a row is measured, and how much of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.failures import RunInvalidError
from benchmarks.machine import file_system_of
from benchmarks.scene import Storage, tidy
from tests.unit.benchmarks.examples import scene


def test_a_room_is_empty_and_gone_afterwards(tmp_path: Path) -> None:
    """What a killed run left is not found by the next, and what others keep beside it stays."""
    left = tmp_path / "disk" / "dicom-edge-benchmark" / "room" / "left"
    left.mkdir(parents=True)
    (tmp_path / "disk" / "others").touch()

    with scene(tmp_path).room(Storage.DISK, needed=1) as room:
        assert list(room.iterdir()) == []
        (room / "something").write_bytes(b"content")
    emptied = [path for path in (tmp_path / "disk").rglob("*") if path.is_file()]
    assert {path.name: path.stat().st_size for path in emptied} == {"others": 0, "something": 0}
    tidy(tmp_path / "disk")

    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["others"]


def test_a_room_that_is_too_small_is_refused(tmp_path: Path) -> None:
    """A run that would fill the disk does not begin."""
    with pytest.raises(RunInvalidError, match="GiB are needed on the disk"), scene(tmp_path).room(Storage.DISK, needed=1 << 60):
        pytest.fail("the room was given")


def test_a_disk_is_no_tmpfs(tmp_path: Path) -> None:
    """A row about memory is not measured on a disk."""
    if file_system_of(tmp_path) == "tmpfs":
        pytest.skip("the temporary directory is in memory here")

    with pytest.raises(RunInvalidError, match="--tmpfs"), scene(tmp_path).room(Storage.TMPFS, needed=1):
        pytest.fail("the room was given")


@pytest.mark.parametrize(
    ("is_quick", "instances", "whole", "expected"),
    [(False, None, 1000, 1000), (True, None, 1000, 100), (True, None, 30, 30), (True, 7, 1000, 7), (False, 7, 1000, 7)],
)
def test_the_command_line_decides_how_many(tmp_path: Path, *, is_quick: bool, instances: int | None, whole: int, expected: int) -> None:
    """A number that was asked for counts before anything else, and a quick run sends no more than a whole one."""
    assert scene(tmp_path, is_quick=is_quick, instances=instances).count(whole) == expected
