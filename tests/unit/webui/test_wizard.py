"""The first start, page by page: what it asks, what it writes, and that it can be left and found again."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.accounts.faults import LogInRefusedError, PasswordWeakError, Weakness
from appliance.accounts.person import Person, SignedIn
from appliance.accounts.roles import Role
from appliance.config.check import check
from appliance.config.edits import Edit
from appliance.config.load import ConfigInvalidError
from appliance.manage.site_changes import Current
from appliance.runtime.asking import NotRunningError
from appliance.runtime.callers import LastCall
from appliance.runtime.page_requests import StudyDelivery, StudyLine, StudyReply, StudySearchReply
from appliance.runtime.questions import DestinationTestProgressReply, DoctorStep
from tests.support.pages import Pages, Said, pages_of
from webui.identity import SESSION_KEY

CODE = "K7MT-4WQA"


class Site(Said):
    """A configuration that edits change, as the real one does, without a disk."""

    def __init__(self, text: str = "") -> None:
        """Begin with a text."""
        self.text: str
        super().__init__(apply=self._apply, current=self._current, propose=lambda edit: edit(self.text))
        self.text = text
        self.applied: list[dict[str, Any]] = []

    def _current(self) -> Current:
        site = check(self.text, where="test").site
        assert site is not None
        return Current(len(self.applied), self.text, site)

    def _apply(self, edit: Edit, **named: Any) -> None:
        text = edit(self.text)
        checked = check(text, where="test")
        if checked.site is None:
            raise ConfigInvalidError(checked.problems, text=text)
        assert len(self.applied) == named["expected"]
        self.text = text
        self.applied.append(named)


class Newborn:
    """Accounts of a box that nobody has set up."""

    def __init__(self) -> None:
        """Begin without anybody."""
        self.code = CODE
        self.people: list[str] = []
        self.kept: dict[str, dict[str, str]] = {}

    def answers(self) -> dict[str, Any]:
        """Return what to answer."""
        return {
            "needs_setup": lambda: not self.people,
            "wizard": lambda: self.kept,
            "remember_wizard": lambda step, values: self.kept.__setitem__(step, dict(values)),
            "check_setup_code": lambda code: code == self.code,
            "create_first": self._create,
            "log_in": lambda name, _password, _address, _browser: ("a-session-of-the-test", SignedIn(self._person(name), 1, 0.0)),
        }

    def _create(self, code: str, name: str, full_name: str, password: str, _address: str) -> Person:
        assert full_name
        if len(password) < 10:
            raise PasswordWeakError(next(iter(Weakness)))
        if code != self.code:
            raise LogInRefusedError
        self.people.append(name)
        return self._person(name)

    @staticmethod
    def _person(name: str) -> Person:
        return Person(1, name, name.title(), Role.ADMINISTRATOR)


def a_new_box(path: Path, *, role: Role | None = None) -> tuple[Pages, Newborn, Site]:
    """Return the pages of a box that nobody has set up."""
    newborn, site = Newborn(), Site()
    return pages_of(path, role=role, changes=site, accounts=newborn.answers()), newborn, site


def a_box_in_setup(path: Path, text: str = "", **named: Any) -> tuple[Pages, Newborn, Site]:
    """Return the pages of a box that has an administrator, who is signed in, and nothing else."""
    newborn, site = Newborn(), Site(text)
    newborn.people.append("kim")
    newborn.kept["administrator"] = {"name": "kim"}
    return pages_of(path, site=text, changes=site, accounts=newborn.answers(), **named), newborn, site


# -- before anybody is there --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/account/log-in", "/no-such-page"])
def test_everything_leads_to_the_first_start(tmp_path: Path, path: str) -> None:
    """Nothing else is served while nobody has an account, whatever is asked for."""
    pages, _, _ = a_new_box(tmp_path)

    answer = pages.client.get(path)

    assert 303 == answer.status_code
    assert "/first-start/" == answer.headers["Location"]


def test_what_it_looks_like_is_served(tmp_path: Path) -> None:
    """The style sheet is served to nobody in particular."""
    pages, _, _ = a_new_box(tmp_path)

    with pages.client.get("/static/house.css") as answer:
        status = answer.status_code

    assert 200 == status


def test_the_language_may_be_chosen_before_anything_else(tmp_path: Path) -> None:
    """Whoever sets up the box reads it in their language from the first page on."""
    pages, _, _ = a_new_box(tmp_path)

    answer = pages.client.post("/account/language", data={"language": "fr", "next": "/first-start/code"})
    page = pages.get("/first-start/code")

    assert "/first-start/code" == answer.headers["Location"]
    assert '<html lang="fr"' in page


def test_a_machine_is_told_and_not_led(tmp_path: Path) -> None:
    """A machine that asks the API gets an error, not a page for people."""
    pages, _, _ = a_new_box(tmp_path)

    answer = pages.client.get("/api/v1/status")

    assert 503 == answer.status_code


def test_a_wrong_code_is_refused(tmp_path: Path) -> None:
    """Whoever does not know the code gets no further, by no address."""
    pages, newborn, _ = a_new_box(tmp_path)

    answer = pages.client.post("/first-start/code", data={"code": "WRONG"})
    further = pages.client.post("/first-start/administrator", data={"name": "eve", "full_name": "Eve", "password": "x" * 12})

    assert "This is not the code" in answer.text
    assert 303 == further.status_code
    assert [] == newborn.people


def test_the_first_account_is_made_with_the_code_and_signed_in(tmp_path: Path) -> None:
    """The code leads to the first account; it is signed in, and the next step is the box."""
    pages, newborn, _ = a_new_box(tmp_path)
    with pages.client.session_transaction(base_url="https://localhost") as cookie:
        cookie.clear()

    first = pages.client.post("/first-start/code", data={"code": f" {CODE} "})
    second = pages.client.post("/first-start/administrator", data=_an_administrator())

    assert "/first-start/administrator" == first.headers["Location"]
    assert "/first-start/box" == second.headers["Location"]
    assert ["kim"] == newborn.people
    with pages.client.session_transaction(base_url="https://localhost") as cookie:
        assert "a-session-of-the-test" == cookie[SESSION_KEY]
        assert "set-up-code" not in cookie


def test_a_weak_password_is_said_at_its_field(tmp_path: Path) -> None:
    """A password that is not taken leaves the form with the reason, and nobody in it."""
    pages, newborn, _ = a_new_box(tmp_path)
    pages.client.post("/first-start/code", data={"code": CODE})

    short = pages.client.post("/first-start/administrator", data=_an_administrator(password="short", again="short"))
    other = pages.client.post("/first-start/administrator", data=_an_administrator(again="something else"))

    assert "invalid-feedback" in short.text
    assert "not the same as the password above" in other.text
    assert [] == newborn.people


def test_another_start_has_another_code(tmp_path: Path) -> None:
    """A box that was started again in between asks for the code that its console shows now."""
    pages, newborn, _ = a_new_box(tmp_path)
    pages.client.post("/first-start/code", data={"code": CODE})
    newborn.code = "9QQQ-9QQQ"

    answer = pages.client.post("/first-start/administrator", data=_an_administrator())
    page = pages.get("/first-start/code")

    assert "/first-start/code" == answer.headers["Location"]
    assert "shows another code" in page
    assert [] == newborn.people


def test_whoever_guesses_codes_waits(tmp_path: Path) -> None:
    """After too many wrong codes the page says how long it listens to none."""
    newborn = Newborn()
    answers = newborn.answers() | {"check_setup_code": LogInRefusedError(30.0)}
    pages = pages_of(tmp_path, role=None, accounts=answers)

    answer = pages.client.post("/first-start/code", data={"code": CODE})

    assert "Try again in 30 s" in answer.text


def test_the_first_account_is_made_once(tmp_path: Path) -> None:
    """Once there is somebody, the code and the form for the first account are gone."""
    pages, newborn, _ = a_box_in_setup(tmp_path, role=None)

    answers = [pages.client.get("/first-start/code"), pages.client.post("/first-start/administrator", data=_an_administrator())]

    assert [303, 303] == [answer.status_code for answer in answers]
    assert ["kim"] == newborn.people
    assert "/account/log-in" in pages.client.get("/first-start/box").headers["Location"]


# -- the box ------------------------------------------------------------------------------------------------------------------------------


def test_a_box_gets_a_name_from_the_scheme(tmp_path: Path) -> None:
    """Three words make the name where none was typed; titles and zone are written with it."""
    pages, _, site = a_box_in_setup(tmp_path)

    answer = pages.client.post("/first-start/box", data=_a_box(hospital="Vinh", department="General", modality="CT"))

    assert "/first-start/time" == answer.headers["Location"]
    assert ("vinh-general-ct", "EDGE", "Asia/Ho_Chi_Minh") == _box_of(site)
    assert {"expected": 0, "by": "kim", "reason": "first start"} == site.applied[0]


def test_a_drop_in_answers_to_the_archives_title(tmp_path: Path) -> None:
    """The archive's title is answered to beside the own one; another choice takes it away again."""
    pages, _, site = a_box_in_setup(tmp_path)

    pages.client.post("/first-start/box", data=_a_box(name="x", titles="drop-in", archive_title="PACS1"))
    first = [str(title) for title in site._current().site.local_titles]
    pages.client.post("/first-start/box", data=_a_box(name="x", titles="drop-in", archive_title="PACS2"))
    second = [str(title) for title in site._current().site.local_titles]
    pages.client.post("/first-start/box", data=_a_box(name="x", titles="own", archive_title="PACS2"))
    third = [str(title) for title in site._current().site.local_titles]

    assert [["EDGE", "PACS1"], ["EDGE", "PACS2"], ["EDGE"]] == [first, second, third]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "ein haus"}, "cannot be the name of a machine"),
        ({"name": ""}, "Give the box a name"),
        ({"name": "x", "ae_title": "A\\B"}, "holds a backslash"),
        ({"name": "x", "titles": "drop-in", "archive_title": ""}, "Under which title"),
        ({"name": "x", "timezone": "Mars/Olympus"}, "Not a valid choice"),
    ],
)
def test_what_is_wrong_with_the_box_is_said_and_nothing_is_written(tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    """Each fault is said in the form, which keeps what was typed."""
    pages, newborn, site = a_box_in_setup(tmp_path)

    answer = pages.client.post("/first-start/box", data=_a_box(**wrong))

    assert 200 == answer.status_code
    assert said in answer.text
    assert [] == site.applied
    assert "box" not in newborn.kept


# -- the time -----------------------------------------------------------------------------------------------------------------------------


def test_the_same_time_goes_on_and_another_is_explained(tmp_path: Path) -> None:
    """A browser with the box's time goes on; one with another is told the difference and a command; one without scripts goes on."""
    clock = SimpleNamespace(now=lambda: SimpleNamespace(wall=1_800_000_000.0))
    pages, newborn, _ = a_box_in_setup(tmp_path, clock=clock)

    same = pages.client.post("/first-start/time", data={"browser": "2027-01-15T08:00:05.000Z"})
    other = pages.client.post("/first-start/time", data={"browser": "2027-01-15T07:00:00.000Z"})
    anyway = pages.client.post("/first-start/time", data={"browser": "2027-01-15T07:00:00.000Z", "anyway": "1"})
    silent = pages.client.post("/first-start/time", data={"browser": "soon"})

    assert [303, 200, 303, 303] == [answer.status_code for answer in (same, other, anyway, silent)]
    assert "60 min ahead of this browser" in other.text
    assert "timedatectl set-time '2027-01-15 07:00:00'" in other.text
    assert "time" in newborn.kept


# -- the archive --------------------------------------------------------------------------------------------------------------------------


def test_an_archive_is_written_with_a_route_to_it(tmp_path: Path) -> None:
    """Title, address and port make a destination and a route of everything; a second visit changes it and adds nothing."""
    pages, _, site = a_box_in_setup(tmp_path)

    first = pages.client.post("/first-start/archive", data=_an_archive())
    again = pages.get("/first-start/archive")
    pages.client.post("/first-start/archive", data=_an_archive(port="11112"))

    assert "/first-start/scanner" == first.headers["Location"]
    assert 'value="10.1.0.5"' in again
    now = site._current().site
    assert [("archive", 11112)] == [(entry.name, entry.port) for entry in now.destinations]  # type: ignore[union-attr]
    assert [("archive",)] == [route.to for route in now.routes]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"port": "0"}, "A port is a number from 1 to 65535"),
        ({"port": "x"}, "Not a valid integer"),
        ({"host": "http://pacs"}, "looks like a web address"),
        ({"ae_title": "Ä"}, "outside plain ASCII"),
    ],
)
def test_what_is_wrong_with_the_archive_is_said(tmp_path: Path, wrong: dict[str, str], said: str) -> None:
    """Each fault is said in the form, and nothing is written."""
    pages, _, site = a_box_in_setup(tmp_path)

    answer = pages.client.post("/first-start/archive", data=_an_archive(**wrong))

    assert said in answer.text
    assert [] == site.applied


def test_the_archive_is_tested_before_it_is_saved(tmp_path: Path) -> None:
    """The doctor is sent to what was typed; the page shows his steps beside it, and nothing is written."""
    step = DoctorStep("tcp", ok=False, detail="nothing listens at 10.1.0.5 port 105", advice="Is it port 104?", ms=3.0)
    asked: list[dict[str, Any]] = []

    def tested(_name: str, **named: Any) -> None:
        asked.append(named)

    def progress(_ticket: str) -> DestinationTestProgressReply:
        return DestinationTestProgressReply((step,), done=True, ok=False, destination="archive", proposal=asked[0]["proposal"])

    pages, _, site = a_box_in_setup(tmp_path, control=Said(test_destination=tested, test_progress=progress))

    answer = pages.client.post("/first-start/archive", data=_an_archive(port="105", action="test"))
    page = pages.get(answer.headers["Location"].partition("#")[0])

    assert "Is it port 104?" in page
    assert 'value="105"' in page
    assert [] == site.applied


def test_a_test_image_is_sent_from_the_box(tmp_path: Path) -> None:
    """Where there is an archive, it can be sent a test image; the first start goes on from the same page."""
    asked: list[Any] = []
    pages, _, _ = a_box_in_setup(tmp_path, WITH_SCANNER, control=_a_study("CT9", {}, lambda *given, **named: asked.append((given, named))))

    answer = pages.client.post("/first-start/image", data={"action": "send"})

    assert "/first-start/image?ticket=" in answer.headers["Location"]
    assert [(("archive",), True)] == [(given, named["send"]) for given, named in asked]


def test_no_archive_yet_goes_on(tmp_path: Path) -> None:
    """A box without an archive can be set up; the end says what is missing."""
    pages, newborn, site = a_box_in_setup(tmp_path)

    answer = pages.client.post("/first-start/archive", data={"action": "later"})
    end = pages.get("/first-start/done")

    assert "/first-start/scanner" == answer.headers["Location"]
    assert [] == site.applied
    assert "archive" in newborn.kept
    assert "There is no archive yet" in end


# -- the scanner --------------------------------------------------------------------------------------------------------------------------


def test_three_answers_make_a_scanner(tmp_path: Path) -> None:
    """Title, address and kind make a source called by its title; without an address any is taken."""
    pages, _, site = a_box_in_setup(tmp_path)

    pages.client.post("/first-start/scanner", data={"ae_title": "CT1", "address": "10.0.0.7", "modality": "CT"})
    pages.client.post("/first-start/scanner", data={"ae_title": "MR1", "address": "", "modality": "MR"})

    found = [(entry.name, str(entry.address), entry.modality) for entry in site._current().site.sources]
    assert [("CT1", "10.0.0.7/32", "CT"), ("MR1", "None", "MR")] == found


def test_a_scanner_that_knocked_is_taken_by_one_click(tmp_path: Path) -> None:
    """Whoever called and is not listed is offered with everything filled in, and gone once it is accepted."""
    call = LastCall("", "CT1", "EDGE", "10.0.0.7", 1.0, "1/1/3", "unknown calling title", ("1.2.840.10008.5.1.4.1.1.2",))
    pages, newborn, site = a_box_in_setup(tmp_path, calls=[call])

    before = pages.get("/first-start/scanner")
    answer = pages.client.post("/first-start/scanner/accept", data={"calling": "CT1", "address": "10.0.0.7"})
    after = pages.get("/first-start/scanner/callers")

    assert "This is our scanner" in before
    assert "/first-start/image" == answer.headers["Location"]
    assert [("CT1", "CT")] == [(entry.name, entry.modality) for entry in site._current().site.sources]
    assert {"name": "CT1"} == newborn.kept["scanner"]
    assert "This is our scanner" not in after


def test_only_who_knocked_is_accepted(tmp_path: Path) -> None:
    """A title that nobody called by is not accepted, whatever the form says."""
    pages, _, site = a_box_in_setup(tmp_path)

    answer = pages.client.post("/first-start/scanner/accept", data={"calling": "EVIL", "address": "10.0.0.7"})

    assert "/first-start/scanner" == answer.headers["Location"]
    assert [] == site.applied


# -- the first image ----------------------------------------------------------------------------------------------------------------------

WITH_SCANNER = """
[[source]]
name = "CT1"
ae_title = "CT1"
[[destination]]
name = "archive"
ae_title = "PACS1"
host = "10.1.0.5"
[[route]]
name = "all"
to = ["archive"]
"""


@pytest.mark.parametrize(
    ("counts", "said", "is_done"),
    [
        ({"delivered": 2}, "Received 2 images, at the archive within 1 s.", True),
        ({"queued": 1, "proved": 1}, "Received 2 images, safe here.", False),
    ],
)
def test_the_first_image_is_followed(tmp_path: Path, counts: dict[str, int], said: str, is_done: bool) -> None:  # noqa: FBT001 (a row)
    """What came is counted, and the time until all of it was at the archive is told; then the page asks no more."""
    pages, _, _ = a_box_in_setup(tmp_path, WITH_SCANNER, control=_a_study("CT1", counts))

    answer = pages.client.get("/first-start/image/live")

    assert said in answer.text
    assert is_done == ("X-Done" in answer.headers)
    assert "NGUYEN" not in answer.text


def test_another_devices_image_is_not_the_first(tmp_path: Path) -> None:
    """An image of somebody else does not count."""
    pages, _, _ = a_box_in_setup(tmp_path, WITH_SCANNER, control=_a_study("MR7", {"delivered": 2}))
    pages.client.post("/first-start/scanner", data={"action": "later"})

    assert "Received" not in pages.get("/first-start/image")


# -- the end, and the way back ------------------------------------------------------------------------------------------------------------


def test_it_goes_on_where_it_was_left(tmp_path: Path) -> None:
    """An administrator who logs in again is led to the first step that is not done, until the first start is over or left."""
    pages, newborn, _ = a_box_in_setup(tmp_path, control=Said(status=lambda: None))
    newborn.kept |= {"box": {}, "time": {}}

    before = pages.client.get("/")
    step = pages.client.get("/first-start/")
    pages.client.post("/first-start/leave")
    after = pages.client.get("/first-start/leave")

    assert "/first-start/" == before.headers["Location"]
    assert "/first-start/archive" == step.headers["Location"]
    assert "finished" in newborn.kept
    assert 405 == after.status_code


def test_a_technician_is_not_led_into_it(tmp_path: Path) -> None:
    """Whoever is no administrator is led nowhere: somebody else is setting up."""
    pages, _, _ = a_box_in_setup(tmp_path, role=Role.VIEWER, control=Said(ready=NotRunningError("")))

    answer = pages.client.get("/")

    assert "Location" not in answer.headers


def test_the_end_says_what_was_set_up(tmp_path: Path) -> None:
    """The last page says the whole set-up in sentences."""
    pages, newborn, _ = a_box_in_setup(tmp_path, WITH_SCANNER)

    end = pages.get("/first-start/done")
    answer = pages.client.post("/first-start/done")

    assert "Images go to the archive PACS1 at 10.1.0.5:104." in end
    assert "1 scanner may send: CT1." in end
    assert "/" == answer.headers["Location"]
    assert "finished" in newborn.kept


def test_a_site_file_says_everything(tmp_path: Path) -> None:
    """A whole file takes the place of the questions; one with faults changes nothing and says each."""
    pages, newborn, site = a_box_in_setup(tmp_path)

    faulty = pages.client.post("/first-start/site-file", data=_a_file('[box]\nname = "a b"\n[[source]]\nname = "CT1"\n'))
    nothing = list(site.applied)
    binary = pages.client.post("/first-start/site-file", data={"file": (io.BytesIO(b"\xff\xfe"), "site.toml")})
    whole = pages.client.post("/first-start/site-file", data=_a_file(WITH_SCANNER))

    assert "cannot be the name of a machine" in faulty.text
    assert [] == nothing
    assert "not a text file" in binary.text
    assert "/first-start/image" == whole.headers["Location"]
    assert WITH_SCANNER == site.text
    assert {"box", "archive", "scanner"} <= set(newborn.kept)


@pytest.mark.parametrize("step", ["box", "time", "archive", "scanner", "image", "done", "site-file"])
def test_every_step_can_be_left(tmp_path: Path, step: str) -> None:
    """Every page of the first start has one heading and a form with a button, so that nobody is caught in it."""
    pages, _, _ = a_box_in_setup(tmp_path)

    text = pages.get(f"/first-start/{step}")

    assert 1 == text.count("<h1")
    assert "<button" in text


def _an_administrator(**changed: str) -> dict[str, str]:
    return {"name": "kim", "full_name": "Kim Nguyen", "password": "four quiet words", "again": "four quiet words"} | changed


def _a_box(**changed: str) -> dict[str, str]:
    return {"titles": "own", "ae_title": "EDGE", "timezone": "Asia/Ho_Chi_Minh"} | changed


def _an_archive(**changed: str) -> dict[str, str]:
    return {"ae_title": "PACS1", "host": "10.1.0.5", "port": "104", "calling_ae": "source", "proof": "delivered"} | changed


def _a_file(text: str) -> dict[str, Any]:
    return {"file": (io.BytesIO(text.encode()), "site.toml")}


def _box_of(site: Site) -> tuple[str, str, str]:
    box = site._current().site.box
    return box.name, str(box.ae_title), box.timezone


def _a_study(source: str, counts: dict[str, int], tested: Any = None) -> Said:
    line = StudyLine("1.2.3", "NGUYEN^LAN", "P1", "", "", "", "", "CT", "2027-01-15T08:00:00+00:00", 2, {"archive": counts}, None)
    received, delivered = "2027-01-15T08:00:00+00:00", "2027-01-15T08:00:00.800000+00:00"
    delivery = StudyDelivery("archive", counts, delivered, delivered, "delivered", ())
    study = StudyReply(line, source, "EDGE", None, None, received, received, (delivery,), ())
    return Said(search_studies=StudySearchReply((line,)), study=study, test_destination=tested)
