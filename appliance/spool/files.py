"""Durable primitives: what is on the disk, under which name, when a call returns.

Promises: written per function; the words are *content durable* (fsync of the file) and *name durable* (fsync of its directory).
Failures: `OSError` from the file system, as it comes; nothing is retried, because a second fsync after a failed one may succeed while the
pages are gone.
Limits: durable means that the kernel was told so by the device. A disk that lies about its cache is found by nobody here; the sealed
format finds what it lost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

# EISDIR is what kernels and file systems that do not know O_TMPFILE see in it: opening a directory for writing.
_NO_UNNAMED_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})


@dataclass(frozen=True, slots=True)
class Space:
    """What a file system has left for us. `free_bytes` and `free_inodes` leave out what is reserved for root."""

    total_bytes: int
    free_bytes: int
    free_inodes: int


def create_unnamed(directory: Path) -> int | None:
    """Return a descriptor of a new file (0600) on the directory's file system that has no name and goes away with its descriptor.

    None where the file system has no such files. Nothing about it is durable yet.
    """
    try:
        return os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _NO_UNNAMED_FILES:
            return None
        raise


def publish(descriptor: int, directory_descriptor: int, name: str) -> None:
    """Give an unnamed file its name, at once and whole; neither content nor name is durable by that.

    Raises `FileExistsError` where the name is taken: a link never replaces.
    """
    # Without dst_dir_fd Python calls link(2), which does not follow the link in /proc and fails with EXDEV.
    os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=directory_descriptor, follow_symlinks=True)


def sync_directory(directory: Path | int) -> None:
    """Return when every name in the directory, made, changed or removed before the call, is durable."""
    if isinstance(directory, int):
        os.fsync(directory)
        return
    descriptor = open_directory(directory)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_directory(directory: Path) -> int:
    """Return a descriptor of the directory, for `publish` and `sync_directory`."""
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def make_directories(base: Path, relative: str) -> Path:
    """Make the folders of `relative` under `base` (0700) and return the last one; their names are durable, also where they were there.

    One fsync a level: whoever asks often remembers the answer.
    """
    folder = base
    for part in relative.split("/"):
        parent, folder = folder, folder / part
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        sync_directory(parent)
    return folder


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` under `path`: a reader sees the old content or the new one; content and name are durable when this returns.

    A process killed in the middle leaves a file beside it whose name begins with a dot.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    sync_directory(path.parent)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte of `data`; the kernel may take it in parts, above all when the disk is nearly full."""
    written = os.write(descriptor, data)
    if written == len(data):
        return
    view = memoryview(data)
    while written < len(view):
        written += os.write(descriptor, view[written:])


def start_write_back(descriptor: int, offset: int, length: int) -> None:
    """Let the kernel begin to write what was written there, without waiting for it. Nothing is durable by that."""
    # Linux begins to write the dirty pages of a range that it is told to drop, and drops only the clean ones: there are none yet.
    os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)


def space(path: Path) -> Space:
    """Return what is left on the file system of `path`.

    A file system that makes inodes as it needs them says 0 of 0; it then has as many as can be counted.
    """
    status = os.statvfs(path)
    free_inodes = status.f_favail if status.f_files else sys.maxsize
    return Space(status.f_frsize * status.f_blocks, status.f_frsize * status.f_bavail, free_inodes)
