"""The side that calls: open an association, store objects from a stream, verify, ask, release. No threads: the caller's does everything.

Promises: an object streams from its source in pieces of one unit; no timer runs over a whole transfer, only over a standstill; the last
piece leaves only after the source said that the object ends there, so a damaged object is never completed at the peer. An error leaves no
descriptor open: after any exception but `VerificationNotAcceptedError` the association is over.
Failures: `PeerUnreachableError`, `AssociationRejectedError`, `AssociationAbortedError` while it opens; `TransferBrokenError` afterwards;
what the source raises comes through as it is.
Limits: one operation at a time, and everything from one thread. Names are resolved by the system, with its own time-outs.
Standard: PS3.8 9.2 and 9.3, PS3.7 9.1.1 (C-STORE) and 9.1.5 (C-ECHO).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping

from appliance.core.errors import ApplianceError
from appliance.dimse import acse, commands, pdu
from appliance.dimse.acse import AssociateAccept
from appliance.dimse.association_request import AssociationRequest
from appliance.dimse.commands import CommandSet, CommandSetInvalidError
from appliance.dimse.contexts import VERIFICATION, Granted, read_grants
from appliance.dimse.failures import (
    AssociationAbortedError,
    AssociationRejectedError,
    Broken,
    PeerUnreachableError,
    TransferBrokenError,
    Unreachable,
    VerificationNotAcceptedError,
)
from appliance.dimse.hops import MessageIds
from appliance.dimse.messages import Message, MessageReader, data_set_pdus
from appliance.dimse.pdu import AbortSource, Pdu, PduInvalidError, PduType
from appliance.dimse.reach import open_connection, refusal, tcp_hello
from appliance.dimse.responses import ResponseReader, StoreResponse, read_store_response
from appliance.dimse.stream import OutgoingSource
from appliance.dimse.tls_failures import about_late_alert
from appliance.dimse.upper_layer import Connection, ConnectionLostError, PeerSilentError

__all__ = [
    "AssociationAbortedError",
    "AssociationRejectedError",
    "AssociationRequest",
    "Broken",
    "OutgoingAssociation",
    "PeerUnreachableError",
    "StoreResponse",
    "TransferBrokenError",
    "Unreachable",
    "VerificationNotAcceptedError",
    "associate",
    "tcp_hello",
]

# A unit that has begun to arrive while we send is waited for this long.
_UNIT_S = 10.0


def associate(request: AssociationRequest) -> OutgoingAssociation:
    """Return an open association. Raises `PeerUnreachableError`, `AssociationRejectedError`, `AssociationAbortedError`."""
    if not 1 <= len(request.contexts) <= acse.MAX_CONTEXTS:
        raise ValueError("an association carries 1 to 128 contexts")
    connection = open_connection(request.host, request.port, request.connect_s, request.progress_s, request.tls)
    try:
        answer = _ask(connection, request)
        granted = read_grants(request.contexts, answer.contexts)
        max_length = pdu.length_for(answer.max_length, request.max_pdu)
    except PduInvalidError as error:
        connection.last_word(pdu.abort_pdu(AbortSource.PROVIDER, error.reason))
        connection.close()
        raise AssociationAbortedError(AbortSource.PROVIDER, error.reason, f"the peer's answer breaks the protocol: {error}") from error
    except BaseException:  # boundary: whatever ends it, the descriptor must not stay open; raised again
        connection.close()
        raise
    return OutgoingAssociation(connection, granted, max_length)


def _ask(connection: Connection, request: AssociationRequest) -> AssociateAccept:
    """Send the request and return what the peer grants. Raises as `associate`, and `PduInvalidError`."""
    deadline = time.monotonic() + request.associate_s
    where = f"{request.host}:{request.port}"
    try:
        connection.write(acse.encode_request(request.calling, request.called, request.contexts, pdu.OFFERED_LENGTH))
        unit = connection.read(limit=pdu.UNADMITTED_LENGTH, first_byte_s=request.associate_s, deadline=deadline)
    except PeerSilentError as error:
        message = f"{where} accepts the connection and does not answer"
        raise PeerUnreachableError(message, phase="associate", kind=Unreachable.TIMEOUT) from error
    except ConnectionLostError as error:
        if (refused := about_late_alert(error.__cause__)) is not None:
            raise refusal(where, refused) from error
        message = f"{where} closed the connection instead of answering"
        raise PeerUnreachableError(message, phase="associate", kind=Unreachable.CLOSED) from error
    match unit.type:
        case PduType.ASSOCIATE_AC:
            return acse.decode_accept(unit.body)
        case PduType.ASSOCIATE_RJ:
            raise AssociationRejectedError(*pdu.read_reject(unit.body))
        case PduType.ABORT:
            raise AssociationAbortedError(*pdu.read_abort(unit.body))
        case _:
            raise PduInvalidError("a unit that is no answer to a request", pdu.AbortReason.UNEXPECTED_PDU)


class OutgoingAssociation:
    """An open association; made by `associate`."""

    def __init__(self, connection: Connection, granted: Granted, max_length: int) -> None:
        """Own the connection; `max_length` is how long our units may be."""
        self.accepted = granted.accepted
        self.rejected = granted.rejected
        self._connection = connection
        self._max_length = max_length
        self._is_open = True
        self._message_ids = MessageIds()
        self._responses = ResponseReader()
        self._early: CommandSet | None = None

    @property
    def is_open(self) -> bool:
        """Say whether the association can be used; a peer that went away or asked for release in the meantime is noticed here."""
        if self._is_open and self._connection.is_readable():
            # Nothing may come between two operations but the end.
            with contextlib.suppress(TransferBrokenError):
                self._read_unit(None, after_first_pdv=False)
            self._close()
        return self._is_open

    def echo(self, timeout_s: float) -> int:
        """Return the status of a C-ECHO. Raises `VerificationNotAcceptedError`, `TransferBrokenError`."""
        context_id = next((number for (abstract, _), number in self.accepted.items() if abstract == VERIFICATION), None)
        if context_id is None:
            raise VerificationNotAcceptedError("the peer does not accept verification (C-ECHO)")
        request: dict[int, int | str] = {
            commands.AFFECTED_SOP_CLASS_UID: VERIFICATION,
            commands.COMMAND_FIELD: commands.C_ECHO_RQ,
            commands.MESSAGE_ID: self._message_ids.next(),
            commands.DATA_SET_TYPE: commands.NO_DATA_SET,
        }
        self._write_command(context_id, request)
        response = self._read_response(time.monotonic() + timeout_s, after_first_pdv=False)
        status = response.number(commands.STATUS)
        if status is None:
            self.abort()
            raise TransferBrokenError(Broken.PROTOCOL, "the peer's answer has no status", after_first_pdv=False)
        return status

    def store(
        self,
        *,
        sop_class_uid: str,
        sop_instance_uid: str,
        context_id: int,
        source: OutgoingSource,
        response_s: float,
        priority: int = 0,
        hops: int = 0,
    ) -> StoreResponse:
        """Send one object in `context_id` and return the peer's answer, waiting `response_s` for it after the last piece.

        `hops`: how many boxes the object has passed, this one included (`hops`).

        Raises `TransferBrokenError`, and what `source` raises; then the association is over.
        """
        message_id = self._message_ids.next(hops)
        request: dict[int, int | str] = {
            commands.AFFECTED_SOP_CLASS_UID: sop_class_uid,
            commands.COMMAND_FIELD: commands.C_STORE_RQ,
            commands.MESSAGE_ID: message_id,
            commands.PRIORITY: priority,
            commands.DATA_SET_TYPE: commands.WITH_DATA_SET,
            commands.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
        }
        self._early = None
        self._write_command(context_id, request)
        self._write_data(context_id, source)
        self._wait_until_taken()
        # An answer that came before the last piece is the answer all the same (hostile-inputs.md row 69).
        response = self._early or self._read_response(time.monotonic() + response_s, after_first_pdv=True)
        return read_store_response(response, message_id, sop_instance_uid)

    def say(self, context_id: int, request: Mapping[int, int | str], data_set: bytes) -> int:
        """Send a message with a small data set, and return the id that it was given. Raises `TransferBrokenError`."""
        message_id = self._message_ids.next()
        self._write_command(context_id, {**request, commands.MESSAGE_ID: message_id, commands.DATA_SET_TYPE: commands.WITH_DATA_SET})
        for unit in data_set_pdus(context_id, data_set, self._max_length):
            self._write(unit, after_first_pdv=True)
        return message_id

    def answer(self, context_id: int, response: Mapping[int, int | str]) -> None:
        """Answer a request of the peer's. Raises `TransferBrokenError`."""
        self._write_command(context_id, {**response, commands.DATA_SET_TYPE: commands.NO_DATA_SET})

    def hears(self, within_s: float) -> bool:
        """Say whether something comes within a time, be it the end."""
        return self._is_open and self._connection.is_readable(int(within_s * 1000))

    def hear(self, messages: MessageReader, timeout_s: float) -> Message:
        """Return the next message that `messages` completes. Raises `TransferBrokenError`."""
        deadline = time.monotonic() + timeout_s
        while (message := messages.next()) is None:
            self._read_unit(deadline, after_first_pdv=True, take=messages.take)
        return message

    def release(self, timeout_s: float) -> None:
        """End the association in good order, or cut it when the peer does not answer in time. Never raises."""
        if not self._is_open:
            return
        deadline = time.monotonic() + timeout_s
        with contextlib.suppress(ApplianceError):
            self._connection.write(pdu.RELEASE_RQ)
            while True:
                unit = self._connection.read(limit=pdu.TOLERATED_LENGTH, first_byte_s=timeout_s, deadline=deadline)
                if unit.type is PduType.RELEASE_RQ:
                    # Both asked at once (PS3.8 7.2.2.7): the requestor answers first and goes on waiting.
                    self._connection.write(pdu.RELEASE_RP)
                elif unit.type is not PduType.DATA:
                    break
        self._close()

    def abort(self) -> None:
        """End the association now. Never raises."""
        self._connection.abort(AbortSource.USER)
        self._close()

    def _close(self) -> None:
        self._is_open = False
        self._connection.close()

    def _write_command(self, context_id: int, request: Mapping[int, int | str]) -> None:
        for unit in pdu.command_pdus(context_id, commands.encode_command(request), self._max_length):
            self._write(unit, after_first_pdv=False)

    def _write_data(self, context_id: int, source: OutgoingSource) -> None:
        """Send the whole data set, always one piece behind the source; what a read gives is not collected, for it may come slowly."""
        room = self._max_length - pdu.FRAGMENT_HEAD_BYTES
        sent = 0
        piece = self._piece(source, room)
        while True:
            following = self._piece(source, room) if piece else b""
            is_last = not following
            if not _may_be(sent + len(piece), source.length, is_last=is_last):
                self.abort()
                raise TransferBrokenError(Broken.SOURCE, "the object is not as long as it says", after_first_pdv=sent > 0)
            self._write(pdu.data_pdu(context_id, piece, is_command=False, is_last=is_last), after_first_pdv=True)
            sent += len(piece)
            if is_last:
                return
            piece = following
            if self._early is None and self._connection.is_readable():
                self._early = self._read_unit(None, after_first_pdv=True)

    def _piece(self, source: OutgoingSource, size: int) -> bytes:
        """Return the next bytes of the source, at most `size`, b"" at its end; its error ends the association: the message cannot end."""
        try:
            return source.read(size)
        except BaseException:  # boundary: whatever the source raises, the message cannot end; raised again
            self.abort()
            raise

    def _write(self, unit: bytes, *, after_first_pdv: bool) -> None:
        try:
            self._connection.write(unit)
        except PeerSilentError as error:
            self.abort()
            raise TransferBrokenError(Broken.PROGRESS, str(error), after_first_pdv=after_first_pdv) from error
        except ConnectionLostError as error:
            # The peer may have said why before it closed.
            if self._connection.is_readable():
                self._read_unit(None, after_first_pdv=after_first_pdv)
            self._close()
            raise TransferBrokenError(Broken.CLOSED, str(error), after_first_pdv=after_first_pdv) from error

    def _wait_until_taken(self) -> None:
        """Let the time for the answer begin when the peer has everything."""
        try:
            self._connection.wait_until_taken()
        except PeerSilentError as error:
            self.abort()
            raise TransferBrokenError(Broken.PROGRESS, str(error), after_first_pdv=True) from error

    def _read_response(self, deadline: float, *, after_first_pdv: bool) -> CommandSet:
        while True:
            response = self._read_unit(deadline, after_first_pdv=after_first_pdv)
            if response is not None:
                return response

    def _read_unit(
        self, deadline: float | None, *, after_first_pdv: bool, take: Callable[[Pdu], CommandSet | None] | None = None
    ) -> CommandSet | None:
        """Read one unit; return the command set that it completes, None while one is incomplete. Everything else ends the association."""
        left_s = _UNIT_S if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            unit = self._connection.read(limit=pdu.TOLERATED_LENGTH, first_byte_s=left_s, deadline=deadline)
            if unit.type is PduType.DATA:
                return (take or self._responses.take)(unit)
        except PeerSilentError as error:
            self.abort()
            raise TransferBrokenError(Broken.TIMEOUT, "the peer does not answer", after_first_pdv=after_first_pdv) from error
        except ConnectionLostError as error:
            self._close()
            raise TransferBrokenError(Broken.CLOSED, str(error), after_first_pdv=after_first_pdv) from error
        except (PduInvalidError, CommandSetInvalidError) as error:
            self._connection.abort(AbortSource.PROVIDER, pdu.AbortReason.INVALID_PARAMETER)
            self._close()
            raise TransferBrokenError(Broken.PROTOCOL, f"the peer broke the protocol: {error}", after_first_pdv=after_first_pdv) from error
        raise self._ended(unit, after_first_pdv=after_first_pdv)

    def _ended(self, unit: Pdu, *, after_first_pdv: bool) -> TransferBrokenError:
        """Close, and return the error for a unit that ends the association."""
        match unit.type:
            case PduType.ABORT:
                source, reason = pdu.read_abort(unit.body)
                kind = Broken.ABORT_PROVIDER if source == AbortSource.PROVIDER else Broken.ABORT_USER
                detail = f"the peer aborted ({source}/{reason})"
            case PduType.RELEASE_RQ:
                self._connection.last_word(pdu.RELEASE_RP)
                kind, detail = Broken.CLOSED, "the peer released the association"
            case _:
                self._connection.abort(AbortSource.PROVIDER, pdu.AbortReason.UNEXPECTED_PDU)
                kind, detail = Broken.PROTOCOL, "the peer broke the protocol: a unit out of place"
        self._close()
        return TransferBrokenError(kind, detail, after_first_pdv=after_first_pdv)


def _may_be(sent: int, length: int | None, *, is_last: bool) -> bool:
    """Say whether an object of `length` may have come to `sent` bytes, at its end or before it."""
    return length is None or sent == length or (sent < length and not is_last)
