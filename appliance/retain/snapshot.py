"""Snapshots of the ledger: from what a lost ledger is restored.

Promises: a snapshot is one moment of the ledger, encrypted from its first byte under the ledger's key, checked after it was written,
durable and whole under its name (`DATA/ledger/snapshots/<UTC time>.db`). Names rise in the order in which snapshots were made, even when
the clock steps back. Writers go on while one is made. Nothing but old snapshots is ever removed, and never the newest.
Failures: what the ledger raises (a full disk: `LedgerStorageError`); then no snapshot was made, and the earlier ones stay.
Limits: one maker at a time (the keeper). A snapshot is as large as the ledger; none is made into the last `reserve_bytes` of the disk,
where older ones make room first.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance.ledger import cipher_file
from appliance.ledger.access import RebuildCause, request_rebuild
from appliance.ledger.database import Ledger, ledger_path
from appliance.ledger.faults import LedgerDamagedError, LedgerForeignError, LedgerKeyError, LedgerStorageError, storage_fault
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.spool.files import make_directories, space, sync_directory

log = get_logger(__name__)

# Two hours of quarters: from any of them only what happened since is looked at again.
NEWEST_KEPT = 8
# A week of days, should something be found out late.
DAYS_KEPT = 7

_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z\.db")
_UNFINISHED = ".new"


class Snapshots:
    """The snapshots under one data directory."""

    def __init__(self, data: Path, key: bytes, clock: Clock, *, reserve_bytes: int = 0) -> None:
        """Keep them under `data`; `key` is the ledger's."""
        self._data = data
        self._folder = data / "ledger" / "snapshots"
        self._key = key
        self._clock = clock
        self._reserve_bytes = reserve_bytes

    def take(self, ledger: Ledger) -> Path:
        """Make a snapshot, then remove those that are not kept any longer; return the new one. Outside `write()` and `read()`."""
        try:
            make_directories(self._data, "ledger/snapshots")
            for leftover in self._folder.glob(f"*{_UNFINISHED}*"):
                leftover.unlink()
            self._make_room()
            path = self._folder / self._next_name()
            draft = path.with_name(path.name + _UNFINISHED)
            ledger.copy_to(draft)
            try:
                cipher_file.check(draft, self._key)
            except LedgerDamagedError:
                # What was copied from whole pages is damaged as it stands in the ledger: the ledger is looked at before it is opened again.
                cipher_file.remove(draft)
                request_rebuild(self._data, RebuildCause.DAMAGED)
                raise
            draft.rename(path)
            sync_directory(self._folder)
            self._prune()
        except OSError as error:
            raise storage_fault(error) from error
        return path

    def all(self) -> list[Path]:
        """Return the snapshots, the oldest first, good or not."""
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))

    def newest_good(self) -> Path | None:
        """Return the newest snapshot that is whole and opens with the key, None when there is none; bad ones are reported.

        Raises `LedgerNewerError` for one that a newer version wrote: an older version never opens a newer ledger.
        """
        for path in reversed(self.all()):
            try:
                cipher_file.check(path, self._key)
            except (LedgerDamagedError, LedgerKeyError, LedgerForeignError, LedgerStorageError) as error:
                log.error("snapshot.bad", snapshot=path.name, error=type(error).__name__)  # noqa: TRY400 (where says nothing)
            else:
                return path
        return None

    def _make_room(self) -> None:
        needed = ledger_path(self._data).stat().st_size + self._reserve_bytes
        for path in self.all()[:-1]:
            if space(self._folder).free_bytes >= needed:
                break
            log.warning("snapshot.dropped", snapshot=path.name, reason="no space for the next one")
            cipher_file.remove(path)
        if space(self._folder).free_bytes < needed:
            raise OSError(errno.ENOSPC, "no space for a snapshot")

    def _next_name(self) -> str:
        moment = datetime.fromtimestamp(int(self._clock.now().wall), UTC)
        there = self.all()
        if there and (newest := _moment(there[-1])) >= moment:
            moment = newest + timedelta(seconds=1)
        return f"{moment:{_STAMP}}.db"

    def _prune(self) -> None:
        there = self.all()
        kept = set(to_keep(there))
        for path in there:
            if path not in kept:
                cipher_file.remove(path)


def to_keep(snapshots: Sequence[Path]) -> list[Path]:
    """Return which of the snapshots (the oldest first) are kept: the newest ones, and the first one of each of the last days."""
    days: dict[str, Path] = {}
    for path in snapshots:
        days.setdefault(path.name[:8], path)
    dailies = [days[day] for day in sorted(days)[-DAYS_KEPT:]]
    return sorted({*snapshots[-NEWEST_KEPT:], *dailies})


def _moment(path: Path) -> datetime:
    return datetime.strptime(path.name.removesuffix(".db"), _STAMP).replace(tzinfo=UTC)
