"""`dimse/pdu`: fragments cover a data unit once and in order; rejections and aborts are numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from appliance.dimse import pdu
from appliance.dimse.pdu import FRAGMENT_HEAD_BYTES, HEAD_BYTES, Fragment, PduInvalidError
from tests.fuzz.target import Bound, Target


def _run(data: bytes) -> None:
    found: list[Fragment] = []
    try:
        found.extend(pdu.fragments(memoryview(data)))
    except PduInvalidError:
        pass
    else:
        assert data, "an empty unit passes"
        assert sum(FRAGMENT_HEAD_BYTES + len(fragment.data) for fragment in found) == len(data), "bytes are left over"
    at = 0
    for fragment in found:
        length, context_id, control = struct.unpack_from(">LBB", data, at)
        assert (fragment.context_id, fragment.is_command, fragment.is_last) == (context_id, bool(control & 1), bool(control & 2))
        assert bytes(fragment.data) == data[at + FRAGMENT_HEAD_BYTES : at + 4 + length]
        at += 4 + length
        unit = pdu.data_pdu(context_id, fragment.data, is_command=fragment.is_command, is_last=fragment.is_last)
        (again,) = pdu.fragments(memoryview(unit)[HEAD_BYTES:])
        assert (again.context_id, again.is_command, again.is_last, again.data) == (
            fragment.context_id, fragment.is_command, fragment.is_last, fragment.data,
        )  # fmt: skip
    try:
        assert pdu.read_reject(memoryview(data)) == tuple(data[1:4])
    except PduInvalidError:
        assert len(data) < 4
    assert pdu.read_abort(memoryview(data)) == (tuple(data[2:4]) if len(data) >= 4 else (0, 0))


def _seeds() -> Iterator[bytes]:
    one = pdu.data_pdu(1, b"abcd", is_command=True, is_last=True)[HEAD_BYTES:]
    yield one
    yield one + pdu.data_pdu(3, b"", is_command=False, is_last=False)[HEAD_BYTES:] + one
    yield bytes(4)


FRAGMENTS = Target("fragments", _run, _seeds, tokens=(bytes.fromhex("00000002"), bytes.fromhex("000000020103")), steps=Bound(200, 12))
