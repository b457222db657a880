"""Sender runs: who is alive and may own claims.

Promises: a run's file under `run/sender/` is locked for exactly as long as the run lives, however it dies; `living` names the runs whose
lock somebody holds, and sweeps the files of the dead.
Failures: `OSError` when the run directory cannot be written (operator).
Limits: locks are local: a data directory is used on one machine at a time (`DATA/lock` sees to it).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_SUFFIX = ".lock"


class SenderRun:
    """One life of a sender."""

    def __init__(self, run_dir: Path, run_id: str) -> None:
        """Name the run; its file is made by `take`."""
        self.id = run_id
        self._home = run_dir / "sender"
        self._descriptor = -1

    def take(self) -> None:
        """Make the run's file and lock it."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._home / f"{self.id}{_SUFFIX}"
        while self._descriptor < 0:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Another starting run may have swept the file between the two calls; then the lock is on nothing that can be found.
            if _is_at(descriptor, path):
                self._descriptor = descriptor
            else:
                os.close(descriptor)

    def let_go(self) -> None:
        """Remove the file and let the lock go: what this run still owns is free from now on."""
        (self._home / f"{self.id}{_SUFFIX}").unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1

    def living(self) -> set[str]:
        """Return the ids of the runs that are alive, this one included; files of dead runs are removed."""
        alive = {self.id}
        for path in self._home.glob(f"*{_SUFFIX}"):
            name = path.name.removesuffix(_SUFFIX)
            if name == self.id:
                continue
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                alive.add(name)
            else:
                path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
        return alive


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (ours.st_dev, ours.st_ino) == (found.st_dev, found.st_ino)
