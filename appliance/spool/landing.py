"""The folder in which received objects appear, whole and durable: `incoming/`.

Promises: when `publish` returns, content and name are durable (P1). Nobody sees the name before the content is durable. One fsync of the
folder serves all objects that were named before it began: associations side by side do not wait for each other's one by one.
Failures: `OSError` of the file system. All who waited for an fsync that failed get its error.
Limits: the folder is opened once; who replaces it restarts the daemons.
"""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.spool.files import open_directory


class Publishable(Protocol):
    """A complete file without its name: `partial.PartialFile`."""

    def sync(self) -> None:
        """Make the content durable."""

    def name_in(self, directory_descriptor: int, name: str) -> None:
        """Give the file its name."""


@dataclass(eq=False, slots=True)
class _Round:
    """One fsync: whether it began, whether it succeeded, the number of its error, and how many asked for it before it began."""

    has_begun: bool = False
    is_durable: bool = False
    errno: int = errno.EIO
    riders: int = 0


class Landing:
    """The folder, for the threads of one process."""

    def __init__(self, directory: Path) -> None:
        """Remember where it is; it is opened when the first object comes."""
        self._directory = directory
        self._descriptor: int | None = None
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._next = _Round()

    def publish(self, file: Publishable, name: str) -> None:
        """Make the content durable, give the file its name, make the name durable."""
        file.sync()
        file.name_in(self._opened(), name)
        self.sync()

    def sync(self) -> None:
        """Return when every name that was there before the call is durable."""
        with self._lock:
            mine = self._next
            mine.riders += 1
        with self._syncing:
            # Who gets here first makes the round for all who asked before it begins; the others find it made.
            if not mine.has_begun:
                self._make(mine)
        if not mine.is_durable:
            raise OSError(mine.errno, os.strerror(mine.errno))

    def close(self) -> None:
        """Give the descriptor back; the next object opens the folder again."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _make(self, this: _Round) -> None:
        with self._lock:
            this.has_begun = True
            self._next = _Round()
        try:
            os.fsync(self._opened())
            this.is_durable = True
        except OSError as error:
            this.errno = error.errno or errno.EIO

    def _opened(self) -> int:
        with self._lock:
            if self._descriptor is None:
                self._descriptor = open_directory(self._directory)
            return self._descriptor
