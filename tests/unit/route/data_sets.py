"""Data sets for the tests of `route`, encoded by a few lines of our own: what a scanner sends is bytes, not what a library makes of them.

Promises: elements are written in the order given, so that broken order, empty and odd values can be written too.
Failures: `KeyError` for a tag whose VR `_VRS` does not know (explicit VR only).
Standard: PS3.5 7.1.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"

CHARACTER_SET = 0x00080005
SOP_CLASS = 0x00080016
SOP_INSTANCE = 0x00080018
STUDY_DATE = 0x00080020
SERIES_DATE = 0x00080021
SERIES_TIME = 0x00080031
ACCESSION = 0x00080050
MODALITY = 0x00080060
STATION = 0x00081010
STUDY_DESCRIPTION = 0x00081030
PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
BIRTH_DATE = 0x00100030
BODY_PART = 0x00180015
STUDY_UID = 0x0020000D
SERIES_UID = 0x0020000E
PRIVATE = 0x00090010
PIXELS = 0x7FE00010

_VRS = {
    CHARACTER_SET: b"CS",
    SOP_CLASS: b"UI",
    SOP_INSTANCE: b"UI",
    STUDY_DATE: b"DA",
    SERIES_DATE: b"DA",
    SERIES_TIME: b"TM",
    ACCESSION: b"SH",
    MODALITY: b"CS",
    STATION: b"SH",
    STUDY_DESCRIPTION: b"LO",
    PATIENT_NAME: b"PN",
    PATIENT_ID: b"LO",
    BIRTH_DATE: b"DA",
    BODY_PART: b"CS",
    STUDY_UID: b"UI",
    SERIES_UID: b"UI",
    PRIVATE: b"UN",
    PIXELS: b"OW",
}
_LONG = frozenset({b"OW", b"UN"})


def encoded(elements: Mapping[int, bytes], *, transfer_syntax: str = EXPLICIT) -> bytes:
    """Return the data set with these elements in this order."""
    return b"".join(_element(tag, value, transfer_syntax) for tag, value in elements.items())


def an_image(uid: str, changes: Mapping[int, bytes | None] | None = None, *, transfer_syntax: str = EXPLICIT, pixels: int = 256) -> bytes:
    """Return a CT image of the planted patient; `changes` replace elements, or leave out those that are None."""
    elements: dict[int, bytes | None] = {
        SOP_CLASS: CT_IMAGE.encode(),
        SOP_INSTANCE: uid.encode(),
        STUDY_DATE: b"20240229",
        ACCESSION: b"A1",
        MODALITY: b"CT",
        STATION: b"ROOM 3",
        PATIENT_NAME: b"QUARTZVOLE^PLANTED",
        PATIENT_ID: b"PLANTED-ID",
        BIRTH_DATE: b"19700101",
        STUDY_UID: b"1.2.3",
        SERIES_UID: b"1.2.3.1",
        PIXELS: bytes(pixels),
    }
    elements |= changes or {}
    present = {tag: value for tag, value in sorted(elements.items()) if value is not None}
    return encoded(present, transfer_syntax=transfer_syntax)


def _element(tag: int, value: bytes, transfer_syntax: str) -> bytes:
    value += b" " * (len(value) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if transfer_syntax == IMPLICIT:
        return head + struct.pack("<L", len(value)) + value
    vr = _VRS[tag]
    length = struct.pack("<HL", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))
    return head + vr + length + value
