"""Scanners: the list, who knocked, and changing what is listed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.roles import Role
from appliance.config.certificates import ExpectedCertificate
from appliance.config.check import check
from appliance.config.load import ConfigInvalidError
from appliance.config.model import Site
from appliance.core.identity import AETitle, Uid
from appliance.manage.callers import knocks
from appliance.manage.site_changes import Current, SiteStaleError
from appliance.receive import admission
from appliance.receive.admission import OVER_A_CAP, AssociationFacts, InvalidTitle, Refused, admit
from appliance.runtime.asking import NotRunningError
from appliance.runtime.callers import LastCall
from appliance.runtime.page_requests import ActivityReply, SourceActivity
from appliance.runtime.questions import DoctorStep, SourceTestReply
from tests.support.pages import Pages, Said, pages_of
from tests.support.site import a_route, a_site, a_source, an_archive
from webui.knocking import REFUSALS, refusal_words
from webui.scanner_list import listed_scanners

NOW = 1_700_000_000.0
CT = "1.2.840.10008.5.1.4.1.1.2"
CANARY = "<img src=x onerror=alert(1)>"
SITE = a_site(
    sources=[a_source("CT1", address="10.0.0.7", modality="CT")],
    destinations=[an_archive(104, host="10.1.0.5", ae_title="PACS1")],
    routes=[a_route("archive", when={"source": ["CT1"]})],
)
QUIET = Said(activity=ActivityReply(()))


def a_call(calling: str = "US9", address: str = "10.0.0.50", called: str = "EDGE", why: str = "unknown calling title") -> LastCall:
    """Return a call that was refused."""
    return LastCall("", calling, called, address, NOW, "1/1/3", why, (CT,))


class Changes:
    """A configuration that is really changed: edits are made to its text and checked."""

    def __init__(self, text: str = SITE) -> None:
        """Begin with a text, as generation 4."""
        self.text, self.generation = text, 4
        self.by: list[tuple[str, str]] = []

    @property
    def site(self) -> Site:
        """What it says."""
        site = check(self.text, where="test").site
        assert site is not None
        return site

    def current(self) -> Current:
        """Return what is in force."""
        return Current(self.generation, self.text, self.site)

    def apply(self, edit: Any, *, expected: int, by: str, reason: str) -> None:
        """Put an edit in force as the real one does."""
        if expected != self.generation:
            raise SiteStaleError("somebody put generation 5 in force meanwhile")
        text = edit(self.text)
        checked = check(text, where="test")
        if checked.site is None:
            raise ConfigInvalidError(checked.problems, text=text)
        self.text, self.generation = text, self.generation + 1
        self.by.append((by, reason))


class Journal:
    """What was written down."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.rows: list[tuple[str, str, str, str]] = []

    def __call__(self, _person: object, action: str, thing: str, *, before: str = "", after: str = "", reason: str = "") -> None:
        """Write down."""
        del reason
        self.rows.append((action, thing, before, after))


def scanners(tmp_path: Path, *calls: LastCall, role: Role = Role.TECHNICIAN, control: Said = QUIET) -> tuple[Pages, Changes, Journal]:
    """Return the pages of a box that heard these calls."""
    changes, journal = Changes(), Journal()
    told = Said(current=changes.current, apply=changes.apply)
    pages = pages_of(tmp_path, role=role, site=SITE, control=control, changes=told, calls=list(calls))
    pages.accounts.changed = journal  # type: ignore[method-assign]
    return pages, changes, journal


def test_a_scanner_is_listed_with_what_it_sent(tmp_path: Path) -> None:
    """Its last image, its counts and how far its clock is off stand beside its title and address."""
    activity = ActivityReply((SourceActivity("ct1", "10.0.0.7", "2026-11-24T19:50:00+00:00", 12, 3, 240.0),))
    pages, _, _ = scanners(tmp_path, control=Said(activity=activity))

    page = pages.get("/scanners/")

    for text in ("CT1", "10.0.0.7", "CT scanner", ">12<", ">3<", "Its clock is 4 min ahead."):
        assert text in page


@pytest.mark.parametrize(("drift", "said"), [(-300.0, "Its clock is 5 min behind."), (30.0, None), (None, None)])
def test_a_clock_is_spoken_of_when_it_is_off(drift: float | None, said: str | None, tmp_path: Path) -> None:
    """A clock that is slow is said to be behind; half a minute is nobody's trouble."""
    activity = ActivityReply((SourceActivity("CT1", "10.0.0.7", "2026-11-24T19:50:00+00:00", 12, 3, drift),))
    pages, _, _ = scanners(tmp_path, control=Said(activity=activity))

    page = pages.get("/scanners/now")

    assert ("Its clock" in page) == (said is not None)
    assert said is None or said in page


def test_a_listed_scanner_that_was_refused_says_why(tmp_path: Path) -> None:
    """A full disk is what its last call met: it stands in its row and not among strangers."""
    pages, _, _ = scanners(tmp_path, LastCall("", "CT1", "EDGE", "10.0.0.7", NOW, "2/3/1", "no storage at the moment"))

    page = pages.get("/scanners/now")

    assert "The disk of this box was full." in page
    assert "knocked" not in page


def test_the_page_is_there_when_nobody_answers(tmp_path: Path) -> None:
    """Who is listed and who knocked is known although the part that counts does not answer."""
    pages, _, _ = scanners(tmp_path, a_call(), control=Said(activity=NotRunningError("no")))

    page = pages.get("/scanners/")

    assert "does not answer" in page
    assert "US9" in page
    assert "CT1" in page


def test_a_stranger_is_shown_in_plain_words(tmp_path: Path) -> None:
    """Title, address, what it called, what it wanted, why it was refused and what the click does can be read."""
    pages, _, _ = scanners(tmp_path, a_call(called="ARCHIV"))

    page = pages.get("/scanners/")

    for text in (
        "A device we do not know knocked",
        "US9",
        "10.0.0.50",
        "It calls this box ARCHIV, and the box answers to EDGE.",
        "It wanted: CT images.",
        "Its title is not in the list of scanners.",
        "Add it as US9, and answer to ARCHIV",
    ):
        assert text in page


def test_what_a_stranger_says_is_never_more_than_text(tmp_path: Path) -> None:
    """Titles with markup in them come out as text, wherever they stand (hostile-inputs.md row 87)."""
    pages, _, _ = scanners(tmp_path, a_call("<b>&'\"", called=CANARY, why=CANARY))

    page = pages.get("/scanners/")
    form = pages.get("/scanners/add?calling=%3Cb%3E%26'%22&address=10.0.0.50")

    assert CANARY not in page
    assert "<b>" not in page + form
    assert "&lt;b&gt;" in page
    assert "&lt;b&gt;" in form


def test_one_click_lets_a_stranger_in(tmp_path: Path) -> None:
    """The button adds the scanner with everything filled in, and the title that it calls; both are written down."""
    pages, changes, journal = scanners(tmp_path, a_call(called="ARCHIV"))

    answer = pages.client.post("/scanners/accept", data={"calling": "US9", "address": "10.0.0.50", "expected": "4"})

    assert 303 == answer.status_code
    added = changes.site.sources[1]
    assert ("US9", AETitle("US9"), "10.0.0.50/32", "CT") == (added.name, added.ae_title, str(added.address), added.modality)
    assert AETitle("ARCHIV") in changes.site.local_titles
    assert [] == knocks([a_call(called="ARCHIV")], changes.site)
    assert [("source.added", "US9", "", "US9 10.0.0.50 ARCHIV")] == journal.rows
    assert "kim" == changes.by[0][0]


def test_one_click_moves_a_scanner(tmp_path: Path) -> None:
    """CT1 that calls from another address is moved there; its other settings stay."""
    pages, changes, journal = scanners(tmp_path, a_call("CT1", "10.0.0.9"))

    page = pages.get("/scanners/")
    pages.client.post("/scanners/accept", data={"calling": "CT1", "address": "10.0.0.9", "expected": "4"})

    assert "CT1 moved from 10.0.0.7 to 10.0.0.9, it seems." in page
    assert [("CT1", "10.0.0.9/32", "CT")] == [(one.name, str(one.address), one.modality) for one in changes.site.sources]
    assert [("source.changed", "CT1", "10.0.0.7", "CT1 10.0.0.9")] == journal.rows


def test_accepting_somebody_else_than_shown_does_nothing(tmp_path: Path) -> None:
    """What is posted is only which caller: one that never knocked is not let in, whatever a form says."""
    pages, changes, journal = scanners(tmp_path, a_call())

    pages.client.post("/scanners/accept", data={"calling": "EVIL", "address": "10.6.6.6", "expected": "4", "ae_title": "EVIL"})

    assert (4, []) == (changes.generation, journal.rows)


def test_a_click_on_an_old_page_changes_nothing(tmp_path: Path) -> None:
    """When the settings were changed since the page was made, the click is refused (hostile-inputs.md row 96)."""
    pages, changes, _ = scanners(tmp_path, a_call())

    for expected in ("3", "", "x", "-1", "9" * 30):
        answer = pages.client.post("/scanners/accept", data={"calling": "US9", "address": "10.0.0.50", "expected": expected})

        assert (409, 4) == (answer.status_code, changes.generation)


def test_looking_first_shows_the_form_filled_in(tmp_path: Path) -> None:
    """The form holds what the caller said, to be changed before it is saved."""
    pages, _, _ = scanners(tmp_path, a_call(called="ARCHIV"))

    page = pages.get("/scanners/add?calling=US9&address=10.0.0.50")

    for text in ('value="US9"', 'value="10.0.0.50"', 'value="ARCHIV"', '<option selected value="CT">'):
        assert text in page


def test_three_questions_list_a_scanner(tmp_path: Path) -> None:
    """Title, address and kind are enough; the scanner is called by its title."""
    pages, changes, journal = scanners(tmp_path)

    answer = pages.client.post("/scanners/add", data={"ae_title": "MR1", "address": "10.0.0.8", "modality": "MR", "expected": "4"})

    assert (303, "/scanners/") == (answer.status_code, answer.headers["Location"])
    assert ("MR1", "MR") == (changes.site.sources[1].name, changes.site.sources[1].modality)
    assert [("source.added", "MR1", "", "MR1 MR1 10.0.0.8 MR")] == journal.rows


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("address", "10.0.0.999", "is not an IP address"),
        ("address", "10.0.0.8;reboot", "is not an IP address"),
        ("ae_title", "ÜBER", "plain ASCII"),
        ("ae_title", "A" * 17, "16"),
        ("ae_title", "", "Fill this in."),
        ("name", "CT1", "name"),
    ],
)
def test_what_is_wrong_stands_in_the_form(field: str, value: str, said: str, tmp_path: Path) -> None:
    """A wrong value changes nothing, and the form comes back with it and with what to do."""
    pages, changes, journal = scanners(tmp_path)
    filled = {"ae_title": "MR1", "address": "10.0.0.8", "modality": "MR", "name": "", "expected": "4"} | {field: value}

    answer = pages.client.post("/scanners/add", data=filled)

    assert said in answer.text
    assert answer.status_code in (200, 422)
    assert (4, []) == (changes.generation, journal.rows)


def test_two_who_save_at_once(tmp_path: Path) -> None:
    """The second of two who save gets the form back with what they wrote, and can save it then."""
    pages, changes, _ = scanners(tmp_path)
    filled = {"ae_title": "MR1", "address": "10.0.0.8", "modality": "MR", "expected": "3"}

    answer = pages.client.post("/scanners/add", data=filled)
    again = pages.client.post("/scanners/add", data=filled | {"expected": "4"})

    assert (409, 303) == (answer.status_code, again.status_code)
    assert 'value="MR1"' in answer.text
    assert re.search(r'name="expected"[^>]* value="4"', answer.text)
    assert "MR1" == changes.site.sources[1].name


def test_a_scanner_keeps_its_routes_when_it_is_renamed(tmp_path: Path) -> None:
    """A new name goes into the routes that name the scanner, in the same step."""
    pages, changes, journal = scanners(tmp_path)

    page = pages.get("/scanners/edit?name=CT1")
    filled = {"ae_title": "CT1", "address": "", "modality": "CT", "name": "CT room 1", "expected": "4"}
    answer = pages.client.post("/scanners/edit?name=CT1", data=filled)

    assert 'value="10.0.0.7"' in page
    assert 303 == answer.status_code, answer.text
    assert ("CT room 1", None) == (changes.site.sources[0].name, changes.site.sources[0].address)
    assert ("CT room 1",) == changes.site.routes[0].when.source
    assert [("source.changed", "CT1", "CT1 CT1 10.0.0.7 CT", "CT room 1 CT1 CT")] == journal.rows


def test_a_scanner_that_a_route_names_is_not_removed(tmp_path: Path) -> None:
    """Removing it would leave a route without sense: it is said which, and nothing changes."""
    pages, changes, _ = scanners(tmp_path)

    pages.client.post("/scanners/remove", data={"name": "CT1", "expected": "4"})

    assert 4 == changes.generation
    assert "no source is named" in pages.get("/scanners/").lower()


def test_a_scanner_is_removed(tmp_path: Path) -> None:
    """What no route names goes, and it is written down what it was."""
    pages, changes, journal = scanners(tmp_path)
    pages.client.post("/scanners/add", data={"ae_title": "MR1", "address": "10.0.0.8", "modality": "MR", "expected": "4"})

    answer = pages.client.post("/scanners/remove", data={"name": "MR1", "expected": "5"})

    assert 303 == answer.status_code
    assert ["CT1"] == [one.name for one in changes.site.sources]
    assert "source.removed" == journal.rows[-1][0]


def test_the_doctor_is_sent(tmp_path: Path) -> None:
    """A test shows each step with what to try."""
    steps = (DoctorStep("called", False, f"it calls itself {CANARY}", "Correct it.", 3.0),)
    pages, _, _ = scanners(tmp_path, control=Said(test_source=SourceTestReply("CT1", False, steps)))

    answer = pages.client.post("/scanners/test", data={"name": "CT1"})

    assert 200 == answer.status_code
    assert "Correct it." in answer.text
    assert CANARY not in answer.text


def test_a_viewer_sees_and_changes_nothing(tmp_path: Path) -> None:
    """Without the right to set up there is no button, and no way around it."""
    pages, changes, _ = scanners(tmp_path, a_call(), role=Role.VIEWER)

    page = pages.get("/scanners/")

    assert "<button" not in page.partition("<main")[2]
    assert 403 == pages.client.get("/scanners/add").status_code
    for path in ("add", "edit?name=CT1", "remove", "accept", "test"):
        assert 403 == pages.client.post(f"/scanners/{path}", data={"expected": "4"}).status_code
    assert 4 == changes.generation


def test_calls_are_found_by_whoever_they_are_today() -> None:
    """A call belongs to the scanner that its title and address mean in the configuration in force, the latest counts."""
    site = Changes().site
    calls = [LastCall("old name", "CT1", "EDGE", "10.0.0.7", NOW - 60), LastCall("", "CT1", "EDGE", "10.0.0.7", NOW, "1/1/3", "no")]

    (found,) = listed_scanners(site, [], calls, now=NOW)

    assert calls[1] == found.refused


def _reasons() -> list[str]:
    """Return why receivers refuse, as they write it down."""
    plain = check(SITE, where="test").site
    assert plain is not None
    pinned = plain.sources[0].model_copy(update={"certificate": ExpectedCertificate(sha256="ab" * 32)})
    site = plain.model_copy(update={"sources": (pinned,)})
    known = AssociationFacts(AETitle("CT1"), AETitle("EDGE"), "10.0.0.7", (Uid(CT),))
    cases: list[tuple[AssociationFacts, Site]] = [
        (AssociationFacts(AETitle("CT1"), AETitle("EDGE"), "10.0.0.7", (), version_supported=False), plain),
        (AssociationFacts(AETitle("CT1"), AETitle("EDGE"), "10.0.0.7", (), application_context="1.2"), plain),
        (AssociationFacts(InvalidTitle("\\x00"), AETitle("EDGE"), "10.0.0.7", ()), plain),
        (AssociationFacts(None, AETitle("EDGE"), "10.0.0.7", ()), plain),
        (AssociationFacts(AETitle("X"), AETitle("EDGE"), "10.0.0.7", ()), plain),
        (AssociationFacts(AETitle("CT1"), AETitle("EDGE"), "10.0.0.8", ()), plain),
        (AssociationFacts(AETitle("CT1"), AETitle("Y"), "10.0.0.7", ()), plain),
        (AssociationFacts(AETitle("CT1"), AETitle("EDGE"), "10.0.0.7", (Uid(CT),), storage_ok=False), plain),
        (known, site),
    ]
    judged = [admit(facts, where) for facts, where in cases]
    assert all(isinstance(one, Refused) for one in judged)
    return [one.detail for one in [*judged, OVER_A_CAP] if isinstance(one, Refused)]


def test_every_refusal_has_words_of_its_own(tmp_path: Path) -> None:
    """Each reason that a receiver writes down has words, each its own; and none has words that no receiver writes down."""
    app, reasons = pages_of(tmp_path).app, _reasons()

    with app.test_request_context("/", base_url="https://localhost"):
        said = [refusal_words(a_call(why=reason)) for reason in reasons]

    assert len(set(reasons)) == len(set(said))
    assert not set(reasons) & set(said)
    source = inspect.getsource(admission)
    assert [] == [known for known in REFUSALS if known not in source]


def test_a_reason_nobody_foresaw_is_shown_as_it_is(tmp_path: Path) -> None:
    """A reason of a newer version is shown as it is written."""
    with pages_of(tmp_path).app.test_request_context("/", base_url="https://localhost"):
        assert "because" == refusal_words(a_call(why="because"))


def test_certificates_are_known_by_the_admission() -> None:
    """The words about certificates are those of the judgement that uses them."""
    source = inspect.getsource(admission._certificate_fault)

    assert 4 == sum(known in source for known in REFUSALS)
    assert ExpectedCertificate.__name__ in source
