"""The spool's places: objects come in through `admit`, wait in `incoming/`, live in `store/`, or stand apart in `quarantine/`.

Promises: an object whose name `commit` returned is in exactly one place, whole and durable, until `remove`; moving is a rename, so it is
never half here and half there, and doing it again does no harm. Nothing a peer sent is part of a path.
Failures: `SpoolWriteError` (admission), `SpoolObjectMissingError`, `SpoolKeyMissingError` (ours), the seal's errors when an object is
opened; `OSError` of the disk from the verbs that move, remove and read.
Limits: one process moves objects (the router) and one removes them (the keeper); the spool does not guard them against each other.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from appliance.core.errors import ApplianceError
from appliance.keys.generations import Recipients
from appliance.runtime.logging import get_logger
from appliance.spool.admission import Admission, SpoolWriteError
from appliance.spool.age import CHUNK_BYTES, TAG_BYTES, Identity, SealForeignError
from appliance.spool.blanks import Blanks
from appliance.spool.derived import DerivedPlace, empty, sweep
from appliance.spool.files import Space, create_unnamed, make_directories, space, sync_directory
from appliance.spool.heads import HeadPost
from appliance.spool.landing import Landing
from appliance.spool.names import SUFFIX, ObjectIds, SpoolName, is_object_id
from appliance.spool.part10 import ObjectHeader, ObjectHeaderError, encode_header
from appliance.spool.receiving import ReceivingFolder
from appliance.spool.sealed import SealedObject
from appliance.spool.workspaces import Workspaces

__all__ = ["Admission", "SealedObject", "Spool", "SpoolKeyMissingError", "SpoolObjectMissingError", "SpoolWriteError"]

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
        heads: HeadPost | None = None,
    ) -> None:
        """Take the keys that this process may have: `recipients` and `digest_key` to receive, `identities` (by generation) to open.

        `recipients` is asked for each object, so it should remember. `unnamed` makes nameless files; tests pass one that cannot.
        `heads` is told what was received.
        """
        self._data = data
        self._spool = data / "spool"
        self._incoming = self._spool / "incoming"
        self._landing = Landing(self._incoming)
        self._store = self._spool / "store"
        self._quarantine = self._spool / "quarantine"
        self._receiving = ReceivingFolder(self._spool / "receiving")
        self._recipients = recipients
        self._digest_key = digest_key
        self._identities = identities
        self._ready: dict[bytes, Identity] = {}
        self._blanks = Blanks(lambda: unnamed(self._incoming), self._receiving.create)
        self._heads = heads
        self._workspaces = Workspaces()
        self._ids = ObjectIds()
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
        """Give back what this process holds in `receiving/` and `incoming/`; the spool may be used again."""
        self._receiving.close()
        self._landing.close()
        self._blanks.close()

    def admit(self, header: ObjectHeader, landing: Landing | None = None) -> Admission:
        """Begin an object; its header is sealed at once. With a `landing` it appears there, and not in `incoming/`.

        Its id is `header.reception_id`, or a new one where that is empty. Raises `SpoolWriteError`, `SpoolKeyMissingError`,
        `ObjectHeaderError`, and what `recipients` raises.
        """
        if self._recipients is None or self._digest_key is None:
            raise SpoolKeyMissingError("this process has no key to seal objects with")
        if not header.reception_id:
            header = replace(header, reception_id=self._ids.next(header.received_at))
        elif not is_object_id(header.reception_id):
            raise ObjectHeaderError("the reception id is not an object id")
        clear = encode_header(header)
        try:
            blank = self._blanks.take(self._recipients())
        except OSError as error:
            raise SpoolWriteError(error) from error
        heads = self._heads if landing is None else None
        return Admission(clear, header, blank, self._digest_key, landing=landing or self._landing, workspaces=self._workspaces, heads=heads)

    def make_ready(self) -> None:
        """Prepare for the next object, which is then admitted sooner. Never raises: what is wrong, `admit` will say."""
        if self._recipients is not None:
            with contextlib.suppress(ApplianceError, OSError):
                self._blanks.make_ready(self._recipients())

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
        self._landing.sync()

    def open(self, name: SpoolName) -> SealedObject:
        """Return the object, its header verified, wherever it is by now.

        Raises `SpoolObjectMissingError`, `SpoolKeyMissingError`, `SealForeignError`, `SealFormatError`, `SealDamagedError`,
        `ObjectHeaderError`, `OSError`.
        """
        return self._open(name, self._places(name))

    def derived(self, place: str) -> DerivedPlace:
        """Return the place with this name for derived objects, made where it is not there. Raises `OSError`."""
        if not place.isalnum():
            raise ValueError("not the name of a place")
        return DerivedPlace(self._spool / "derived" / place)

    def open_derived(self, places: Sequence[str], name: SpoolName) -> SealedObject:
        """Return a derived object from one of the places, or the stored one of this name where none is. Raises what `open` does."""
        return self._open(name, (*(f"{self._spool}/derived/{place}/{name}" for place in places), *self._places(name)))

    def has_derived(self, place: str, name: SpoolName) -> bool:
        """Say whether a derived object is in its place."""
        return Path(f"{self._spool}/derived/{place}/{name}").exists()

    def remove_derived(self, places: Sequence[str], name: SpoolName) -> bool:
        """Remove a derived object from the places; False where there is none of this name. Never raises: what stays goes with the rest."""
        there = [path for place in places if (path := Path(f"{self._spool}/derived/{place}/{name}")).exists()]
        for path in there:
            with contextlib.suppress(OSError):
                path.unlink()
        return bool(there)

    def empty_derived(self) -> None:
        """Remove every derived object; never raises."""
        empty(self._spool / "derived")

    def sweep_derived(self, before: float) -> int:
        """Remove what was derived before the wall time `before`; return how many objects that were. Never raises."""
        return sweep(self._spool / "derived", before)

    def _open(self, name: SpoolName, places: Iterable[str]) -> SealedObject:
        if self._identities is None:
            raise SpoolKeyMissingError("this process has no key to open objects with")
        private = self._identities.get(name.generation)
        if private is None:
            raise SealForeignError(f"there is no key of generation {name.generation}")
        identity = self._ready.get(private)
        if identity is None:
            identity = self._ready[private] = Identity(private)
        for place in places:
            try:
                descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue
            # One read of the disk is one chunk of the seal.
            file = io.BufferedReader(io.FileIO(descriptor, "rb"), CHUNK_BYTES + TAG_BYTES)
            return SealedObject(name, file, identity, self._digest_key, self._workspaces)
        raise _missing(name)

    def move_to_store(self, names: Sequence[SpoolName]) -> None:
        """Move objects from `incoming/` to their places. What was moved before is fine.

        The objects stay durable, under one of the two names; which one a power cut leaves is the file system's to say (decision 0017).
        Raises `SpoolObjectMissingError`, after the others are moved, for one that is in neither place, and `OSError`.
        """
        missing = [name for name in names if not self._move_one(str(name), name.store_directory())]
        if missing:
            raise _missing(missing[0])

    def _move_one(self, name: str, relative: str) -> bool:
        """Move one object into its folder, which is made where it is not there; False when the object is in neither place."""
        target = f"{self._store}/{relative}/{name}"
        for _ in range(2):
            try:
                os.rename(f"{self._incoming}/{name}", target)  # noqa: PTH104 (a path object would cost more than the move)
            except FileNotFoundError:
                if Path(target).exists():
                    return True
                # The first object of its folder; whoever empties the store may also remove empty folders.
                folder = self._store
                for part in relative.split("/"):
                    folder /= part
                    folder.mkdir(mode=0o700, exist_ok=True)
            else:
                return True
        return False

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

    def _places(self, name: SpoolName) -> Iterable[str]:
        """Where the object can be: in the store, still waiting, or in the store because it was moved while we looked."""
        stored = f"{self._store}/{name.store_directory()}/{name}"
        return (stored, f"{self._incoming}/{name}", stored)

    def _take(self, name: SpoolName, act: Callable[[Path], object]) -> Path | None:
        """Do what takes the object's name away and return the folder that held it, not yet synced; None where it has no name."""
        for path in map(Path, self._places(name)):
            try:
                act(path)
            except FileNotFoundError:
                continue
            return path.parent
        return None


def _missing(name: SpoolName) -> SpoolObjectMissingError:
    return SpoolObjectMissingError(f"object {name.object_id} is neither in the store nor waiting")
