"""A patient who does not exist, in every object of an attack, and the search that must not find them.

Promises: `an_object` is a whole CT data set (implicit little endian) of this patient; `find` looks into every byte of every file and into
every name, and at most once into a file that does not change.
Failures: none; files that go while they are looked at hold nothing.
Limits: finds what is there in ASCII or UTF-16; what was compressed or encoded otherwise it does not see.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.unit.dimse.building import CT, IMPLICIT, data_set, element, uid

# Nothing else in the world is called this, is numbered this, or was born on this day.
NAME = "QUIXVOLE^HOSTILIA"
PATIENT_ID = "ZK-7731-HOSTILE"
BIRTH_DATE = "18790314"
NEEDLES = tuple(text.encode("ascii") for text in (*NAME.split("^"), PATIENT_ID, BIRTH_DATE))

_STUDY = "2.25.77310000000000000000000000000001"
_SERIES = "2.25.77310000000000000000000000000002"


def an_object(sop_instance_uid: str, *, sop_class: str = CT, extra: bytes = b"", pixels: bytes = b"") -> bytes:
    """Return a data set of the planted patient; `extra` stands between the series and the pixel data."""
    patient = (_text(0x00100010, NAME) + _text(0x00100020, PATIENT_ID) + _text(0x00100030, BIRTH_DATE) + _uid(0x0020000D, _STUDY)) + _uid(
        0x0020000E, _SERIES
    )
    image = element(0x7FE00010, pixels, vr="OW", syntax=IMPLICIT) if pixels else b""
    return data_set(sop_class=sop_class, sop_instance=sop_instance_uid, syntax=IMPLICIT, tail=patient + extra + image)


def find(roots: Iterable[Path], needles: Iterable[bytes], *, leave_out: frozenset[Path] = frozenset(), since: float = 0.0) -> list[str]:
    """Return which files under `roots` changed since then hold a needle, and which names do, whenever they were made."""
    wanted = [form for needle in needles for form in (needle, needle.decode("latin-1").encode("utf-16-le"))]
    found = []
    for path in _files(roots):
        if path in leave_out:
            continue
        if any(needle in bytes(path) for needle in wanted):
            found.append(f"{path}: its name")
        elif needle := _held(path, wanted, since):
            found.append(f"{path}: {needle!r}")
    return found


def _files(roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        yield from root.rglob("*") if root.is_dir() else [root]


def _held(path: Path, wanted: Iterable[bytes], since: float) -> bytes | None:
    """Return the needle that a file holds; None also for one that is gone, empty, a socket or older."""
    try:
        if not path.is_file() or path.stat().st_mtime < since:
            return None
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return next((needle for needle in wanted if content.find(needle) >= 0), None)
    except (OSError, ValueError):
        return None


def _text(tag: int, text: str) -> bytes:
    return element(tag, text.encode("ascii") + b" " * (len(text) % 2), syntax=IMPLICIT)


def _uid(tag: int, text: str) -> bytes:
    return element(tag, uid(text), syntax=IMPLICIT)
