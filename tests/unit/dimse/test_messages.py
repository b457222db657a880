"""Small messages, put together from units however they were cut."""

from __future__ import annotations

import pytest

from appliance.dimse import commands, pdu
from appliance.dimse.commands import encode_command
from appliance.dimse.messages import MessageReader, data_set_pdus
from appliance.dimse.pdu import Pdu, PduInvalidError, PduType, fragments

DATA_SET = bytes(range(200))


def unit(*pieces: bytes) -> Pdu:
    """Return one P-DATA-TF with the presentation data values of several."""
    return Pdu(PduType.DATA, memoryview(b"".join(piece[pdu.HEAD_BYTES :] for piece in pieces)))


def command(status: int, *, with_data_set: bool = True) -> bytes:
    """Return a response's command set."""
    kind = commands.WITH_DATA_SET if with_data_set else commands.NO_DATA_SET
    return encode_command({commands.COMMAND_FIELD: 0x8020, commands.STATUS: status, commands.DATA_SET_TYPE: kind})


def whole(status: int, data_set: bytes, *, context_id: int = 1) -> list[bytes]:
    """Return a message in two units, command and data set."""
    return [
        pdu.data_pdu(context_id, command(status), is_command=True, is_last=True),
        pdu.data_pdu(context_id, data_set, is_command=False, is_last=True),
    ]


def read(*units: Pdu, largest: int = 1000) -> list[tuple[int, int | None, bytes]]:
    """Return what comes out: context, status and data set of each message."""
    reader = MessageReader(largest)
    found = []
    for one in units:
        reader.take(one)
        while (message := reader.next()) is not None:
            found.append((message.context_id, message.command.number(commands.STATUS), message.data_set))
    return found


def test_a_message_comes_out_when_it_is_whole() -> None:
    """Command set and data set in units of their own, then a message without a data set."""
    first, second = whole(0xFF00, DATA_SET)
    last = pdu.data_pdu(1, command(0, with_data_set=False), is_command=True, is_last=True)

    assert read(unit(first)) == []
    assert read(unit(first), unit(second), unit(last)) == [(1, 0xFF00, DATA_SET), (1, 0, b"")]


def test_one_unit_may_carry_several_messages() -> None:
    """Archives put whole answers into one unit, several of them too: none is lost."""
    assert read(unit(*whole(0xFF00, b"ab"), *whole(0xFF01, b"cd"))) == [(1, 0xFF00, b"ab"), (1, 0xFF01, b"cd")]


def test_pieces_are_put_together() -> None:
    """However finely command set and data set are cut, the message is the same."""
    content = command(0xFF00)
    pieces = [pdu.data_pdu(3, bytes([byte]), is_command=True, is_last=at == len(content) - 1) for at, byte in enumerate(content)]
    pieces += data_set_pdus(3, DATA_SET, 17)

    assert read(*map(unit, pieces)) == [(3, 0xFF00, DATA_SET)]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([pdu.data_pdu(1, b"ab", is_command=False, is_last=True)], id="a data set that nothing announced"),
        pytest.param([whole(0, b"ab")[0], whole(0, b"ab")[0]], id="a command set where the data set belongs"),
        pytest.param([whole(0, b"ab")[0], pdu.data_pdu(3, b"ab", is_command=False, is_last=True)], id="another context in mid-message"),
        pytest.param(whole(0, bytes(1001)), id="a data set that is too long"),
        pytest.param([pdu.data_pdu(1, bytes(70_000), is_command=True, is_last=False)], id="a command set that is too long"),
    ],
)
def test_what_cannot_be_put_together_is_refused(pieces: list[bytes]) -> None:
    """A peer that mixes things up, or sends without end, is told apart from a peer that is slow."""
    with pytest.raises(PduInvalidError):
        read(*map(unit, pieces))


def test_a_data_set_is_cut_to_the_peers_size() -> None:
    """Every piece fits, only the last one says that it is the last, and nothing is lost."""
    units = list(data_set_pdus(5, DATA_SET, 70))
    pieces = [piece for one in units for piece in fragments(memoryview(one)[pdu.HEAD_BYTES :])]

    assert max(len(one) for one in units) <= 70 + pdu.HEAD_BYTES
    assert b"".join(piece.data for piece in pieces) == DATA_SET
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert {(piece.context_id, piece.is_command) for piece in pieces} == {(5, False)}
