"""Home: one honest sentence, and what stands below it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.accounts.roles import Role
from appliance.config.model import Retention
from appliance.core.errors import ApplianceError
from appliance.manage.control import LedgerRebuildingError
from appliance.runtime.asking import NotRunningError, RequestRefusedError, RequestTimeoutError
from appliance.runtime.page_requests import ActivityReply, SourceActivity, StudyLine, StudySearchReply, TodayReply
from appliance.runtime.requests import DestinationReply, FindingReply, SpoolSpace, StatusReply, StudiesReply, StudyRow
from tests.support.pages import Said, pages_of
from tests.support.site import a_site, a_source, an_archive
from webui.known import Known
from webui.sentences import Level, Sentence, sentences

NOW = 1_700_000_000.0
ALL = frozenset({"receiver", "router", "sender"})
GIB = 1 << 30
CANARY = "<script>alert(1)</script>"


def ago(seconds: float) -> str:
    """Return a moment before now as daemons write it."""
    return datetime.fromtimestamp(NOW - seconds, UTC).isoformat(timespec="seconds")


def a_destination(name: str = "archive", state: str = "alive", queued: int = 0, **others: object) -> DestinationReply:
    """Return a destination."""
    return replace(DestinationReply(name, state, queued, None, None, 0, 1, "", "PACS1@10.1.0.5:104", 0), **others)  # type: ignore[arg-type]


def a_status(*destinations: DestinationReply, free: int = 1000 * GIB, **others: object) -> StatusReply:
    """Return a box with these destinations, or one archive that has everything."""
    said = StatusReply("1", True, "test-box", 3, {}, {}, None, SpoolSpace(0, free, 2000 * GIB), destinations or (a_destination(),), ())
    return replace(said, **others)  # type: ignore[arg-type]


def known(status: StatusReply | None = None, today: TodayReply | None = None, **others: object) -> Known:
    """Return what the box answered; without `status` that all is well, and nothing of today."""
    return replace(Known(ALL, status or a_status(), today, Retention(), NOW), **others)  # type: ignore[arg-type]


def a_day(received: int = 1204, settled: int | None = None, bytes_a_day: float = 0.0) -> TodayReply:
    """Return what came today."""
    return TodayReply(received, received if settled is None else settled, 12, 1, bytes_a_day)


SILENT = replace(known(), status=None)
CUT_OFF = a_destination(state="dead", queued=318, since=ago(7200), oldest_s=7000.0)
BRINGS = 100.0 * GIB

CASES: dict[str, tuple[Known, str, Level, str]] = {
    "all well": (known(today=a_day()), "OK", Level.GOOD, "All 1,204 images of today are at archive."),
    "all well, one": (known(today=a_day(1)), "OK", Level.GOOD, "The 1 image of today is at archive."),
    "several destinations": (
        known(a_status(a_destination("a"), a_destination("b")), a_day(7)),
        "OK",
        Level.GOOD,
        "All 7 images of today are where they belong.",
    ),
    "some given up": (
        known(a_status(deliveries={"cancelled": 1}), a_day(7)),
        "OK",
        Level.GOOD,
        "7 images came today, and nothing waits.",
    ),
    "some kept": (known(today=a_day(7), keeps_some=True), "OK", Level.GOOD, "7 images came today, and nothing waits."),
    "some not settled": (
        known(today=a_day(7, 5)),
        "OK",
        Level.GOOD,
        "7 images came today, and 5 of them are where they belong so far.",
    ),
    "nothing yet": (known(today=a_day(0)), "OK", Level.GOOD, "Nothing has come yet today, and nothing waits."),
    "today not known": (known(), "OK", Level.GOOD, "Nothing waits here. How much came today is not known at the moment."),
    "on their way": (known(a_status(a_destination(queued=3, oldest_s=4.0))), "OK", Level.GOOD, "3 images are on their way."),
    "one on its way": (known(a_status(instances={"incoming": 1})), "OK", Level.GOOD, "1 image is on its way."),
    "on their way for long": (
        known(a_status(a_destination(queued=3, oldest_s=7200.0))),
        "SLOW",
        Level.WARN,
        "3 images are on their way, the first of them for 2 h already.",
    ),
    "unreachable": (
        known(a_status(CUT_OFF), a_day(bytes_a_day=BRINGS)),
        "UNREACHABLE",
        Level.BAD,
        "archive has been out of reach for 2 h. 318 images wait for it, safe here. There is space for 9 days.",
    ),
    "unreachable, since nobody knows when": (
        known(a_status(replace(CUT_OFF, since=None))),
        "UNREACHABLE",
        Level.BAD,
        "Out of reach: archive. 318 images wait, safe here.",
    ),
    "two unreachable": (
        known(a_status(CUT_OFF, replace(CUT_OFF, name="ws", queued=1))),
        "UNREACHABLE",
        Level.BAD,
        "Out of reach: archive, ws. 319 images wait, safe here.",
    ),
    "unreachable, and nothing waits": (
        known(a_status(a_destination(state="dead"))),
        "UNREACHABLE",
        Level.WARN,
        "Out of reach: archive. Nothing waits because of that.",
    ),
    "refusing": (
        known(a_status(replace(CUT_OFF, state="refusing", queued=1))),
        "REFUSED",
        Level.BAD,
        "archive has refused this box for 2 h. 1 image waits for it, safe here.",
    ),
    "held": (
        known(a_status(a_destination(held=12), deliveries={"held": 12})),
        "HELD",
        Level.WARN,
        "12 images for archive are held: somebody must decide what becomes of them.",
    ),
    "held for a destination that was removed": (
        known(a_status(deliveries={"held": 1})),
        "HELD",
        Level.WARN,
        "1 image is held: somebody must decide what becomes of it.",
    ),
    "paused": (
        known(a_status(a_destination(state="paused", queued=2))),
        "PAUSED",
        Level.WARN,
        "archive is paused by somebody; 2 images wait for it.",
    ),
    "slowed": (
        known(a_status(a_destination(state="throttled", queued=2))),
        "SLOWED",
        Level.WARN,
        "archive asked this box to send more slowly; 2 images are on their way to it.",
    ),
    "damaged": (known(a_status(instances={"quarantined": 1})), "DAMAGED", Level.WARN, "1 damaged image is set aside."),
    "unrouted": (
        known(a_status(instances={"unrouted": 2})),
        "NO-ROUTE",
        Level.WARN,
        "2 images stay here: no route says where they go.",
    ),
    "disk full by the share": (
        known(a_status(free=99 * GIB)),
        "DISK-FULL",
        Level.BAD,
        "The disk is full: this box takes no more images until there is room.",
    ),
    "disk full by the reserve": (
        known(a_status(spool=SpoolSpace(0, 4 * GIB, 10 * GIB))),
        "DISK-FULL",
        Level.BAD,
        "The disk is full: this box takes no more images until there is room.",
    ),
    "little space": (
        known(a_status(free=250 * GIB), a_day(bytes_a_day=BRINGS)),
        "LITTLE-SPACE",
        Level.WARN,
        "There is space for 1 day.",
    ),
    "no answer": (
        SILENT,
        "NO-ANSWER",
        Level.WARN,
        "A part of the box does not answer, so it is not known how many images wait. Images are still received.",
    ),
    "rebuilding": (
        replace(SILENT, is_rebuilding=True, ready=frozenset({"receiver"})),
        "REBUILDING",
        Level.WARN,
        "The box rebuilds its index, which takes a while. How many images wait is known when that is done. Images are still received.",
    ),
    "no reception": (
        replace(SILENT, ready=frozenset()),
        "NO-RECEPTION",
        Level.BAD,
        "This box receives no images at the moment. It starts the part that does again by itself; if not, call support.",
    ),
    "no sender": (
        known(ready=ALL - {"sender"}),
        "NO-SENDER",
        Level.BAD,
        "The part of the box that sends images is not at work; images are received and kept until it is.",
    ),
}


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Known], list[Sentence]]:
    """Return `sentences`, said in English."""
    app = pages_of(tmp_path_factory.mktemp("box")).app

    def say(what: Known) -> list[Sentence]:
        with app.test_request_context("/", base_url="https://localhost"):
            return sentences(what)

    return say


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_sentence(case: str, speaking: Callable[[Known], list[Sentence]]) -> None:
    """In each case Home says exactly what is known, with its code, in good English."""
    what, code, level, text = CASES[case]

    assert Sentence(code, level, text) == speaking(what)[0]


def test_the_worst_comes_first_and_nothing_is_left_out(speaking: Callable[[Known], list[Sentence]]) -> None:
    """A full disk is said before an archive that is away, and that before what is held; all of them are said."""
    status = a_status(CUT_OFF, a_destination("ws", queued=4, held=2), free=0, deliveries={"held": 2}, instances={"quarantined": 1})

    assert ["DISK-FULL", "UNREACHABLE", "HELD", "DAMAGED", "OK"] == [one.code for one in speaking(known(status))]


def test_without_an_answer_reception_is_not_promised(speaking: Callable[[Known], list[Sentence]]) -> None:
    """Where no receiver is at work, nothing says that images are received."""
    said = speaking(replace(SILENT, ready=frozenset()))

    assert not [one for one in said if "still received" in one.text]


def home(tmp_path: Path, *, role: Role = Role.TECHNICIAN, **answers: object) -> str:
    """Return Home of a box with one scanner and one archive that answers so."""
    line = StudyLine("1.2.3", f"{CANARY}^An", "4711", "", "", "", "", "CT", ago(60), 40, {}, None)
    told = {
        "ready": ALL,
        "status": a_status(),
        "today": a_day(),
        "activity": ActivityReply((SourceActivity("CT1", "127.0.0.1", ago(60), 40, 3, None),)),
        "search_studies": StudySearchReply((line,)),
        "studies": StudiesReply((StudyRow("1.2.3", "A-4711", "CT", ago(60), 40, 40, 0, {}),)),
    }
    site = a_site(sources=[a_source("CT1")], destinations=[an_archive(104)])
    return pages_of(tmp_path, role=role, site=site, control=Said(**(told | answers))).get("/")


def test_home_shows_everything_at_once(tmp_path: Path) -> None:
    """Sentence, destinations, scanners, last studies and the line for the telephone are on one page; names are escaped."""
    page = home(tmp_path)

    for text in ("All 1,204 images of today are at archive.", "reachable", "CT1", "&lt;script&gt;", "test-box · ", " · OK"):
        assert text in page
    assert CANARY not in page


def test_who_may_not_see_patients_sees_none(tmp_path: Path) -> None:
    """An engineer of a vendor sees that a study came, and neither its patient nor its number."""
    page = home(tmp_path, role=Role.VENDOR, search_studies=AssertionError("patients were asked for"))

    assert "An" not in page.partition('id="home-studies"')[2].partition("</section>")[0].replace("Images", "")
    assert "4711" not in page
    assert "CT" in page


@pytest.mark.parametrize("problem", [NotRunningError("no"), RequestTimeoutError("no"), LedgerRebuildingError("no")])
def test_home_is_there_when_nobody_answers(problem: ApplianceError, tmp_path: Path) -> None:
    """When a part of the box does not answer, Home still shows what is known, and waits for one answer, not for five."""
    told = Said(ready=ALL, status=problem, today=a_day(), activity=ActivityReply(()))
    page = pages_of(tmp_path, control=told, site=a_site(sources=[a_source("CT1")])).get("/")

    assert "Images are still received." in page
    assert "CT1" in page
    assert ["ready", "status"] == [name for name, _, _ in told.asked]


def test_one_refused_question_leaves_the_others(tmp_path: Path) -> None:
    """A daemon that cannot answer one question is asked the others all the same."""
    page = home(tmp_path, today=RequestRefusedError("no such question"))

    assert "How much came today is not known at the moment." in page
    assert "reachable" in page


def test_the_worst_finding_is_what_is_read_out(tmp_path: Path) -> None:
    """Where the box has findings, the code of the worst is in the line for the telephone, and each has its advice."""
    findings = (
        FindingReply("clock-off", "warning", "The clock is off.", "Set it.", ago(60)),
        FindingReply("disk-worn", "critical", "The disk is worn.", "Change it.", ago(60)),
    )

    page = home(tmp_path, status=a_status(findings=findings))

    assert "· disk-worn" in page
    assert "Set it." in page


def test_the_part_that_renews_itself_is_no_whole_page(tmp_path: Path) -> None:
    """What Home asks for every few seconds is the inside of the page only."""
    control = Said(ready=ALL, status=NotRunningError("no"), today=a_day(), activity=ActivityReply(()))
    page = pages_of(tmp_path, control=control).get("/now")

    assert "sentence" in page
    assert "<html" not in page
