"""`dimse/acse`: what a request asks and an answer grants, or `PduInvalidError`; what we answer can be read again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from appliance.core.identity import AETitle, Uid
from appliance.dimse import acse, pdu
from appliance.dimse.contexts import Policy, choose, read_grants
from appliance.dimse.pdu import HEAD_BYTES, PduInvalidError
from tests.fuzz.target import Bound, Target
from tests.unit.dimse.building import CT, EXPLICIT, IMPLICIT

VERIFICATION = Uid("1.2.840.10008.1.1")
PROPOSED = ((Uid(CT), (EXPLICIT, IMPLICIT)), (VERIFICATION, (IMPLICIT,)))

# Items: application context, contexts, syntaxes, user information and what is in it, with a plausible length.
_ITEMS = tuple(bytes([kind, 0, 0, size]) for kind, size in ((0x10, 21), (0x20, 50), (0x21, 30), (0x30, 17), (0x40, 17), (0x50, 60)))
_USER_ITEMS = (
    b"\x51\0\0\4\0\0\x40\0", b"\x52\0\0\6" + b"2.25.1", b"\x53\0\0\4\0\1\0\1", b"\x54\0\0\x15\0\x11" + VERIFICATION.encode() + b"\1\1",
    b"\x55\0\0\4EDGE", b"\x56\0\0\6\0\x04" + b"1.2\0", b"\x58\0\0\x0a\1\0\0\4user\0\0",
)  # fmt: skip
_TOKENS = (*_ITEMS, *_USER_ITEMS, VERIFICATION.encode(), IMPLICIT.encode(), b"1.02.3", b"9" * 65, bytes(16), b"\xff" * 4)


def request() -> bytes:
    """Return the A-ASSOCIATE-RQ that our own sender would make."""
    return acse.encode_request(AETitle("CT1"), AETitle("EDGE"), PROPOSED, pdu.OFFERED_LENGTH)


def _run_request(data: bytes) -> None:
    try:
        asked = acse.decode_request(memoryview(data))
    except PduInvalidError:
        return
    ids = [context.context_id for context in asked.contexts]
    assert 1 <= len(ids) <= acse.MAX_CONTEXTS
    assert len(set(ids)) == len(ids)
    assert all(number % 2 for number in ids)
    assert (asked.called, asked.calling) == (data[4:20], data[20:36])
    for policy in get_args(Policy):
        results = choose(asked.contexts, policy)
        assert [result.context_id for result in results] == ids
        answer = acse.encode_accept(asked, results)
        assert answer[10:42] == data[4:36], "the titles are not repeated"
        granted = acse.decode_accept(memoryview(answer)[HEAD_BYTES:]).contexts
        assert [(number, granted[number][0]) for number in ids] == [(result.context_id, result.result) for result in results]
        for result in results:
            if not result.result:
                assert granted[result.context_id][1] == result.transfer_syntax
                assert (
                    result.transfer_syntax
                    in next(item for item in asked.contexts if item.context_id == result.context_id).transfer_syntaxes
                )
    try:
        assert pdu.SMALLEST_LENGTH <= pdu.length_for(asked.max_length) <= pdu.OFFERED_LENGTH
    except PduInvalidError:
        assert 0 < asked.max_length < pdu.SMALLEST_LENGTH


def _run_answer(data: bytes) -> None:
    try:
        answer = acse.decode_accept(memoryview(data))
        granted = read_grants(PROPOSED, answer.contexts)
    except PduInvalidError:
        return
    assert all(number % 2 for number in answer.contexts)
    assert answer.max_length >= 0
    assert not granted.accepted.keys() & granted.rejected.keys()
    proposed = {(abstract, syntax) for abstract, syntaxes in PROPOSED for syntax in syntaxes}
    assert granted.accepted.keys() <= proposed


def _requests() -> Iterator[bytes]:
    whole = request()[HEAD_BYTES:]
    yield whole
    # With every user item there is: roles, an asynchronous window, extended negotiation, an identity.
    body, user = whole[: whole.rindex(b"\x50\0")], b"".join(_USER_ITEMS)
    yield body + b"\x50\0" + len(user).to_bytes(2, "big") + user


def _answers() -> Iterator[bytes]:
    for whole in _requests():
        asked = acse.decode_request(memoryview(whole))
        yield acse.encode_accept(asked, choose(asked.contexts))[HEAD_BYTES:]


# pynetdicom's classes look at each byte in many lines; what is bounded is that they do not do so again and again.
_COST = Bound(8_000, 80)
REQUEST = Target("associate-request", _run_request, _requests, _TOKENS, ("appliance", "pynetdicom"), _COST, Bound(512 << 10, 256))
ANSWER = Target("associate-answer", _run_answer, _answers, _TOKENS, ("appliance", "pynetdicom"), _COST, Bound(512 << 10, 256))
