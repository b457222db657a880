"""A test image of no patient: what the connection doctor sends to see whether an archive stores.

Promises: a small secondary capture of a reserved test patient, in one study for all tests of all boxes, so that it is easily found and
removed; each image is an instance of its own. Nothing in it comes from a patient or from this box but the moment.
Failures: none.
Limits: uncompressed little endian only.
Standard: PS3.3 A.8.1 (Secondary Capture Image IOD), PS3.5 7.1.
"""

from __future__ import annotations

import struct
import uuid
from datetime import UTC, datetime

from appliance.core.identity import Uid
from appliance.dimse.contexts import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN

PATIENT_NAME = "TEST^DICOM EDGE"
PATIENT_ID = "DICOM-EDGE-TEST"
STUDY_DESCRIPTION = "DICOM Edge connection test"

SECONDARY_CAPTURE = Uid("1.2.840.10008.5.1.4.1.1.7")
CONTEXTS = ((SECONDARY_CAPTURE, EXPLICIT_LITTLE_ENDIAN), (SECONDARY_CAPTURE, IMPLICIT_LITTLE_ENDIAN))
"""In what it may go."""

# UIDs derived from UUIDs (PS3.5 B.2), made once and never changed.
STUDY_UID = "2.25.105398712947311409586610203477712937011"
SERIES_UID = "2.25.105398712947311409586610203477712937012"
# Large enough to be seen on a screen, small enough for any line.
_SIDE = 64


class TestImage:
    """One test image as a source for a C-STORE."""

    # Not a class of tests, whatever its name says to a collector of those.
    __test__ = False

    def __init__(self, transfer_syntax: Uid, wall: float) -> None:
        """Make the image of this moment."""
        self.sop_instance_uid = f"2.25.{uuid.uuid4().int}"
        self._data = _encode(_elements(self.sop_instance_uid, wall), is_explicit=transfer_syntax == EXPLICIT_LITTLE_ENDIAN)
        self._at = 0

    @property
    def length(self) -> int:
        """The bytes of the data set."""
        return len(self._data)

    def read(self, size: int) -> bytes:
        """Return the next bytes, b"" at the end."""
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece


def _elements(sop_instance_uid: str, wall: float) -> list[tuple[int, str, bytes]]:
    """Return tag, VR and value of everything that the IOD asks for, by tag."""
    moment = datetime.fromtimestamp(wall, UTC)
    day, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    texts = [
        (0x00080016, "UI", SECONDARY_CAPTURE),
        (0x00080018, "UI", sop_instance_uid),
        (0x00080020, "DA", day),
        (0x00080023, "DA", day),
        (0x00080030, "TM", time),
        (0x00080033, "TM", time),
        (0x00080050, "SH", ""),
        (0x00080060, "CS", "OT"),
        (0x00080064, "CS", "SYN"),
        (0x00080070, "LO", ""),
        (0x00080090, "PN", ""),
        (0x00081030, "LO", STUDY_DESCRIPTION),
        (0x00100010, "PN", PATIENT_NAME),
        (0x00100020, "LO", PATIENT_ID),
        (0x00100030, "DA", ""),
        (0x00100040, "CS", "O"),
        (0x0020000D, "UI", STUDY_UID),
        (0x0020000E, "UI", SERIES_UID),
        (0x00200010, "SH", "TEST"),
        (0x00200011, "IS", "1"),
        (0x00200013, "IS", "1"),
        (0x00200020, "CS", ""),
    ]
    numbers = [
        (0x00280002, 1),
        (0x00280010, _SIDE),
        (0x00280011, _SIDE),
        (0x00280100, 8),
        (0x00280101, 8),
        (0x00280102, 7),
        (0x00280103, 0),
    ]
    # A chequerboard: what arrived upside down, cut or shifted is seen.
    pixels = bytes(255 if (row // 8 + column // 8) % 2 else 4 * column for row in range(_SIDE) for column in range(_SIDE))
    elements = [(tag, vr, text.encode("ascii")) for tag, vr, text in texts]
    elements += [(tag, "US", struct.pack("<H", number)) for tag, number in numbers]
    elements += [(0x00280004, "CS", b"MONOCHROME2"), (0x7FE00010, "OB", pixels)]
    return sorted(elements)


def _encode(elements: list[tuple[int, str, bytes]], *, is_explicit: bool) -> bytes:
    parts = []
    for tag, vr, value in elements:
        padded = value + (b"\0" if vr in {"UI", "OB"} else b" ") * (len(value) % 2)
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if not is_explicit:
            head += struct.pack("<L", len(padded))
        elif vr == "OB":
            head += b"OB" + struct.pack("<HL", 0, len(padded))
        else:
            head += vr.encode("ascii") + struct.pack("<H", len(padded))
        parts.append(head + padded)
    return b"".join(parts)
