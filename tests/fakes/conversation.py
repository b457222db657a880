"""One association of a scripted archive: it speaks DICOM's upper layer by hand, and does what its director says at the moment it is due.

Promises: a data set is reported whole exactly when its last fragment was read, before any response leaves; nothing is read beyond the byte
at which the script wants something to happen.
Failures: none reach the caller; how it ended stands in the `Visit`.
Limits: one message at a time; the peer's maximum length is not asked, for command sets are short.
Standard: PS3.8 9.2 and 9.3, PS3.7 9.1.1 and 9.1.5, as far as the script lets it.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from tests.fakes import units
from tests.fakes.script import Action, Answer, Break, End, Offer, Stage, Welcome

_PIECE_BYTES = 16384
# How long the peer may take to close after our last word.
_LINGER_S = 5.0


@dataclass(slots=True)
class Visit:
    """One association as it went; `ended` is empty while it lasts, then "rejected", "released", "aborted s/r", "lost", or our own `End`."""

    calling: str
    called: str
    abstract_syntaxes: tuple[str, ...]
    at: float
    stores: int = 0
    echoes: int = 0
    largest_unit: int = 0
    ended: str = ""


class Director(Protocol):
    """Who says what is done, and keeps the books."""

    def greet(self, request: units.AssociateRequest) -> tuple[Visit, Welcome]:
        """Write the visit down and return how it is welcomed."""

    def consider(self, visit: Visit, context: units.Proposed, transfer_syntax: str, command: dict[int, bytes]) -> tuple[Offer, Action]:
        """Write the offer down and return what is done with it."""

    def received(self, uid: str, digest: str, *, keeps: bool) -> None:
        """Write down that a data set is here as a whole."""

    def hang(self, connection: socket.socket) -> str:
        """Do nothing until somebody else ends it, and return who did."""

    def pause(self, seconds: float) -> None:
        """Let time pass, but not beyond the end."""


class _EndedError(Exception):
    """The association is over; the text is what `Visit.ended` says."""


@dataclass(slots=True)
class _Receiving:
    """The C-STORE whose data set is being read."""

    context_id: int
    command: dict[int, bytes]
    offer: Offer
    action: Action
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    length: int = 0
    is_answered: bool = False

    @property
    def turn(self) -> int | None:
        """How many bytes of the data set are read before something happens, or None for all of them."""
        if isinstance(self.action, Break):
            return self.action.after_bytes if self.action.stage is Stage.DATA else None
        return None if self.is_answered else self.action.after_bytes


class Conversation:
    """One association, from the first byte to the last, in a thread of its own."""

    def __init__(self, director: Director, connection: socket.socket) -> None:
        """Speak on this connection as the director says."""
        self._director = director
        self._connection = connection
        self._visit = Visit("", "", (), 0.0)
        self._welcome = Welcome()
        self._contexts: dict[int, tuple[units.Proposed, str]] = {}
        self._command = bytearray()
        self._message: _Receiving | None = None

    def run(self) -> None:
        """Speak until it is over."""
        try:
            connection_ended = "lost"
            self._associate()
            while True:
                self._one_unit()
        except _EndedError as ended:
            connection_ended = str(ended)
        except (OSError, struct.error):
            connection_ended = "lost"
        self._visit.ended = self._visit.ended or connection_ended

    def _associate(self) -> None:
        kind, length = self._head()
        if kind != units.ASSOCIATE_RQ:
            raise _EndedError("no association request")
        request = units.read_associate_request(self._exactly(length))
        self._visit, self._welcome = self._director.greet(request)
        answer = self._welcome
        self._director.pause(answer.delay_s)
        if answer.end is not None:
            self._end(answer.end)
        if answer.reject is not None:
            self._farewell(units.associate_reject(*answer.reject), "rejected")
        if answer.raw is not None:
            self._connection.sendall(answer.raw)
            return
        granted = []
        for context in request.contexts:
            choice = answer.contexts(context.abstract_syntax, context.transfer_syntaxes)
            if choice is None:
                continue
            granted += [units.Granted(context.context_id, *choice)] * (2 if answer.repeats_ids else 1)
            self._contexts[context.context_id] = context, choice[1]
        self._connection.sendall(units.associate_accept(request.raw_titles, granted, answer.max_length))
        if answer.then is not None:
            self._end(answer.then)

    def _one_unit(self) -> None:
        kind, length = self._head()
        if kind == units.DATA:
            self._data(length)
            return
        body = self._exactly(length)
        if kind == units.ABORT:
            raise _EndedError(f"aborted {body[2]}/{body[3]}")
        if kind == units.RELEASE_RQ:
            if not self._welcome.answers_release:
                self._end(End.HANG)
            self._farewell(units.release(units.RELEASE_RP), "released")
        if kind != units.RELEASE_RP:
            self._connection.sendall(units.abort(2, 2))
        raise _EndedError(f"unit {kind}")

    def _data(self, left: int) -> None:
        self._visit.largest_unit = max(self._visit.largest_unit, left)
        while left > 0:
            size, context_id, control = struct.unpack(">LBB", self._exactly(units.FRAGMENT_HEAD_BYTES))
            left -= 4 + size
            is_last = bool(control & units.IS_LAST)
            if control & units.IS_COMMAND:
                self._command += self._exactly(size - 2)
                if is_last:
                    command = units.read_command_set(self._command)
                    self._command.clear()
                    self._begin(context_id, command)
            else:
                self._data_set(size - 2, is_last=is_last)

    def _begin(self, context_id: int, command: dict[int, bytes]) -> None:
        kind = units.as_number(command.get(units.COMMAND_FIELD, b""))
        if kind == units.C_ECHO_RQ:
            self._visit.echoes += 1
            if self._welcome.echo is not None:
                self._respond(context_id, command, Answer(self._welcome.echo))
            return
        if kind != units.C_STORE_RQ:
            return
        context, transfer_syntax = self._contexts[context_id]
        offer, action = self._director.consider(self._visit, context, transfer_syntax, command)
        self._message = _Receiving(context_id, command, offer, action)
        if isinstance(action, Break) and action.stage is Stage.COMMAND:
            self._end(action.end, action.reason)
        self._take_turn(self._message)
        if units.as_number(command.get(units.DATA_SET_TYPE, b"")) == units.NO_DATA_SET:
            self._complete(self._message)

    def _data_set(self, size: int, *, is_last: bool) -> None:
        message = self._message
        if message is None:
            self._connection.sendall(units.abort(2, 6))
            raise _EndedError("a data set without a command")
        while size > 0:
            turn = message.turn
            piece = self._some(min(size, _PIECE_BYTES if turn is None else max(1, turn - message.length)))
            size -= len(piece)
            message.digest.update(piece)
            message.length += len(piece)
            self._take_turn(message)
        if is_last:
            self._complete(message)

    def _take_turn(self, message: _Receiving) -> None:
        """Do what is due before the data set is complete."""
        if message.turn is None or message.length < message.turn:
            return
        action = message.action
        if isinstance(action, Break):
            self._end(action.end, action.reason)
        message.is_answered = True
        self._respond(message.context_id, message.command, action)

    def _complete(self, message: _Receiving) -> None:
        self._message = None
        action = message.action
        keeps = action.keeps if isinstance(action, Break) else action.is_kept
        self._director.received(message.offer.sop_instance_uid, message.digest.hexdigest(), keeps=bool(keeps))
        if isinstance(action, Break):
            self._end(action.end, action.reason)
        if not message.is_answered:
            self._respond(message.context_id, message.command, action)

    def _respond(self, context_id: int, request: dict[int, bytes], answer: Answer) -> None:
        self._director.pause(answer.delay_s)
        command = _response(request, answer) if answer.command is None else answer.command
        self._connection.sendall(units.command_unit(context_id, command) * answer.times)
        if answer.then is not None:
            self._end(answer.then)

    def _farewell(self, word: bytes, ended: str) -> NoReturn:
        """End with this word and let the peer close (PS3.8 9.1.5); who has read the word finds the ending in the books."""
        self._visit.ended = ended
        self._connection.sendall(word)
        self._connection.settimeout(_LINGER_S)
        while self._connection.recv(_PIECE_BYTES):
            pass
        raise _EndedError(ended)

    def _end(self, end: End, reason: int = 0) -> NoReturn:
        """End the association this way; never returns."""
        if end is not End.HANG:
            self._visit.ended = end
        match end:
            case End.ABORT_USER:
                self._last_word(units.abort(0, 0))
            case End.ABORT_PROVIDER:
                self._last_word(units.abort(2, reason))
            case End.RELEASE:
                self._last_word(units.release(units.RELEASE_RQ))
            case End.RESET:
                # A linger time of 0 makes close(2) send RST.
                self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case End.HANG:
                raise _EndedError(self._director.hang(self._connection))
            case End.CLOSE:
                self._last_word(b"")
        raise _EndedError(end)

    def _last_word(self, word: bytes) -> None:
        """Send `word` and FIN, then take what still comes: closing with unread bytes makes the kernel send RST, which destroys the word."""
        self._connection.sendall(word)
        self._connection.shutdown(socket.SHUT_WR)
        self._connection.settimeout(_LINGER_S)
        while self._connection.recv(_PIECE_BYTES):
            pass

    def _head(self) -> tuple[int, int]:
        kind, _, length = struct.unpack(">BBL", self._exactly(units.UNIT_HEAD_BYTES))
        return kind, length

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size > 0:
            piece = self._some(size)
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _some(self, size: int) -> bytes:
        piece = self._connection.recv(min(size, _PIECE_BYTES))
        if not piece:
            raise _EndedError("lost")
        return piece


def _response(request: dict[int, bytes], answer: Answer) -> bytes:
    """Return the command set of a response, as the answer wants it."""
    elements = {
        units.AFFECTED_SOP_CLASS_UID: request.get(units.AFFECTED_SOP_CLASS_UID, b""),
        units.COMMAND_FIELD: units.number(units.as_number(request[units.COMMAND_FIELD]) | units.RESPONSE),
        units.MESSAGE_ID_RESPONDED_TO: request[units.MESSAGE_ID] if answer.message_id is None else units.number(answer.message_id),
        units.DATA_SET_TYPE: units.number(units.NO_DATA_SET),
    }
    uid = request.get(units.AFFECTED_SOP_INSTANCE_UID) if answer.sop_instance_uid is None else units.uid(answer.sop_instance_uid)
    if uid is not None:
        elements[units.AFFECTED_SOP_INSTANCE_UID] = uid
    if answer.status is not None:
        elements[units.STATUS] = units.number(answer.status)
    if answer.comment:
        elements[units.ERROR_COMMENT] = units.text(answer.comment)
    if answer.offending:
        elements[units.OFFENDING_ELEMENT] = units.tags(answer.offending)
    return units.command_set(elements)
