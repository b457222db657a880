"""Asking an archive what it has: C-FIND, Study Root, at the level of single instances, and of series.

Promises: `images` returns what the peer listed, and only when the peer said that the list is complete; memory is bounded by the number of
matches that was allowed. After an error but `QueryRefusedError` the association is over.
Failures: `QueryRefusedError`, `QueryTooLargeError`, and what an association raises (`TransferBrokenError`); while it opens, what
`open_service` raises.
Limits: three UIDs and the level are read of each match, nothing else. A peer may list less than it has: what is listed is there, what is
not listed may be there all the same.
Standard: PS3.4 C.4.1 (C-FIND), C.6.2 (Study Root), PS3.7 9.1.2; PS3.5 7.1 (the identifier's encoding).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import Uid, uid_fault
from appliance.dimse import commands, statuses
from appliance.dimse.contexts import IMPLICIT_LITTLE_ENDIAN
from appliance.dimse.failures import Broken, TransferBrokenError
from appliance.dimse.messages import Message, MessageReader
from appliance.dimse.prefix import ElementWalk
from appliance.dimse.service import ServicePeer, open_service
from appliance.dimse.statuses import Category

# PS3.4 table C.6.2.3-1.
STUDY_ROOT_FIND: Final = Uid("1.2.840.10008.5.1.4.1.2.2.1")
# PS3.7 E.1.
_C_FIND_RQ = 0x0020

SOP_INSTANCE: Final = 0x00080018
LEVEL: Final = 0x00080052
STUDY: Final = 0x0020000D
SERIES: Final = 0x0020000E
_RETURNED = frozenset({SOP_INSTANCE, LEVEL, STUDY, SERIES})
_VRS: Final = {SOP_INSTANCE: b"UI", LEVEL: b"CS", STUDY: b"UI", SERIES: b"UI"}

# Four UIDs and whatever else an archive adds by itself: a few hundred bytes, a few KiB from a talkative one.
_LARGEST_IDENTIFIER = 64 * 1024
# The largest series that anybody stores are dynamic studies of some ten thousand slices.
_MOST_MATCHES = 100_000
# An archive that lists these from a slow disk takes minutes.
_QUERY_S = 600.0


class QueryRefusedError(ApplianceError):
    """The peer answered a query with a failure; the association goes on."""

    fault = Fault.PEER

    def __init__(self, status: int | None) -> None:
        """Keep the status, None where the answer had none."""
        super().__init__(f"the peer answers the query with {'no status' if status is None else f'{status:04X}'}")
        self.status = status


class QueryTooLargeError(ApplianceError):
    """The peer lists more matches than anybody can have asked for."""

    fault = Fault.PEER


@dataclass(frozen=True, slots=True)
class Match:
    """One match as the peer sent it; what it left out is empty. `level` is in capitals."""

    level: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


class ImageQueries:
    """An association for queries. For one thread."""

    def __init__(self, peer: ServicePeer, *, query_s: float = _QUERY_S, most_matches: int = _MOST_MATCHES) -> None:
        """Associate; all matches of a query may take `query_s`. Raises what `open_service` raises."""
        self._peer = peer
        self._query_s = query_s
        self._most_matches = most_matches
        service = open_service(peer, STUDY_ROOT_FIND, "queries (Study Root C-FIND)")
        self._association, self._syntax, self._context_id = service.association, service.syntax, service.context_id

    def images(self, study_instance_uid: str, series_instance_uid: str) -> list[Match]:
        """Return every instance of a series that the peer lists.

        Raises `QueryRefusedError`, `QueryTooLargeError`, `TransferBrokenError`, and `ValueError` for what is no UID.
        """
        return self._find({SOP_INSTANCE: "", LEVEL: "IMAGE"}, study_instance_uid, series_instance_uid)

    def has_series(self, study_instance_uid: str, series_instance_uid: str) -> bool:
        """Say whether the peer lists a series among those of the study, whatever of it. Raises what `images` raises."""
        found = self._find({LEVEL: "SERIES"}, study_instance_uid, series_instance_uid)
        return any(match.series_instance_uid in {"", series_instance_uid} for match in found)

    def _find(self, keys: Mapping[int, str], study_instance_uid: str, series_instance_uid: str) -> list[Match]:
        if uid_fault(study_instance_uid) or uid_fault(series_instance_uid):
            raise ValueError("a query needs the UIDs of a study and a series")
        request: dict[int, int | str] = {
            commands.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_FIND,
            commands.COMMAND_FIELD: _C_FIND_RQ,
            commands.PRIORITY: 0,
        }
        identifier = encode_identifier({**keys, STUDY: study_instance_uid, SERIES: series_instance_uid}, self._syntax)
        message_id = self._association.say(self._context_id, request, identifier)
        return self._matches(message_id)

    def release(self) -> None:
        """End in good order, or cut the line of a peer that does not answer. Never raises."""
        self._association.release(self._peer.associate_s)

    def _matches(self, message_id: int) -> list[Match]:
        """Read responses until the last one."""
        deadline = time.monotonic() + self._query_s
        messages = MessageReader(_LARGEST_IDENTIFIER)
        found: list[Match] = []
        while True:
            message = self._association.hear(messages, min(self._peer.response_s, max(0.0, deadline - time.monotonic())))
            status = self._status(message, message_id)
            if status is not None and statuses.category(status) is Category.PENDING:
                if len(found) == self._most_matches:
                    self._association.abort()
                    raise QueryTooLargeError(f"the peer lists more than {self._most_matches} instances of one series")
                found.append(read_match(message.data_set, self._syntax))
                continue
            if status is None or statuses.category(status) not in {Category.SUCCESS, Category.WARNING}:
                raise QueryRefusedError(status)
            return found

    def _status(self, message: Message, message_id: int) -> int | None:
        """Return the status of a response to our query. Raises `TransferBrokenError` for a message that is none."""
        command = message.command
        is_response = command.number(commands.COMMAND_FIELD) == _C_FIND_RQ | commands.RESPONSE
        if not is_response or command.number(commands.MESSAGE_ID_RESPONDED_TO) != message_id or message.context_id != self._context_id:
            self._association.abort()
            raise TransferBrokenError(Broken.PROTOCOL, "the peer answers something that was not asked", after_first_pdv=True)
        return command.number(commands.STATUS)


def encode_identifier(keys: Mapping[int, str], transfer_syntax: Uid) -> bytes:
    """Return the data set of a query's keys, each as text, in implicit or explicit VR little endian; an empty key asks for its value."""
    return b"".join(_element(tag, keys[tag], transfer_syntax) for tag in sorted(keys))


def _element(tag: int, text: str, transfer_syntax: Uid) -> bytes:
    vr = _VRS[tag]
    value = text.encode("ascii")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    if transfer_syntax == IMPLICIT_LITTLE_ENDIAN:
        return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def read_match(identifier: bytes, transfer_syntax: Uid) -> Match:
    """Return what a match says, as far as it can be read; what cannot is empty."""
    walk = ElementWalk(transfer_syntax, _RETURNED, max_bytes=_LARGEST_IDENTIFIER, stop_after=SERIES)
    walk.feed(identifier)
    values = {tag: value.rstrip(b"\0 ").lstrip(b" ").decode("latin-1") for tag, value in walk.values.items()}
    return Match(values.get(LEVEL, "").upper(), values.get(STUDY, ""), values.get(SERIES, ""), values.get(SOP_INSTANCE, ""))
