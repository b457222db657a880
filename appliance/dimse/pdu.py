"""Protocol data units of the upper layer, except for association negotiation (`acse`). Pure.

Promises: `fragments` returns every presentation data value of a P-DATA-TF exactly once and in order, as views that copy nothing; a length
that lies is refused, never followed.
Failures: `PduInvalidError` (peer) with the reason that an A-ABORT gives.
Limits: the two flags of the message control header are read, its reserved bits ignored.
Standard: PS3.8 9.3 and annex E.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from appliance.core.errors import ApplianceError, Fault

HEAD_BYTES = 6
# A presentation data value's own head: its length, its context and its control header.
FRAGMENT_HEAD_BYTES = 6

# What we offer as our maximum (semantics.md 1.4), and what we send at most to a peer that sets no limit.
OFFERED_LENGTH = 131072
# Scanners add their heads to the maximum or ignore it (hostile-inputs.md row 10); beyond this it is not a mistake any more.
TOLERATED_LENGTH = 1 << 20
# What a peer's answer to our request, and a request while many strangers are at the door, may be: 128 contexts of ten transfer syntaxes
# are 38 KiB; before a title is known nobody may make us keep much (hostile-inputs.md N2).
UNADMITTED_LENGTH = 1 << 16
# What a request may be while few are at the door: 128 contexts of 50 transfer syntaxes are 167 KiB, with UIDs of 64 characters 430 KiB
# (hostile-inputs.md row 15).
LONGEST_REQUEST = 1 << 19
# A peer that takes less than this cannot be answered in one piece, and below 7 not at all (hostile-inputs.md row 11).
SMALLEST_LENGTH = 128

_LAST = 2
_COMMAND = 1


class PduType(IntEnum):
    """PS3.8 9.3.1."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortSource(IntEnum):
    """PS3.8 table 9-26."""

    USER = 0
    PROVIDER = 2


class AbortReason(IntEnum):
    """PS3.8 table 9-26, for aborts by the provider."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class PduInvalidError(ApplianceError):
    """A peer sent what is not allowed by the protocol at this point."""

    fault = Fault.PEER

    def __init__(self, message: str, reason: AbortReason = AbortReason.INVALID_PARAMETER) -> None:
        """Keep the reason for the A-ABORT that answers it."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Pdu:
    """One unit as received: its type and everything behind its six-byte head."""

    type: PduType
    body: memoryview


@dataclass(frozen=True, slots=True)
class Fragment:
    """One presentation data value: a piece of a command set or of a data set."""

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


def fragments(body: memoryview) -> Iterator[Fragment]:
    """Yield the presentation data values of a P-DATA-TF. Raises `PduInvalidError`."""
    at = 0
    if not body:
        raise PduInvalidError("a data unit holds nothing")
    while at < len(body):
        if len(body) - at < FRAGMENT_HEAD_BYTES:
            raise PduInvalidError("a data unit ends inside a fragment's head")
        length, context_id, control = struct.unpack_from(">LBB", body, at)
        start, end = at + FRAGMENT_HEAD_BYTES, at + 4 + length
        if end < start or end > len(body):
            raise PduInvalidError("a fragment's length does not fit its data unit")
        yield Fragment(context_id, bool(control & _COMMAND), bool(control & _LAST), body[start:end])
        at = end


def data_pdu(context_id: int, piece: bytes | memoryview, *, is_command: bool, is_last: bool) -> bytes:
    """Return a P-DATA-TF with one presentation data value."""
    control = (_COMMAND if is_command else 0) | (_LAST if is_last else 0)
    head = struct.pack(">BBLLBB", PduType.DATA, 0, len(piece) + FRAGMENT_HEAD_BYTES, len(piece) + 2, context_id, control)
    return head + piece


def command_pdus(context_id: int, command: bytes, max_length: int) -> Iterator[bytes]:
    """Yield the units that carry a whole command set to a peer which takes units of `max_length`."""
    room = max_length - FRAGMENT_HEAD_BYTES
    for at in range(0, len(command), room):
        yield data_pdu(context_id, command[at : at + room], is_command=True, is_last=at + room >= len(command))


def length_for(peer_maximum: int, ours: int = OFFERED_LENGTH) -> int:
    """Return how long our units to a peer may be; 0 from the peer means no limit. Raises `PduInvalidError` for an unusable maximum."""
    if peer_maximum == 0:
        return ours
    if peer_maximum < SMALLEST_LENGTH:
        raise PduInvalidError("the peer takes data units too short to carry an answer")
    return min(peer_maximum, ours)


def _short(kind: PduType, *values: int) -> bytes:
    return struct.pack(">BBL", kind, 0, 4) + bytes(values)


def reject_pdu(result: int, source: int, reason: int) -> bytes:
    """Return an A-ASSOCIATE-RJ."""
    return _short(PduType.ASSOCIATE_RJ, 0, result, source, reason)


def abort_pdu(source: AbortSource, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> bytes:
    """Return an A-ABORT."""
    return _short(PduType.ABORT, 0, 0, source, reason)


RELEASE_RQ = _short(PduType.RELEASE_RQ, 0, 0, 0, 0)
RELEASE_RP = _short(PduType.RELEASE_RP, 0, 0, 0, 0)


def read_reject(body: memoryview) -> tuple[int, int, int]:
    """Return result, source and reason of an A-ASSOCIATE-RJ. Raises `PduInvalidError`."""
    if len(body) < 4:  # noqa: PLR2004 (PS3.8 9.3.4)
        raise PduInvalidError("a rejection is too short")
    return body[1], body[2], body[3]


def read_abort(body: memoryview) -> tuple[int, int]:
    """Return source and reason of an A-ABORT; one that is too short says nothing (0, 0)."""
    return (body[2], body[3]) if len(body) >= 4 else (0, 0)  # noqa: PLR2004 (PS3.8 9.3.8)
