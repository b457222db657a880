"""The seam: each request gets one answer, each sink one end, and nothing that a peer sends is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from appliance.core.identity import Uid
from appliance.dimse import commands, statuses, stream
from appliance.dimse.commitment import COMMITMENT_PUSH_MODEL
from appliance.dimse.contexts import VERIFICATION
from appliance.dimse.pdu import Fragment, PduInvalidError
from appliance.dimse.stream import AcceptedContext, Answer, Data, StoreCommand, StoreRefusedError, StreamingProvider
from tests.unit.dimse.building import CT, EXPLICIT, IMPLICIT, INSTANCE

STORAGE = AcceptedContext(1, Uid(CT), EXPLICIT)
ECHO = AcceptedContext(3, VERIFICATION, IMPLICIT)


@dataclass
class Sink:
    """Writes down what it is told, and fails where it is told to."""

    calls: list[str] = field(default_factory=list)
    data: bytes = b""
    command: StoreCommand | None = None
    fails: dict[str, Exception] = field(default_factory=dict)
    answer: Answer = field(default_factory=lambda: Answer(statuses.SUCCESS))

    def begin(self, command: StoreCommand, context: AcceptedContext) -> None:
        """Note the command."""
        self.command = command
        self._note(f"begin {context.context_id}")

    def write(self, data: Data) -> None:
        """Note the data."""
        self.data += data
        self._note("write")

    def commit(self) -> Answer:
        """Note the end."""
        self._note("commit")
        return self.answer

    def answered(self) -> None:
        """Note that it was told."""
        self._note("answered")

    def abort(self) -> None:
        """Note the end."""
        self._note("abort")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        name = call.partition(" ")[0]
        if name in self.fails:
            raise self.fails[name]


class Bench:
    """A provider with its sinks and its answers."""

    def __init__(self, *sinks: Sink) -> None:
        """Give out `sinks` one after another."""
        self.sinks = list(sinks)
        self._waiting = list(sinks)
        self.answers: list[tuple[int, int, int | None, str]] = []
        self.last = commands.CommandSet({})
        self.pauses = 0
        self.provider = StreamingProvider({1: STORAGE, 3: ECHO}, lambda: self._waiting.pop(0), self._respond, self._pause)

    def _pause(self) -> None:
        self.pauses += 1

    def _respond(self, context_id: int, command: bytes) -> None:
        self.last = commands.decode_command(command)
        field_ = self.last.number(commands.COMMAND_FIELD) or 0
        status, comment = self.last.number(commands.STATUS), self.last.text(commands.ERROR_COMMENT)
        self.answers.append((context_id, field_, status, comment))

    def command(self, data: bytes, context_id: int = 1, *, last: bool = True) -> None:
        """Feed a piece of a command set."""
        self.provider.receive(Fragment(context_id, True, last, memoryview(data)))

    def data(self, data: bytes, context_id: int = 1, *, last: bool = False) -> None:
        """Feed a piece of a data set."""
        self.provider.receive(Fragment(context_id, False, last, memoryview(data)))


def a_request(
    kind: int = commands.C_STORE_RQ, *, data_set: bool = True, message_id: int = 7, sop_class: str = CT, uid: str = INSTANCE
) -> bytes:
    """Return a request's command set."""
    return commands.encode_command(
        {
            commands.COMMAND_FIELD: kind,
            commands.MESSAGE_ID: message_id,
            commands.DATA_SET_TYPE: commands.WITH_DATA_SET if data_set else commands.NO_DATA_SET,
            commands.AFFECTED_SOP_CLASS_UID: sop_class,
            commands.AFFECTED_SOP_INSTANCE_UID: uid,
            commands.PRIORITY: 1,
        }
    )


def test_an_object_streams_through() -> None:
    """Command and data set in any number of pieces reach the sink in order, and its answer the peer."""
    bench = Bench(Sink())
    encoded = a_request()

    bench.command(encoded[:11], last=False)
    bench.command(encoded[11:])
    bench.data(b"abc")
    bench.data(b"")
    bench.data(b"def", last=True)

    assert bench.sinks[0].calls == ["begin 1", "write", "write", "commit", "answered"]
    assert bench.sinks[0].data == b"abcdef"
    assert bench.sinks[0].command == StoreCommand(7, CT, INSTANCE, 1)
    assert bench.answers == [(1, 0x8001, 0x0000, "")]
    assert bench.last.number(commands.MESSAGE_ID_RESPONDED_TO) == 7
    assert bench.last.text(commands.AFFECTED_SOP_INSTANCE_UID) == INSTANCE
    assert bench.provider.is_idle


@pytest.mark.parametrize("where", ["begin", "write", "commit"])
def test_a_refusal_is_answered_once_and_the_association_goes_on(where: str) -> None:
    """A sink that refuses at any point is aborted, the rest thrown away, the next object taken."""
    refusing = Sink(fails={where: StoreRefusedError(Answer(statuses.OUT_OF_RESOURCES, "no space"))})
    bench = Bench(refusing, Sink())

    bench.command(a_request())
    bench.data(b"abc")
    bench.data(b"def", last=True)
    bench.command(a_request())
    bench.data(b"ghi", last=True)

    assert refusing.calls[-2:] == [refusing.calls[-2], "abort"]
    assert refusing.calls.count("abort") == 1
    assert bench.answers == [(1, 0x8001, 0xA700, "no space"), (1, 0x8001, 0x0000, "")]
    assert bench.sinks[1].data == b"ghi"


@pytest.mark.parametrize("where", ["begin", "write", "commit"])
def test_a_fault_of_ours_is_0110_with_an_incident(where: str) -> None:
    """Whatever else a sink raises becomes a processing failure that names an incident, never its text (hostile-inputs.md row 60)."""
    bench = Bench(Sink(fails={where: RuntimeError("a name from the data set")}))

    bench.command(a_request())
    bench.data(b"abc", last=True)
    [(_, _, status, comment)] = bench.answers

    assert status == statuses.PROCESSING_FAILURE
    assert comment.startswith("incident ")
    assert "name" not in comment
    assert bench.sinks[0].calls[-1] == "abort"


def test_an_association_that_ends_leaves_nothing() -> None:
    """An object that is not complete when the association ends is aborted once, and nothing is answered."""
    bench = Bench(Sink(fails={"abort": RuntimeError()}))

    bench.command(a_request())
    bench.data(b"abc")
    bench.provider.end()
    bench.provider.end()

    assert bench.sinks[0].calls == ["begin 1", "write", "abort"]
    assert bench.answers == []


def test_a_request_without_a_data_set_is_c000() -> None:
    """A C-STORE that announces no data set is answered at once (hostile-inputs.md N13)."""
    bench = Bench()

    bench.command(a_request(data_set=False))

    assert bench.answers == [(1, 0x8001, 0xC000, "the request has no data set")]


@pytest.mark.parametrize("uid", ["1/2", "1.2\n3", "9" * 65])
def test_what_is_no_uid_is_not_repeated(uid: str) -> None:
    """An answer names class and instance only where they are UIDs."""
    bench = Bench(Sink())

    bench.command(a_request(uid=uid))
    bench.data(b"x", last=True)

    assert bench.last.text(commands.AFFECTED_SOP_INSTANCE_UID) == ""
    assert bench.last.text(commands.AFFECTED_SOP_CLASS_UID) == CT


def test_echo_is_answered_in_its_context() -> None:
    """C-ECHO is success in a verification context and no operation of a storage one."""
    bench = Bench()

    bench.command(a_request(commands.C_ECHO_RQ, data_set=False, sop_class=VERIFICATION), 3)
    bench.command(a_request(commands.C_ECHO_RQ, data_set=False), 1)

    assert [(answer[1], answer[2]) for answer in bench.answers] == [(0x8030, 0x0000), (0x8030, 0x0211)]


def test_nothing_is_stored_as_verification() -> None:
    """C-STORE is no operation of the verification class, whatever its data set says (hostile-inputs.md row 31)."""
    bench = Bench(Sink())

    bench.command(a_request(sop_class=VERIFICATION), 3)
    bench.data(b"x", 3, last=True)

    assert bench.answers == [(3, 0x8001, 0x0211, "")]
    assert bench.sinks[0].calls == []


def test_what_stores_nothing_may_be_paced() -> None:
    """Before each answer to a message that stored nothing, and for each C-CANCEL, the peer may be made to wait; never for a stored one."""
    bench = Bench(Sink(), Sink(fails={"commit": StoreRefusedError(Answer(statuses.OUT_OF_RESOURCES))}))
    pauses = []

    for command, context_id, has_data in (
        (a_request(), 1, True),
        (a_request(), 1, True),
        (a_request(data_set=False), 1, False),
        (a_request(commands.C_ECHO_RQ, data_set=False), 3, False),
        (a_request(commands.C_CANCEL_RQ, data_set=False), 1, False),
    ):
        bench.command(command, context_id)
        if has_data:
            bench.data(b"x", context_id, last=True)
        pauses.append(bench.pauses)

    assert pauses == [0, 1, 2, 3, 4]
    assert [answer[2] for answer in bench.answers] == [0x0000, 0xA700, 0xC000, 0x0000]


@pytest.mark.parametrize("kind", [0x0010, 0x0020, 0x0021, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150, 0x0002])
def test_other_operations_are_0211(kind: int) -> None:
    """C-GET, C-FIND, C-MOVE, all N- services and unknown fields are answered, their data sets thrown away (row 31)."""
    bench = Bench()

    bench.command(a_request(kind))
    bench.data(b"x" * 1000)
    bench.data(b"", last=True)

    assert bench.answers == [(1, kind | 0x8000, 0x0211, "")]


def test_cancelling_is_ignored() -> None:
    """A C-CANCEL for nothing has no answer (row 58)."""
    bench = Bench()

    bench.command(a_request(commands.C_CANCEL_RQ, data_set=False))

    assert bench.answers == []
    assert bench.provider.is_idle


def test_who_goes_on_sending_what_was_refused_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 64 MiB of thrown away bytes the association ends."""
    monkeypatch.setattr(stream, "MAX_DISCARDED_BYTES", 100)
    bench = Bench(Sink(fails={"begin": StoreRefusedError(Answer(statuses.OUT_OF_RESOURCES))}))

    bench.command(a_request())
    bench.data(b"x" * 100)

    with pytest.raises(PduInvalidError):
        bench.data(b"x")


def test_a_refusal_at_once_does_not_wait_for_the_rest() -> None:
    """What is refused at once is answered in the middle of the data set, once; the rest is thrown away and the next request is served."""
    sink = Sink(fails={"write": StoreRefusedError(Answer(0xA700, "too large"), at_once=True)})
    bench = Bench(sink, Sink())
    bench.command(a_request())

    bench.data(b"first")
    early = list(bench.answers)
    bench.data(b"rest", last=True)
    bench.command(a_request(message_id=8))
    bench.data(b"next", last=True)

    assert [(1, 0x8001, 0xA700, "too large")] == early
    assert [(1, 0x8001, 0xA700, "too large"), (1, 0x8001, 0x0000, "")] == bench.answers
    assert ["begin 1", "write", "abort"] == sink.calls


def test_a_command_set_is_limited() -> None:
    """A command set that never ends is refused at 64 KiB (row 30)."""
    bench = Bench()

    bench.command(bytes(65536), last=False)

    with pytest.raises(PduInvalidError):
        bench.command(b"\0", last=False)


def test_messages_that_break_the_protocol() -> None:
    """Contexts nobody accepted, mixed contexts, data without command, commands inside data, responses and garbage end the association."""
    for feed in (
        lambda bench: bench.command(a_request(), 5),
        lambda bench: bench.data(b"x"),
        lambda bench: (bench.command(a_request()[:4], last=False), bench.command(a_request()[4:], 3)),
        lambda bench: (bench.command(a_request()), bench.data(b"x", 3)),
        lambda bench: (bench.command(a_request()), bench.command(a_request())),
        lambda bench: bench.command(a_request(0x8001)),
        lambda bench: bench.command(b"\1\2\3"),
        lambda bench: bench.command(commands.encode_command({commands.COMMAND_FIELD: 1, commands.DATA_SET_TYPE: 1})),
    ):
        bench = Bench(Sink())
        with pytest.raises(PduInvalidError):
            feed(bench)
        bench.provider.end()
        assert bench.answers == []


REPORTS = AcceptedContext(5, COMMITMENT_PUSH_MODEL, EXPLICIT)


def _report(context: AcceptedContext, sink: Sink | None, *, data_set: bool = True) -> tuple[int | None, int | None]:
    """Send a report in a context of an association where `sink` takes reports; return status and event type of the answer."""
    answers: list[commands.CommandSet] = []
    provider = StreamingProvider(
        {context.context_id: context},
        Sink,
        lambda _number, command: answers.append(commands.decode_command(command)),
        new_report=None if sink is None else lambda _command, _context: sink,
    )
    request: dict[int, int | str] = {
        commands.COMMAND_FIELD: commands.N_EVENT_REPORT_RQ,
        commands.MESSAGE_ID: 7,
        commands.DATA_SET_TYPE: commands.WITH_DATA_SET if data_set else commands.NO_DATA_SET,
        commands.AFFECTED_SOP_CLASS_UID: context.abstract_syntax,
        commands.EVENT_TYPE_ID: 2,
    }
    provider.receive(Fragment(context.context_id, True, True, memoryview(commands.encode_command(request))))
    if data_set:
        provider.receive(Fragment(context.context_id, False, True, memoryview(b"content")))
    (answer,) = answers
    return answer.number(commands.STATUS), answer.number(commands.EVENT_TYPE_ID)


def test_a_report_streams_into_its_sink() -> None:
    """A commitment report reaches its sink as it came, and its answer repeats the event type."""
    sink = Sink()

    assert (0, 2) == _report(REPORTS, sink)
    assert (["write", "commit", "answered"], b"content") == (sink.calls, sink.data)


@pytest.mark.parametrize(
    ("context", "sink", "data_set", "status"),
    [
        (REPORTS, None, True, statuses.UNRECOGNISED_OPERATION),
        (STORAGE, Sink(), True, statuses.UNRECOGNISED_OPERATION),
        (REPORTS, Sink(), False, statuses.PROCESSING_FAILURE),
        (REPORTS, Sink(fails={"commit": OSError()}), True, statuses.PROCESSING_FAILURE),
        (REPORTS, Sink(fails={"write": StoreRefusedError(Answer(0x0213))}), True, 0x0213),
    ],
    ids=["nobody takes reports", "in a storage context", "without a data set", "the sink fails", "the sink refuses"],
)
def test_a_report_that_is_not_taken_says_so(context: AcceptedContext, sink: Sink | None, status: int, *, data_set: bool) -> None:
    """Where nobody takes a report, or its sink fails, the answer is a failure and the association lives on."""
    assert status == _report(context, sink, data_set=data_set)[0]
