"""Files under `keys/`: written whole or not at all, readable by their owner only.

Promises: `write_key_file` returns when the file and its name are on the disk; a reader sees the old file or the new one, never half of one.
Failures: `OSError` from the file system (operator); `FileExistsError` where the file must be new and is not.
Limits: a process killed in the middle leaves a file whose name begins with a dot and ends with `.new`; nothing reads it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

KEYS = "keys"


def keys_directory(data: Path) -> Path:
    """Return the folder of the key files under the data directory."""
    return data / KEYS


def write_key_file(path: Path, content: bytes, *, must_be_new: bool = False) -> None:
    """Put `content` under `path` with mode 0600, durably, making the folder (0700) where it is missing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if must_be_new:
            # A link fails where the name is taken; a rename would replace it.
            os.link(draft, path)
        else:
            draft.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
    _sync_directory(path.parent)
    _sync_directory(path.parent.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
