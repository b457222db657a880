"""Units of the upper layer, against pynetdicom's and against liars."""

from __future__ import annotations

import struct

import pytest
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, A_RELEASE_RP, A_RELEASE_RQ, P_DATA_TF

from appliance.dimse import pdu
from appliance.dimse.pdu import AbortReason, AbortSource, PduInvalidError


def decoded(data: bytes) -> list[tuple[int, bool, bool, bytes]]:
    """Return the fragments of a data unit's body as plain values."""
    return [(piece.context_id, piece.is_command, piece.is_last, bytes(piece.data)) for piece in pdu.fragments(memoryview(data))]


def test_pynetdicom_reads_our_data_units() -> None:
    """A data unit of ours is one presentation data value to pynetdicom."""
    unit = P_DATA_TF()
    unit.decode(pdu.data_pdu(3, b"abcd", is_command=False, is_last=True))
    [item] = unit.presentation_data_value_items

    assert (item.presentation_context_id, item.presentation_data_value) == (3, b"\x02abcd")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (pdu.reject_pdu(2, 3, 1), A_ASSOCIATE_RJ),
        (pdu.abort_pdu(AbortSource.PROVIDER, AbortReason.INVALID_PARAMETER), A_ABORT_RQ),
        (pdu.RELEASE_RQ, A_RELEASE_RQ),
        (pdu.RELEASE_RP, A_RELEASE_RP),
    ],
)
def test_short_units_are_pynetdicoms(data: bytes, kind: type) -> None:
    """Rejects, aborts and releases are byte for byte what pynetdicom makes of them."""
    unit = kind()
    unit.decode(data)

    assert unit.encode() == data


def test_several_fragments_in_one_unit() -> None:
    """All fragments come in order; reserved bits of the control header are ignored, empty fragments allowed."""
    body = struct.pack(">LBB", 4, 1, 0xFF) + b"ab" + struct.pack(">LBB", 2, 5, 0xFC) + struct.pack(">LBB", 3, 5, 2) + b"c"

    assert decoded(body) == [(1, True, True, b"ab"), (5, False, False, b""), (5, False, True, b"c")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0\0",
        struct.pack(">LBB", 0, 1, 0),
        struct.pack(">LBB", 1, 1, 0),
        struct.pack(">LBB", 100, 1, 0) + b"ab",
        struct.pack(">LBB", 0xFFFFFFFF, 1, 0) + b"ab",
        struct.pack(">LBB", 3, 1, 0) + b"abc",
    ],
)
def test_lengths_that_lie_are_refused(body: bytes) -> None:
    """A fragment's length of 0 or 1, one beyond the unit, and a remainder are refused (hostile-inputs.md row 12)."""
    with pytest.raises(PduInvalidError) as caught:
        decoded(body)
    assert caught.value.reason is AbortReason.INVALID_PARAMETER


def test_a_command_is_cut_to_the_peers_size() -> None:
    """A command set longer than the peer's units goes out in several, the last one marked."""
    units = list(pdu.command_pdus(1, b"x" * 250, 128))

    assert [len(unit) for unit in units] == [134, 134, 18]
    assert [decoded(unit[6:])[0][2] for unit in units] == [False, False, True]


@pytest.mark.parametrize(("peers", "length"), [(0, 131072), (131072, 131072), (16384, 16384), (0xFFFFFFFF, 131072), (128, 128)])
def test_our_units_fit_both_sides(peers: int, length: int) -> None:
    """No limit means ours, and the smaller of two limits counts."""
    assert pdu.length_for(peers) == length


@pytest.mark.parametrize("peers", [1, 7, 127])
def test_a_maximum_that_carries_nothing_is_refused(peers: int) -> None:
    """A peer that takes too little to be answered is refused instead of looped for (hostile-inputs.md row 11)."""
    with pytest.raises(PduInvalidError):
        pdu.length_for(peers)


def test_short_rejects_and_aborts() -> None:
    """A reject that is cut off is refused, an abort that is cut off aborts all the same."""
    assert pdu.read_reject(memoryview(b"\0\1\2\3")) == (1, 2, 3)
    assert pdu.read_abort(memoryview(b"\0\0\2\6")) == (2, 6)
    assert pdu.read_abort(memoryview(b"")) == (0, 0)
    with pytest.raises(PduInvalidError):
        pdu.read_reject(memoryview(b"\0"))
