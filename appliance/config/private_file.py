"""Private files of the configuration: readable by their owner only, replaced whole.

Promises: when `write_private_file` returns, the content, its name and the folders above it are durable; a reader sees the old file or the
new one, never half of one.
Failures: `OSError` from the file system, as it comes; the old file is then still there, or the new one is there whole.
Limits: one writer for each path at a time (the callers hold a lock, or start alone). A process killed in the middle leaves a draft beside
the file whose name ends with `.new`; the next writer of that file removes it, and nothing reads it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_private_file(path: Path, content: bytes) -> None:
    """Put `content` under `path`, mode 0600, making the folders above it where they are missing (0700)."""
    make_private_directory(path.parent)
    draft = path.with_name(f"{path.name}.new")
    # A left-over of a killed run may have any owner or mode.
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        # A full disk is not to be kept full by what did not fit.
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    sync_directory(path.parent)


def make_private_directory(path: Path) -> None:
    """Return when the folder is there (0700 where it is new) and its name is durable."""
    if path.is_dir():
        return
    if path.parent != path:
        make_private_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Return when every name in the folder is durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
