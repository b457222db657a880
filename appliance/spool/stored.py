"""The store as who rebuilds the ledger sees it: every object in the order of its arrival, where one is, and the way back to `incoming/`.

Promises: `in_order` yields each object that is in its own place in the store, by object id, holding the names of one hour at a time.
Objects sent back are in `incoming/`, durably; a crash in the middle leaves each in one place, or under both names.
Failures: `OSError` of the disk.
Limits: what is not an object of ours in its own place is passed over (`inventory` reports it). Nobody may move objects meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from appliance.spool.files import sync_directory
from appliance.spool.names import SpoolName


class Place(StrEnum):
    """Where an object can be."""

    STORE = "store"
    INCOMING = "incoming"
    QUARANTINE = "quarantine"


class StoredObjects:
    """The objects of the spool under one data directory."""

    def __init__(self, data: Path) -> None:
        """Look under `data`."""
        self._spool = data / "spool"

    def in_order(self) -> Iterator[SpoolName]:
        """Yield the names of the store's objects by object id, messages too."""
        hours: dict[str, list[Path]] = {}
        for folder in _folders(self._spool / Place.STORE, depth=2):
            hours.setdefault(folder.name, []).append(folder)
        # The hour is the beginning of the id: what is sorted within the hours is sorted as a whole.
        for hour in sorted(hours):
            names = [name for folder in hours[hour] for inner in _folders(folder, depth=1) for name in self._names(inner)]
            yield from sorted(names)

    def place(self, name: SpoolName) -> Place | None:
        """Return where the object is, None when it is nowhere."""
        if self._path(name).exists():
            return Place.STORE
        return next((place for place in (Place.INCOMING, Place.QUARANTINE) if (self._spool / place / str(name)).exists()), None)

    def is_empty(self) -> bool:
        """Say whether the spool holds no object at all, neither in the store nor waiting."""
        return next(self.in_order(), None) is None and not self._names(self._spool / Place.INCOMING)

    def send_back(self, names: Sequence[SpoolName]) -> None:
        """Move objects from the store to `incoming/`; durable when this returns. What is there already stays."""
        incoming = self._spool / Place.INCOMING
        touched = set()
        for name in names:
            path = self._path(name)
            with contextlib.suppress(FileNotFoundError):
                path.rename(incoming / str(name))
                touched.add(path.parent)
        if touched:
            # The new names first: a crash between the two leaves an object with two names at worst, never with none.
            sync_directory(incoming)
        for folder in sorted(touched):
            sync_directory(folder)

    def _path(self, name: SpoolName) -> Path:
        return self._spool / Place.STORE / name.store_directory() / str(name)

    def _names(self, folder: Path) -> list[SpoolName]:
        try:
            names = [SpoolName.parse(path.name) for path in folder.iterdir()]
        except FileNotFoundError:
            return []
        incoming = self._spool / Place.INCOMING
        return [name for name in names if name is not None and folder in {incoming, self._path(name).parent}]


def _folders(base: Path, depth: int) -> list[Path]:
    """Return the folders `depth` levels below `base`."""
    found = [base] if base.is_dir() else []
    for _ in range(depth):
        found = [path for folder in found for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    return found
