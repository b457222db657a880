"""The named header operations: which elements each changes, and the record of what they were. Pure.

Promises: an element is changed as a whole or not at all; what it was is kept in the Original Attributes Sequence, behind what others wrote
there; elements that no operation names pass untouched. A value is written in the character set that the data set announces, or not at
all. The same object and the same operations always give the same bytes: the moment in the record is when the object was received.
Failures: `HeadersRefusedError` where an operation cannot be done to this object.
Limits: the top level of the data set only; no UID is in the table, so none can be changed. An identifier that is empty gets no prefix: it
would become the same for everybody. A prefix that is there already is not put there twice.
Standard: PS3.3 C.12.1.1.9 (Original Attributes), PS3.5 6.1 and 6.2 (character sets, lengths).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from appliance.core.errors import ApplianceError, Fault
from appliance.dimse.vr import SHORT_LENGTH
from appliance.opener.elements import ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, delimiter, element

CHARACTER_SET: Final = 0x00080005
ORIGINAL_ATTRIBUTES: Final = 0x04000561
_SOURCE_OF_PREVIOUS, _MODIFIED_AT, _MODIFYING_SYSTEM, _REASON = 0x04000564, 0x04000562, 0x04000563, 0x04000565
_MODIFIED_ATTRIBUTES = 0x04000550
# Who changed it (LO), and one of the two reasons that the standard has (CS): values of another place replace ours.
_SYSTEM = b"DICOM Edge"
_COERCED = b"COERCE"

_PATIENT_ID, _PATIENT_ID_ISSUER = 0x00100020, 0x00100021

_SEQUENCE_HEAD_BYTES = 12

# Single-byte and UTF-8 sets by their defined term; what is not here can hold ASCII, and that is all we write into it.
_CODECS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ISO_IR 100": "iso8859_1",
        "ISO_IR 101": "iso8859_2",
        "ISO_IR 109": "iso8859_3",
        "ISO_IR 110": "iso8859_4",
        "ISO_IR 144": "iso8859_5",
        "ISO_IR 127": "iso8859_6",
        "ISO_IR 126": "iso8859_7",
        "ISO_IR 138": "iso8859_8",
        "ISO_IR 148": "iso8859_9",
        "ISO_IR 203": "iso8859_15",
        "ISO_IR 166": "iso8859_11",
        "ISO_IR 192": "utf_8",
        "GB18030": "gb18030",
        "GBK": "gbk",
    }
)


class HeadersRefusedError(ApplianceError):
    """A header operation cannot be done to this object; nothing of it was changed."""

    fault = Fault.OPERATOR


@dataclass(frozen=True, slots=True)
class Field:
    """An element that operations may change: its VR and most characters."""

    tag: int
    name: str
    vr: bytes
    characters: int


@dataclass(frozen=True, slots=True)
class Operation:
    """What a named operation does: put its value before what is there, or in its place."""

    field: Field
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with its value; `issuer` belongs to operations on the Patient ID."""

    operation: str
    value: str
    issuer: str = ""


_ISSUER = Field(_PATIENT_ID_ISSUER, "Issuer of Patient ID", b"LO", 64)
_PATIENT = Field(_PATIENT_ID, "Patient ID", b"LO", 64)

OPERATIONS: Final[Mapping[str, Operation]] = MappingProxyType(
    {
        "prefix-patient-id": Operation(_PATIENT, is_prefix=True),
        "set-patient-id": Operation(_PATIENT),
        "set-patient-id-issuer": Operation(_ISSUER),
        "prefix-accession-number": Operation(Field(0x00080050, "Accession Number", b"SH", 16), is_prefix=True),
        "prefix-study-description": Operation(Field(0x00081030, "Study Description", b"LO", 64), is_prefix=True),
        "set-institution-name": Operation(Field(0x00080080, "Institution Name", b"LO", 64)),
        "set-institution-address": Operation(Field(0x00080081, "Institution Address", b"ST", 1024)),
        "set-department-name": Operation(Field(0x00081040, "Institutional Department Name", b"LO", 64)),
        "set-station-name": Operation(Field(0x00081010, "Station Name", b"SH", 16)),
        "set-timezone-offset": Operation(Field(0x00080201, "Timezone Offset From UTC", b"SH", 16)),
    }
)
"""Every operation by its name."""


class HeaderEdits:
    """What the steps do to one data set, whose elements pass in the order of their tags."""

    def __init__(self, steps: Sequence[Step], received_at: float) -> None:
        """Do `steps`, in their order, to an object received at `received_at` (seconds since 1970, UTC)."""
        self._steps: dict[int, list[tuple[Operation, str]]] = {}
        for step in steps:
            operation = OPERATIONS[step.operation]
            self._steps.setdefault(operation.field.tag, []).append((operation, step.value))
            if step.issuer:
                self._steps.setdefault(_ISSUER.tag, []).append((Operation(_ISSUER), step.issuer))
        self._at = datetime.fromtimestamp(received_at, UTC)
        self._waiting = sorted({*self._steps, ORIGINAL_ATTRIBUTES} if steps else ())
        self._codec: str | None = None
        self._before: dict[int, tuple[Field, bytes]] = {}

    def wants(self, tag: int) -> bool:
        """Say whether the whole value of this element is needed."""
        return bool(self._waiting) and (tag == CHARACTER_SET or tag in self._waiting)

    def before(self, tag: int) -> Iterator[bytes]:
        """Yield what belongs in front of the element `tag` because the data set does not have it. Raises `HeadersRefusedError`."""
        while self._waiting and self._waiting[0] < tag:
            yield self._made(self._waiting.pop(0), None)

    def changed(self, tag: int, head: bytes, value: bytes) -> bytes:
        """Return what becomes of an element that was wanted. Raises `HeadersRefusedError`."""
        if tag == CHARACTER_SET:
            first = value.decode("ascii", "replace").split("\\")[0].strip(" \0")
            self._codec = _CODECS.get(first.replace("ISO 2022 IR", "ISO_IR"))
            return head + value
        self._waiting.remove(tag)
        return self._made(tag, head + value)

    def _made(self, tag: int, present: bytes | None) -> bytes:
        if tag == ORIGINAL_ATTRIBUTES:
            return self._record(present)
        operation, _ = self._steps[tag][0]
        field = operation.field
        value = b"" if present is None else present[_head_bytes(present) :]
        old = new = value.rstrip(b" \0")
        for operation, text in self._steps[tag]:
            new = self._applied(operation, new, text)
        if new == old:
            return present or b""
        self._before[tag] = (field, value)
        return element(tag, field.vr, new)

    def _applied(self, operation: Operation, old: bytes, text: str) -> bytes:
        field = operation.field
        try:
            added = text.encode("ascii" if text.isascii() or self._codec is None else self._codec)
        except UnicodeEncodeError:
            raise HeadersRefusedError(f"its character set cannot hold the value for {field.name}") from None
        new = added
        if operation.is_prefix:
            # What is empty stays so, and what has it already does not get it twice.
            new = added + old if old and not old.startswith(added) else old
        if new != old and self._characters(new) > field.characters:
            raise HeadersRefusedError(f"{field.name} would be longer than {field.characters} characters")
        return new

    def _characters(self, value: bytes) -> int:
        try:
            return len(value.decode(self._codec or "latin_1"))
        except UnicodeDecodeError:
            return len(value)

    def _record(self, present: bytes | None) -> bytes:
        """Return the Original Attributes Sequence with an item of ours behind what was there; nothing new where nothing changed."""
        if not self._before:
            return present or b""
        earlier = b"" if present is None else present[_SEQUENCE_HEAD_BYTES:]
        if present is not None and present[4:6] != b"SQ":
            raise HeadersRefusedError("its Original Attributes Sequence cannot be read")
        if present is not None and int.from_bytes(present[8:12], "little") == UNDEFINED:
            earlier = earlier[: -len(delimiter(SEQUENCE_END))]
        values = b"".join(element(tag, field.vr, value) for tag, (field, value) in sorted(self._before.items()))
        item = (
            _sequence(_MODIFIED_ATTRIBUTES, values)
            + element(_MODIFIED_AT, b"DT", f"{self._at:%Y%m%d%H%M%S.%f}+0000".encode("ascii"))
            + element(_MODIFYING_SYSTEM, b"LO", _SYSTEM)
            + element(_SOURCE_OF_PREVIOUS, b"LO", b"")
            + element(_REASON, b"CS", _COERCED)
        )
        return _opened(ORIGINAL_ATTRIBUTES) + earlier + _item(item) + delimiter(SEQUENCE_END)


def _head_bytes(present: bytes) -> int:
    """Return how long an element's head is: eight bytes, or twelve where its length has four."""
    return 8 if present[4:6] in SHORT_LENGTH else 12


def _opened(tag: int) -> bytes:
    return element(tag, b"SQ", b"")[:8] + UNDEFINED.to_bytes(4, "little")


def _item(content: bytes) -> bytes:
    return delimiter(ITEM, UNDEFINED) + content + delimiter(ITEM_END)


def _sequence(tag: int, content: bytes) -> bytes:
    return _opened(tag) + _item(content) + delimiter(SEQUENCE_END)
