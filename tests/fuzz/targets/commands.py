"""`dimse/commands`: a command set, or `CommandSetInvalidError`; what is written is read as it was meant."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from appliance.dimse import commands, statuses
from appliance.dimse.commands import CommandSetInvalidError
from appliance.dimse.responses import read_store_response
from tests.fuzz.target import Bound, Target
from tests.unit.dimse.building import CT, INSTANCE

_NUMBERS = (
    commands.COMMAND_FIELD,
    commands.MESSAGE_ID,
    commands.MESSAGE_ID_RESPONDED_TO,
    commands.PRIORITY,
    commands.DATA_SET_TYPE,
    commands.STATUS,
)
_TEXTS = (commands.AFFECTED_SOP_CLASS_UID, commands.AFFECTED_SOP_INSTANCE_UID, commands.ERROR_COMMENT, commands.MOVE_ORIGINATOR_TITLE)
TOKENS = tuple(struct.pack("<HHLH", 0, element, 2, 1) for element in _NUMBERS) + tuple(
    struct.pack("<HHL", 0, element, 4) + b"1.2\0" for element in (*_TEXTS, commands.OFFENDING_ELEMENT)
)


def a_store(message_id: int = 7, field: int = commands.C_STORE_RQ, *, with_data: bool = True, sop_class: str = CT) -> bytes:
    """Return the command set of a request, or of a response."""
    elements: dict[int, int | str] = {
        commands.AFFECTED_SOP_CLASS_UID: sop_class,
        commands.COMMAND_FIELD: field,
        commands.DATA_SET_TYPE: commands.WITH_DATA_SET if with_data else commands.NO_DATA_SET,
        commands.AFFECTED_SOP_INSTANCE_UID: INSTANCE,
    }
    if field & commands.RESPONSE:
        elements |= {commands.MESSAGE_ID_RESPONDED_TO: message_id, commands.STATUS: statuses.SUCCESS, commands.ERROR_COMMENT: "as told"}
    else:
        elements |= {commands.MESSAGE_ID: message_id, commands.PRIORITY: 0}
    return commands.encode_command(elements)


def _run(data: bytes) -> None:
    try:
        command = commands.decode_command(data)
    except CommandSetInvalidError:
        return
    assert command.number(commands.COMMAND_FIELD) is not None
    assert sum(len(value) for value in command.elements.values()) <= len(data)
    assert all(value in data for value in command.elements.values())
    assert len(read_store_response(command, 7, INSTANCE).comment) <= commands.ERROR_COMMENT_CHARACTERS
    category = statuses.category(command.number(commands.STATUS) or 0)
    assert category in statuses.Category
    values: dict[int, int | str] = {}
    for element in sorted(command.elements):
        if element == 0:
            continue
        number = command.number(element)
        values[element] = command.text(element) if number is None else number
    again = commands.decode_command(commands.encode_command(values))
    for element, value in values.items():
        read = again.number(element) if isinstance(value, int) else again.text(element)
        # A text of one character is padded to the length of a number, which is fine as long as it is read as a text.
        assert read == value, f"element {element:04x} is not read as it was written"


def _seeds() -> Iterator[bytes]:
    yield a_store()
    yield a_store(field=commands.C_STORE_RQ | commands.RESPONSE, with_data=False)
    yield a_store(field=commands.C_ECHO_RQ, with_data=False)
    yield a_store(field=commands.C_CANCEL_RQ, with_data=False) + struct.pack("<HHLL", 0, commands.OFFENDING_ELEMENT, 4, 0x00080016)


COMMAND = Target("command-set", _run, _seeds, TOKENS, steps=Bound(300, 12))
