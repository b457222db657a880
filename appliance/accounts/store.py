"""The database of accounts, open: one SQLCipher file, and the two ways to work in it, `write()` and `read()`.

Promises: file and write-ahead log are unreadable without the key, mode 0600 in a 0700 directory. When `write()` ends without an exception,
its changes survive a power cut (WAL, `synchronous=FULL`); when it ends with one, nothing was changed. A file under its final name is never
half made. Statements have parameters, always, and are never logged.
Failures: `faults`: a wrong key, a newer schema, damage and a full disk each have their own.
Limits: threads of a process take turns on one connection, processes wait for each other up to ten seconds: what is done here is short. It
must not be used by a child made by `fork` after its first use.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from sqlcipher3 import dbapi2

from appliance.accounts.faults import AccountsDamagedError, AccountsMissingError, AccountsNewerError, storage_fault, translated
from appliance.accounts.schema import LATEST, MIGRATIONS

KEY_BYTES = 32

Value: TypeAlias = str | int | float | bytes | None
Row: TypeAlias = tuple[Any, ...]

# The driver is a C extension that fills its module when it is loaded, so that no checker sees what is in it.
_DriverError: type[Exception] = dbapi2.Error  # type: ignore[attr-defined]
_IntegrityError: type[Exception] = dbapi2.IntegrityError  # type: ignore[attr-defined]
_connect = dbapi2.connect  # type: ignore[attr-defined]

# The keeper or another tool at work; ours are done in milliseconds.
_BUSY_S = 10.0
_COMPANIONS = ("-wal", "-shm", "-journal")


class ClashError(Exception):
    """A row that must be the only one of its kind exists already; for the repositories, which say which."""


class Work:
    """A transaction: what repositories read and change rows with."""

    def __init__(self, connection: Any) -> None:
        """Work on a connection of the driver."""
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Return all rows of a statement."""
        return [tuple(row) for row in self._run(sql, parameters).fetchall()]

    def change(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Run a statement that changes rows; return how many. Raises `ClashError` where one of them may not be."""
        return int(self._run(sql, parameters).rowcount)

    def insert(self, sql: str, parameters: Sequence[Value] = ()) -> int:
        """Add a row and return its number. Raises `ClashError` where it may not be."""
        return int(self._run(sql, parameters).lastrowid)

    def _run(self, sql: str, parameters: Sequence[Value]) -> Any:
        try:
            return self._connection.execute(sql, parameters)
        except _IntegrityError:
            raise ClashError from None
        except _DriverError as error:
            raise translated(error) from None


class AccountStore:
    """One box's accounts. Threads may share it; a process opens its own."""

    def __init__(self, data: Path, key: bytes) -> None:
        """Point at the accounts under `data`, which open with the 32 bytes of `key`, at first use."""
        if len(key) != KEY_BYTES:
            raise ValueError("the key of the accounts has 32 bytes")
        self._path = accounts_path(data)
        self._key = key
        self._lock = threading.Lock()
        self._connection: Any = None

    def prepare(self) -> None:
        """Leave complete, current, checked accounts at their place: made where they are missing. For the start of the box."""
        with self._lock:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._path.parent.chmod(0o700)
                if not self._path.exists():
                    _make(self._path, self._key)
            except OSError as error:
                raise storage_fault(error) from error
            connection = _opened(self._path, self._key)
            try:
                if Work(connection).rows("PRAGMA quick_check(1)") != [("ok",)]:
                    raise AccountsDamagedError("the database of accounts is damaged")
                _migrate(Work(connection))
            finally:
                connection.close()

    @contextmanager
    def write(self) -> Iterator[Work]:
        """Let the block change the accounts: all of it on return, nothing of it when it raises. Not re-entrant; keep it short."""
        with self._transaction("BEGIN IMMEDIATE") as work:
            yield work

    @contextmanager
    def read(self) -> Iterator[Work]:
        """Let the block read one unchanging moment of the accounts. Not re-entrant."""
        with self._transaction("BEGIN") as work:
            yield work

    def close(self) -> None:
        """Close the connection; the next use makes another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Work]:
        with self._lock:
            if self._connection is None:
                self._connection = _current(self._path, self._key)
            work = Work(self._connection)
            work.rows(begin)
            try:
                yield work
                work.rows("COMMIT")
            except BaseException:  # boundary: whatever the block raises, nothing of it may stay; raised again
                # SQLite has already rolled back by itself after some errors (a full disk, for one).
                with suppress(_DriverError):
                    self._connection.rollback()
                raise


def accounts_path(data: Path) -> Path:
    """Return where the accounts of a data directory are."""
    return data / "accounts" / "accounts.db"


def _make(path: Path, key: bytes) -> None:
    draft = path.with_name("accounts.new")
    for stale in (draft, path):
        for ending in ("", *_COMPANIONS):
            stale.with_name(stale.name + ending).unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = _opened(draft, key)
    try:
        work = Work(connection)
        # Kept in the file, hence not a matter of each connection.
        work.rows("PRAGMA journal_mode = wal")
        _migrate(work)
        work.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    _sync(draft)
    draft.rename(path)
    _sync(path.parent)


def _current(path: Path, key: bytes) -> Any:
    if not path.exists():
        # Connecting would make an empty database there.
        raise AccountsMissingError("there are no accounts in this data directory")
    connection = _opened(path, key)
    try:
        _insist_on_latest(Work(connection))
    except BaseException:  # boundary: whatever ends it, the connection must not stay open; raised again
        connection.close()
        raise
    return connection


def _opened(path: Path, key: bytes) -> Any:
    try:
        connection = _connect(os.fspath(path), isolation_level=None, check_same_thread=False, timeout=_BUSY_S)
    except _DriverError as error:
        raise translated(error) from None
    work = Work(connection)
    try:
        # A raw key: no key derivation is run at each connection, because ours is already uniform (keys/derive).
        work.rows(f"PRAGMA key = \"x'{key.hex()}'\"")
        # SQLCipher would write to standard error by itself; what it has to say comes as an error anyway.
        for pragma in ("cipher_log_level = none", "synchronous = full", "foreign_keys = on", "temp_store = memory"):
            work.rows(f"PRAGMA {pragma}")
        work.rows("SELECT count(*) FROM sqlite_master")
    except BaseException:  # boundary: as above; raised again
        connection.close()
        raise
    return connection


def _version(work: Work) -> int:
    if not work.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"):
        return 0
    version = int(work.rows("SELECT max(version) FROM schema_version")[0][0])
    if version > LATEST:
        raise AccountsNewerError(f"the accounts have schema {version}, and this version of the appliance knows {LATEST}")
    return version


def _insist_on_latest(work: Work) -> None:
    if _version(work) < LATEST:
        raise AccountsMissingError("the accounts were not brought up to date")


def _migrate(work: Work) -> None:
    """Apply every migration that is missing, each in a transaction of its own, so that a power cut leaves a whole version."""
    version = _version(work)
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        work.rows("BEGIN IMMEDIATE")
        for statement in statements:
            work.rows(statement)
        work.rows("INSERT INTO schema_version (version) VALUES (?)", (number,))
        work.rows("COMMIT")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
