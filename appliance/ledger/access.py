"""Who may have the ledger open, and the mark that asks for it to be rebuilt.

Every process that has the ledger open shares `DATA/ledger.open` for as long as it has; who rebuilds the ledger takes that lock alone.
`DATA/ledger.rebuild` is the mark: while it is there, nobody opens the ledger, and those who have it open end (`ledger/watch`).

Promises: between `share` and the end of the share nobody rebuilds; inside `alone` nobody has the ledger open. The kernel frees both locks
when a process dies. `request_rebuild` is durable when it returns, and never weakens an earlier request.
Failures: `LedgerRebuildingError` for who comes while a rebuild is wanted or under way, `LedgerStorageError`.
Limits: a program that is not ours and opens the database's file is seen by nobody here.
"""

from __future__ import annotations

import fcntl
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from appliance.ledger.faults import LedgerInUseError, LedgerRebuildingError, storage_fault

# A share is short to wait for: its holder sees the mark within a second and then finishes one instance.
_LOOK_S = 0.2


class RebuildCause(StrEnum):
    """Why the ledger is to be rebuilt."""

    REQUESTED = "requested"
    """A person asked for it: done whatever state the ledger is in."""
    DAMAGED = "damaged"
    """Somebody met damage: done if a check of the whole file still finds it."""
    MISSING = "missing"
    """There is none although the spool holds objects."""


class Share:
    """One process's share of the ledger; it ends with `let_go`, or when nobody refers to it any more."""

    def __init__(self, data: Path) -> None:
        """Take it. Raises `LedgerRebuildingError`, `LedgerStorageError`."""
        if rebuild_requested(data) is not None:
            raise LedgerRebuildingError("the ledger is to be rebuilt")
        descriptor = _open_lock(data)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise LedgerRebuildingError("the ledger is being rebuilt") from None
        self._end = weakref.finalize(self, os.close, descriptor)

    def let_go(self) -> None:
        """End the share; a second call does nothing."""
        self._end()


@contextmanager
def alone(data: Path, stopping: threading.Event | None = None) -> Iterator[None]:
    """Have the ledger alone inside the block.

    With `stopping`, waits for the others to end, and raises `LedgerInUseError` once it is set; without, raises at once when there are
    others. Raises `LedgerStorageError`.
    """
    descriptor = _open_lock(data)
    try:
        while not _try_exclusive(descriptor):
            if stopping is None or stopping.wait(_LOOK_S):
                raise LedgerInUseError("another process has the ledger open")
        yield
    finally:
        os.close(descriptor)


def request_rebuild(data: Path, cause: RebuildCause) -> None:
    """Ask for the ledger to be rebuilt before anybody opens it again. Raises `LedgerStorageError`."""
    if rebuild_requested(data) is RebuildCause.REQUESTED:
        return
    try:
        descriptor = os.open(_mark_path(data), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # One write of one length, over what was there: a reader sees a whole word, or none of ours, which counts as damage.
            os.pwrite(descriptor, f"{cause:<16}\n".encode("ascii"), 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync(data)
    except OSError as error:
        raise storage_fault(error) from error


def rebuild_requested(data: Path) -> RebuildCause | None:
    """Return why a rebuild is wanted, or None. A mark that does not say why counts as damage."""
    try:
        text = _mark_path(data).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_fault(error) from error
    word = text.decode("ascii", "replace").strip()
    return RebuildCause(word) if word in set(RebuildCause) else RebuildCause.DAMAGED


def clear_request(data: Path) -> None:
    """Take the mark away, durably. Raises `LedgerStorageError`."""
    try:
        _mark_path(data).unlink(missing_ok=True)
        sync(data)
    except OSError as error:
        raise storage_fault(error) from error


def sync(path: Path) -> None:
    """Return when the content of a file, or the names in a directory, are durable. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mark_path(data: Path) -> Path:
    return data / "ledger.rebuild"


def _open_lock(data: Path) -> int:
    try:
        return os.open(data / "ledger.open", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_fault(error) from error


def _try_exclusive(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
