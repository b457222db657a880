"""The bytes of DICOM's upper layer and of command sets, written out by hand, so that a fake peer may say what no library would let it say.

Promises: what a function returns is exactly what its arguments ask for, sensible or not.
Failures: `ValueError` or `struct.error` for bytes that end too early.
Limits: reads only what a fake peer needs of an association request; command sets are implicit VR little endian, as they always are.
Standard: PS3.8 9.3 (units), PS3.7 6.3 and annex E (command sets).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
UNIT_HEAD_BYTES = 6
FRAGMENT_HEAD_BYTES = 6
# PS3.8 annex E.2: the two bits of a fragment's control header.
IS_COMMAND = 1
IS_LAST = 2

# PS3.7 E.1: elements of group 0000, and what they hold.
AFFECTED_SOP_CLASS_UID = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_RESPONDED_TO = 0x0120
DATA_SET_TYPE = 0x0800
STATUS = 0x0900
OFFENDING_ELEMENT = 0x0901
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE_UID = 0x1000
C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
RESPONSE = 0x8000
NO_DATA_SET = 0x0101

_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_TITLES = slice(4, 36)
_FIXED_BYTES = 68


@dataclass(frozen=True, slots=True)
class Proposed:
    """One presentation context as it was proposed."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ: titles without padding, and the raw 32 bytes in which they came."""

    calling: str
    called: str
    raw_titles: bytes
    contexts: tuple[Proposed, ...]


@dataclass(frozen=True, slots=True)
class Granted:
    """The answer to one context; the transfer syntax means something only where the result is 0."""

    context_id: int
    result: int
    transfer_syntax: str


def unit(kind: int, body: bytes) -> bytes:
    """Return a unit with its head."""
    return struct.pack(">BBL", kind, 0, len(body)) + body


def read_associate_request(body: bytes) -> AssociateRequest:
    """Return what an A-ASSOCIATE-RQ asks for."""
    titles = body[_TITLES]
    contexts = [_proposed(content) for kind, content in _items(body[_FIXED_BYTES:]) if kind == 0x20]
    return AssociateRequest(_title(titles[16:]), _title(titles[:16]), titles, tuple(contexts))


def associate_accept(raw_titles: bytes, contexts: Sequence[Granted], max_length: int) -> bytes:
    """Return an A-ASSOCIATE-AC that gives the titles back as they came."""
    answers = b"".join(
        _item(0x21, bytes([granted.context_id, 0, granted.result, 0]) + _item(0x40, granted.transfer_syntax.encode("ascii")))
        for granted in contexts
    )
    user = _item(0x50, _item(0x51, struct.pack(">L", max_length)) + _item(0x52, b"2.25.2") + _item(0x55, b"SCRIPTED"))
    return unit(ASSOCIATE_AC, struct.pack(">HH", 1, 0) + raw_titles + bytes(32) + _item(0x10, _APPLICATION_CONTEXT) + answers + user)


def associate_reject(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ."""
    return unit(ASSOCIATE_RJ, bytes([0, result, source, reason]))


def abort(source: int, reason: int = 0) -> bytes:
    """Return an A-ABORT."""
    return unit(ABORT, bytes([0, 0, source, reason]))


def release(kind: int) -> bytes:
    """Return an A-RELEASE-RQ or -RP."""
    return unit(kind, bytes(4))


def command_unit(context_id: int, command: bytes) -> bytes:
    """Return a P-DATA-TF with a whole command set."""
    return unit(DATA, struct.pack(">LBB", len(command) + 2, context_id, IS_COMMAND | IS_LAST) + command)


def command_set(elements: Mapping[int, bytes]) -> bytes:
    """Return a command set with its group length; the values are taken as they are."""
    body = b"".join(struct.pack("<HHL", 0, number, len(value)) + value for number, value in sorted(elements.items()))
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def read_command_set(data: bytes | bytearray) -> dict[int, bytes]:
    """Return the values of a command set by element number."""
    elements = {}
    at = 0
    while at < len(data):
        _, number, length = struct.unpack_from("<HHL", data, at)
        elements[number] = bytes(data[at + 8 : at + 8 + length])
        at += 8 + length
    return elements


def number(value: int) -> bytes:
    """Return a US value."""
    return struct.pack("<H", value)


def uid(value: str) -> bytes:
    """Return a UI value."""
    encoded = value.encode("ascii")
    return encoded + b"\0" * (len(encoded) % 2)


def text(value: str) -> bytes:
    """Return an LO value."""
    encoded = value.encode("ascii")
    return encoded + b" " * (len(encoded) % 2)


def tags(values: Sequence[int]) -> bytes:
    """Return an AT value."""
    return b"".join(struct.pack("<HH", value >> 16, value & 0xFFFF) for value in values)


def as_number(value: bytes) -> int:
    """Return a US value, 0 where there is none."""
    return int(struct.unpack("<H", value)[0]) if len(value) == struct.calcsize("<H") else 0


def as_text(value: bytes) -> str:
    """Return a UI or text value without its padding."""
    return value.rstrip(b"\0 ").decode("latin-1")


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(content):
        kind, _, length = struct.unpack_from(">BBH", content, at)
        yield kind, content[at + 4 : at + 4 + length]
        at += 4 + length


def _proposed(content: bytes) -> Proposed:
    syntaxes: dict[int, list[str]] = {0x30: [], 0x40: []}
    for kind, value in _items(content[4:]):
        syntaxes.setdefault(kind, []).append(as_text(value))
    return Proposed(content[0], "".join(syntaxes[0x30]), tuple(syntaxes[0x40]))


def _title(raw: bytes) -> str:
    return raw.decode("latin-1").strip(" \0")
