"""The seam between the wire and the house: a sink that takes incoming objects as they arrive, a source that yields outgoing ones.

What lies below it (units, contexts, commands) may change without what lies above, and the other way round.

`StreamingProvider` puts an acceptor's incoming messages together. A data set is never kept: each piece goes to the sink in the thread that
read it from the network, so a slow disk slows the sender down and nothing queues up.

Promises: a sink that got `begin` gets exactly one of `commit`, which `answered` follows, and `abort`, also when the association ends in
mid-message; every request with a message id gets exactly one answer; after a failed C-STORE the association goes on, its remaining bytes
are thrown away.
Failures: `PduInvalidError` (peer) for messages that break the protocol, and for peers that go on sending what was refused.
Limits: C-STORE is served in contexts for storage, C-ECHO in those for verification; every other request is answered 0211 (its data set
thrown away).
Standard: PS3.7 6.3 and 9, PS3.8 annex E.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from appliance.core.errors import ApplianceError
from appliance.core.identity import Uid, uid_fault
from appliance.dimse import commands, statuses
from appliance.dimse.commands import CommandSet, CommandSetInvalidError
from appliance.dimse.commitment import COMMITMENT_PUSH_MODEL
from appliance.dimse.contexts import VERIFICATION
from appliance.dimse.pdu import AbortReason, Fragment, PduInvalidError
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# A real command set is a few hundred bytes (hostile-inputs.md row 30).
MAX_COMMAND_BYTES = 1 << 16
# A scanner may send the rest of what was refused: that is how it finishes. One that sends this much more is cut off.
MAX_DISCARDED_BYTES = 64 << 20

Data = bytes | memoryview


@dataclass(frozen=True, slots=True)
class StoreCommand:
    """A C-STORE-RQ; texts as received, without padding, not validated."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    priority: int
    move_originator: str | None = None
    move_originator_message_id: int | None = None


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """A context both sides agreed on."""

    context_id: int
    abstract_syntax: Uid
    transfer_syntax: Uid


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of a response, and an error comment of at most 64 characters."""

    status: int
    comment: str = ""


class StoreRefusedError(ApplianceError):
    """A sink does not take an object; raised from `begin` or `write`. `at_once`: the answer does not wait for the end of the data set."""

    def __init__(self, answer: Answer, *, at_once: bool = False) -> None:
        """Keep the answer."""
        super().__init__(answer.comment)
        self.answer = answer
        self.at_once = at_once


class IncomingSink(Protocol):
    """Takes one incoming object. All calls come from one thread; a new sink is made for each C-STORE.

    `begin` and `write` may raise `StoreRefusedError`; then `abort` follows at once and the rest of the object is thrown away. Any other
    exception is answered 0110.
    """

    def begin(self, command: StoreCommand, context: AcceptedContext) -> None:
        """Get ready for the object that `command` announces."""

    def write(self, data: Data) -> None:
        """Take the next bytes of the data set; the buffer is the sink's to read during the call only."""

    def commit(self) -> Answer:
        """Make the whole object durable and return the answer; 0000 means that it is (P1)."""

    def answered(self) -> None:
        """The answer of `commit` is on its way, or could not be sent: a moment for what nobody waits for. Never raises."""

    def abort(self) -> None:
        """Leave nothing behind; may follow anything, never raises."""


class OutgoingSource(Protocol):
    """Yields one outgoing data set."""

    @property
    def length(self) -> int | None:
        """The bytes of the data set, for comparison; None where nobody knows before the end."""

    def read(self, size: int) -> bytes:
        """Return up to `size` next bytes, and b"" at the end only; an error in the object is raised before its last byte is given."""


NewReport: TypeAlias = Callable[[CommandSet, AcceptedContext], IncomingSink]
"""Makes what takes the data set of a commitment report."""


@dataclass(slots=True)
class _Message:
    """The request whose data set is arriving: the sink that takes it, or the answer that was decided already."""

    context: AcceptedContext
    command: CommandSet
    sink: IncomingSink | None = None
    answer: Answer | None = None
    is_answered: bool = False
    discarded: int = 0


class StreamingProvider:
    """The messages of one accepted association. Not thread-safe: one thread feeds it and ends it."""

    def __init__(
        self,
        contexts: Mapping[int, AcceptedContext],
        new_sink: Callable[[], IncomingSink],
        respond: Callable[[int, bytes], None],
        pause: Callable[[], None] = lambda: None,
        new_report: NewReport | None = None,
    ) -> None:
        """Serve `contexts`, giving each C-STORE a sink of its own; `respond` sends a command set in a context.

        `pause` is called for each message that stored nothing, before it is answered: it may let the peer wait. `new_report` makes a sink
        for a commitment report (N-EVENT-REPORT), whose `begin` is not called; without it there are none.
        """
        self._contexts = contexts
        self._new_sink = new_sink
        self._respond = respond
        self._pause = pause
        self._new_report = new_report
        self._command = bytearray()
        self._command_context: int | None = None
        self._message: _Message | None = None

    @property
    def is_idle(self) -> bool:
        """Say whether no message has begun that has not been answered."""
        return self._command_context is None and self._message is None

    def receive(self, fragment: Fragment) -> None:
        """Take the next fragment. Raises `PduInvalidError`, and what `respond` raises."""
        context = self._contexts.get(fragment.context_id)
        if context is None:
            raise PduInvalidError("a fragment in a context that was not accepted")
        if fragment.is_command:
            self._receive_command(context, fragment)
        else:
            self._receive_data(fragment)

    def end(self) -> None:
        """The association is over: an object that is not complete leaves nothing behind. Never raises."""
        message, self._message = self._message, None
        if message is not None and message.sink is not None:
            _abort(message.sink)

    def _receive_command(self, context: AcceptedContext, fragment: Fragment) -> None:
        if self._message is not None:
            raise PduInvalidError("a command inside the data set of another")
        if self._command_context not in {None, context.context_id}:
            raise PduInvalidError("a command in two contexts")
        self._command_context = context.context_id
        self._command += fragment.data
        if len(self._command) > MAX_COMMAND_BYTES:
            raise PduInvalidError("a command set longer than 64 KiB")
        if not fragment.is_last:
            return
        try:
            command = commands.decode_command(self._command)
        except CommandSetInvalidError as error:
            raise PduInvalidError(str(error)) from error
        finally:
            self._command.clear()
            self._command_context = None
        self._begin(_Message(context, command))

    def _begin(self, message: _Message) -> None:
        command = message.command
        field = command.number(commands.COMMAND_FIELD) or 0
        if field & commands.RESPONSE:
            raise PduInvalidError("a response that nobody asked for")
        if field == commands.C_CANCEL_RQ and not command.has_data_set:
            # PS3.7 9.3.2.3: cancelling what is over has no effect and no answer.
            self._pause()
            return
        if command.number(commands.MESSAGE_ID) is None:
            raise PduInvalidError("a request without a message id")
        if field == commands.C_STORE_RQ and message.context.abstract_syntax != VERIFICATION:
            self._begin_store(message)
        elif field == commands.C_ECHO_RQ and message.context.abstract_syntax == VERIFICATION:
            message.answer = Answer(statuses.SUCCESS)
        elif self._is_report(field, message):
            self._begin_report(message)
        else:
            log.info("dimse.operation_refused", command=f"{field:04X}", abstract_syntax=message.context.abstract_syntax)
            message.answer = Answer(statuses.UNRECOGNISED_OPERATION)
        if command.has_data_set:
            self._message = message
        else:
            self._finish(message)

    def _begin_store(self, message: _Message) -> None:
        if not message.command.has_data_set:
            log.warning("dimse.data_set_missing", abstract_syntax=message.context.abstract_syntax)
            message.answer = Answer(statuses.CANNOT_UNDERSTAND, "the request has no data set")
            return
        command = _store_command(message.command)
        try:
            message.sink = self._new_sink()
            message.sink.begin(command, message.context)
        except Exception as error:  # noqa: BLE001 # boundary: whatever a sink raises is answered, the association lives on
            self._refuse(message, error)

    def _is_report(self, field: int, message: _Message) -> bool:
        return (
            self._new_report is not None
            and field == commands.N_EVENT_REPORT_RQ
            and message.context.abstract_syntax == COMMITMENT_PUSH_MODEL
        )

    def _begin_report(self, message: _Message) -> None:
        if self._new_report is None or not message.command.has_data_set:
            message.answer = Answer(statuses.PROCESSING_FAILURE, "the report has no data set")
            return
        try:
            message.sink = self._new_report(message.command, message.context)
        except Exception as error:  # noqa: BLE001 # boundary: as in `_begin_store`
            self._refuse(message, error)

    def _receive_data(self, fragment: Fragment) -> None:
        message = self._message
        if message is None or message.context.context_id != fragment.context_id:
            raise PduInvalidError("data without a command in this context")
        if message.sink is None:
            message.discarded += len(fragment.data)
            if message.discarded > MAX_DISCARDED_BYTES:
                raise PduInvalidError("more than 64 MiB of an object that is not taken", AbortReason.NOT_SPECIFIED)
        elif fragment.data:
            try:
                message.sink.write(fragment.data)
            except Exception as error:  # noqa: BLE001 # boundary: as in `_begin_store`
                self._refuse(message, error)
                if isinstance(error, StoreRefusedError) and error.at_once and not fragment.is_last:
                    message.is_answered = True
                    self._answer(message)
        if fragment.is_last:
            self._message = None
            self._finish(message)

    def _finish(self, message: _Message) -> None:
        if message.sink is not None:
            try:
                message.answer = message.sink.commit()
            except Exception as error:  # noqa: BLE001 # boundary: as in `_begin_store`
                self._refuse(message, error)
        if message.sink is None:
            self._pause()
        if message.is_answered:
            return
        try:
            self._answer(message)
        finally:
            if message.sink is not None:
                message.sink.answered()

    def _answer(self, message: _Message) -> None:
        assert message.answer is not None  # noqa: S101 (whoever calls decided on one; for the type checker)
        self._respond(message.context.context_id, _response(message.command, message.answer))

    @staticmethod
    def _refuse(message: _Message, error: Exception) -> None:
        """Drop the sink and decide on the answer for what it raised."""
        if isinstance(error, StoreRefusedError):
            message.answer = error.answer
        else:
            incident = uuid.uuid4().hex[:12]
            log.error("dimse.incident", incident=incident, error=type(error).__name__, where=where(error))
            message.answer = Answer(statuses.PROCESSING_FAILURE, f"incident {incident}")
        if message.sink is not None:
            _abort(message.sink)
            message.sink = None


def _abort(sink: IncomingSink) -> None:
    try:
        sink.abort()
    except Exception as error:  # noqa: BLE001 # boundary: the association must end and its descriptor go back whatever a sink does
        log.error("dimse.sink_abort_failed", error=type(error).__name__, where=where(error))  # noqa: TRY400 (as in `where`)


def where(error: BaseException) -> str:
    """Return file and line of the innermost frame of an exception: for the log, instead of its text, which may quote what a peer sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


def _store_command(command: CommandSet) -> StoreCommand:
    return StoreCommand(
        message_id=command.number(commands.MESSAGE_ID) or 0,
        sop_class_uid=command.text(commands.AFFECTED_SOP_CLASS_UID),
        sop_instance_uid=command.text(commands.AFFECTED_SOP_INSTANCE_UID),
        priority=command.number(commands.PRIORITY) or 0,
        move_originator=command.text(commands.MOVE_ORIGINATOR_TITLE) or None,
        move_originator_message_id=command.number(commands.MOVE_ORIGINATOR_MESSAGE_ID),
    )


def _response(request: CommandSet, answer: Answer) -> bytes:
    """Return the response to `request`; UIDs are repeated where they are UIDs at all."""
    elements: dict[int, int | str] = {
        commands.COMMAND_FIELD: (request.number(commands.COMMAND_FIELD) or 0) | commands.RESPONSE,
        commands.MESSAGE_ID_RESPONDED_TO: request.number(commands.MESSAGE_ID) or 0,
        commands.DATA_SET_TYPE: commands.NO_DATA_SET,
        commands.STATUS: answer.status,
    }
    for element in (commands.AFFECTED_SOP_CLASS_UID, commands.AFFECTED_SOP_INSTANCE_UID):
        uid = request.text(element)
        if uid_fault(uid) is None:
            elements[element] = uid
    event_type = request.number(commands.EVENT_TYPE_ID)
    if event_type is not None:
        # PS3.7 10.3.1.2: an answer to N-EVENT-REPORT repeats it.
        elements[commands.EVENT_TYPE_ID] = event_type
    if answer.comment:
        elements[commands.ERROR_COMMENT] = answer.comment[: commands.ERROR_COMMENT_CHARACTERS]
    return commands.encode_command(elements)
