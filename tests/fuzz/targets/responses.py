"""`dimse/responses` and `dimse/messages`: what an archive answers, put together from units, never more than their caps."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.dimse import commands, pdu
from appliance.dimse.commands import CommandSetInvalidError
from appliance.dimse.messages import Message, MessageReader
from appliance.dimse.pdu import HEAD_BYTES, Pdu, PduInvalidError, PduType
from appliance.dimse.responses import ResponseReader, read_store_response
from tests.fuzz.target import Bound, Script, Target, record
from tests.fuzz.targets.commands import TOKENS, a_store
from tests.unit.dimse.building import INSTANCE

_LARGEST = 64


def _run(data: bytes) -> None:
    units = [Pdu(PduType.DATA, memoryview(content)) for _, content in Script(data).records()]
    _read_responses(units)
    for message in _read_messages(units):
        assert len(message.data_set) <= _LARGEST
        assert message.command.has_data_set or not message.data_set


def _read_responses(units: list[Pdu]) -> None:
    reader = ResponseReader()
    for unit in units:
        try:
            response = reader.take(unit)
        except (PduInvalidError, CommandSetInvalidError):
            return
        if response is not None:
            read = read_store_response(response, 7, INSTANCE)
            assert not read.matches or read.message_id == 7
            assert read.status is None or 0 <= read.status <= 0xFFFF


def _read_messages(units: list[Pdu]) -> Iterator[Message]:
    reader = MessageReader(_LARGEST)
    for unit in units:
        try:
            reader.take(unit)
        except (PduInvalidError, CommandSetInvalidError):
            return
        while (message := reader.next()) is not None:
            yield message


def _seeds() -> Iterator[bytes]:
    answer = a_store(7, commands.C_STORE_RQ | commands.RESPONSE, with_data=False)
    with_data = a_store(7, 0x8020, with_data=True)
    whole = pdu.data_pdu(1, answer, is_command=True, is_last=True)[HEAD_BYTES:]
    halves = [
        pdu.data_pdu(1, part, is_command=True, is_last=last)[HEAD_BYTES:] for part, last in ((answer[:20], False), (answer[20:], True))
    ]
    found = pdu.data_pdu(1, with_data, is_command=True, is_last=True)[HEAD_BYTES:]
    data = pdu.data_pdu(1, b"1234", is_command=False, is_last=True)[HEAD_BYTES:]
    yield record(0, whole)
    yield record(0, halves[0]) + record(0, halves[1])
    yield record(0, found + data) + record(0, found) + record(0, data) + record(0, whole)


RESPONSES = Target("responses", _run, _seeds, TOKENS, steps=Bound(600, 24))
