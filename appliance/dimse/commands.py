"""Command sets: the first half of every DIMSE message, group 0000 in implicit VR little endian. Pure.

Promises: `decode_command` looks at nothing outside the bytes it is given and keeps each element once; `encode_command` writes group length,
padding and order as the standard asks.
Failures: `CommandSetInvalidError` (peer) for bytes that are not a command set.
Limits: elements are known by number; texts are taken as Latin-1, so that any byte can be shown escaped.
Standard: PS3.7 6.3.1 and annex E.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.core.errors import ApplianceError, Fault

AFFECTED_SOP_CLASS_UID = 0x0002
REQUESTED_SOP_CLASS_UID = 0x0003
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_RESPONDED_TO = 0x0120
PRIORITY = 0x0700
DATA_SET_TYPE = 0x0800
STATUS = 0x0900
OFFENDING_ELEMENT = 0x0901
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE_UID = 0x1000
REQUESTED_SOP_INSTANCE_UID = 0x1001
EVENT_TYPE_ID = 0x1002
ACTION_TYPE_ID = 0x1008
MOVE_ORIGINATOR_TITLE = 0x1030
MOVE_ORIGINATOR_MESSAGE_ID = 0x1031

# PS3.7 E.1: command fields.
C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
N_EVENT_REPORT_RQ = 0x0100
N_ACTION_RQ = 0x0130
C_CANCEL_RQ = 0x0FFF
RESPONSE = 0x8000

# PS3.7 E.1: the only value of Command Data Set Type that means "none"; ours means "one".
NO_DATA_SET = 0x0101
WITH_DATA_SET = 0x0001

# PS3.7 table C: LO.
ERROR_COMMENT_CHARACTERS = 64

_GROUP_LENGTH = 0x0000
_UIDS = frozenset({AFFECTED_SOP_CLASS_UID, AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_CLASS_UID, REQUESTED_SOP_INSTANCE_UID})
_HEAD = struct.Struct("<HHL")


class CommandSetInvalidError(ApplianceError):
    """A peer sent a command set that cannot be read."""

    fault = Fault.PEER


@dataclass(frozen=True, slots=True)
class CommandSet:
    """The elements of a command set by element number, as received."""

    elements: Mapping[int, bytes]

    def number(self, element: int) -> int | None:
        """Return the value of a US element, or None where it is absent or not two bytes."""
        value = self.elements.get(element)
        return None if value is None or len(value) != struct.calcsize("<H") else int(struct.unpack("<H", value)[0])

    def text(self, element: int) -> str:
        """Return a text element without its padding, empty where it is absent."""
        return self.elements.get(element, b"").rstrip(b"\0 ").lstrip(b" ").decode("latin-1")

    def tags(self, element: int) -> tuple[int, ...]:
        """Return the tags that an AT element lists."""
        value = self.elements.get(element, b"")
        whole = len(value) - len(value) % 4
        return tuple(group << 16 | number for group, number in struct.iter_unpack("<HH", value[:whole]))

    @property
    def has_data_set(self) -> bool:
        """Say whether a data set follows."""
        return self.number(DATA_SET_TYPE) != NO_DATA_SET


def decode_command(data: bytes | bytearray) -> CommandSet:
    """Return the command set. A missing or wrong group length is forgiven: the fragments say where the set ends.

    Raises `CommandSetInvalidError`.
    """
    elements: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if len(data) - at < _HEAD.size:
            raise CommandSetInvalidError("a command set ends inside an element")
        group, element, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if group:
            raise CommandSetInvalidError("a command set holds an element outside group 0000")
        if length > len(data) - at:
            raise CommandSetInvalidError("an element of a command set is longer than the set")
        elements.setdefault(element, bytes(data[at : at + length]))
        at += length
    command = CommandSet(elements)
    if command.number(COMMAND_FIELD) is None or command.number(DATA_SET_TYPE) is None:
        raise CommandSetInvalidError("a command set lacks its command field or data set type")
    return command


def encode_command(elements: Mapping[int, int | str]) -> bytes:
    """Return the command set of `elements`: numbers as US, text as UI, AE or LO, which are padded to an even length."""
    body = b"".join(_element(number, elements[number]) for number in sorted(elements))
    return _HEAD.pack(0, _GROUP_LENGTH, 4) + struct.pack("<L", len(body)) + body


def _element(number: int, value: int | str) -> bytes:
    if isinstance(value, int):
        encoded = struct.pack("<H", value)
    else:
        encoded = value.encode("latin-1")
        if len(encoded) % 2:
            encoded += b"\0" if number in _UIDS else b" "
    return _HEAD.pack(0, number, len(encoded)) + encoded
