"""The connection doctor against a scripted archive: where it stops, what it says, and what it leaves behind."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from dataclasses import replace

import pydicom
import pydicom.filereader
import pytest

from appliance.config.model import Delivery, DicomDestination
from appliance.core.identity import AETitle, Uid
from appliance.deliver.doctor import USUAL_CONTEXTS, Diagnosis, InUse, Phase, Senses, Step, examine
from appliance.deliver.remedies import Remark
from appliance.deliver.synthetic import TestImage
from appliance.deliver.transport import Context
from tests.fakes.script import Answer, Break, Caller, End, Greeting, Mood, Welcome, always, refuse, welcome, with_contexts
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support.eventually import eventually

BOX, CT1, MR1 = AETitle("EDGE"), AETitle("CT1"), AETitle("MR1")
CT, MR = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.10008.5.1.4.1.1.4")
EXPLICIT, IMPLICIT, J2K = Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2"), Uid("1.2.840.10008.1.2.4.90")
VERIFICATION = "1.2.840.10008.1.1"
QUICK = Delivery(connect=1.0, associate=1.0, progress=1.0)
OWN = Senses(own_address=lambda _host, _port: "10.0.0.9")


@pytest.fixture
def archive() -> Iterator[ScriptedArchive]:
    """An archive that lets everybody in."""
    with ScriptedArchive() as running:
        yield running


def visit(
    port: int,
    *titles: AETitle,
    waiting: tuple[Context, ...] = ((CT, EXPLICIT),),
    proof: str = "commitment",
    host: str = "127.0.0.1",
    senses: Senses = OWN,
) -> Diagnosis:
    """Examine the archive at a port under these titles (the box's own without any)."""
    destination = DicomDestination.model_validate({"name": "archive", "ae_title": "PACS1", "host": host, "port": port, "proof": proof})
    return examine(destination, InUse(titles or (BOX,), waiting), box=BOX, settings=QUICK, senses=senses)


def failed(diagnosis: Diagnosis) -> Step:
    """Return the one phase that failed; those before it went well, those behind it were not reached."""
    broken = next(step for step in diagnosis.steps if not step.ok)
    at = diagnosis.steps.index(broken)
    assert [step.phase for step in diagnosis.steps] == [phase for phase in Phase if phase not in (Phase.TLS, Phase.SEND, Phase.PROOF)]
    assert all(step.ok for step in diagnosis.steps[:at])
    assert [(step.ok, step.detail, step.advice) for step in diagnosis.steps[at + 1 :]] == [(False, "not reached", "")] * (5 - at)
    assert not diagnosis.ok
    return broken


def step_of(diagnosis: Diagnosis, phase: Phase) -> Step:
    """Return the step of a phase."""
    return next(step for step in diagnosis.steps if step.phase is phase)


def only(*known: AETitle) -> Greeting:
    """Let these titles in, and call the others unknown."""
    return lambda caller: Welcome() if AETitle.parse(caller.calling) in known else Welcome(reject=(1, 1, 3))


def test_a_sound_archive_is_found_sound(archive: ScriptedArchive) -> None:
    """All phases go well, in one association, and nothing is stored, held open or advised."""
    diagnosis = visit(archive.port)

    assert diagnosis.ok
    assert diagnosis.ends_refusal
    assert [(step.phase, step.ok, step.detail, step.advice) for step in diagnosis.steps] == [
        (Phase.NAME, True, "127.0.0.1 is an address, no name to look up", ""),
        (Phase.ROUTE, True, "this box calls from 10.0.0.9", ""),
        (Phase.TCP, True, f"127.0.0.1:{archive.port} takes the connection", ""),
        (Phase.ASSOCIATION, True, "the archive PACS1 lets the box in as EDGE", ""),
        (Phase.CONTEXTS, True, "CT Image Storage: taken in Explicit VR Little Endian and Implicit VR Little Endian", ""),
        (Phase.ECHO, True, "C-ECHO answered", ""),
    ]
    assert diagnosis.answers == {(CT, EXPLICIT): 0, (CT, IMPLICIT): 0}
    assert (len(archive.visits), archive.offers) == (1, [])
    eventually(lambda: archive.connections == 0, within=5, message="no association to be left")


def test_each_step_says_how_long_it_took(archive: ScriptedArchive) -> None:
    """Milliseconds, whole ones; phases that were not reached took none."""
    archive.greeting = welcome(Welcome(reject=(1, 1, 1)))
    ticks = iter([0.0, 0.0014, 0.5, 0.502, 1.0, 1.25, 2.0, 4.0])

    diagnosis = visit(archive.port, senses=replace(OWN, monotonic=lambda: next(ticks)))

    assert [step.ms for step in diagnosis.steps] == [1, 2, 250, 2000, 0, 0]


def test_a_name_that_nobody_knows() -> None:
    """It ends at the first phase, with what to try."""

    def unknown(_host: str, _port: int) -> tuple[str, ...]:
        raise socket.gaierror

    step = failed(visit(104, host="pacs.hospital", senses=replace(OWN, resolve=unknown)))

    assert (step.phase, step.detail) == (Phase.NAME, "the name pacs.hospital is not known")
    assert step.advice.startswith("Is it spelled right? Does this box have a DNS server that knows it?")


def test_a_name_that_is_known(archive: ScriptedArchive) -> None:
    """The addresses of a name are shown, so that a wrong entry in the DNS is seen."""
    senses = replace(OWN, resolve=lambda _host, _port: ("127.0.0.1", "::1"))

    assert visit(archive.port, host="localhost", senses=senses).steps[0].detail == "localhost is 127.0.0.1 and ::1"


def test_nobody_listens(archive: ScriptedArchive) -> None:
    """A refused connection is told as one; a site that was not reached is not to be tried at once."""
    archive.stop()

    diagnosis = visit(archive.port)

    assert (failed(diagnosis).phase, failed(diagnosis).detail) == (Phase.TCP, f"nobody listens at 127.0.0.1:{archive.port}")
    assert failed(diagnosis).advice == "Is the archive running? Is the port right?"
    assert not diagnosis.ends_refusal


@pytest.mark.parametrize(
    ("answer", "detail", "advice"),
    [
        (
            Welcome(reject=(1, 1, 3)),
            "the archive does not know this box as EDGE",
            "Enter EDGE with the address 10.0.0.9 in the archive's list of AE titles",
        ),
        (
            Welcome(reject=(1, 1, 7)),
            "the archive does not know itself as PACS1",
            "Compare the destination's ae_title with the archive's own",
        ),
        (Welcome(reject=(2, 3, 2)), "the archive has no association left for this box", "The box may hold them itself"),
        (Welcome(end=End.ABORT_USER), "breaks the association off instead of answering (abort 0/0)", "DICOM service"),
        (Welcome(end=End.CLOSE), "closes the connection instead of answering", "enter EDGE with the address 10.0.0.9"),
        (Welcome(end=End.HANG), "takes the connection and does not answer", "DICOM service"),
    ],
)
def test_an_association_that_does_not_come_about(archive: ScriptedArchive, answer: Welcome, detail: str, advice: str) -> None:
    """Every way not to be let in has its words and its advice, with the titles and addresses that were used."""
    archive.greeting = welcome(answer)

    diagnosis = visit(archive.port)

    assert failed(diagnosis).phase is Phase.ASSOCIATION
    assert detail in failed(diagnosis).detail
    assert advice in failed(diagnosis).advice
    assert not diagnosis.ends_refusal


def test_every_title_in_use_is_tried(archive: ScriptedArchive) -> None:
    """The scanner that the archive does not know is named, and so is the one that it does."""
    archive.greeting = only(BOX, CT1)

    step = failed(visit(archive.port, CT1, MR1))

    assert step.detail == "the archive knows this box as CT1, but not as MR1"
    assert step.advice == (
        "Enter MR1 with the address 10.0.0.9 in the archive's list of AE titles; capitals count for some archives. "
        'Or set calling_ae = "box", so that one title is enough.'
    )
    eventually(lambda: archive.connections == 0, within=5, message="no association to be left")


def test_the_echo_is_sent_as_the_box(archive: ScriptedArchive) -> None:
    """Deliveries call as the scanners; C-ECHO, like commitment and query, calls as the box (house.md section 8)."""
    diagnosis = visit(archive.port, CT1, MR1)

    assert diagnosis.ok
    assert [one.calling.strip() for one in archive.visits] == ["CT1", "MR1", "EDGE"]
    assert archive.visits[-1].abstract_syntaxes == (VERIFICATION,)


@pytest.mark.parametrize(("proof", "ok"), [("commitment", False), ("query", False), ("delivered", True)])
def test_a_box_that_only_its_scanners_vouch_for(archive: ScriptedArchive, proof: str, ok: bool) -> None:  # noqa: FBT001
    """Where the archive does not know the box's own title, images go and proof does not come."""
    archive.greeting = only(CT1)

    diagnosis = visit(archive.port, CT1, proof=proof)

    echo = step_of(diagnosis, Phase.ECHO)
    assert (diagnosis.ok, diagnosis.ends_refusal) == (ok, True)
    assert echo.detail == "images can be sent, but the archive does not know this box as EDGE"
    assert "Enter EDGE with the address 10.0.0.9" in echo.advice


def test_what_waits_and_is_not_taken(archive: ScriptedArchive) -> None:
    """A class and a syntax that the archive refuses are named with the result and what to allow; the site itself is not refusing."""
    # One syntax a context: what is accepted is the one that was offered.
    archive.greeting = welcome(
        Welcome(contexts=lambda uid, offered: (3, offered[0]) if uid == MR else (4 if offered[0] == J2K else 0, offered[0]))
    )

    diagnosis = visit(archive.port, waiting=((CT, J2K), (MR, EXPLICIT)))

    step = failed(diagnosis)
    assert step.phase is Phase.CONTEXTS
    assert step.detail == (
        "CT Image Storage: taken in Explicit VR Little Endian and Implicit VR Little Endian, "
        "refused (transfer syntax not supported) in JPEG 2000 Image Compression (Lossless Only); "
        "MR Image Storage: refused (SOP class not supported)"
    )
    assert step.advice == (
        "Instances wait that the archive does not take. Allow in the archive's settings: "
        "MR Image Storage; JPEG 2000 Image Compression (Lossless Only) for CT Image Storage."
    )
    assert diagnosis.ends_refusal
    assert diagnosis.answers[CT, J2K] == 4


def test_what_can_be_converted_is_as_good_as_taken(archive: ScriptedArchive) -> None:
    """An archive that takes implicit little endian only takes what waits in explicit too."""
    archive.greeting = welcome(with_contexts(refuse(4, syntaxes=(EXPLICIT,))))

    assert visit(archive.port).ok


def test_where_nothing_waits_the_usual_classes_are_asked_for(archive: ScriptedArchive) -> None:
    """CT, MR, CR, US and secondary capture; one that is taken is enough."""
    archive.greeting = welcome(with_contexts(refuse(3, classes=[uid for uid, _ in USUAL_CONTEXTS if uid != CT])))

    diagnosis = visit(archive.port, waiting=())

    assert diagnosis.ok
    assert diagnosis.answers.keys() == set(USUAL_CONTEXTS)
    assert "Ultrasound Image Storage: refused (SOP class not supported)" in step_of(diagnosis, Phase.CONTEXTS).detail


def test_an_archive_that_takes_nothing(archive: ScriptedArchive) -> None:
    """A peer that lets the box in for C-ECHO alone is no archive for it yet."""
    archive.greeting = welcome(with_contexts(refuse(3, classes=[uid for uid, _ in USUAL_CONTEXTS])))

    step = failed(visit(archive.port, waiting=()))

    assert step.detail.startswith("the archive takes nothing of what was asked for: CT Image Storage: refused")


@pytest.mark.parametrize(
    ("answer", "ok", "detail"),
    [
        (Welcome(echo=0x0110), False, "C-ECHO is answered with 0110 instead of success"),
        (Welcome(echo=None), False, "C-ECHO was not answered: the peer does not answer"),
        (with_contexts(refuse(3, classes=(VERIFICATION,))), True, "the archive does not take C-ECHO from this box"),
    ],
)
def test_the_answer_to_the_echo(archive: ScriptedArchive, answer: Welcome, ok: bool, detail: str) -> None:  # noqa: FBT001
    """A failure, silence, and an archive that does not offer C-ECHO, which keeps no image from being sent."""
    archive.greeting = welcome(answer)

    diagnosis = visit(archive.port)

    assert step_of(diagnosis, Phase.ECHO).detail.startswith(detail)
    assert diagnosis.ok is ok
    eventually(lambda: archive.connections == 0, within=5, message="no association to be left")


def test_what_one_title_is_refused_is_refused(archive: ScriptedArchive) -> None:
    """An archive that takes a class from one scanner only does not take it."""

    def greeting(caller: Caller) -> Welcome:
        return with_contexts(refuse(3, classes=(CT,))) if caller.calling.strip() == "MR1" else Welcome()

    archive.greeting = greeting

    assert failed(visit(archive.port, CT1, MR1)).phase is Phase.CONTEXTS


def test_what_is_asked_for_fits_into_one_association() -> None:
    """What waits comes first, its uncompressed forms follow, then what was asked before; a place is left for C-ECHO."""
    known = tuple((Uid(f"1.2.{number}"), EXPLICIT) for number in range(300))

    contexts = InUse((BOX,), ((CT, J2K),), known).contexts

    assert contexts[:4] == ((CT, J2K), (CT, EXPLICIT), (CT, IMPLICIT), known[0])
    assert len(contexts) == 127


def test_more_titles_than_anybody_waits_for(archive: ScriptedArchive) -> None:
    """A destination that hears very many titles is examined under the first eight."""
    visit(archive.port, *(AETitle(f"CT{number}") for number in range(20)))

    assert [one.calling.strip() for one in archive.visits] == [*(f"CT{number}" for number in range(8)), "EDGE"]


def test_the_real_senses_know_this_machine() -> None:
    """A name is looked up by the system, and the address from which this machine calls itself is its own."""
    assert "127.0.0.1" in Senses().resolve("localhost", 104)
    assert Senses().own_address("127.0.0.1", 104) == "127.0.0.1"
    assert Senses().own_address("nowhere.invalid", 104) == ""


def test_no_way_to_the_archive(archive: ScriptedArchive) -> None:
    """A box without a route says so before it calls."""
    step = failed(visit(archive.port, senses=replace(OWN, own_address=lambda _host, _port: "")))

    assert (step.phase, step.detail) == (Phase.ROUTE, "this box knows no way to 127.0.0.1")
    assert "gateway" in step.advice


def sent(port: int) -> Step:
    """Examine an archive with a test image, and return the step about it."""
    destination = DicomDestination.model_validate({"name": "archive", "ae_title": "PACS1", "host": "127.0.0.1", "port": port})
    diagnosis = examine(destination, InUse((CT1,), ((CT, EXPLICIT),)), box=BOX, settings=QUICK, senses=OWN, sends=True)
    return step_of(diagnosis, Phase.SEND)


def test_a_test_image_is_sent_as_deliveries_are(archive: ScriptedArchive) -> None:
    """Where it is asked for, one secondary capture is stored under the title in use; the words say where to look it up."""
    step = sent(archive.port)

    assert step.ok
    assert step.detail == (
        "the archive took the test image from CT1: look it up under patient TEST^DICOM EDGE, ID DICOM-EDGE-TEST, "
        'study "DICOM Edge connection test"'
    )
    assert [(offer.calling.strip(), offer.sop_class_uid) for offer in archive.offers] == [("CT1", "1.2.840.10008.5.1.4.1.1.7")]
    assert len(archive.kept) == 1
    eventually(lambda: archive.connections == 0, within=5, message="no association to be left")


@pytest.mark.parametrize(
    ("mood", "detail"),
    [
        (always(Answer(0xA700)), "(A700)"),
        (always(Answer(0xC000)), "(C000)"),
        (always(Answer(None)), "without a status"),
        (always(Break(End.CLOSE)), "the test image was not answered"),
    ],
)
def test_a_test_image_that_is_not_taken(archive: ScriptedArchive, mood: Mood, detail: str) -> None:
    """What the archive answers is shown in the words that deliveries would get."""
    archive.mood = mood

    step = sent(archive.port)

    assert (step.ok, detail in step.detail) == (False, True)
    eventually(lambda: archive.connections == 0, within=5, message="no association to be left")


def test_an_archive_without_secondary_capture(archive: ScriptedArchive) -> None:
    """An archive for CT alone cannot be tested this far, and is told so."""
    archive.greeting = welcome(with_contexts(refuse(3, classes=["1.2.840.10008.5.1.4.1.1.7"])))

    step = sent(archive.port)

    assert step.detail == "the archive takes no secondary capture images from CT1, and the test image is one"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_the_test_image_is_a_dicom_image(syntax: Uid) -> None:
    """Another reader finds the IOD's attributes, a picture, and no patient but the reserved one; two images are two instances."""
    images = [TestImage(syntax, 1_709_208_000.0) for _ in range(2)]

    data = images[0].read(1 << 20)
    ds = pydicom.filereader.read_dataset(io.BytesIO(data), is_implicit_VR=syntax == IMPLICIT, is_little_endian=True)

    assert (len(data), images[0].read(1)) == (images[0].length, b"")
    assert (ds.PatientID, ds.PatientName, ds.Modality, ds.ConversionType) == ("DICOM-EDGE-TEST", "TEST^DICOM EDGE", "OT", "SYN")
    assert (ds.Rows, ds.Columns, len(ds.PixelData)) == (64, 64, 4096)
    assert images[0].sop_instance_uid != images[1].sop_instance_uid


@pytest.mark.parametrize("mood", [None, always(Answer(0xA700))])
def test_proof_is_asked_for_what_was_taken(archive: ScriptedArchive, mood: Mood | None) -> None:
    """The image that the archive took is the one whose proof is looked for; where it took none, nothing is asked."""
    if mood is not None:
        archive.mood = mood
    asked: list[str] = []

    def proves(image: TestImage) -> tuple[bool, Remark]:
        asked.append(image.sop_instance_uid)
        return False, Remark("it is lost", "look for it")

    destination = DicomDestination.model_validate({"name": "archive", "ae_title": "PACS1", "host": "127.0.0.1", "port": archive.port})
    diagnosis = examine(destination, InUse((CT1,)), box=BOX, settings=QUICK, senses=OWN, sends=True, proves=proves)
    unsent = examine(destination, InUse((CT1,)), box=BOX, settings=QUICK, senses=OWN, proves=proves)

    step = step_of(diagnosis, Phase.PROOF)
    assert (step.ok, step.detail) == (False, "not reached" if mood else "it is lost")
    assert asked == ([] if mood else [archive.offers[0].sop_instance_uid])
    assert unsent.steps[-1].phase is Phase.ECHO
