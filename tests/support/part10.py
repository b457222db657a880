"""DICOM Part 10 files taken apart by a few lines of our own, so that the appliance's parser is never its own witness.

Promises: `split` returns the file meta values as text and every byte after group 2 untouched.
Failures: `ValueError` for what is not a whole Part 10 header.
Limits: reads explicit VR little endian file meta, which is the only kind there is.
Standard: PS3.10 section 7.1.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

_PREAMBLE_BYTES = 128
# PS3.5 7.1.2: these have two reserved bytes and a 32-bit length.
_LONG_VRS = frozenset({b"OB", b"OW", b"UN", b"UT", b"SQ"})

SOP_CLASS = 0x00020002
SOP_INSTANCE = 0x00020003
TRANSFER_SYNTAX = 0x00020010
SOURCE_TITLE = 0x00020016


@dataclass(frozen=True, slots=True)
class Instance:
    """One file on disk: where it is, what its meta says, and the digest of its data set."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_title: str
    digest: str
    length: int

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two copies the same: the SOP instance UID and the data set's SHA-256."""
        return self.sop_instance_uid, self.digest


def split(content: bytes) -> tuple[dict[int, str], bytes]:
    """Return the values of group 2 by tag and the data set. Raises `ValueError`."""
    position = _PREAMBLE_BYTES + 4
    if content[_PREAMBLE_BYTES:position] != b"DICM":
        raise ValueError("no DICM prefix")
    values: dict[int, str] = {}
    while position + 8 <= len(content) and content[position : position + 2] == b"\x02\x00":
        group, element, vr, length = struct.unpack_from("<HH2sH", content, position)
        position += 8
        if vr in _LONG_VRS:
            (length,) = struct.unpack_from("<I", content, position)
            position += 4
        values[group << 16 | element] = content[position : position + length].decode("latin-1").rstrip("\0 ")
        position += length
    if SOP_INSTANCE not in values:
        raise ValueError("no SOP instance UID in the file meta")
    return values, content[position:]


def read(path: Path) -> Instance:
    """Return what the file holds. Raises `ValueError` when its header is not whole."""
    values, data_set = split(path.read_bytes())
    return Instance(
        path=path,
        sop_class_uid=values.get(SOP_CLASS, ""),
        sop_instance_uid=values[SOP_INSTANCE],
        transfer_syntax_uid=values.get(TRANSFER_SYNTAX, ""),
        calling_title=values.get(SOURCE_TITLE, ""),
        digest=hashlib.sha256(data_set).hexdigest(),
        length=len(data_set),
    )
