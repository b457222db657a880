"""The spool's places: objects come in through `admit`, wait in `incoming/`, live in `store/`, or stand apart in `quarantine/`.

Promises: an object whose name `commit` returned is in exactly one place, whole and durable, until `remove`; moving is a rename, so it is
never half here and half there, and doing it again does no harm. Nothing a peer sent is part of a path.
Failures: `SpoolWriteError` (admission), `SpoolObjectMissingError`, `SpoolKeyMissingError` (ours), the seal's errors when an object is
opened; `OSError` of the disk from the verbs that move, remove and read.
Limits: one process moves objects (the router) and one removes them (the keeper); the spool does not guard them against each other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from appliance.core.errors import ApplianceError
from appliance.keys.generations import Recipients
from appliance.runtime.logging import get_logger
from appliance.spool.admission import Admission, PartialFile, SpoolWriteError
from appliance.spool.age import CHUNK_BYTES, TAG_BYTES, SealForeignError
from appliance.spool.files import Space, create_unnamed, make_directories, space, sync_directory
from appliance.spool.names import SUFFIX, ObjectIds, SpoolName, is_object_id
from appliance.spool.part10 import ObjectHeader, ObjectHeaderError
from appliance.spool.receiving import ReceivingFolder
from appliance.spool.sealed import SealedObject

__all__ = ["Admission", "SealedObject", "Spool", "SpoolKeyMissingError", "SpoolObjectMissingError", "SpoolWriteError"]

# Folders of the store known to be durable: 256 an hour, so this forgets a few times a day and then costs a few fsyncs again.
_MOST_REMEMBERED = 4096

log = get_logger(__name__)


class SpoolObjectMissingError(ApplianceError):
    """An object is in none of the places where it belongs."""

    advice = "If a disk was restored or exchanged, rebuild the ledger."


class SpoolKeyMissingError(ApplianceError):
    """This process was not given the key for what was asked of it."""


class Spool:
    """The spool under one data directory. Threads may share it; each process that opens it makes its own."""

    def __init__(
        self,
        data: Path,
        *,
        recipients: Callable[[], Recipients] | None = None,
        digest_key: bytes | None = None,
        identities: Mapping[int, bytes] | None = None,
        unnamed: Callable[[Path], int | None] = create_unnamed,
    ) -> None:
        """Take the keys that this process may have: `recipients` and `digest_key` to receive, `identities` (by generation) to open.

        `recipients` is asked for each object, so it should remember. `unnamed` makes nameless files; tests pass one that cannot.
        """
        self._data = data
        self._spool = data / "spool"
        self._incoming = self._spool / "incoming"
        self._store = self._spool / "store"
        self._quarantine = self._spool / "quarantine"
        self._receiving = ReceivingFolder(self._spool / "receiving")
        self._recipients = recipients
        self._digest_key = digest_key
        self._identities = identities
        self._unnamed = unnamed
        self._ids = ObjectIds()
        self._durable_folders: set[str] = set()
        self._foreign_inodes: set[int] = set()

    def prepare(self) -> None:
        """Make the folders (0700), durably, and remove what dead workers left in `receiving/`. Raises `OSError`."""
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(self._data.parent)
        for folder in ("incoming", "store", "quarantine", "receiving"):
            make_directories(self._data, f"spool/{folder}")
        removed = self._receiving.sweep()
        if removed:
            log.info("spool.receiving.swept", files=removed)

    def close(self) -> None:
        """Give back what this process holds in `receiving/`; the spool may be used again."""
        self._receiving.close()

    def admit(self, header: ObjectHeader) -> Admission:
        """Begin an object; its header is sealed at once.

        Its id is `header.reception_id`, or a new one where that is empty. Raises `SpoolWriteError`, `SpoolKeyMissingError`,
        `ObjectHeaderError`, and what `recipients` raises.
        """
        if self._recipients is None or self._digest_key is None:
            raise SpoolKeyMissingError("this process has no key to seal objects with")
        if not header.reception_id:
            header = replace(header, reception_id=self._ids.next(header.received_at))
        elif not is_object_id(header.reception_id):
            raise ObjectHeaderError("the reception id is not an object id")
        return Admission(header, self._recipients(), self._digest_key, incoming=self._incoming, create=self._create)

    def incoming(self) -> list[SpoolName]:
        """Return the objects that wait, in the order of their ids. Raises `OSError`.

        What is no object of ours is left alone and reported once, by inode number: its name may say what no log may hold.
        """
        names = []
        with os.scandir(self._incoming) as entries:
            for entry in entries:
                name = SpoolName.parse(entry.name)
                if name is not None:
                    names.append(name)
                elif entry.inode() not in self._foreign_inodes:
                    self._foreign_inodes.add(entry.inode())
                    log.warning("spool.incoming.foreign_file", inode=entry.inode())
        names.sort()
        return names

    def sync_incoming(self) -> None:
        """Return when every name seen in `incoming/` before the call is durable. Raises `OSError`."""
        sync_directory(self._incoming)

    def open(self, name: SpoolName) -> SealedObject:
        """Return the object, its header verified, wherever it is by now.

        Raises `SpoolObjectMissingError`, `SpoolKeyMissingError`, `SealForeignError`, `SealFormatError`, `SealDamagedError`,
        `ObjectHeaderError`, `OSError`.
        """
        if self._identities is None:
            raise SpoolKeyMissingError("this process has no key to open objects with")
        identity = self._identities.get(name.generation)
        if identity is None:
            raise SealForeignError(f"there is no key of generation {name.generation}")
        for path in self._places(name):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue
            # One read of the disk is one chunk of the seal.
            return SealedObject(name, os.fdopen(descriptor, "rb", buffering=CHUNK_BYTES + TAG_BYTES), identity, self._digest_key)
        raise _missing(name)

    def move_to_store(self, names: Sequence[SpoolName]) -> None:
        """Move objects from `incoming/` to their places; durable when this returns. What was moved before is fine.

        Raises `SpoolObjectMissingError`, after the others are moved, for one that is in neither place, and `OSError`.
        """
        touched: set[Path] = set()
        missing = []
        for name in names:
            folder = self._store_folder(name)
            touched.add(folder)
            try:
                (self._incoming / str(name)).rename(folder / str(name))
            except FileNotFoundError:
                if not (folder / str(name)).exists():
                    missing.append(name)
        # The new names first: a crash between the two leaves an object with two names at worst, never with none.
        for folder in sorted(touched):
            sync_directory(folder)
        sync_directory(self._incoming)
        if missing:
            raise _missing(missing[0])

    def remove(self, name: SpoolName) -> None:
        """Remove the object from wherever it is; gone for good when this returns, and no fault if it was. Raises `OSError`."""
        folder = self._take(name, lambda path: path.unlink())
        if folder is not None:
            sync_directory(folder)

    def quarantine(self, name: SpoolName, reason: str) -> None:
        """Set the object apart, durably; `reason` is one of our own words, for the log.

        Raises `SpoolObjectMissingError` where it is in no place, and `OSError`.
        """
        target = self._quarantine / str(name)
        folder = self._take(name, lambda path: path.rename(target))
        if folder is None and not target.exists():
            raise _missing(name)
        sync_directory(self._quarantine)
        if folder is not None:
            sync_directory(folder)
            log.error("spool.object.quarantined", object_id=name.object_id, reason=reason)

    def waiting(self) -> int:
        """Return how many objects wait in `incoming/`; counted, not read, so that a hundred thousand cost little. Raises `OSError`."""
        with os.scandir(self._incoming) as entries:
            return sum(entry.name.endswith(SUFFIX) for entry in entries)

    def quarantined(self) -> int:
        """Return how many objects are set apart. Raises `OSError`."""
        with os.scandir(self._quarantine) as entries:
            return sum(1 for _ in entries)

    def space(self) -> Space:
        """Return what is left on the spool's file system. Raises `OSError`."""
        return space(self._spool)

    def _create(self) -> PartialFile:
        descriptor = self._unnamed(self._incoming)
        return self._receiving.create() if descriptor is None else PartialFile(descriptor, None)

    def _places(self, name: SpoolName) -> Iterable[Path]:
        """Where the object can be: in the store, still waiting, or in the store because it was moved while we looked."""
        stored = self._store / name.store_directory() / str(name)
        return (stored, self._incoming / str(name), stored)

    def _take(self, name: SpoolName, act: Callable[[Path], object]) -> Path | None:
        """Do what takes the object's name away and return the folder that held it, not yet synced; None where it has no name."""
        for path in self._places(name):
            try:
                act(path)
            except FileNotFoundError:
                continue
            return path.parent
        return None

    def _store_folder(self, name: SpoolName) -> Path:
        """Return the object's folder in the store, there and durable."""
        relative = name.store_directory()
        folder = self._store / relative
        # Whoever empties the store may remove empty folders too, so remembering is not enough.
        if relative not in self._durable_folders or not folder.is_dir():
            make_directories(self._store, relative)
            if len(self._durable_folders) >= _MOST_REMEMBERED:
                self._durable_folders.clear()
            self._durable_folders.add(relative)
        return folder


def _missing(name: SpoolName) -> SpoolObjectMissingError:
    return SpoolObjectMissingError(f"object {name.object_id} is neither in the store nor waiting")
