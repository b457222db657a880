"""The scripted archive, seen by independent clients: it does what it is told, and its books are true."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from tests.fakes import script, units
from tests.fakes.script import Action, Answer, Break, End, Stage, Welcome, always
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, part10, samples, senders, wire
from tests.support.eventually import eventually

_CT = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT = "1.2.840.10008.1.2.1"
_IMPLICIT = "1.2.840.10008.1.2"
# Long enough on a busy machine, short enough where silence is what is expected.
_PATIENCE_S = 5.0
_SILENCE_S = 0.3
_SOCKETS: list[socket.socket] = []


@pytest.fixture
def archive() -> Iterator[ScriptedArchive]:
    """A good archive, until a test tells it otherwise."""
    with ScriptedArchive() as scripted:
        yield scripted


@pytest.fixture(autouse=True)
def _closed_sockets() -> Iterator[None]:
    """Close what pynetdicom leaves open where the peer broke off."""
    yield
    while _SOCKETS:
        _SOCKETS.pop().close()


def _remember(event: Event) -> None:
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        _SOCKETS.append(connection.socket)


def _associate(archive: ScriptedArchive, *, calling: str = "CLIENT", patience_s: float = _PATIENCE_S) -> Association:
    ae = AE(calling)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = patience_s
    ae.requested_contexts = [build_context(_CT, [_EXPLICIT, _IMPLICIT]), build_context("1.2.840.10008.1.1")]
    association = ae.associate("127.0.0.1", archive.port, ae_title="ARCHIVE", evt_handlers=[(evt.EVT_CONN_OPEN, _remember)])
    senders.keep_answers(association)
    return association


def _store(archive: ScriptedArchive, file: Path, *, patience_s: float = _PATIENCE_S) -> int | None:
    """Send one file and return the status, None where there was none."""
    association = _associate(archive, patience_s=patience_s)
    assert association.is_established
    answer = association.send_c_store(file)
    if association.is_established:
        association.release()
    status = answer.get("Status", None)
    return None if status is None else int(status)


def test_a_good_archive_takes_what_dcmtk_sends(archive: ScriptedArchive, tmp_path: Path) -> None:
    """DCMTK's storescu and echoscu are served, and the digests are those of the data sets in the files."""
    files = samples.ct(64).write(tmp_path, 3)

    output = dcmtk.storescu(archive.port, files, called="ARCHIVE")

    assert dcmtk.successes(output) == 3
    assert dcmtk.echoscu(archive.port, called="ARCHIVE") == 0
    assert archive.kept == {instance.sop_instance_uid: instance.digest for instance in map(part10.read, files)}
    assert [(visit.calling, visit.stores, visit.echoes, visit.ended) for visit in archive.visits] == [
        ("STORESCU", 3, 0, "released"),
        ("ECHOSCU", 0, 1, "released"),
    ]


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xA700, 0xC123, 0x0110, 0x0124, 0x1234])
def test_any_status_can_be_answered(archive: ScriptedArchive, tmp_path: Path, status: int) -> None:
    """The client gets the status, and the instance is kept exactly when the status says so."""
    archive.mood = always(Answer(status, comment="as told", offending=(0x00080018,)))
    (file,) = samples.ct(16).write(tmp_path)

    seen = _store(archive, file)

    assert seen == status
    assert len(archive.kept) == (1 if status in script.KEPT else 0)
    assert list(archive.receptions.values()) == [1]


def test_a_liar_says_0000_and_keeps_nothing(archive: ScriptedArchive, tmp_path: Path) -> None:
    """An archive that loses every second instance answers all alike."""
    archive.mood = script.losing_one_of(2)

    statuses = [_store(archive, file) for file in samples.ct(16).write(tmp_path, 4)]

    assert statuses == [0, 0, 0, 0]
    assert len(archive.kept) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(None),
        Answer(message_id=4711),
        Answer(command=b"\xff" * 40),
        Answer(sop_instance_uid="1.2.3"),
        Answer(times=2),
        Answer(after_bytes=0),
    ],
    ids=["no status", "another message", "garbage", "another instance", "two responses", "before the data set"],
)
def test_what_no_library_sends_stands_on_the_wire(archive: ScriptedArchive, answer: Answer) -> None:
    """Forbidden responses arrive byte for byte as they were written."""
    archive.mood = always(answer)
    command = units.command_set(
        {
            units.AFFECTED_SOP_CLASS_UID: units.uid(_CT),
            units.COMMAND_FIELD: units.number(units.C_STORE_RQ),
            units.MESSAGE_ID: units.number(7),
            units.DATA_SET_TYPE: units.number(1),
            units.AFFECTED_SOP_INSTANCE_UID: units.uid("1.2.3.4"),
        }
    )

    with socket.create_connection(("127.0.0.1", archive.port), _PATIENCE_S) as connection:
        connection.sendall(_association_request())
        _read_unit(connection)
        connection.sendall(units.command_unit(1, command))
        if answer.after_bytes is None:
            connection.sendall(units.unit(units.DATA, b"\0\0\0\6\1\2" + b"data"))
        received = [_read_unit(connection)[6:] for _ in range(answer.times)]

    elements = units.read_command_set(received[0]) if answer.command is None else {}
    assert received == [received[0]] * answer.times
    assert answer.command in {None, received[0]}
    if answer.command is None:
        assert elements.get(units.STATUS) == (None if answer.status is None else units.number(answer.status))
        assert elements[units.MESSAGE_ID_RESPONDED_TO] == units.number(answer.message_id or 7)
        assert units.as_text(elements[units.AFFECTED_SOP_INSTANCE_UID]) == (answer.sop_instance_uid or "1.2.3.4")


@pytest.mark.parametrize("reject", [(1, 1, 1), (1, 1, 3), (1, 2, 2), (2, 3, 1), (2, 3, 2)], ids=str)
def test_associations_are_rejected_as_told(archive: ScriptedArchive, reject: tuple[int, int, int]) -> None:
    """Result, source and reason of a rejection arrive."""
    archive.greeting = script.welcome(Welcome(reject=reject))

    with socket.create_connection(("127.0.0.1", archive.port), _PATIENCE_S) as connection:
        connection.sendall(_association_request())
        answer = wire.exactly(connection, 10)

    assert answer == b"\x03\0\0\0\0\x04\0" + bytes(reject)
    assert [visit.ended for visit in archive.visits] == ["rejected"]
    assert dcmtk.echoscu(archive.port, called="ARCHIVE") != 0


@pytest.mark.parametrize("result", [1, 2, 3, 4])
def test_contexts_are_refused_as_told(archive: ScriptedArchive, result: int) -> None:
    """A class is refused with the result asked for; the other context is accepted."""
    archive.greeting = script.welcome(script.with_contexts(script.refuse(result, classes=[_CT])))

    association = _associate(archive)

    assert [context.result for context in association.rejected_contexts] == [result]
    assert [context.abstract_syntax for context in association.accepted_contexts] == ["1.2.840.10008.1.1"]
    association.release()


def test_the_transfer_syntax_is_chosen_as_told(archive: ScriptedArchive) -> None:
    """An archive that prefers a syntax takes it wherever it is offered."""
    archive.greeting = script.welcome(script.with_contexts(script.prefer(_IMPLICIT)))

    association = _associate(archive)

    chosen = {str(context.abstract_syntax): context.transfer_syntax[0] for context in association.accepted_contexts}
    assert chosen[_CT] == _IMPLICIT
    association.release()


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET, End.ABORT_USER, End.ABORT_PROVIDER, End.RELEASE])
def test_a_transfer_breaks_where_and_how_it_is_told(archive: ScriptedArchive, tmp_path: Path, end: End, stage: Stage) -> None:
    """The client gets no answer, nothing is kept, and the next one is served."""
    archive.mood = script.in_turn(Break(end, stage, after_bytes=1000), Answer())
    (file,) = samples.ct(64).write(tmp_path)

    statuses = [_store(archive, file, patience_s=1.0), _store(archive, file)]

    assert statuses == [None, 0]
    assert [visit.ended for visit in archive.visits] == [end, "released"]
    assert list(archive.receptions.values()) == [2 if stage is Stage.COMPLETE else 1]


@pytest.mark.parametrize("welcome", [Welcome(end=End.HANG), Welcome(end=End.RESET)], ids=["silence", "reset"])
def test_an_association_request_can_be_left_without_an_answer(archive: ScriptedArchive, welcome: Welcome) -> None:
    """Silence and a reset keep the client out."""
    archive.greeting = script.welcome(welcome)

    association = _associate(archive, patience_s=_SILENCE_S)

    assert not association.is_established


def test_an_association_request_can_be_answered_with_any_bytes(archive: ScriptedArchive) -> None:
    """An answer that says it is 4 GiB long arrives as written."""
    archive.greeting = script.welcome(Welcome(raw=b"\x02\0\xff\xff\xff\xff"))

    with socket.create_connection(("127.0.0.1", archive.port), _PATIENCE_S) as connection:
        connection.sendall(_association_request())
        answer = wire.exactly(connection, 6)

    assert answer == b"\x02\0\xff\xff\xff\xff"


def test_a_hanging_archive_stops_reading_at_the_byte() -> None:
    """A sender is stuck in mid-object when nobody reads, and the archive notices when it gives up."""
    with ScriptedArchive(always(Break(End.HANG, Stage.DATA, after_bytes=1000)), receive_buffer=4096) as archive:
        with socket.create_connection(("127.0.0.1", archive.port), _PATIENCE_S) as connection:
            connection.sendall(_association_request())
            _read_unit(connection)
            command = {units.COMMAND_FIELD: units.number(units.C_STORE_RQ), units.DATA_SET_TYPE: units.number(1)}
            connection.sendall(units.command_unit(1, units.command_set(command)))
            connection.settimeout(_SILENCE_S)
            with pytest.raises(TimeoutError):
                connection.sendall(units.unit(units.DATA, b"\0\x7f\0\0\1\0" + bytes(8 << 20)))
            # A linger time of 0 makes close(2) send RST; a FIN would wait behind what nobody reads.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        eventually(lambda: archive.connections == 0, message="the hanging association to notice that the peer is gone")

        assert archive.receptions == {}
        assert [visit.ended for visit in archive.visits] == ["lost"]


def test_several_associations_are_served_at_once_and_moods_see_who_calls(archive: ScriptedArchive, tmp_path: Path) -> None:
    """Four clients are inside together, and a mood can tell them apart by title."""
    inside = threading.Barrier(4)
    (file,) = samples.ct(16).write(tmp_path)

    def mood(offer: script.Offer) -> Action:
        return Answer(0xA700) if offer.calling == "CLIENT3" else Answer()

    archive.mood = mood
    statuses: dict[str, int] = {}

    def client(title: str) -> None:
        association = _associate(archive, calling=title)
        inside.wait(_PATIENCE_S)
        statuses[title] = int(association.send_c_store(file).Status)
        association.release()

    threads = [threading.Thread(target=client, args=(f"CLIENT{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == {"CLIENT0": 0, "CLIENT1": 0, "CLIENT2": 0, "CLIENT3": 0xA700}
    assert sorted(offer.attempt for offer in archive.offers) == [1, 2, 3, 4]


def test_a_stopped_archive_refuses_and_comes_back_on_its_port_with_what_it_had(tmp_path: Path) -> None:
    """Stop is an outage: no listener and no thread; start is the same archive again."""
    before = threading.active_count()
    archive = ScriptedArchive().start()
    _store(archive, samples.ct(16).write(tmp_path)[0])
    association = _associate(archive)

    archive.stop()

    assert not _can_connect(archive.port)
    eventually(lambda: not association.is_established, message="the client to notice")
    association.kill()
    association.join()
    eventually(lambda: threading.active_count() == before, message="the threads to end")
    with archive:
        assert _store(archive, samples.ct(16).write(tmp_path)[0]) == 0
        assert len(archive.kept) == 2


def test_chapters_follow_the_archives_own_clock(tmp_path: Path) -> None:
    """A bad weekend is played on a clock that the test moves."""
    now = [0.0]
    mood = script.by_time((10.0, always(Answer(0xC000))), (20.0, always(Answer(0x0110))))
    with ScriptedArchive(mood, clock=lambda: now[0]) as archive:
        (file,) = samples.ct(16).write(tmp_path)
        statuses = []
        for moment in (5.0, 15.0, 25.0):
            now[0] = moment
            statuses.append(_store(archive, file))

    assert statuses == [0xC000, 0x0110, 0x0000]


def _association_request() -> bytes:
    context = b"\x20\0\0\x37\1\0\0\0\x30\0\0\x19" + _CT.encode() + b"\x40\0\0\x12" + b"1.2.840.10008.1.2\0"
    return units.unit(units.ASSOCIATE_RQ, b"\0\1\0\0" + b"ARCHIVE".ljust(16) + b"RAW".ljust(16) + bytes(32) + context)


def _read_unit(connection: socket.socket) -> bytes:
    head = wire.exactly(connection, 6)
    return wire.exactly(connection, int.from_bytes(head[2:], "big"))


def _can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
