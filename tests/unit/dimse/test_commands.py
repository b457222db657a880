"""Command sets, against pydicom's idea of them."""

from __future__ import annotations

import io
import struct

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from appliance.dimse import commands
from appliance.dimse.commands import CommandSetInvalidError, decode_command, encode_command
from tests.unit.dimse.building import CT, INSTANCE


def test_pydicom_reads_what_we_write() -> None:
    """A C-STORE response written here means the same to pydicom, group length included."""
    encoded = encode_command(
        {
            commands.AFFECTED_SOP_CLASS_UID: CT,
            commands.COMMAND_FIELD: 0x8001,
            commands.MESSAGE_ID_RESPONDED_TO: 7,
            commands.DATA_SET_TYPE: commands.NO_DATA_SET,
            commands.STATUS: 0xA700,
            commands.ERROR_COMMENT: "no space",
        }
    )
    ds = decode(io.BytesIO(encoded), True, True)

    assert (ds.AffectedSOPClassUID, ds.CommandField, ds.MessageIDBeingRespondedTo) == (CT, 0x8001, 7)
    assert (ds.CommandDataSetType, ds.Status, ds.ErrorComment) == (0x0101, 0xA700, "no space")
    assert ds.CommandGroupLength == len(encoded) - 12
    assert len(encoded) % 2 == 0


def test_we_read_what_pydicom_writes() -> None:
    """A C-STORE request written by pydicom is understood."""
    ds = Dataset()
    ds.AffectedSOPClassUID = CT
    ds.CommandField = 1
    ds.MessageID = 65535
    ds.Priority = 1
    ds.CommandDataSetType = 1
    ds.AffectedSOPInstanceUID = INSTANCE
    ds.MoveOriginatorApplicationEntityTitle = "MOVER"
    ds.MoveOriginatorMessageID = 9
    ds.OffendingElement = [0x00080018, 0x00100010]
    encoded = encode(ds, True, True)
    assert encoded is not None

    command = decode_command(encoded)

    assert command.text(commands.AFFECTED_SOP_CLASS_UID) == CT
    assert command.text(commands.AFFECTED_SOP_INSTANCE_UID) == INSTANCE
    assert command.text(commands.MOVE_ORIGINATOR_TITLE) == "MOVER"
    assert command.number(commands.MESSAGE_ID) == 65535
    assert command.tags(commands.OFFENDING_ELEMENT) == (0x00080018, 0x00100010)
    assert command.has_data_set


def raw(*elements: tuple[int, int, bytes]) -> bytes:
    """Return elements of (group, element, value)."""
    return b"".join(struct.pack("<HHL", group, number, len(value)) + value for group, number, value in elements)


ENOUGH = ((0, 0x0100, b"\x30\x00"), (0, 0x0800, b"\x01\x01"))


@pytest.mark.parametrize("first", [(), ((0, 0, b"\xff\xff\xff\xff"),)])
def test_the_group_length_is_not_needed(first: tuple[tuple[int, int, bytes], ...]) -> None:
    """A missing or wrong group length is forgiven."""
    assert decode_command(raw(*first, *ENOUGH)).number(commands.COMMAND_FIELD) == 0x0030


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        raw(*ENOUGH)[:-1],
        raw(*ENOUGH, (8, 0x0018, b"1.2\0")),
        raw(ENOUGH[0]),
        raw((0, 0x0100, b"\x30"), ENOUGH[1]),
        struct.pack("<HHL", 0, 0x0100, 0xFFFFFFFF),
        b"".join(struct.pack(">HHL", 0, number, 2) + b"\0\1" for number in (0x0100, 0x0800)),
    ],
)
def test_what_is_no_command_set_is_refused(data: bytes) -> None:
    """Truncated, big-endian and foreign elements, absurd lengths and missing fields are refused."""
    with pytest.raises(CommandSetInvalidError):
        decode_command(data)


def test_the_first_of_two_elements_counts_and_lost_ones_are_empty() -> None:
    """Repeated elements do not overwrite, absent ones have no value."""
    command = decode_command(raw(*ENOUGH, (0, 0x0110, b"\1\0"), (0, 0x0110, b"\2\0")))

    assert command.number(commands.MESSAGE_ID) == 1
    assert command.number(commands.STATUS) is None
    assert command.text(commands.ERROR_COMMENT) == ""
    assert not command.has_data_set
