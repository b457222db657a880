"""Studies: searching, one study's way, and what nobody without the right is shown."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.roles import Permission, Role
from appliance.runtime.asking import NotRunningError, RequestRefusedError
from appliance.runtime.page_requests import PreviewReply, StudySearchReply, StudySearchRequest
from tests.fakes.clock import FakeClock
from tests.support.pages import Pages, Said, pages_of
from tests.unit.webui.a_study import SERIES, SITE, UID, a_delivery, a_group, a_line, a_study

# 2026-11-24 10:31 UTC: half an hour after the study came.
_NOW = 1_795_516_260.0
_PNG = base64.b64encode(b"\x89PNG a picture").decode()
_PICTURE = PreviewReply(_PNG, 30)
_CANARY = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"{{7*7}}"
_OF_THE_PATIENT = ("NGUYEN", "P-4711", "ACC-815", "Thorax", "1970")


def _pages(tmp_path: Path, role: Role | None = Role.TECHNICIAN, *, site: str = SITE, accounts: Any = None, **answers: Any) -> Pages:
    answers.setdefault("study", a_study())
    answers.setdefault("search_studies", StudySearchReply((a_line(),)))
    return pages_of(tmp_path, role=role, site=site, control=Said(**answers), accounts=accounts, clock=FakeClock(wall=_NOW))


def _asked(pages: Pages, name: str) -> list[Any]:
    return [arguments[0] for called, arguments, _ in pages.control.asked if called == name]


def test_studies_are_listed_with_what_people_look_for(tmp_path: Path) -> None:
    """The list shows patient, number, accession, description, modality, images, and at which destination how many of them are."""
    page = _pages(tmp_path).get("/studies/")

    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))
    for text in ("NGUYEN, VAN A", "P-4711", "ACC-815", "Thorax nativ", "CT", "120", "archive 120/120 proved"):
        assert text in shown
    assert f'href="/studies/{UID}"' in page


def test_a_search_asks_for_all_that_was_filled_in(tmp_path: Path) -> None:
    """Words, modality, days, destination and "not yet delivered" reach the box as they were meant, and stay in the form."""
    pages = _pages(tmp_path)

    page = pages.get(
        "/studies/?words=+nguyen+4711&modality=CT&since=2026-11-01&until=2026-11-24&destination=archive&undelivered=y&after=" + UID
    )

    assert [StudySearchRequest("nguyen 4711", "CT", "2026-11-01", "2026-11-24", "archive", "owed", 50, UID)] == _asked(
        pages, "search_studies"
    )
    assert 'value="nguyen 4711"' in page or 'value=" nguyen 4711"' in page


@pytest.mark.parametrize(
    "query", ["since=2026-11-24&until=2026-11-01", "modality=XX", "destination=nowhere", "words=" + "x" * 300, "since=x"]
)
def test_a_search_that_makes_no_sense_is_told_at_the_field(tmp_path: Path, query: str) -> None:
    """Days the wrong way round and words that are none are marked; the box is not asked."""
    pages = _pages(tmp_path)

    page = pages.get(f"/studies/?{query}")

    assert "is-invalid" in page
    assert [] == _asked(pages, "search_studies")


@pytest.mark.parametrize(
    ("query", "words"),
    [("", "No study has been received yet"), ("?words=x", "No study fits"), (f"?after={UID}", "no more studies")],
)
def test_an_empty_list_says_why(tmp_path: Path, query: str, words: str) -> None:
    """Where there is nothing to show it is said whether nothing came, nothing fits, or this was the end."""
    assert words in _pages(tmp_path, search_studies=StudySearchReply(())).get(f"/studies/{query}")


def test_a_full_page_leads_to_the_next(tmp_path: Path) -> None:
    """Behind fifty studies a link goes on after the last of them, with the same search; behind fewer there is none."""
    lines = tuple(a_line(study_instance_uid=f"1.2.{number}") for number in range(50))

    full = _pages(tmp_path, search_studies=StudySearchReply(lines)).get("/studies/?modality=CT")
    short = _pages(tmp_path, search_studies=StudySearchReply(lines[:49])).get("/studies/?modality=CT")

    assert re.search(r'href="/studies/\?(after=1\.2\.49&amp;modality=CT|modality=CT&amp;after=1\.2\.49)"', full)
    assert "after=" not in short


@pytest.mark.parametrize("path", ["/studies/", f"/studies/{UID}", f"/studies/{UID}/state"])
def test_a_vendor_sees_no_patient(tmp_path: Path, path: str) -> None:
    """An engineer of a vendor sees when, what and how many, by the end of the UID, and nothing that is of a patient."""
    page = _pages(tmp_path, Role.VENDOR).get(path)

    assert [] == [text for text in _OF_THE_PATIENT if text in page]
    assert "120" in page
    assert 'name="words"' not in page


def test_a_vendor_cannot_search_by_patient(tmp_path: Path) -> None:
    """Words in the address are refused and written down, so that nobody finds out by asking whether somebody was here."""
    pages = _pages(tmp_path, Role.VENDOR)

    answer = pages.client.get("/studies/?words=nguyen")

    assert 403 == answer.status_code
    assert [Permission.SEE_PATIENTS] == [permission for _, _, permission in pages.accounts.refusals]
    assert [] == pages.control.asked


def test_the_study_page_tells_its_way(tmp_path: Path) -> None:
    """One sentence, then what happened when: acquired, received, delivered and proved, with the time that each took."""
    page = _pages(tmp_path).get(f"/studies/{UID}")

    for text in (
        "All 120 images are at archive, proved.",
        "The examination took 12 min, by the scanner&#39;s clock.",
        "The last image came 40 s after it was acquired.",
        "The last image arrived there 12 s after it came here. Proved.",
        "CT1, sent to PACS1",
        "1970-01-31",
        UID,
    ):
        assert text in page


def test_the_state_renews_itself(tmp_path: Path) -> None:
    """The part about the state names the address that returns it alone, which is no page of its own."""
    pages = _pages(tmp_path)

    page, part = pages.get(f"/studies/{UID}"), pages.get(f"/studies/{UID}/state")

    assert f'data-live="/studies/{UID}/state"' in page
    assert "All 120 images are at archive, proved." in part
    assert "<html" not in part


@pytest.mark.parametrize(
    ("delivery", "sentence", "orders"),
    [
        ({"counts": {"proved": 120}}, "All 120 images are at archive, proved.", set()),
        ({"counts": {"delivered": 120}, "proof": "delivered"}, "All 120 images are at archive.", set()),
        ({"counts": {"delivered": 100, "proved": 20}}, "That it keeps them is proved for 20 so far.", set()),
        ({"counts": {"queued": 120}}, "All 120 images wait for archive.", {"hold", "cancel"}),
        ({"counts": {"delivered": 117, "deferred": 3}}, "117 of 120 images are at archive, 3 wait.", {"retry", "hold", "cancel"}),
        ({"counts": {"proved": 117, "held": 3}}, "3 images for archive are held", {"retry", "release", "cancel"}),
        ({"counts": {"cancelled": 120}}, "it was given up", set()),
        ({"counts": {"proved": 1}}, "1 image is at archive, proved.", set()),
    ],
)
def test_each_state_has_its_sentence_and_its_orders(tmp_path: Path, delivery: dict[str, Any], sentence: str, orders: set[str]) -> None:
    """What is said is what the counts say, and only what would change something is offered."""
    page = _pages(tmp_path, study=a_study(a_delivery(**delivery))).get(f"/studies/{UID}")

    assert sentence in page
    assert orders == set(re.findall(rf"/studies/{UID}/orders/(\w+)\?destination=archive", page))


def test_a_study_without_destinations_and_one_with_two(tmp_path: Path) -> None:
    """Where no route sends a study that is said; where it is at all of its destinations, all are named, and else the one in trouble."""
    nowhere = _pages(tmp_path, study=replace(a_study(), deliveries=())).get(f"/studies/{UID}")
    both = _pages(tmp_path, study=a_study(a_delivery(), a_delivery("workstation"))).get(f"/studies/{UID}")
    trouble = _pages(tmp_path, study=a_study(a_delivery(), a_delivery("workstation", counts={"queued": 120}))).get(f"/studies/{UID}")

    assert "No route sends this study anywhere" in nowhere
    assert "All images are where they belong, proved: archive, workstation." in both
    assert '<p class="sentence sentence-warn text-break">All 120 images wait for workstation.</p>' in trouble
    assert "It has waited for 31 min since the first image came." in trouble


def test_what_is_held_says_why_and_what_to_do(tmp_path: Path) -> None:
    """A held image has its code for the telephone, what that means, what the archive said, and the way out."""
    held = a_delivery(counts={"proved": 117, "held": 3}, held=(a_group(),), reasons=("0122 SOP class not supported",))

    page = _pages(tmp_path, study=a_study(held)).get(f"/studies/{UID}")

    for text in ("3 images are held", "class_rejected</code>", "does not take this kind of image", "0122 SOP class not supported"):
        assert text in page
    assert "allow this kind of image" in page


def test_clocks_that_disagree_are_told(tmp_path: Path) -> None:
    """An image that was acquired after it came, or that does not say when, is not given a time that nobody measured."""
    ahead = _pages(tmp_path, study=a_study(acquired_last="2026-11-24T11:01:00+00:00")).get(f"/studies/{UID}")
    silent = _pages(tmp_path, study=a_study(acquired_first=None, acquired_last=None)).get(f"/studies/{UID}")

    assert "its clock is wrong, or the box" in ahead
    assert "do not say when they were acquired" in silent


@pytest.mark.parametrize("role", [Role.VIEWER, Role.VENDOR])
def test_who_may_only_look_is_offered_nothing_else(tmp_path: Path, role: Role) -> None:
    """A viewer is offered no order, neither pictures nor exports are; asking for them all the same is refused and written down."""
    held = a_study(a_delivery(counts={"held": 120}))
    pages = _pages(tmp_path, role, study=held)
    paths = [f"/studies/{UID}/series/{SERIES}", f"/studies/{UID}/series/{SERIES}/thumbnail", f"/studies/{UID}/export"]

    page = pages.get(f"/studies/{UID}")
    codes = [pages.client.get(path).status_code for path in paths]

    assert "<img" not in page
    assert "/export" not in page
    assert ("/orders/" in page) is (role is Role.VENDOR)
    assert [403] * 3 == codes
    assert [Permission.SEE_IMAGES] * 3 == [permission for _, _, permission in pages.accounts.refusals]


def test_nobody_sees_studies_without_logging_in(tmp_path: Path) -> None:
    """Every page of a study leads to the log-in page."""
    pages = _pages(tmp_path, None)
    rules = [rule for rule in pages.app.url_map.iter_rules() if rule.endpoint.startswith("studies.")]

    codes = {
        rule.endpoint: pages.client.get(
            rule.rule.replace("<uid>", UID).replace("<series_uid>", SERIES).replace("<verb>", "hold")
        ).status_code
        for rule in rules
    }

    assert len(codes) == 8
    assert {302} == set(codes.values())


def test_thumbnails_are_lazy_and_asked_of_opener(tmp_path: Path) -> None:
    """Each series shows a picture that is loaded when it is seen; it comes as PNG, is kept by no cache, and is not looked into."""
    pages = _pages(tmp_path, preview=_PICTURE)

    page = pages.get(f"/studies/{UID}")
    answer = pages.client.get(f"/studies/{UID}/series/{SERIES}/thumbnail")

    assert f'loading="lazy" width="192" height="192" src="/studies/{UID}/series/{SERIES}/thumbnail"' in page
    assert (b"\x89PNG a picture", "image/png") == (answer.data, answer.mimetype)
    assert ("no-store", "nosniff") == (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"])
    assert ("1.2.3.4", "an object.age") == (
        _asked(pages, "preview")[0].object.sop_instance_uid,
        _asked(pages, "preview")[0].object.spool_name,
    )


def test_pictures_are_written_down_once_a_session_and_study(tmp_path: Path) -> None:
    """However many pictures of a study somebody looks at, the journal says it once; another study is said again."""
    noted: list[tuple[str, str]] = []
    other = a_study(line=a_line(study_instance_uid="1.2.3"))
    pages = _pages(tmp_path, preview=_PICTURE, study=lambda uid: other if uid == "1.2.3" else a_study())
    pages.accounts.changed = lambda _person, action, thing, **_: noted.append((action, thing))  # type: ignore[method-assign]

    for uid in (UID, UID, "1.2.3"):
        pages.client.get(f"/studies/{uid}/series/{SERIES}/thumbnail")
        pages.client.get(f"/studies/{uid}/series/{SERIES}")

    assert [("images.viewed", UID), ("images.viewed", "1.2.3")] == noted


def test_a_picture_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """In the place of the picture stand words, and on its page the reason."""
    pages = _pages(tmp_path, preview=PreviewReply("", 0, f"it is a {_CANARY}"))

    small = pages.client.get(f"/studies/{UID}/series/{SERIES}/thumbnail")
    page = pages.get(f"/studies/{UID}/series/{SERIES}")

    assert (200, "image/svg+xml") == (small.status_code, small.mimetype)
    assert "No picture" in small.text
    assert "it is a &lt;script&gt;" in page
    assert _CANARY not in page


@pytest.mark.parametrize(("asked", "shown"), [("", 1), ("2", 2), ("999999999999", 30), ("-1", 1), ("x", 1)])
def test_frames_are_leafed_through(tmp_path: Path, asked: str, shown: int) -> None:
    """The page of a picture shows the frame that was asked for, or the nearest there is, and leads to those beside it."""
    pages = _pages(tmp_path, preview=_PICTURE)

    page = pages.get(f"/studies/{UID}/series/{SERIES}?frame={asked}")

    assert f"Frame {shown} of 30" in page
    assert (f"frame={shown + 1}" in page) is (shown < 30)
    assert (f"frame={shown - 1}" in page) is (shown > 1)
    assert f"data:image/png;base64,{_PNG}" in page


@pytest.mark.parametrize(
    "path", ["/studies/1.2%20or%201", "/studies/1.2.3;x", f"/studies/{'1' * 65}", f"/studies/{UID}/series/9.9", "/studies/?after=x"]
)
def test_what_is_no_uid_is_nothing(tmp_path: Path, path: str) -> None:
    """A study or a series that cannot be, or is none of the study's, is not found, and nobody is asked for it."""
    assert 404 == _pages(tmp_path, preview=_PICTURE).client.get(path).status_code


def test_daemons_that_fail_are_said_in_plain_words(tmp_path: Path) -> None:
    """A daemon that is not there, and one that refuses, become pages with advice."""
    gone = _pages(tmp_path, study=NotRunningError("x"), search_studies=NotRunningError("x"))
    unknown = _pages(tmp_path, study=RequestRefusedError("there is no such study in the ledger", advice="Search for it."))

    codes = [gone.client.get(path).status_code for path in ("/studies/", f"/studies/{UID}")]
    refused = unknown.client.get(f"/studies/{UID}")

    assert [503, 503] == codes
    assert 422 == refused.status_code
    assert "there is no such study" in refused.text


def test_what_peers_say_is_never_run(tmp_path: Path) -> None:
    """A script in any field that a scanner, an archive or a neighbour controls is shown as text (hostile-inputs.md row 87)."""
    line = a_line(
        patient_name=_CANARY, patient_id=_CANARY, birth_date=_CANARY, accession_number=_CANARY, description=_CANARY, study_date=_CANARY,
        modality=_CANARY, destinations={_CANARY: {_CANARY: 3, "held": 1}},
    )  # fmt: skip
    delivery = a_delivery(_CANARY, counts={_CANARY: 3, "held": 1}, reasons=(_CANARY,))
    held = a_delivery("archive", counts={"held": 1}, held=(a_group(code=_CANARY, reason=_CANARY),))
    study = a_study(delivery, held, line=line, source=_CANARY, called=_CANARY)
    study = replace(study, series=(replace(study.series[0], modality=_CANARY),))
    pages = _pages(tmp_path, study=study, search_studies=StudySearchReply((line,)), preview=_PICTURE, objects=NotRunningError("x"))

    for path in ("/studies/", f"/studies/{UID}", f"/studies/{UID}/state", f"/studies/{UID}/series/{SERIES}", f"/studies/{UID}/resend"):
        page = pages.get(path)
        assert "<script>alert" not in page, path
        assert "<img src=x" not in page, path
        assert "49" not in re.findall(r"&gt;&#39;&#34;(.*)", page), path
        assert "&lt;script&gt;alert(1)" in page, path
