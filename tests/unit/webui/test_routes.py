"""The pages about routes: sentences, order, switches, forms, and what would happen to an image."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from appliance.accounts.roles import Role
from appliance.runtime.asking import NotRunningError, RequestRefusedError
from appliance.runtime.questions import ForetellReply, ForetoldCase, ForetoldDelivery, ForetoldRoute, ForetoldWithheld
from appliance.runtime.requests import StudiesReply, StudyRow
from tests.support.pages import Pages, Said, pages_of
from tests.unit.webui.site_of import changes_of, site_now
from tests.unit.webui.test_destinations import filled

SITE = """
[[source]]
name = "CT1"
ae_title = "CT1"
address = "10.0.0.0/24"

[[source]]
name = "any of the ward"
ae_title = "*"
address = "10.2.0.7"

[[local_ae]]
ae_title = "PACS1"
routes = ["second"]

[[destination]]
name = "archive"
ae_title = "PACS"
host = "10.1.0.5"
never = ["1.2.840.10008.5.1.4.1.1.88.67"]

[[destination]]
name = "workstation"
ae_title = "WS"
host = "10.1.0.6"

[[route]]
name = "first"
to = ["archive"]
[route.when]
modality = ["CT", "MR"]
source = ["CT1"]

[[route]]
name = "second"
to = ["archive", "workstation"]
priority = "stat"
when_complete = true

[[route]]
name = "third"
to = []
keep = "2 days"
"""
CASE = ForetoldCase(
    count=3,
    sop_class="CT Image Storage",
    transfer_syntax="Explicit VR Little Endian",
    modality="CT",
    source="CT1",
    calling="CT1",
    called="EDGE",
    refusal="",
    routes=(ForetoldRoute("first", applies=True, because="modality CT is CT or MR"),),
    deliveries=(ForetoldDelivery("archive", "routine", ("first",), "CT1", "no", awaits_study=False),),
    withheld=(ForetoldWithheld("workstation", "its class is never sent there"),),
)
STUDY = StudyRow("1.2.3", "ACC-77", "CT", "2026-01-31T08:00:00+00:00", 120, 0, 0, {})


def a_box(data: Path, *, role: Role = Role.TECHNICIAN, site: str = SITE, **answers: Any) -> Pages:
    """Return the pages of a box with this configuration in force."""
    usual = {"studies": StudiesReply((STUDY,)), "foretell_file": ForetellReply((CASE,)), "foretell_study": ForetellReply((CASE,), 2)}
    return pages_of(data, role=role, site=site, control=Said(**usual | answers), changes=changes_of(data, site))


def names(pages: Pages) -> list[str]:
    """Return the routes in their order."""
    return [route.name for route in site_now(pages.changes).routes]


def order(pages: Pages, path: str, generation: str = "1", **fields: str) -> TestResponse:
    """Press a button of the list."""
    return pages.client.post(f"/routes/{path}", data={"generation": generation, **fields})


def test_each_route_is_a_sentence(tmp_path: Path) -> None:
    """In their order, with everything that they ask for, and what is never sent where."""
    page = a_box(tmp_path, role=Role.VIEWER).get("/routes/")

    for sentence in (
        "CT and MR images from CT1 (but not those sent to the title PACS1) go to archive.",
        "All images go to archive and workstation before everything else, once their study is complete.",
        "All images (but not those sent to the title PACS1) are kept for 2 days and sent nowhere.",
        "archive never gets dose reports.",
    ):
        assert sentence in page, sentence
    assert "Switch off" not in page


def test_a_route_moves_by_buttons(tmp_path: Path) -> None:
    """Up and down by one; the first has no way up, the last none down, and asking for it changes nothing."""
    pages = a_box(tmp_path)

    order(pages, "move", name="third", way="up")
    order(pages, "move", "2", name="first", way="down")
    order(pages, "move", "3", name="third", way="up")

    assert ["third", "first", "second"] == names(pages)


def test_a_route_is_switched_off_and_on(tmp_path: Path) -> None:
    """Off it applies to nothing and stays where it is; on again everything is as it was."""
    pages = a_box(tmp_path)
    before = site_now(pages.changes)

    order(pages, "switch", name="first", on="no")
    off = [route.enabled for route in site_now(pages.changes).routes]
    page = pages.get("/routes/")
    order(pages, "switch", "2", name="first", on="yes")

    assert [False, True, True] == off
    assert "(switched off)" in page
    assert before == site_now(pages.changes)


def test_a_removed_route_is_gone_from_titles_too(tmp_path: Path) -> None:
    """A title that named it among others goes on with the others."""
    site = SITE.replace('routes = ["second"]', 'routes = ["second", "third"]')
    pages = a_box(tmp_path, site=site)

    order(pages, "remove", name="third")

    assert ["first", "second"] == names(pages)
    assert ("second",) == site_now(pages.changes).local_ae[0].routes


def test_what_cannot_be_removed_is_said(tmp_path: Path) -> None:
    """A title whose only route goes would swallow what is sent to it: the configuration refuses, in words."""
    pages = a_box(tmp_path)

    answer = order(pages, "remove", name="second")

    assert ["first", "second", "third"] == names(pages)
    assert "names no route" in pages.get(answer.headers["Location"]).lower() or "alert-danger" in pages.get("/routes/")


@pytest.mark.parametrize(
    ("path", "fields"),
    [("move", {"way": "down"}), ("switch", {"on": "no"}), ("remove", {}), ("never", {"destination": "archive", "sop_class": "1.2.3"})],
)
def test_a_button_of_an_old_page_changes_nothing(tmp_path: Path, path: str, fields: dict[str, str]) -> None:
    """Whoever looked at an earlier configuration is told who changed it."""
    pages = a_box(tmp_path)
    order(pages, "switch", name="second", on="no")
    before = pages.changes.current()

    answer = order(pages, path, name="first", **fields)

    assert before == pages.changes.current()
    assert "kim put generation 2 in force" in pages.get(answer.headers["Location"])


@pytest.mark.parametrize("path", ["move", "switch", "remove", "never", "edit?name=nobody"])
def test_a_route_that_is_none_is_not_found(tmp_path: Path, path: str) -> None:
    """A name that is none answers 404."""
    assert 404 == a_box(tmp_path).client.post(f"/routes/{path}", data={"name": "nobody"}).status_code


@pytest.mark.parametrize("path", ["add", "edit?name=first", "move", "switch", "remove", "never"])
def test_a_viewer_changes_nothing(tmp_path: Path, path: str) -> None:
    """What the list does not offer is refused too."""
    assert 403 == a_box(tmp_path, role=Role.VIEWER).client.post(f"/routes/{path}", data={"name": "first"}).status_code


def test_a_class_is_never_sent_there(tmp_path: Path) -> None:
    """One choice adds it to what is there already."""
    pages = a_box(tmp_path)

    order(pages, "never", destination="archive", sop_class="1.2.840.10008.5.1.4.1.1.104.1")

    assert ("1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.104.1") == site_now(pages.changes).destinations[0].never


def ticked(page: str) -> dict[str, list[str]]:
    """Return what is ticked in a page."""
    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<input checked [^>]*>", page):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        assert name is not None
        assert value is not None
        found.setdefault(name[1], []).append(value[1])
    return found


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_a_form_that_is_sent_back_changes_nothing(tmp_path: Path, name: str) -> None:
    """Every condition, destination and word of a route is in its form."""
    pages = a_box(tmp_path)
    before = site_now(pages.changes)
    page = pages.get(f"/routes/edit?name={name}")

    answer = pages.client.post(f"/routes/edit?name={name}", data={**filled(page), **ticked(page)})

    assert (303, before) == (answer.status_code, site_now(pages.changes))


def test_a_route_is_added(tmp_path: Path) -> None:
    """With what was ticked and typed, and nothing that goes without saying."""
    pages = a_box(tmp_path)
    fields = {"generation": "1", "name": "reports", "does": "send", "to": ["workstation"], "priority": "bulk", "enabled": "y"}

    answer = pages.client.post("/routes/add", data={**fields, "modality": ["SR"], "modality_other": "sm, ecg", "station": "ROOM 3\n"})

    route = site_now(pages.changes).routes[-1]
    assert 303 == answer.status_code
    assert (("workstation",), "bulk", ("SR", "SM", "ECG"), ("ROOM 3",)) == (
        route.to,
        route.priority,
        route.when.modality,
        route.when.station,
    )
    assert "enabled" not in pages.changes.current().text.partition('"reports"')[2]


def test_a_route_that_keeps_sends_nowhere(tmp_path: Path) -> None:
    """Kept here, and what was ticked as a destination does not count."""
    pages = a_box(tmp_path)
    fields = {"generation": "1", "name": "keep", "does": "keep", "keep": "1 week", "to": ["archive"], "when_complete": "y", "enabled": "y"}

    pages.client.post("/routes/add", data={**fields, "priority": "routine"})

    route = site_now(pages.changes).routes[-1]
    assert ((), 7 * 86400.0, False) == (route.to, route.keep, route.when_complete)


def test_a_new_name_counts_for_titles_too(tmp_path: Path) -> None:
    """A title that has routes of its own follows."""
    pages = a_box(tmp_path)
    page = pages.get("/routes/edit?name=second")

    pages.client.post("/routes/edit?name=second", data={**filled(page), **ticked(page), "name": "urgent"})

    assert ("urgent",) == site_now(pages.changes).local_ae[0].routes


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"name": ""}, "name", "Is missing"),
        ({"name": "second"}, "name", "is the name of"),
        ({"to": []}, "to", "ames no destination"),
        ({"does": "keep", "keep": "for ever"}, "keep", "duration"),
        ({"modality_other": "C-T"}, "modality", "is not a modality"),
        ({"sop_class_other": "no uid"}, "sop_class", "is not a UID"),
    ],
    ids=["no-name", "a-name-twice", "nowhere", "no-time", "no-modality", "no-uid"],
)
def test_what_is_wrong_stands_at_its_field(tmp_path: Path, changed: dict[str, Any], field: str, said: str) -> None:
    """422 with the configuration's own words; nothing is saved."""
    pages = a_box(tmp_path)
    fields = {"generation": "1", "name": "new", "does": "send", "to": ["archive"], "priority": "routine", "enabled": "y"}

    answer = pages.client.post("/routes/add", data={**fields, **changed})

    assert 422 == answer.status_code
    wrong = re.search(rf'id="{field}-wrong"[^>]*>(.*?)</div>', answer.text, re.DOTALL)
    assert wrong is not None, answer.text
    assert said in wrong[1]
    assert ["first", "second", "third"] == names(pages)


def test_saving_what_somebody_else_changed_is_409(tmp_path: Path) -> None:
    """What was typed is kept, and can be saved again by whoever has looked."""
    pages = a_box(tmp_path)
    page = pages.get("/routes/edit?name=first")
    order(pages, "switch", name="second", on="no")

    stale = pages.client.post("/routes/edit?name=first", data={**filled(page), **ticked(page), "priority": "bulk"})
    again = pages.client.post("/routes/edit?name=first", data={**filled(stale.text), **ticked(stale.text)})

    assert (409, 303) == (stale.status_code, again.status_code)
    assert ("bulk", False) == (site_now(pages.changes).routes[0].priority, site_now(pages.changes).routes[1].enabled)


def test_what_would_happen_to_a_file(tmp_path: Path) -> None:
    """No more than the first 64 KiB of a file are passed on, with the title and an address of the scanner that was chosen."""
    pages = a_box(tmp_path)
    content = bytes(range(256)) * 400

    page = pages.client.post(
        "/routes/ask", data={"file": (io.BytesIO(content), "../x.dcm"), "source": "CT1", "calling": "", "called": "EDGE"}
    )

    (request,) = next(arguments for name, arguments, _ in pages.control.asked if name == "foretell_file")
    assert content[:65536] == base64.b64decode(request.head)
    assert ("CT1", "EDGE", "10.0.0.0") == (request.calling, request.called, request.address)
    for shown in (
        "3 objects: CT Image Storage",
        "because of the route first",
        "known not to take it",
        "never sent there",
        "modality CT is CT or MR",
    ):
        assert shown in page.text, shown


@pytest.mark.parametrize(("source", "typed", "expected"), [("any of the ward", "US7", "US7"), ("", "NEW", "NEW"), ("", "", "EDGE")])
def test_a_caller_without_a_title_is_given_one(tmp_path: Path, source: str, typed: str, expected: str) -> None:
    """Where the scanner has no title of its own, the typed one counts."""
    pages = a_box(tmp_path)

    pages.client.post("/routes/ask", data={"file": (io.BytesIO(b"x"), "x"), "source": source, "calling": typed, "called": "EDGE"})

    (request,) = next(arguments for name, arguments, _ in pages.control.asked if name == "foretell_file")
    assert expected == request.calling


def test_what_would_happen_to_a_study(tmp_path: Path) -> None:
    """The last studies are offered without a word of whose they are, and one of them is asked about."""
    pages = a_box(tmp_path, role=Role.VIEWER)

    page = pages.get("/routes/ask?study=1.2.3")

    assert ("1.2.3",) == next(arguments for name, arguments, _ in pages.control.asked if name == "foretell_study")
    assert "2 objects of other kinds are not shown." in page
    assert "ACC-77" not in page


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    """The router's words stand above the form."""
    refused = RequestRefusedError("this is not a DICOM file", advice="Choose another.")
    pages = a_box(tmp_path, foretell_file=refused)

    answer = pages.client.post("/routes/ask", data={"source": "CT1", "calling": "", "called": "EDGE"})

    assert (422, True) == (answer.status_code, "This is not a DICOM file. Choose another." in answer.text)


def test_a_box_that_is_silent_still_shows_its_routes(tmp_path: Path) -> None:
    """Routes are read from the configuration; only what daemons know is missing."""
    pages = a_box(tmp_path, studies=NotRunningError("the box is not running"))

    assert "None yet." in pages.get("/routes/ask")
    assert "first" in pages.get("/routes/")
