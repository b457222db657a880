"""Objects that a destination takes in another uncompressed form only: converted while they are sent, over real associations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.core.identity import AETitle, Uid
from appliance.deliver.task import Task
from appliance.deliver.transport import Context, Outcome, Wanted
from appliance.deliver.transports.dicom import DicomChannel, DicomPeer, DicomTransport
from appliance.dimse.conversion import ConvertedSource
from appliance.ledger.instances import InstanceState
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.fakes.script import Action, Answer, ContextChoice, Offer, refuse, welcome, with_contexts
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support.eventually import eventually
from tests.unit.deliver.bench import Books, Engine, a_destination, a_site
from tests.unit.deliver.test_settlement import a_task
from tests.unit.dimse.building import BIG_ENDIAN, EXPLICIT, IMPLICIT, data_set, element
from tests.unit.spool.builders import a_header, a_spool

CT, MR = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.5.1.4.1.1.4")
J2K = Uid("1.2.840.10008.1.2.4.90")
UID = "1.2.3.4"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool with keys."""
    return a_spool(tmp_path)


@pytest.fixture
def archive() -> Iterator[ScriptedArchive]:
    """An archive that keeps everything in every form, until it is told otherwise."""
    with ScriptedArchive() as running:
        yield running


def taking(*syntaxes: Uid) -> ContextChoice:
    """Take nothing but these transfer syntaxes, and say so with result 4."""
    return lambda _abstract_syntax, offered: (0, offered[0]) if offered[0] in syntaxes else (4, offered[0])


def content(syntax: Uid, uid: str = UID) -> bytes:
    """Return a data set of more than one unit on the wire, with an element that only its vendor knows."""
    pixels = element(0x7FE00010, bytes(range(256)) * 1000, vr="OW", syntax=syntax)
    private = element(0x00091001, bytes(range(10)), vr="UN", syntax=syntax)
    return data_set(sop_instance=uid, syntax=syntax, tail=private + pixels)


def store(spool: Spool, syntax: Uid, data: bytes, uid: str = UID) -> SpoolName:
    """Seal a data set into the spool."""
    admission = spool.admit(replace(a_header(sop_instance_uid=uid), transfer_syntax_uid=syntax))
    admission.write(data)
    return admission.commit()


def a_stored_task(spool: Spool, syntax: Uid, data: bytes | None = None) -> Task:
    """Return the task of an object of this transfer syntax that is in the spool."""
    data = content(syntax) if data is None else data
    task = a_task()
    name = store(spool, syntax, data)
    return replace(task, claim=replace(task.claim, spool_name=str(name), length=len(data), transfer_syntax_uid=syntax))


def open_channel(archive: ScriptedArchive, spool: Spool, *contexts: Context) -> DicomChannel:
    """Return an association with the archive."""
    peer = DicomPeer("127.0.0.1", archive.port, AETitle("ARCHIVE"), AETitle("EDGE"), 2.0, 2.0, 2.0, 60.0, 1.0)
    return DicomTransport(peer, spool.open).open(Wanted(AETitle("CT1"), contexts))


def send(archive: ScriptedArchive, spool: Spool, task: Task) -> Outcome:
    """Send one task over an association of its own."""
    channel = open_channel(archive, spool, task.context)
    outcome = channel.send(task)
    channel.release()
    return outcome


def converted(data: bytes, from_syntax: Uid, to_syntax: Uid) -> bytes:
    """Return a data set in another transfer syntax."""
    parts = [memoryview(data)]
    source = ConvertedSource(lambda _size: bytes(parts.pop()) if parts else b"", from_syntax=from_syntax, to_syntax=to_syntax)
    return source.read(len(data) * 2)


@pytest.mark.parametrize(
    ("has", "takes", "goes_as"),
    [
        (EXPLICIT, [EXPLICIT, IMPLICIT], EXPLICIT),
        (IMPLICIT, [EXPLICIT, IMPLICIT], IMPLICIT),
        (BIG_ENDIAN, [BIG_ENDIAN, EXPLICIT, IMPLICIT], BIG_ENDIAN),
        (EXPLICIT, [IMPLICIT], IMPLICIT),
        (IMPLICIT, [EXPLICIT], EXPLICIT),
        (BIG_ENDIAN, [EXPLICIT, IMPLICIT], EXPLICIT),
        (BIG_ENDIAN, [IMPLICIT], IMPLICIT),
    ],
)
def test_an_object_goes_as_it_is_or_converted(archive: ScriptedArchive, spool: Spool, has: Uid, takes: Sequence[Uid], goes_as: Uid) -> None:
    """Where the peer takes the form that was received it gets that, bit for bit; else the one that keeps most of it."""
    archive.greeting = welcome(with_contexts(taking(*takes)))
    task = a_stored_task(spool, has)

    outcome = send(archive, spool, task)

    expected = content(has) if goes_as == has else converted(content(has), has, goes_as)
    assert outcome.verdict.flag == "success"
    assert [offer.transfer_syntax_uid for offer in archive.offers] == [goes_as]
    assert archive.kept == {UID: hashlib.sha256(expected).hexdigest()}


def test_the_sealed_original_stays_as_it_was(archive: ScriptedArchive, spool: Spool, tmp_path: Path) -> None:
    """Sending an object converted changes not one byte in the spool."""
    archive.greeting = welcome(with_contexts(taking(IMPLICIT)))
    task = a_stored_task(spool, EXPLICIT)
    (path,) = (tmp_path / "spool" / "incoming").iterdir()
    before = path.read_bytes()

    send(archive, spool, task)

    assert path.read_bytes() == before


def test_what_is_asked_for_and_answered(archive: ScriptedArchive, spool: Spool) -> None:
    """What waits is asked for first, then what it can be converted into; every answer is passed on as the peer gave it."""
    archive.greeting = welcome(with_contexts(taking(IMPLICIT, J2K)))

    channel = open_channel(archive, spool, (CT, EXPLICIT), (MR, J2K), (MR, BIG_ENDIAN))
    answers = channel.answers
    channel.release()

    assert answers == {
        (CT, EXPLICIT): 4,
        (MR, J2K): 0,
        (MR, BIG_ENDIAN): 4,
        (CT, IMPLICIT): 0,
        (MR, EXPLICIT): 4,
        (MR, IMPLICIT): 0,
    }


def test_a_compressed_object_is_not_converted(archive: ScriptedArchive, spool: Spool) -> None:
    """For what is compressed nothing else is asked for, and the refusal names it alone."""
    archive.greeting = welcome(with_contexts(taking(EXPLICIT, IMPLICIT)))

    channel = open_channel(archive, spool, (CT, J2K))
    refusal, answers = channel.refusal((CT, J2K)), channel.answers
    channel.release()

    assert refusal is not None
    assert refusal.text == f"the destination does not take SOP class {CT} in transfer syntax {J2K}"
    assert answers == {(CT, J2K): 4}


def test_a_refusal_names_every_form(archive: ScriptedArchive, spool: Spool) -> None:
    """Where no form is taken the delivery is held (configuration), and the reason names the class and each transfer syntax."""
    archive.greeting = welcome(with_contexts(taking(J2K)))

    channel = open_channel(archive, spool, (CT, BIG_ENDIAN))
    refusal = channel.refusal((CT, BIG_ENDIAN))
    channel.release()

    assert refusal is not None
    assert (refusal.flag, refusal.hold, refusal.holds_after(1)) == ("syntax_rejected", HoldClass.CONFIGURATION, True)
    expected = f"does not take SOP class {CT} in transfer syntax {BIG_ENDIAN}, nor converted into {EXPLICIT} or {IMPLICIT}"
    assert refusal.text == f"the destination {expected}"


@pytest.mark.parametrize(
    ("own", "of_conversion", "flag", "tries"),
    [
        (3, 3, "class_rejected", 1),
        (4, 3, "syntax_rejected", 1),
        (1, 4, "context_rejected", 3),
        (4, 1, "context_rejected", 3),
        (4, None, "context_rejected", 3),
    ],
)
def test_a_refusal_that_may_pass_is_asked_for_again(
    archive: ScriptedArchive, spool: Spool, own: int, of_conversion: int | None, flag: str, tries: int
) -> None:
    """What may pass in any of the forms is tried three times; what is said for good of all of them is held at once."""
    results = {EXPLICIT: own, IMPLICIT: of_conversion}

    def choose(_abstract_syntax: str, offered: Sequence[str]) -> tuple[int, str] | None:
        result = results[Uid(offered[0])]
        return None if result is None else (result, offered[0])

    archive.greeting = welcome(with_contexts(choose))
    channel = open_channel(archive, spool, (CT, EXPLICIT))
    refusal = channel.refusal((CT, EXPLICIT))
    channel.release()

    assert refusal is not None
    assert (refusal.flag, refusal.tries_before_hold, refusal.hold) == (flag, tries, HoldClass.CONFIGURATION)


def test_a_form_that_is_refused_in_an_answer_is_changed(archive: ScriptedArchive, spool: Spool) -> None:
    """A peer that accepts a context and answers C122 (syntax not supported) gets the other form, from then on at once."""

    def mood(offer: Offer) -> Action:
        return Answer(0xC122 if offer.transfer_syntax_uid == EXPLICIT else 0)

    archive.mood = mood
    first, second = a_stored_task(spool, EXPLICIT), a_stored_task(spool, EXPLICIT)

    channel = open_channel(archive, spool, first.context)
    flags = [channel.send(task).verdict.flag for task in (first, second)]
    channel.release()

    assert flags == ["success", "success"]
    assert [offer.transfer_syntax_uid for offer in archive.offers] == [EXPLICIT, IMPLICIT, IMPLICIT]


def test_what_no_form_helps_is_said(archive: ScriptedArchive, spool: Spool) -> None:
    """A peer that answers C122 to every form gets each once, and the delivery is held for its configuration."""
    archive.mood = lambda _offer: Answer(0xC122)

    outcome = send(archive, spool, a_stored_task(spool, EXPLICIT))

    assert (outcome.verdict.flag, outcome.verdict.hold) == ("syntax_not_supported", HoldClass.CONFIGURATION)
    assert [offer.transfer_syntax_uid for offer in archive.offers] == [EXPLICIT, IMPLICIT]


def test_what_is_needed_now_has_room_for_every_form(archive: ScriptedArchive, spool: Spool) -> None:
    """Of more than 128 contexts the ones of what is sent next are all asked for; what then lacks a form wants a new association."""
    archive.greeting = welcome(with_contexts(refuse(4, syntaxes=(EXPLICIT,))))
    classes = [Uid(f"1.2.826.0.9.{number}") for number in range(130)]

    channel = open_channel(archive, spool, *[(sop_class, EXPLICIT) for sop_class in classes])
    proposed = [channel.proposed((sop_class, EXPLICIT)) for sop_class in classes]
    asked, refusal = len(channel.answers), channel.refusal((classes[0], EXPLICIT))
    channel.release()

    assert asked == 128
    assert proposed == [True] + [False] * 129
    assert refusal is None


def test_an_object_that_cannot_be_converted_is_never_completed(archive: ScriptedArchive, spool: Spool) -> None:
    """A data set that is not what it says ends the association before its end, and the verdict says where it breaks."""
    archive.greeting = welcome(with_contexts(taking(IMPLICIT)))
    task = a_stored_task(spool, EXPLICIT, content(EXPLICIT) + element(0x7FE10010, b"LO", vr="LO", length=4000))

    channel = open_channel(archive, spool, task.context)
    outcome = channel.send(task)

    assert (outcome.verdict.flag, outcome.verdict.hold) == ("not_convertible", HoldClass.VERDICT)
    assert outcome.verdict.text.endswith("element (7fe1,0010) cannot be converted: the data set ends too early")
    assert not channel.is_open
    eventually(lambda: archive.visits[0].ended != "")
    assert (archive.kept, archive.receptions) == ({}, {})


def test_a_damaged_object_is_damaged_converted_or_not(archive: ScriptedArchive, spool: Spool, tmp_path: Path) -> None:
    """A flipped bit in the spool is told apart from a data set that was wrong when it came."""
    archive.greeting = welcome(with_contexts(taking(IMPLICIT)))
    task = a_stored_task(spool, EXPLICIT)
    (path,) = (tmp_path / "spool" / "incoming").iterdir()
    sealed = bytearray(path.read_bytes())
    sealed[-100] ^= 1
    path.write_bytes(sealed)

    outcome = send(archive, spool, task)

    assert outcome.verdict.flag == "damaged_in_spool"
    assert archive.receptions == {}


def test_one_that_cannot_be_converted_does_not_stop_the_others(archive: ScriptedArchive, spool: Spool, tmp_path: Path) -> None:
    """The instance is held with the reason and kept as sound, the destination stays alive, and what comes after it is delivered."""
    archive.greeting = welcome(with_contexts(taking(IMPLICIT)))
    books = Books(tmp_path)
    good, bad = content(EXPLICIT), content(EXPLICIT)[:-50]
    uids = [uid for data in (bad, good, bad, good) for uid in books.owe(name=store(spool, EXPLICIT, data))]
    destination = a_destination().model_copy(update={"host": "127.0.0.1", "port": archive.port})

    with Engine(books, a_site(destination), spool=spool):
        eventually(lambda: books.count(DeliveryState.DELIVERED) == 2 and books.count(DeliveryState.HELD) == 2)

    rows = [books.row(uid) for uid in uids]
    states, sealed_states = [row.state for row in rows], [books.instance_state(uid) for uid in uids]
    condition = books.destination()
    books.ledger.close()
    assert states == [DeliveryState.HELD, DeliveryState.DELIVERED] * 2
    assert {row.hold_class for row in rows[::2]} == {HoldClass.VERDICT}
    assert "cannot be converted" in rows[0].reason
    assert set(sealed_states) == {InstanceState.STORED}
    assert condition is not None
    assert condition.state == "alive"
    assert '"1.2.840.10008.1.2.1"' in condition.learned
