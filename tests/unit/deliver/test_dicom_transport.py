"""The DICOM transport against a scripted archive: what goes over the wire, and what each answer is taken for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.core.identity import AETitle, Uid
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Outcome, Wanted
from appliance.deliver.transports.dicom import DicomPeer, DicomTransport
from appliance.dimse.hops import hops_of
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from appliance.spool.store import Spool
from tests.fakes.script import Answer, Break, End, Mood, Stage, Welcome, always, good, refuse, welcome, with_contexts
from tests.fakes.scripted_archive import ScriptedArchive
from tests.unit.deliver.test_settlement import a_task
from tests.unit.spool.builders import a_header, a_spool

CONTENT = bytes(range(256)) * 2000
CT, EXPLICIT, MR = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.5.1.4.1.1.4")
WANTED = Wanted(AETitle("CT1"), [(CT, EXPLICIT)])


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool with keys."""
    return a_spool(tmp_path)


@pytest.fixture
def archive() -> Iterator[ScriptedArchive]:
    """An archive that keeps everything."""
    with ScriptedArchive(good) as running:
        yield running


def a_stored_task(spool: Spool, header: ObjectHeader | None = None, content: bytes = CONTENT) -> Task:
    """Return the task of an object that is in the spool."""
    admission = spool.admit(header or a_header(sop_instance_uid="1.2.3.4"))
    admission.write(content)
    name = admission.commit()
    task = a_task()
    return replace(task, claim=replace(task.claim, spool_name=str(name), length=len(content)))


def a_transport(archive: ScriptedArchive, spool: Spool) -> DicomTransport:
    """Return the way to the archive, with short waits."""
    peer = DicomPeer("127.0.0.1", archive.port, AETitle("ARCHIVE"), AETitle("EDGE"), 2.0, 2.0, 2.0, 2.0, 1.0)
    return DicomTransport(peer, spool.open)


def send(archive: ScriptedArchive, spool: Spool, task: Task) -> Outcome:
    """Send one task over an association of its own."""
    channel = a_transport(archive, spool).open(WANTED)
    outcome = channel.send(task)
    channel.release()
    return outcome


def test_an_instance_arrives_bit_for_bit(archive: ScriptedArchive, spool: Spool) -> None:
    """The data set at the archive is the one in the spool, sent under the title that was asked for."""
    outcome = send(archive, spool, a_stored_task(spool))

    assert (outcome.verdict.flag, outcome.status) == ("success", 0)
    assert archive.kept == {"1.2.3.4": hashlib.sha256(CONTENT).hexdigest()}
    assert [(offer.calling.strip(), offer.called.strip()) for offer in archive.offers] == [("CT1", "ARCHIVE")]


@pytest.mark.parametrize("passed", [0, 3])
def test_one_more_box_is_counted(archive: ScriptedArchive, spool: Spool, passed: int) -> None:
    """The message's id says how many boxes the object has passed, this one included."""
    task = a_stored_task(spool)

    send(archive, spool, replace(task, claim=replace(task.claim, hops=passed)))

    assert [hops_of(offer.message_id) for offer in archive.offers] == [passed + 1]


@pytest.mark.parametrize(
    ("mood", "flag"),
    [
        (always(Answer(0xB000)), "coerced"),
        (always(Answer(0xA700)), "out_of_resources"),
        (always(Answer(0xC000, comment="bad", offending=(0x00100010,))), "not_understood"),
        (always(Answer(None)), "no_status"),
        (always(Answer(0, message_id=4711)), "response_mismatch"),
        (always(Answer(0, sop_instance_uid="1.2.3.5")), "response_mismatch"),
        (always(Answer(0xFF00)), "pending_answer"),
        (always(Break(End.CLOSE)), "connection_lost"),
        (always(Break(End.RESET, Stage.DATA, 1000)), "connection_lost"),
        (always(Break(End.RELEASE)), "connection_lost"),
        (always(Break(End.ABORT_USER, Stage.DATA, 1000)), "aborted"),
        (always(Break(End.ABORT_PROVIDER)), "aborted_by_provider"),
    ],
)
def test_every_answer_is_taken_for_what_it_is(archive: ScriptedArchive, spool: Spool, mood: Mood, flag: str) -> None:
    """What the archive does with a C-STORE becomes the verdict of its line."""
    archive.mood = mood

    assert send(archive, spool, a_stored_task(spool)).verdict.flag == flag


def test_the_peers_words_come_along(archive: ScriptedArchive, spool: Spool) -> None:
    """Error Comment and Offending Element are kept with the outcome."""
    archive.mood = always(Answer(0xC000, comment="bad value", offending=(0x00100010,)))

    assert send(archive, spool, a_stored_task(spool)).comment == "bad value offending (0010,0010)"


def test_a_damaged_object_never_completes(archive: ScriptedArchive, spool: Spool, tmp_path: Path) -> None:
    """One flipped bit in the last chunk: the archive never has the whole instance, and the verdict says why."""
    task = a_stored_task(spool)
    (path,) = (tmp_path / "spool" / "incoming").iterdir()
    sealed = bytearray(path.read_bytes())
    sealed[-100] ^= 1
    path.write_bytes(sealed)

    outcome = send(archive, spool, task)

    assert (outcome.verdict.flag, outcome.verdict.text) == ("damaged_in_spool", "damaged in the spool")
    assert (archive.kept, archive.receptions) == ({}, {})


def test_what_is_not_in_the_spool_is_said(archive: ScriptedArchive, spool: Spool, tmp_path: Path) -> None:
    """A missing object, a name that is none, another generation's key, a disk that fails: each has its own verdict."""
    gone = a_stored_task(spool)
    next((tmp_path / "spool" / "incoming").iterdir()).unlink()
    nameless = a_task()
    name = SpoolName.parse(gone.claim.spool_name)
    assert name is not None
    foreign = replace(gone, claim=replace(gone.claim, spool_name=str(replace(name, generation=9))))

    flags = [send(archive, spool, task).verdict.flag for task in (gone, nameless, foreign)]

    assert flags == ["missing_in_spool", "missing_in_spool", "sealed_for_another_key"]


def test_refused_contexts_are_judged(archive: ScriptedArchive, spool: Spool) -> None:
    """One context a pair; what is refused is told apart from what was not proposed."""
    archive.greeting = welcome(with_contexts(refuse(3, classes=(MR,))))
    channel = a_transport(archive, spool).open(Wanted(AETitle("CT1"), [(CT, EXPLICIT), (MR, EXPLICIT)]))

    refusal = channel.refusal((MR, EXPLICIT))
    accepted, proposed = channel.refusal((CT, EXPLICIT)), [channel.proposed((uid, EXPLICIT)) for uid in (CT, MR, Uid("1.2.3"))]
    channel.release()

    assert refusal is not None
    assert refusal.flag == "class_rejected"
    assert (accepted, proposed) == (None, [True, True, False])


@pytest.mark.parametrize(
    ("answer", "flag"),
    [
        (Welcome(reject=(1, 1, 3)), "calling_title_rejected"),
        (Welcome(reject=(2, 3, 2)), "local_limit"),
        (Welcome(end=End.CLOSE), "unreachable_associate_closed"),
        (Welcome(end=End.ABORT_USER), "association_aborted"),
        (Welcome(end=End.HANG), "unreachable_associate_timeout"),
    ],
)
def test_not_being_let_in_is_judged(archive: ScriptedArchive, spool: Spool, answer: Welcome, flag: str) -> None:
    """Whatever an association request gets becomes the verdict of its line."""
    archive.greeting = welcome(answer)

    with pytest.raises(AssociationFailedError) as raised:
        a_transport(archive, spool).open(WANTED)

    assert raised.value.verdict.flag == flag


def test_an_archive_that_is_away_is_dead_in_its_own_words(archive: ScriptedArchive, spool: Spool) -> None:
    """Nobody listening: hello, echo and open say the same."""
    archive.stop()
    transport = a_transport(archive, spool)

    flags = []
    for knock in (transport.hello, transport.echo, lambda: transport.open(WANTED)):
        with pytest.raises(AssociationFailedError) as raised:
            knock()
        flags.append(raised.value.verdict.flag)

    assert flags == ["unreachable_connect_refused"] * 3


def test_the_echo_calls_as_the_box(archive: ScriptedArchive, spool: Spool) -> None:
    """C-ECHO calls under the box's title, whatever deliveries call under."""
    transport = a_transport(archive, spool)

    transport.hello()
    transport.echo()

    assert [visit.calling.strip() for visit in archive.visits] == ["EDGE"]


@pytest.mark.parametrize(
    "answer", [Welcome(reject=(1, 1, 3)), Welcome(end=End.ABORT_USER), Welcome(contexts=refuse(3, classes=["1.2.840.10008.1.1"]))]
)
def test_an_echo_that_is_refused_is_an_answer(archive: ScriptedArchive, spool: Spool, answer: Welcome) -> None:
    """Who refuses a C-ECHO in DICOM's words is back; the lanes find out the rest."""
    archive.greeting = welcome(answer)

    a_transport(archive, spool).echo()

    assert len(archive.visits) == 1


def test_an_echo_without_an_answer_is_none(archive: ScriptedArchive, spool: Spool) -> None:
    """Who accepts a C-ECHO and never answers it is not back."""
    archive.greeting = welcome(Welcome(echo=None))

    with pytest.raises(AssociationFailedError):
        a_transport(archive, spool).echo()


def test_an_association_that_ended_is_noticed(archive: ScriptedArchive, spool: Spool) -> None:
    """After the archive went away the channel is not open, and ending it again does no harm."""
    channel = a_transport(archive, spool).open(WANTED)
    before = channel.is_open
    archive.stop()

    after = channel.is_open
    channel.abort()
    channel.release()

    assert (before, after) == (True, False)
