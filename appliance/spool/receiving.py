"""Partial files that need a name, on file systems that have no unnamed ones: one locked folder a process under `receiving/`.

Promises: the folder is locked for as long as its process lives, so what a sweep removes belongs to nobody; a running worker's file is safe.
Failures: `OSError` from the file system (operator).
Limits: between the death of a worker and the next sweep its partial files lie there, sealed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
from pathlib import Path

from appliance.spool.files import open_directory
from appliance.spool.partial import PartialFile


class ReceivingFolder:
    """This process's place under `receiving/`, made when the first file asks for it."""

    def __init__(self, receiving: Path) -> None:
        """Remember where; nothing is made yet."""
        self._receiving = receiving
        self._own: Path | None = None
        self._descriptor = -1
        self._lock = threading.Lock()

    def create(self) -> PartialFile:
        """Return a new empty file (0600) in the own folder."""
        with self._lock:
            if self._own is None:
                self._own = self._claim()
            path = self._own / secrets.token_hex(16)
        return PartialFile(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path)

    def close(self) -> None:
        """Give the own folder up, and remove it where it is empty; files still being written there are the next sweep's."""
        with self._lock:
            if self._own is None:
                return
            with contextlib.suppress(OSError):
                self._own.rmdir()
            os.close(self._descriptor)
            self._own = None

    def sweep(self) -> int:
        """Remove the folders of dead processes with what is in them; return how many files that were."""
        removed = 0
        for folder in self._receiving.iterdir():
            if folder.is_symlink():
                continue
            try:
                descriptor = open_directory(folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for path in folder.iterdir():
                    path.unlink()
                    removed += 1
                folder.rmdir()
            except (BlockingIOError, FileNotFoundError):
                # Its owner lives, or another process sweeps it.
                continue
            finally:
                os.close(descriptor)
        return removed

    def _claim(self) -> Path:
        """Make a folder and lock it for the rest of this process's life."""
        while True:
            folder = self._receiving / secrets.token_hex(8)
            folder.mkdir(mode=0o700)
            descriptor = -1
            try:
                descriptor = open_directory(folder)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # Another process may have swept the folder between its making and its locking.
                if os.path.samestat(os.fstat(descriptor), folder.stat()):
                    self._descriptor = descriptor
                    return folder
            except FileNotFoundError:
                pass
            if descriptor >= 0:
                os.close(descriptor)
