"""The pages about destinations: what they show, what they change, and what they say when something is wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from appliance.accounts.roles import Role
from appliance.config.model import DicomDestination, SftpDestination, StowDestination
from appliance.runtime.asking import NotRunningError, RequestRefusedError
from appliance.runtime.questions import DestinationTestProgressReply, DestinationTestReply, DoctorStep, LastTest, LastTestsReply
from appliance.runtime.requests import DestinationReply, DestinationsReply, PauseReply
from tests.support.certificates import Authority
from tests.support.pages import Pages, Said, pages_of
from tests.unit.config.texts import HOST_KEY
from tests.unit.webui.site_of import changes_of, site_now
from webui import destination_edits

SITE = """
[[destination]]
name = "archive"
ae_title = "PACS1"
host = "10.1.0.5"

[[destination]]
name = "workstation"
ae_title = "WS"
host = "10.1.0.6"
port = 11112

[[route]]
name = "everything"
to = ["archive", "workstation"]

[[route]]
name = "only there"
to = ["archive"]
"""
ROW = DestinationReply(
    "archive", "refusing", 12, 7200.0, "2026-01-31T08:00:00+00:00", 3, 1, "it does not know this box", "PACS1@10.1.0.5:104", 5
)
STEP = DoctorStep("association", ok=False, detail="the archive does not know this box as EDGE", advice="Enter EDGE.", ms=3.0)
STEPS = (DoctorStep("name", ok=True, detail="fine", advice="", ms=1.0), STEP)
WELL = DestinationTestProgressReply((STEPS[0],), done=True, ok=True, destination="new")


class Tests(Said):
    """A sender that remembers what it was asked to test."""

    __test__ = False

    def __init__(self, progress: DestinationTestProgressReply = WELL, **answers: Any) -> None:
        """Answer every test with `progress`, and the proposal that was asked for."""
        self.progress = progress
        usual: dict[str, Any] = {
            "destinations": DestinationsReply((ROW,)),
            "last_tests": LastTestsReply((LastTest("archive", "2026-01-31T09:00:00+00:00", False, STEP.detail, STEP.advice),)),
            "test_destination": self._begin,
            "test_progress": lambda _ticket: self.progress,
            "pause": PauseReply(changed=True),
        }
        super().__init__(**usual | answers)

    def _begin(self, name: str, *, send: bool, proposal: str, ticket: str) -> DestinationTestReply:
        assert len(ticket) >= 20
        self.progress = replace(self.progress, proposal=proposal)
        _ = send
        return DestinationTestReply(name, ok=False, steps=())


def a_box(data: Path, *, role: Role = Role.TECHNICIAN, control: Said | None = None, site: str = SITE) -> Pages:
    """Return the pages of a box with this configuration in force."""
    return pages_of(data, role=role, site=site, control=control or Tests(), changes=changes_of(data, site))


def hidden(page: str) -> dict[str, str]:
    """Return what a form of a page sends along without being seen."""
    return dict(re.findall(r'<input id="[^"]*" name="([a-z_]+)" type="hidden" value="([^"]*)">', page))


def filled(page: str) -> dict[str, str]:
    """Return every field of the form of a page as a browser would send it unchanged, but ticks and choices."""
    found = hidden(page)
    for tag in re.findall(r"<input [^>]*>", page):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and 'type="text"' in tag:
            found[name[1]] = value[1] if value else ""
    for name, body in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'<option selected value="([^"]*)"', body)
        found[name] = chosen[1] if chosen else ""
    return found


def send(pages: Pages, path: str, **changed: str) -> TestResponse:
    """Load the form at `path`, change fields, and send it."""
    return pages.client.post(path, data={**filled(pages.get(path)), **changed})


def test_the_list_shows_how_each_is(tmp_path: Path) -> None:
    """State with its reason, queue, the oldest, proof, and what the doctor said last."""
    page = a_box(tmp_path, role=Role.VIEWER).get("/destinations/")

    for shown in ("refuses us", "it does not know this box", "12", "3 held", "2 h", "PACS1@10.1.0.5:104", STEP.detail):
        assert shown in page, shown
    assert "/destinations/add" not in page


def test_the_list_is_shown_although_the_sender_is_silent(tmp_path: Path) -> None:
    """What only the sender knows is left away, and the rest is there."""
    page = a_box(tmp_path, control=Tests(last_tests=NotRunningError("the box is not running"))).get("/destinations/")

    assert "refuses us" in page
    assert STEP.detail not in page


def test_a_destination_has_a_page(tmp_path: Path) -> None:
    """Its state, its queue, the routes that lead there as sentences, and what can be done."""
    page = a_box(tmp_path).get("/destinations/show?name=archive")

    for shown in ("All images go to archive and workstation.", STEP.advice, "Test now", "Test with a test image", "Pause it", "Change it"):
        assert shown in page, shown


def test_who_may_only_look_is_offered_nothing(tmp_path: Path) -> None:
    """A viewer sees the state and no button that would be refused."""
    page = a_box(tmp_path, role=Role.VIEWER).get("/destinations/show?name=archive")

    assert not [word for word in ("Test now", "Pause it", "Change it", "Remove it") if word in page]


@pytest.mark.parametrize(
    "path", ["/destinations/show", "/destinations/show?name=nobody", "/destinations/edit?name=x", "/destinations/add?kind=x"]
)
def test_what_is_not_there_is_not_found(tmp_path: Path, path: str) -> None:
    """A name or kind that is none answers 404."""
    assert 404 == a_box(tmp_path).client.get(path).status_code


@pytest.mark.parametrize("path", ["add?kind=dicom", "edit?name=archive", "remove?name=archive"])
def test_a_viewer_changes_nothing(tmp_path: Path, path: str) -> None:
    """Neither the forms nor what they send is for who may only look."""
    pages = a_box(tmp_path, role=Role.VIEWER)

    assert (403, 403) == (pages.client.get(f"/destinations/{path}").status_code, pages.client.post(f"/destinations/{path}").status_code)


def test_a_test_is_begun_and_shown(tmp_path: Path) -> None:
    """The button leads to the page of the test, which is asked for with a ticket of its own."""
    control = Tests()
    pages = a_box(tmp_path, control=control)

    answer = pages.client.post("/destinations/test", data={"name": "archive", "send": "yes"})

    (name, arguments, named), *_ = [asked for asked in control.asked if asked[0] == "test_destination"]
    assert ("archive",) == arguments
    assert (True, 303, f"/doctor/{named['ticket']}") == (named["send"], answer.status_code, answer.headers["Location"]), name


def test_a_pause_needs_a_reason(tmp_path: Path) -> None:
    """Without one nothing is asked of the sender; with one it is, under the person's name."""
    control = Tests()
    pages = a_box(tmp_path, control=control)

    pages.client.post("/destinations/pause", data={"name": "archive", "reason": " "})
    before = [asked for asked in control.asked if asked[0] == "pause"]
    pages.client.post("/destinations/pause", data={"name": "archive", "reason": "moved to the new rack"})

    (_, (request,), _), *_ = [asked for asked in control.asked if asked[0] == "pause"]
    assert [] == before
    assert ("archive", "kim", "moved to the new rack", False) == (request.destination, request.who, request.reason, request.resume)


def test_the_first_question_is_the_kind(tmp_path: Path) -> None:
    """Four kinds, the archive first."""
    page = a_box(tmp_path).get("/destinations/add")

    assert ["dicom", "stow", "sftp", "folder"] == re.findall(r"kind=([a-z]+)", page)


@pytest.mark.parametrize("kind", ["dicom", "stow", "sftp", "folder"])
def test_every_kind_has_a_form(tmp_path: Path, kind: str) -> None:
    """With every field labelled, and the generation that was seen."""
    page = a_box(tmp_path).get(f"/destinations/add?kind={kind}")

    assert "1" == hidden(page)["generation"]
    ids = set(re.findall(r'<(?:input|select|textarea)[^>]* id="([^"]+)"', page)) - set(hidden(page))
    assert set() == ids - set(re.findall(r'for="([^"]+)"', page)) - set(hidden(page))


def test_a_proposal_is_tested_before_it_is_saved(tmp_path: Path) -> None:
    """Nothing is in force after the test; the form is filled as it was, with the steps above it, and renews itself until the end."""
    control = Tests(DestinationTestProgressReply(STEPS[:1], done=False, ok=False, destination="new", now="association"))
    pages = a_box(tmp_path, control=control)

    answer = send(pages, "/destinations/add?kind=dicom", name="new", ae_title="NEW", host="10.1.0.9", port="4242", do="test")
    page = pages.get(answer.headers["Location"].partition("#")[0])

    assert 303 == answer.status_code
    assert ["archive", "workstation"] == [one.name for one in site_now(pages.changes).destinations]
    assert ("new", "NEW", "10.1.0.9", "4242") == tuple(filled(page)[key] for key in ("name", "ae_title", "host", "port"))
    assert re.search(r'data-live="/doctor/[^"]+/progress" data-every="1"', page)
    assert "Whether it lets this box in" in page
    assert 'host = "10.1.0.9"' in control.progress.proposal


def test_what_was_tested_is_saved_with_good_words(tmp_path: Path) -> None:
    """After a test that went well the same values are saved, and the page says that they were tested."""
    pages = a_box(tmp_path)
    tested = send(pages, "/destinations/add?kind=dicom", name="new", ae_title="NEW", host="10.1.0.9", port="4242", do="test")

    answer = send(pages, tested.headers["Location"].partition("#")[0], do="save")

    assert (303, "/destinations/show?name=new") == (answer.status_code, answer.headers["Location"])
    assert "its test went well" in pages.client.get(answer.headers["Location"]).text
    added = site_now(pages.changes).destinations[-1]
    assert isinstance(added, DicomDestination)
    assert ("NEW", 4242, "source") == (str(added.ae_title), added.port, added.calling_ae)


def test_what_was_not_tested_is_saved_with_a_warning(tmp_path: Path) -> None:
    """Saving is never refused for want of a test; other values than the tested ones count as untested."""
    pages = a_box(tmp_path)
    tested = send(pages, "/destinations/add?kind=dicom", name="new", ae_title="NEW", host="10.1.0.9", port="4242", do="test")

    answer = send(pages, tested.headers["Location"].partition("#")[0], host="10.1.0.10", do="save")

    assert "was not tested like this" in pages.client.get(answer.headers["Location"]).text


def test_only_what_differs_from_the_usual_is_written(tmp_path: Path) -> None:
    """The text of the configuration stays as short as a person would have typed it."""
    pages = a_box(tmp_path)

    send(pages, "/destinations/add?kind=dicom", name="new", ae_title="NEW", host="10.1.0.9", port="104", proof="delivered", do="save")

    text = pages.changes.current().text
    assert 'name = "new"' in text
    assert 'proof = "delivered"' in text
    assert "calling_ae" not in text
    assert "lanes" not in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"port": "65536"}, "from 1 to 65535"),
        ({"port": "abc"}, "a whole number"),
        ({"ae_title": "A" * 17}, "an AE title has at most 16"),
        ({"host": ""}, "Is missing"),
        ({"host": "$(reboot)"}, "cannot be the name of a machine"),
        ({"name": "archive"}, "is the name of"),
        ({"window": "25:00-26:00"}, "no day has"),
    ],
    ids=["port", "no-number", "title", "no-host", "a-command", "a-name-twice", "hours"],
)
@pytest.mark.parametrize("do", ["save", "test"])
def test_what_is_wrong_stands_at_its_field(tmp_path: Path, changed: dict[str, str], said: str, do: str) -> None:
    """422 with the configuration's own words beside the field; nothing is tested or saved."""
    pages = a_box(tmp_path)

    answer = send(pages, "/destinations/add?kind=dicom", **{"name": "new", "ae_title": "NEW", "host": "10.1.0.9", "do": do, **changed})

    assert 422 == answer.status_code
    (field,) = changed
    wrong = re.search(rf'id="{field}-wrong"[^>]*>(.*?)</div>', answer.text, re.DOTALL)
    assert wrong is not None
    assert said in wrong[1]
    assert 2 == len(site_now(pages.changes).destinations)


def test_what_the_sender_refuses_is_said(tmp_path: Path) -> None:
    """A proposal that may not be tested leaves the form as it is, with the sender's words."""
    refused = RequestRefusedError("more than 12 tests of new destinations in a minute", advice="Wait a minute.")
    pages = a_box(tmp_path, control=Tests(test_destination=refused))

    answer = send(pages, "/destinations/add?kind=dicom", name="new", ae_title="NEW", host="10.1.0.9", do="test")

    assert (422, True) == (answer.status_code, "More than 12 tests" in answer.text)


def test_a_silent_sender_is_said(tmp_path: Path) -> None:
    """Where nobody is there to test, the page says that images are still received."""
    pages = a_box(tmp_path, control=Tests(test_destination=NotRunningError("the box is not running")))

    answer = pages.client.post("/destinations/test", data={"name": "archive"})

    assert (503, True) == (answer.status_code, "still received" in answer.text)


def test_a_rename_keeps_id_and_routes(tmp_path: Path) -> None:
    """The queue is kept under the id: a new name changes the routes, and nothing of what is owed."""
    pages = a_box(tmp_path)

    answer = send(pages, "/destinations/edit?name=archive", name="PACS", do="save")

    site = site_now(pages.changes)
    assert 303 == answer.status_code
    assert [("PACS", "archive"), ("workstation", "workstation")] == [(one.name, one.id) for one in site.destinations]
    assert [("PACS", "workstation"), ("PACS",)] == [route.to for route in site.routes]


def test_a_destination_that_moves_keeps_its_id(tmp_path: Path) -> None:
    """Another address is the same destination."""
    pages = a_box(tmp_path)

    send(pages, "/destinations/edit?name=archive", host="10.9.9.9", do="save")

    moved = site_now(pages.changes).destinations[0]
    assert isinstance(moved, DicomDestination)
    assert ("archive", "10.9.9.9", 104) == (moved.id, moved.host, moved.port)


def test_saving_what_somebody_else_changed_is_409(tmp_path: Path) -> None:
    """Nothing is overwritten unseen: the page says who was quicker, keeps what was typed, and can be saved again."""
    pages = a_box(tmp_path)
    seen = filled(pages.get("/destinations/edit?name=archive"))
    send(pages, "/destinations/edit?name=workstation", port="11113", do="save")

    stale = pages.client.post("/destinations/edit?name=archive", data={**seen, "host": "10.9.9.9", "do": "save"})
    again = pages.client.post("/destinations/edit?name=archive", data={**filled(stale.text), "do": "save"})

    assert (409, 303) == (stale.status_code, again.status_code)
    assert "kim put generation 2 in force" in stale.text
    assert ["PACS1@10.9.9.9:104", "WS@10.1.0.6:11113"] == [one.address for one in site_now(pages.changes).destinations]


@pytest.mark.parametrize("generation", ["", "-1", "x", "9" * 30, "²"])
def test_a_generation_that_is_none_is_stale(tmp_path: Path, generation: str) -> None:
    """Whatever stands in the hidden field, the worst that happens is 409."""
    assert 409 == send(a_box(tmp_path), "/destinations/edit?name=archive", host="10.9.9.9", generation=generation, do="save").status_code


def test_removing_says_what_becomes_held(tmp_path: Path) -> None:
    """How much waits, which routes change and which go, before anything happens; afterwards it is gone from routes too."""
    pages = a_box(tmp_path)

    page = pages.get("/destinations/remove?name=archive")
    answer = pages.client.post("/destinations/remove?name=archive", data={"generation": "1", "reason": "replaced"})

    assert "15 images wait for it, and become held" in page
    assert "“everything”" in page
    assert "“only there” led only there" in page
    assert 303 == answer.status_code
    site = site_now(pages.changes)
    assert (["workstation"], [("everything", ("workstation",))]) == (
        [one.name for one in site.destinations],
        [(route.name, route.to) for route in site.routes],
    )


def test_removing_what_somebody_else_changed_is_409(tmp_path: Path) -> None:
    """A removal counts for what its author saw."""
    pages = a_box(tmp_path)
    send(pages, "/destinations/edit?name=workstation", port="11113", do="save")

    answer = pages.client.post("/destinations/remove?name=archive", data={"generation": "1"})

    assert 409 == answer.status_code
    assert 2 == len(site_now(pages.changes).destinations)


SFTP = {"name": "depot", "host": "10.1.0.7", "user": "edge", "host_key": HOST_KEY, "do": "save"}


def test_a_typed_password_is_in_a_file_and_on_no_page(tmp_path: Path) -> None:
    """The configuration names the file; neither it nor any page holds what was typed."""
    pages = a_box(tmp_path)

    send(pages, "/destinations/add?kind=sftp", password="hunter22", **SFTP)

    added = site_now(pages.changes).destinations[-1]
    assert isinstance(added, SftpDestination)
    assert "hunter22\n" == Path(added.password_file or "").read_text()
    assert "hunter22" not in pages.changes.current().text
    assert "hunter22" not in pages.get("/destinations/edit?name=depot")


def test_a_password_stays_where_it_was_typed_for(tmp_path: Path) -> None:
    """Other settings keep it; another server does not get it, and it must be typed again."""
    pages = a_box(tmp_path)
    send(pages, "/destinations/add?kind=sftp", password="hunter22", **SFTP)
    before = site_now(pages.changes).destinations[-1]
    assert isinstance(before, SftpDestination)

    kept = send(pages, "/destinations/edit?name=depot", lanes="2", do="save")
    moved = send(pages, "/destinations/edit?name=depot", host="10.6.6.6", do="save")
    typed = send(pages, "/destinations/edit?name=depot", host="10.6.6.6", password="again", do="save")

    after = site_now(pages.changes).destinations[-1]
    assert isinstance(after, SftpDestination)
    assert (303, 422, 303) == (kept.status_code, moved.status_code, typed.status_code)
    assert "Type it again" in moved.text
    assert (before.password_file, "again\n") != (after.password_file, "")
    assert "again\n" == Path(after.password_file or "").read_text()


@pytest.mark.parametrize("path", ["/etc/shadow", "{data}/keys/root.key", "{data}/secrets/../keys/root.key"])
def test_a_form_names_no_file_of_its_own(tmp_path: Path, path: str) -> None:
    """The hidden path of a secret is taken only where the box itself put it there."""
    pages = a_box(tmp_path)

    answer = send(pages, "/destinations/add?kind=sftp", key_file=path.format(data=tmp_path), **SFTP)

    assert 422 == answer.status_code
    assert 2 == len(site_now(pages.changes).destinations)


def test_a_key_takes_the_place_of_a_password(tmp_path: Path) -> None:
    """An account has one secret: typing the other kind replaces the first."""
    pages = a_box(tmp_path)
    send(pages, "/destinations/add?kind=sftp", password="hunter22", **SFTP)

    send(pages, "/destinations/edit?name=depot", private_key="-----BEGIN OPENSSH PRIVATE KEY-----\r\nabc", do="save")

    after = site_now(pages.changes).destinations[-1]
    assert isinstance(after, SftpDestination)
    assert (None, True) == (after.password_file, bool(after.key_file))


def test_everything_of_a_destination_comes_back_as_it_was(tmp_path: Path) -> None:
    """A form that is sent back unchanged changes nothing: not a header, not a title, not a class."""
    site = f"""{SITE}
[[destination]]
name = "far"
ae_title = "FAR"
host = "10.1.0.8"
calling_ae = "BOX9"
tls = "mutual"
certificate = "pacs.example.org"
proof = "query"
lanes = 2
bandwidth = "20 Mbit/s"
window = "22:00-06:00"
transcode = "jpeg-ls"
never = ["1.2.840.10008.5.1.4.1.1.88.67", "1.2.3"]
headers = [{{ do = "prefix-patient-id", value = "KH-", issuer = "KHANH HOA" }}]
also_calls_from = [{{ ae_title = "FARSC", address = "10.1.0.0/24" }}]
[tls]
authorities = ["{Authority(tmp_path / "ca").path}"]
"""
    pages = a_box(tmp_path, site=site)
    before = site_now(pages.changes)
    page = pages.get("/destinations/edit?name=far")
    texts = dict(re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>\r?\n?([^<]*)</textarea>', page))
    ticked = re.findall(r'<input checked [^>]*name="never"[^>]*value="([^"]*)"', page)

    answer = pages.client.post("/destinations/edit?name=far", data={**filled(page), **texts, "never": ticked, "do": "save"})

    assert (303, before) == (answer.status_code, site_now(pages.changes))


def test_a_web_service_is_offered_who_vouches_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the box trusts nobody yet, the public authorities of this machine stand in the form."""
    monkeypatch.setattr(destination_edits, "PUBLIC_AUTHORITIES", Authority(tmp_path / "ca").path)
    pages = a_box(tmp_path)
    page = pages.get("/destinations/add?kind=stow")
    texts = dict(re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>\r?\n?([^<]*)</textarea>', page))

    answer = pages.client.post(
        "/destinations/add?kind=stow",
        data={**filled(page), **texts, "name": "web", "url": "https://pacs.example.org/dicom-web", "token": "abc", "do": "save"},
    )

    added = site_now(pages.changes).destinations[-1]
    assert (303, True) == (answer.status_code, isinstance(added, StowDestination))


def test_what_others_say_is_escaped(tmp_path: Path) -> None:
    """A reason or a step with markup in it is shown as text."""
    bad = "<script>alert(1)</script>"
    control = Tests(
        DestinationTestProgressReply(
            (replace(STEP, detail=bad, advice=bad),), done=True, ok=False, destination=bad, problem=bad, advice=bad
        ),
        destinations=DestinationsReply((replace(ROW, reason=bad, address=bad),)),
        last_tests=LastTestsReply((LastTest("archive", "", False, bad, bad),)),
    )
    pages = a_box(tmp_path, control=control)

    shown = [pages.get(path) for path in ("/destinations/", "/destinations/show?name=archive", "/doctor/x", "/doctor/x/progress")]

    assert not [page for page in shown if bad in page]
    assert all("&lt;script&gt;" in page for page in shown)
