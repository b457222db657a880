"""The durable primitives: whole or not at all, private, and what they say about space."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from appliance.spool.files import (
    create_unnamed,
    make_directories,
    open_directory,
    publish,
    space,
    sync_directory,
    write_all,
    write_atomically,
)


def _unnamed(folder: Path) -> int:
    descriptor = create_unnamed(folder)
    if descriptor is None:
        pytest.skip("this file system has no unnamed files")
    return descriptor


def test_an_unnamed_file_is_nowhere(tmp_path: Path) -> None:
    """Until it is published nobody sees it, and closing it leaves nothing."""
    descriptor = _unnamed(tmp_path)
    os.write(descriptor, b"data")

    assert list(tmp_path.iterdir()) == []
    os.close(descriptor)
    assert list(tmp_path.iterdir()) == []


def test_a_published_file_is_whole_and_private(tmp_path: Path) -> None:
    """The name appears with everything that was written, mode 0600."""
    descriptor, directory = _unnamed(tmp_path), open_directory(tmp_path)
    os.write(descriptor, b"data")

    publish(descriptor, directory, "name")

    os.close(descriptor)
    os.close(directory)
    assert (tmp_path / "name").read_bytes() == b"data"
    assert (tmp_path / "name").stat().st_mode & 0o777 == 0o600


def test_publishing_never_replaces(tmp_path: Path) -> None:
    """A name that is taken is an error, and what has it stays."""
    (tmp_path / "name").write_bytes(b"old")
    descriptor, directory = _unnamed(tmp_path), open_directory(tmp_path)

    with pytest.raises(FileExistsError):
        publish(descriptor, directory, "name")

    os.close(descriptor)
    os.close(directory)
    assert (tmp_path / "name").read_bytes() == b"old"


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR])
def test_a_file_system_without_unnamed_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """What older kernels and file systems answer means None."""

    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)

    assert create_unnamed(tmp_path) is None


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """Any other trouble comes through."""
    with pytest.raises(FileNotFoundError):
        create_unnamed(tmp_path / "none")


def test_writing_atomically_replaces_whole(tmp_path: Path) -> None:
    """The new content stands under the name, private, and nothing lies beside it."""
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_atomic_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle changes nothing and leaves nothing."""
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_everything_is_written_though_the_kernel_takes_parts() -> None:
    """A pipe that takes a little at a time gets all of it."""
    reading, writing = os.pipe2(os.O_NONBLOCK)
    os.set_blocking(writing, True)
    data = os.urandom(40_000)

    write_all(writing, data)

    os.close(writing)
    assert os.read(reading, 100_000) == data
    os.close(reading)


def test_short_writes_go_on_where_they_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel did not take is offered again, byte for byte."""
    taken = bytearray()

    def short(_descriptor: int, data: bytes) -> int:
        taken.extend(bytes(data)[:7])
        return min(len(data), 7)

    monkeypatch.setattr(os, "write", short)
    write_all(99, b"0123456789" * 5)

    assert taken == b"0123456789" * 5


def test_folders_are_made_private_and_again_without_harm(tmp_path: Path) -> None:
    """Each level is there with mode 0700, whether it was before or not."""
    made = make_directories(tmp_path, "a/b/c")

    assert tmp_path / "a/b/c" == made == make_directories(tmp_path, "a/b/c")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a", tmp_path / "a/b", made)} == {0o700}


def test_a_folder_is_synced_by_path_or_descriptor(tmp_path: Path) -> None:
    """Both forms return; a missing folder is an error."""
    descriptor = open_directory(tmp_path)

    sync_directory(tmp_path)
    sync_directory(descriptor)

    os.close(descriptor)
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "none")


def test_space_says_what_is_left(tmp_path: Path) -> None:
    """There is something, and not more than there is."""
    left = space(tmp_path)

    assert 0 < left.free_bytes <= left.total_bytes
    assert left.free_inodes > 0


def test_a_file_system_that_makes_inodes_has_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 of 0 inodes is no shortage."""
    status = os.statvfs(tmp_path)
    without = os.statvfs_result([*status[:5], 0, 0, 0, *status[8:]])
    monkeypatch.setattr(os, "statvfs", lambda _: without)

    assert space(tmp_path).free_inodes == sys.maxsize
