"""Limits that hold across processes: a slot is a locked file, so the kernel frees it when its holder dies.

Promises: at most `limit` slots of one key are held at any moment, over all processes that share the directory; a killed process holds none.
Failures: `OSError` from the file system (operator).
Limits: asking costs one open and one lock a taken slot; keys are hashed, because a peer's words never become a path.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Slot:
    """One place held; give it back with `release` or leave the `with` block."""

    def __init__(self, descriptor: int) -> None:
        """Own the locked descriptor."""
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the place back; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        """Hold it for a block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give it back."""
        self.release()


class Slots:
    """The slots under one directory."""

    def __init__(self, directory: Path) -> None:
        """Make the directory if it is missing."""
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def take(self, key: str, limit: int) -> Slot | None:
        """Return a slot of `key`, or None when all `limit` are held by somebody."""
        home = self._directory / hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
        home.mkdir(exist_ok=True, mode=0o700)
        for number in range(limit):
            descriptor = os.open(home / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            except OSError:
                os.close(descriptor)
                raise
            return Slot(descriptor)
        return None
