"""The ledger of a box, open, and the two ways to work in it: `write()` and `read()`.

Promises: the database, its write-ahead log and its index are unreadable without the key, mode 0600 in a 0700 directory. When `write()` ends
without an exception, its changes survive a power cut (WAL, `synchronous=FULL`); when it ends with one, nothing was changed. Writers of all
processes and threads wait in line on `DATA/ledger.lock`: busy waiting alone starves small writers for seconds (measured, house.md
section 6). `read()` sees one moment of the ledger for as long as it lasts. Statements are never logged, because their values may
identify a patient. While this object lives, nobody rebuilds the ledger (`access`); damage that is met asks for a rebuild.
Failures: `faults` lists them: a wrong key or foreign file, a newer or older schema, damage, a rebuild under way and a full disk each have
their own.
Limits: each thread has its own connection, made at its first `write()` or `read()`; it ends with the thread. A ledger must not be used by
a child made by `fork` (house.md section 6: connections are opened after spawn). A process that is stopped inside `write()` stops every
writer. A long `read()` keeps the write-ahead log from shrinking.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from peewee import Node
from playhouse.sqlcipher_ext import SqlCipherDatabase

from appliance.ledger import cipher_file
from appliance.ledger.access import RebuildCause, Share, rebuild_requested, request_rebuild, sync
from appliance.ledger.cipher_file import DriverError, Row, Value
from appliance.ledger.faults import (
    LedgerDamagedError,
    LedgerError,
    LedgerKeyError,
    LedgerMissingError,
    LedgerRebuildingError,
    LedgerScopeError,
    storage_fault,
    translated,
)

__all__ = ["Ledger", "Row", "Value", "await_ledger"]

KEY_BYTES = 32

# How often `await_ledger` looks: a rebuild takes seconds to minutes.
_LOOK_S = 0.5


class Ledger:
    """One box's ledger, open. Threads may share it; a process opens its own."""

    def __init__(self, database: SqlCipherDatabase, path: Path, lock: Path, share: Share | None) -> None:
        """Use `Ledger.open` instead, which looks at what it opens."""
        self._database = database
        self._path = path
        self._lock = lock
        self._share = share
        self._local = threading.local()
        self._identity = _identity(path)

    @classmethod
    def open(cls, data: Path, key: bytes, *, migrate: bool) -> Self:
        """Return the ledger under `data`, opened with the 32 bytes of `key`.

        With `migrate` (the supervisor's start) a missing ledger is made, an older one brought up to date, and the whole file checked;
        without it, only a ledger that is up to date opens. Raises what `faults` lists.
        """
        _require_key(key)
        path = ledger_path(data)
        if rebuild_requested(data) is not None:
            raise LedgerRebuildingError("the ledger is to be rebuilt")
        if not migrate and not path.exists():
            raise LedgerMissingError("there is no ledger in this data directory")
        lock = data / "ledger.lock"
        if migrate:
            _make_directory(path.parent)
        share = Share(data)
        if migrate:
            _prepare(path, lock, key)
        return cls._opened(path, lock, key, share)

    @classmethod
    def open_draft(cls, data: Path, key: bytes, path: Path) -> Self:
        """Return the ledger at `path`, which is to take the place of the one under `data`: made where it is missing, up to date, checked.

        For who has the ledger alone (`access.alone`). Raises what `faults` lists.
        """
        _require_key(key)
        lock = data / "ledger.lock"
        _make_directory(path.parent)
        _prepare(path, lock, key)
        return cls._opened(path, lock, key, None)

    @classmethod
    def _opened(cls, path: Path, lock: Path, key: bytes, share: Share | None) -> Self:
        database = cipher_file.connect(path, key)
        try:
            cipher_file.require_current(database)
        except BaseException:  # boundary: whatever ends it, the connection must not stay open; raised again
            database.close()
            raise
        return cls(database, path, lock, share)

    @contextmanager
    def write(self) -> Iterator[None]:
        """Let the block change the ledger: all of it on return, nothing of it when it raises. Waits its turn. Not re-entrant.

        Keep it short (house.md section 6: at most 50 rows or 20 ms) and never wait for a peer inside it.
        """
        self._refuse_nesting()
        with _locked(self._lock), self._transaction("BEGIN IMMEDIATE", may_change=True):
            yield

    @contextmanager
    def read(self) -> Iterator[None]:
        """Let the block read one unchanging moment of the ledger, without waiting for writers. Not re-entrant."""
        self._refuse_nesting()
        with self._transaction("BEGIN", may_change=False):
            yield

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Return all rows of a SELECT. For this package's repositories; inside `write()` or `read()` only."""
        if not self._inside:
            raise LedgerScopeError("the ledger was read outside a transaction")
        return self._run(sql, parameters)

    def change(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Run a statement that changes rows and return what its RETURNING clause gives. Inside `write()` only."""
        if not self._may_change:
            raise LedgerScopeError("the ledger was changed outside write()")
        return self._run(sql, parameters)

    def sql(self, query: Node) -> tuple[str, Sequence[Value]]:
        """Return a peewee query as a statement and its parameters for `rows` and `change`."""
        statement, parameters = self._database.get_sql_context().sql(query).query()
        return statement, parameters

    def copy_to(self, target: Path) -> None:
        """Write one moment of the ledger to the new file `target`, encrypted under the same key; its content is durable on return.

        Writers go on meanwhile. A failure may leave part of the file. Outside `write()` and `read()`. Raises what `faults` lists.
        """
        self._refuse_nesting()
        self._connect()
        try:
            cipher_file.copy(self._database, target)
        except LedgerError as error:
            raise self._met(error) from error
        except OSError as error:
            raise storage_fault(error) from error

    def is_in_place(self) -> bool:
        """Say whether the file that was opened is still the one at the ledger's place."""
        return _identity(self._path) == self._identity

    def close(self) -> None:
        """Close the calling thread's connection; a later `write()` or `read()` makes a new one."""
        self._database.close()

    def let_go(self) -> None:
        """Close, and let others rebuild the ledger: it must not be used any more."""
        self.close()
        if self._share is not None:
            self._share.let_go()

    def finish(self) -> None:
        """Make a draft one whole, durable file and close it: renamed to the ledger's place, it is the ledger."""
        self._connect()
        cipher_file.checkpoint(self._database)
        self.close()
        try:
            sync(self._path)
        except OSError as error:
            raise storage_fault(error) from error

    @property
    def _inside(self) -> bool:
        return hasattr(self._local, "may_change")

    @property
    def _may_change(self) -> bool:
        return getattr(self._local, "may_change", False)

    def _refuse_nesting(self) -> None:
        if self._inside:
            raise LedgerScopeError("a transaction of the ledger was begun inside another")

    def _run(self, sql: str, parameters: Sequence[Value]) -> list[Row]:
        try:
            rows: list[Row] = self._database.connection().execute(sql, parameters).fetchall()
        except DriverError as error:
            raise self._met(translated(error)) from error
        return rows

    def _met(self, fault: LedgerError) -> LedgerError:
        """Return what a fault means in a ledger that did open; damage is noted, so that the ledger is rebuilt before it is opened again."""
        if isinstance(fault, LedgerKeyError):
            # The key was right when it was opened.
            fault = LedgerDamagedError("the ledger's first page is damaged")
        if isinstance(fault, LedgerDamagedError):
            self._ask_for_rebuild(RebuildCause.DAMAGED)
        return fault

    def _ask_for_rebuild(self, cause: RebuildCause) -> None:
        if self._share is not None:
            # Where the mark cannot be written either, the next start finds the damage by itself.
            with contextlib.suppress(LedgerError):
                request_rebuild(self._path.parents[1], cause)

    def _connect(self) -> None:
        if not self._database.is_closed():
            return
        if not self.is_in_place():
            # Connecting would make an empty database there.
            if not self._path.exists():
                self._ask_for_rebuild(RebuildCause.MISSING)
            raise LedgerMissingError("the ledger was taken away while it was in use")
        try:
            cipher_file.open_connection(self._database)
        except LedgerError as error:
            raise self._met(error) from error

    @contextmanager
    def _transaction(self, begin: str, *, may_change: bool) -> Iterator[None]:
        self._connect()
        self._run(begin, ())
        self._local.may_change = may_change
        try:
            yield
            self._run("COMMIT", ())
        except BaseException:  # boundary: whatever the block raises, nothing of it may stay in the ledger; raised again
            self._undo()
            raise
        finally:
            del self._local.may_change

    def _undo(self) -> None:
        connection = self._database.connection()
        # SQLite has already rolled back by itself after some errors (a full disk, for one).
        if not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except DriverError:
            # A connection that is gone takes its transaction with it, which is what was wanted.
            self._database.close()


def ledger_path(data: Path) -> Path:
    """Return where the ledger of a data directory is."""
    return data / "ledger" / "ledger.db"


def draft_path(data: Path) -> Path:
    """Return where the ledger that is to take the place of another is made."""
    return data / "ledger" / "ledger.rebuilding"


def await_ledger(data: Path, key: bytes, stopping: threading.Event) -> Ledger | None:
    """Return the ledger once nobody rebuilds it any more, None when `stopping` is set first. Raises what `Ledger.open` raises else."""
    while not stopping.is_set():
        with contextlib.suppress(LedgerRebuildingError):
            return Ledger.open(data, key, migrate=False)
        stopping.wait(_LOOK_S)
    return None


def _require_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise ValueError("the ledger's key has 32 bytes")


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
    except OSError as error:
        raise storage_fault(error) from error


def _prepare(path: Path, lock: Path, key: bytes) -> None:
    with _locked(lock):
        try:
            cipher_file.prepare(path, key)
        except OSError as error:
            raise storage_fault(error) from error


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Hold the writers' lock. A descriptor of its own each time makes flock work between threads too."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_fault(error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
