"""`dimse/stream.StreamingProvider`: every sink gets one end, every request one answer, and little is kept."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.core.identity import Uid
from appliance.dimse import commands, statuses
from appliance.dimse.commands import CommandSet
from appliance.dimse.pdu import Fragment, PduInvalidError
from appliance.dimse.stream import AcceptedContext, Answer, Data, IncomingSink, StoreCommand, StoreRefusedError, StreamingProvider
from tests.fuzz.target import Bound, Script, Target, record
from tests.fuzz.targets.commands import TOKENS, a_store
from tests.fuzz.targets.negotiation import VERIFICATION
from tests.unit.dimse.building import CT, EXPLICIT, IMPLICIT

_CONTEXTS = {1: AcceptedContext(1, Uid(CT), EXPLICIT), 3: AcceptedContext(3, VERIFICATION, IMPLICIT)}
# A context is the lower half of a record's kind, its flags the upper half.
_COMMAND, _LAST = 16, 32


class FailingSink:
    """Takes objects and counts how it ended; two bits for each call say what it does: take it, refuse it, or break."""

    def __init__(self, behaviour: int) -> None:
        """Behave as told."""
        self._behaviour = behaviour
        self.began = False
        self.ended: list[str] = []

    def begin(self, _command: StoreCommand, _context: AcceptedContext) -> None:
        """Begin."""
        assert not self.began
        self.began = True
        self._act(0)

    def write(self, _data: Data) -> None:
        """Take data."""
        assert self.began
        assert not self.ended, "data after the end"
        self._act(1)

    def commit(self) -> Answer:
        """End well."""
        assert not self.ended, "two ends"
        self._act(2)
        self.ended.append("commit")
        return Answer(statuses.SUCCESS)

    def answered(self) -> None:
        """Be told only after a commit."""
        assert self.ended == ["commit"], "answered before its commit"

    def abort(self) -> None:
        """End, whatever happened."""
        assert not self.ended, "two ends"
        self.ended.append("abort")
        self._act(3)

    def _act(self, call: int) -> None:
        match self._behaviour >> 2 * call & 3:
            case 1:
                raise StoreRefusedError(Answer(statuses.OUT_OF_RESOURCES, "no " + "room " * 20))
            case 2:
                raise OSError("a broken disk")
            case _:
                pass


class Expected:
    """What has to be answered, by a second reading of the fragments that the provider took."""

    def __init__(self) -> None:
        """Expect nothing."""
        self.answers: list[tuple[int, int, int]] = []
        self._command = bytearray()
        self._waiting: CommandSet | None = None

    def take(self, fragment: Fragment) -> None:
        """Follow a fragment that broke no rule."""
        if not fragment.is_last:
            self._command += fragment.data if fragment.is_command else b""
            return
        if not fragment.is_command:
            self._answer(fragment.context_id, self._waiting)
            return
        command = commands.decode_command(self._command + fragment.data)
        self._command.clear()
        field = command.number(commands.COMMAND_FIELD)
        if field == commands.C_CANCEL_RQ and not command.has_data_set:
            return
        self._waiting = command
        if not command.has_data_set:
            self._answer(fragment.context_id, command)

    def _answer(self, context_id: int, command: CommandSet | None) -> None:
        assert command is not None
        number, field = command.number(commands.MESSAGE_ID), command.number(commands.COMMAND_FIELD)
        assert number is not None
        assert field is not None
        self.answers.append((context_id, field | commands.RESPONSE, number))


def _run(data: bytes) -> None:
    script = Script(data)
    behaviours = script.take(4)
    sinks: list[FailingSink] = []
    answers: list[tuple[int, int, int]] = []
    expected = Expected()

    def new_sink() -> IncomingSink:
        sinks.append(FailingSink(behaviours[len(sinks) % len(behaviours)]))
        return sinks[-1]

    def respond(context_id: int, encoded: bytes) -> None:
        command = commands.decode_command(encoded)
        assert command.number(commands.STATUS) is not None
        assert not command.has_data_set
        assert len(command.text(commands.ERROR_COMMENT)) <= commands.ERROR_COMMENT_CHARACTERS
        answers.append((context_id, command.number(commands.COMMAND_FIELD) or 0, command.number(commands.MESSAGE_ID_RESPONDED_TO) or 0))

    provider = StreamingProvider(_CONTEXTS, new_sink, respond)
    for kind, content in script.records():
        fragment = Fragment(kind & 15, bool(kind & _COMMAND), bool(kind & _LAST), memoryview(content))
        try:
            provider.receive(fragment)
        except PduInvalidError:
            break
        expected.take(fragment)
        assert answers == expected.answers, "a request has no answer, or two"
        assert sum(not sink.ended for sink in sinks) <= 1
        assert not provider.is_idle or all(sink.ended for sink in sinks)
    provider.end()
    provider.end()

    assert all(len(sink.ended) == 1 for sink in sinks), "a sink has no end"
    assert answers == expected.answers


def _seeds() -> Iterator[bytes]:
    store, data, end = record(1 | _COMMAND | _LAST, a_store()), record(1, b"abcd"), record(1 | _LAST, b"ef")
    echo = record(3 | _COMMAND | _LAST, a_store(8, commands.C_ECHO_RQ, with_data=False, sop_class=VERIFICATION))
    halves = record(1 | _COMMAND, a_store()[:30]) + record(1 | _COMMAND | _LAST, a_store()[30:])
    other = record(1 | _COMMAND | _LAST, a_store(9, 0x0020))
    cancel = record(1 | _COMMAND | _LAST, a_store(9, commands.C_CANCEL_RQ, with_data=False))
    for behaviour in (0, 1, 2, 4, 8, 16, 32, 64 | 4):
        yield bytes([behaviour, 0, 0, 0]) + store + data + end + echo + halves + data + end
    yield bytes(4) + other + data + end + cancel + record(1 | _COMMAND | _LAST, a_store(9, with_data=False))
    yield bytes(4) + store + data


PROVIDER = Target(
    "provider",
    _run,
    _seeds,
    (*TOKENS, b"\x31\0\4", b"\x01\0\4", b"\x21\0\0", b"\x33"),
    steps=Bound(2_000, 40),
    memory=Bound(512 << 10, 64),
)
