"""A reader of sealed objects beside the running box: what it can see, it must be able to open whole.

Promises: `SealedWatch` opens every object that becomes visible in `incoming/` and `store/` completely (authenticated to the end, length and
digest as the name says) and keeps what was wrong; objects that are gone by the time they are opened were settled or dropped: no fault.
Failures: none while watching; `close` returns what was found.
Limits: the only test support that uses the appliance's own code (`keys`, `spool`), because half-visible is a matter of its format.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from appliance.core.errors import ApplianceError
from appliance.keys.derive import Label, derive
from appliance.keys.generations import unlock
from appliance.keys.root import load_root
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool, SpoolObjectMissingError

_CHUNK_BYTES = 1 << 20
_LOOK_S = 0.05


class SealedWatch(threading.Thread):
    """Opens each sealed object once, as soon as its name can be seen."""

    def __init__(self, data: Path) -> None:
        """Prepare to watch this data directory, whose keys must exist."""
        super().__init__(name="sealed watch", daemon=True)
        self._data = data
        self._spool = _spool(data)
        self._seen: set[str] = set()
        self._enough = threading.Event()
        self.opened = 0
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        """Start watching."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        self.close()

    def run(self) -> None:
        """Look until told to stop, and then once more."""
        while not self._enough.wait(_LOOK_S):
            self.look()
        self.look()

    def close(self) -> list[str]:
        """Stop, and return what could be seen and not be opened whole."""
        self._enough.set()
        self.join()
        return self.faults

    def look(self) -> None:
        """Open every object not opened before."""
        for path in sealed_files(self._data):
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            name = SpoolName.parse(path.name)
            if name is None:
                self.faults.append(f"{path.name}: not a name of the spool")
                continue
            self._open(name)

    def _open(self, name: SpoolName) -> None:
        try:
            with self._spool.open(name) as sealed:
                length = 0
                while chunk := sealed.read(_CHUNK_BYTES):
                    length += len(chunk)
                if length != name.length:
                    self.faults.append(f"{name}: {length} bytes")
        except SpoolObjectMissingError:
            return
        except ApplianceError as error:
            self.faults.append(f"{name}: {error}")
        else:
            self.opened += 1


@dataclass(frozen=True, slots=True)
class Opened:
    """One sealed instance, opened to its end: its SOP instance UID and the SHA-256 of its data set."""

    name: str
    sop_instance_uid: str
    digest: str


def open_all(data: Path, *, but: Container[str] = ()) -> Iterator[Opened]:
    """Open every sealed instance whose file name is not in `but`, whatever its size. Raises `ApplianceError` for what is not whole."""
    spool = _spool(data)
    for path in sealed_files(data):
        name = SpoolName.parse(path.name)
        if path.name in but or (name is not None and name.kind != "i"):
            continue
        assert name is not None, f"{path.name}: not a name of the spool"
        digest = hashlib.sha256()
        with spool.open(name) as sealed:
            while chunk := sealed.read(_CHUNK_BYTES):
                digest.update(chunk)
            yield Opened(path.name, str(sealed.header.sop_instance_uid), digest.hexdigest())


def contents(data: Path) -> dict[str, bytes]:
    """Return the data set of every sealed instance by its SOP instance UID; for a few small ones."""
    spool, found = _spool(data), {}
    for path in sealed_files(data):
        name = SpoolName.parse(path.name)
        if name is not None and name.kind == "i":
            with spool.open(name) as sealed:
                found[str(sealed.header.sop_instance_uid)] = sealed.read(sealed.length)
    return found


def sealed_files(data: Path) -> Iterator[Path]:
    """Yield what readers can see: the files of `incoming/` and `store/`, while they may be moving."""
    spool = data / "spool"
    for pattern in ("incoming/*", "store/*/*/*/*"):
        yield from (path for path in spool.glob(pattern) if not path.is_dir())


def partial_files(data: Path) -> list[Path]:
    """Return files that are not finished objects: whatever is left in `receiving/`, locks left out."""
    return [path for path in (data / "spool" / "receiving").rglob("*") if path.is_file() and path.suffix != ".lock"]


def _spool(data: Path) -> Spool:
    root = load_root(data, None)
    return Spool(data, digest_key=derive(root.material, Label.DIGEST), identities=unlock(data, root))
