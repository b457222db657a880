"""The stages of a send as the proxy recognises them."""

from __future__ import annotations

import struct

import pytest

from tests.fakes import units
from tests.support.unit_stream import Stage, UnitStream

_MIDDLE = 500
_STORE = units.command_set({units.COMMAND_FIELD: units.number(units.C_STORE_RQ), units.MESSAGE_ID: units.number(1)})
_ECHO = units.command_set({units.COMMAND_FIELD: units.number(units.C_ECHO_RQ), units.MESSAGE_ID: units.number(1)})


def _data(size: int, *, is_last: bool) -> bytes:
    return units.unit(units.DATA, struct.pack(">LBB", size + 2, 1, 2 if is_last else 0) + b"d" * size)


# A data set of 1,200 bytes in three units; the middle lies in the second one.
_SEND = [
    units.unit(units.ASSOCIATE_RQ, bytes(100)),
    units.command_unit(1, _STORE),
    _data(400, is_last=False),
    _data(400, is_last=False),
    _data(400, is_last=True),
    units.release(units.RELEASE_RQ),
]


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_stages_stand_where_they_are_however_the_bytes_come(size: int) -> None:
    """Each stage of a send is reached once and at its byte, and every byte flows through, in pieces of any size."""
    whole = b"".join(_SEND)
    stream = UnitStream(_MIDDLE)

    passed, stages = b"", []
    for at in range(0, len(whole), size):
        for piece in stream.feed(whole[at : at + size]):
            if piece.before is not None:
                stages.append((piece.before, len(passed)))
            passed += piece.data
            if piece.after is not None:
                stages.append((piece.after, len(passed)))

    starts = [sum(map(len, _SEND[:number])) for number in range(len(_SEND))]
    assert passed == whole
    assert stages == [
        (Stage.ASSOCIATE, 0),
        (Stage.COMMAND, starts[1]),
        (Stage.FIRST_PDV, starts[2]),
        (Stage.MIDDLE, starts[3] + 12 + 100),
        (Stage.LAST_PDV, starts[5]),
        (Stage.RELEASE, starts[5]),
    ]


def test_a_second_message_has_its_own_stages() -> None:
    """In one association every C-STORE has its stages, and a C-ECHO has none."""
    stream = UnitStream(_MIDDLE)
    message = units.command_unit(1, _STORE) + _data(600, is_last=True)

    pieces = [*stream.feed(message), *stream.feed(units.command_unit(1, _ECHO)), *stream.feed(message)]

    seen = [stage for piece in pieces for stage in (piece.before, piece.after) if stage]
    assert seen == [Stage.COMMAND, Stage.FIRST_PDV, Stage.MIDDLE, Stage.LAST_PDV] * 2


def test_what_is_not_dicom_flows_through() -> None:
    """Bytes of another protocol pass as they are and reach no stage."""
    stream = UnitStream(_MIDDLE)

    pieces = [*stream.feed(b"GET / HTTP/1.1\r\n"), *stream.feed(b"\r\n")]

    assert b"".join(piece.data for piece in pieces) == b"GET / HTTP/1.1\r\n\r\n"
    assert {piece.before for piece in pieces} | {piece.after for piece in pieces} == {None}
