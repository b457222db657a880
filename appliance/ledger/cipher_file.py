"""One SQLCipher file: connecting to it, making it, checking it, bringing its schema up to date, and copying it while it is in use.

Promises: `prepare` leaves a complete, checked ledger of the current schema, or what was there untouched; a file under its final name is
never half made. `copy` holds one moment of the ledger, is encrypted from its first byte, and keeps no writer waiting.
Failures: those of `faults`; `OSError` from the file system where the docstring says so.
Limits: holds no lock; `ledger` and `retain` call these under theirs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from peewee import PeeweeException
from playhouse.sqlcipher_ext import SqlCipherDatabase
from sqlcipher3 import dbapi2

from appliance.ledger.access import sync
from appliance.ledger.faults import LedgerDamagedError, LedgerForeignError, LedgerNewerError, LedgerOlderError, translated
from appliance.ledger.migrations import LATEST, MIGRATIONS
from appliance.ledger.words import study_text

Value: TypeAlias = str | int | float | bytes | None
"""What a statement takes and a row gives."""

Row: TypeAlias = tuple[Any, ...]

# The driver is a C extension that fills its module when it is loaded, so that no checker sees what is in it.
DriverError: type[Exception] = dbapi2.Error  # type: ignore[attr-defined]
"""What every error of the driver is; `faults.translated` says what it means."""

# Only a program that is not ours can make us wait here, because ours queue on the lock file first.
_BUSY_S = 10.0

_PRAGMAS = {
    # SQLCipher would write to standard error by itself; what it has to say comes as an error anyway.
    "cipher_log_level": "none",
    "synchronous": "full",
    "foreign_keys": 1,
    "temp_store": "memory",
    # 8 MiB a connection: the indexes that claims and duplicates use stay deciphered at a million rows.
    "cache_size": -8192,
    # After a burst the write-ahead log is cut back to this instead of keeping its largest size for ever.
    "journal_size_limit": 64 * 1024 * 1024,
}

# What SQLite may leave beside a database.
COMPANIONS = ("-wal", "-shm", "-journal")
"""Endings of the files that belong to a database of ours."""


def connect(path: Path, key: bytes) -> SqlCipherDatabase:
    """Return the database at `path`, connected in this thread. Whether the key fits shows at the first statement."""
    # A raw key: no key derivation is run at each connection, because ours is already uniform (keys/derive).
    database = SqlCipherDatabase(
        os.fspath(path),
        # Not peewee's `timeout`, which its SQLCipher class does not pass on.
        pragmas={**_PRAGMAS, "busy_timeout": round(_BUSY_S * 1000)},
        passphrase=f"x'{key.hex()}'",
        autoconnect=False,
        thread_safe=True,
    )
    open_connection(database)
    return database


def open_connection(database: SqlCipherDatabase) -> None:
    """Give the calling thread a connection."""
    try:
        database.connect()
    except PeeweeException as error:
        raise translated(error) from None


def execute(database: SqlCipherDatabase, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
    """Run a statement outside any scope of `Ledger` and return its rows."""
    try:
        rows: list[Row] = database.connection().execute(sql, parameters).fetchall()
    except DriverError as error:
        raise translated(error) from error
    return rows


def prepare(path: Path, key: bytes) -> None:
    """Leave a complete, current, checked ledger at `path`. The writers' lock is held. Raises `OSError` too."""
    if path.exists():
        _check_and_migrate(path, key)
        return
    # Made beside its place and renamed when it is complete: an empty or half-made file at `path` is therefore always damage.
    # A write-ahead log without its database is worth nothing, and would be taken for the new one's.
    draft = path.with_name("ledger.new")
    remove(draft)
    for ending in COMPANIONS:
        path.with_name(path.name + ending).unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    database = connect(draft, key)
    try:
        _use_write_ahead_log(database)
        _migrate(database, 0)
        checkpoint(database)
    finally:
        database.close()
    for place in (draft, draft.parent):
        sync(place)
    draft.rename(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove a database that nobody has open, and what belongs to it. Raises `OSError`."""
    for ending in ("", *COMPANIONS):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def checkpoint(database: SqlCipherDatabase) -> None:
    """Move the whole write-ahead log into the database. Closing would do this too, but without saying when it could not."""
    execute(database, "PRAGMA wal_checkpoint(TRUNCATE)")


def copy(database: SqlCipherDatabase, target: Path) -> None:
    """Write one moment of `database` to `target`, which must not exist: one file of mode 0600, under the same key, its content durable.

    Writers go on meanwhile: with a write-ahead log the copy is one long read. A failure may leave part of the file.
    """
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    copied = SqlCipherDatabase(
        os.fspath(target), pragmas=_PRAGMAS, passphrase=database.connect_params["passphrase"], autoconnect=False, thread_safe=True
    )
    open_connection(copied)
    try:
        # A killed copy is thrown away, so that it needs no journal; the sync comes at the end.
        execute(copied, "PRAGMA journal_mode = off")
        execute(copied, "PRAGMA synchronous = off")
        # In one step: in several, each commit of another process would begin the copy anew.
        database.connection().backup(copied.connection())
        # The first page says that there is a write-ahead log; a copy that is one file must not.
        execute(copied, "PRAGMA journal_mode = delete")
    except DriverError as error:
        raise translated(error) from error
    finally:
        copied.close()
    sync(target)


def duplicate(source: Path, target: Path) -> None:
    """Copy a database that nobody has open to the new file `target`, byte by byte; its content is durable on return. Raises `OSError`."""
    shutil.copyfile(source, target)
    target.chmod(0o600)
    sync(target)


def check(path: Path, key: bytes) -> None:
    """Return when the file at `path` is a whole ledger of this version or an older one, and opens with `key`.

    Raises `LedgerDamagedError`, `LedgerKeyError`, `LedgerForeignError`, `LedgerNewerError`, and the disk's trouble.
    """
    if path.stat().st_size == 0:
        raise LedgerDamagedError("the ledger is empty")
    database = connect(path, key)
    try:
        version_of(database)
        _quick_check(database)
    finally:
        database.close()


def version_of(database: SqlCipherDatabase) -> int:
    """Return the schema version of a ledger. Raises for a database that is none, and for one newer than this code."""
    if not execute(database, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'"):
        raise LedgerForeignError("the database at the ledger's place is not a ledger")
    version = int(execute(database, "SELECT max(version) FROM schema_version")[0][0])
    if version > LATEST:
        raise LedgerNewerError(f"the ledger has schema {version}, and this version of the appliance knows {LATEST}")
    return version


def require_current(database: SqlCipherDatabase) -> None:
    """Raise `LedgerOlderError` for a ledger that was not brought up to date, and what `version_of` raises."""
    version = version_of(database)
    if version < LATEST:
        raise LedgerOlderError(f"the ledger has schema {version}, and this version of the appliance needs {LATEST}")


def _check_and_migrate(path: Path, key: bytes) -> None:
    if path.stat().st_size == 0:
        raise LedgerDamagedError("the ledger is empty")
    path.chmod(0o600)
    database = connect(path, key)
    try:
        version = version_of(database)
        _quick_check(database)
        _use_write_ahead_log(database)
        _migrate(database, version)
    finally:
        database.close()


def _quick_check(database: SqlCipherDatabase) -> None:
    if execute(database, "PRAGMA quick_check(1)") != [("ok",)]:
        raise LedgerDamagedError("the ledger is damaged")


def _use_write_ahead_log(database: SqlCipherDatabase) -> None:
    # Kept in the file, hence not a matter of each connection; a ledger restored from a copy has lost it.
    execute(database, "PRAGMA journal_mode = wal")


def _migrate(database: SqlCipherDatabase, version: int) -> None:
    """Apply every migration after `version`, each in a transaction of its own, so that a power cut leaves a whole version."""
    # What no statement of SQL can say; only migrations use it.
    database.connection().create_function("study_text", 4, study_text, deterministic=True)
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        execute(database, "BEGIN IMMEDIATE")
        for statement in statements:
            execute(database, statement)
        execute(database, "INSERT INTO schema_version (version) VALUES (?)", (number,))
        execute(database, "COMMIT")
