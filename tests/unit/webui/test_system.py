"""System: the box, its configuration and history, and the change that waits to be confirmed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from appliance.accounts.roles import Permission, Role
from appliance.config.edits import set_values
from appliance.runtime.asking import NotRunningError
from appliance.runtime.requests import SpoolSpace, StatusReply
from tests.support.pages import Said
from tests.unit.webui.ward import TEXT, Ward, a_ward, text_of

RENAMED = set_values("box", {"ae_title": "EDGE2"})


def a_status() -> StatusReply:
    """Return a box without anything to do."""
    return StatusReply("1.2.3", True, "vinh-ct", 1, {}, {}, None, SpoolSpace(0, 1 << 40), (), ())


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    """Return a box whose administrator is signed in."""
    return a_ward(tmp_path, control=Said(status=a_status(), ready=frozenset()))


def test_the_overview_says_what_box_this_is(ward: Ward) -> None:
    """Name, title, version, generation and where it listens stand on one page."""
    (ward.data / "run").mkdir()
    (ward.data / "run" / "listening.json").write_text('{"dicom": [["0.0.0.0", 11112]], "web": [["0.0.0.0", 8443]]}', encoding="utf-8")

    said = text_of(ward.get("/system/"))

    for word in ("vinh-ct", "EDGE", "1.2.3", "generation 1", "0.0.0.0:11112", "0.0.0.0:8443", "UTC"):
        assert word in said


def test_the_overview_is_there_without_daemons(tmp_path: Path) -> None:
    """What no daemon answers is left out, and the rest is shown."""
    ward = a_ward(tmp_path, control=Said(status=NotRunningError("no")))

    assert "not known at the moment" in ward.get("/system/")


def test_the_text_is_shown_and_downloaded(ward: Ward) -> None:
    """The operator's own text comes back, remarks and all."""
    answer = ward.pages.client.get("/system/configuration/site.toml")

    assert "# room 3" in ward.get("/system/configuration/")
    assert (answer.text, answer.headers["Content-Disposition"]) == (TEXT, 'attachment; filename="site.toml"')


def test_the_history_says_who_when_and_why(ward: Ward) -> None:
    """Each generation has its line, and its own page with what it changed."""
    ward.changes.apply(set_values("admission", {"per_source": 8}), expected=1, by="kim", reason="ticket 17")

    history, page = text_of(ward.get("/system/configuration/history")), text_of(ward.get("/system/configuration/generations/2"))

    assert "ticket 17" in history
    assert "anna" in history
    assert "admission.per_source 16 8" in page
    assert "It is in force." in page


def test_two_generations_are_compared(ward: Ward) -> None:
    """Any two can be compared, either way round."""
    ward.changes.apply(set_values("admission", {"per_source": 8}), expected=1, by="kim", reason="")

    assert "admission.per_source 16 8" in text_of(ward.get("/system/configuration/difference?from=1&to=2"))
    assert "admission.per_source 8 16" in text_of(ward.get("/system/configuration/difference?from=2&to=1"))


def test_a_generation_that_is_not_there_is_no_page(ward: Ward) -> None:
    """Numbers of nothing get 404, however large."""
    paths = (
        "generations/9",
        f"generations/{2**63}",
        "generations/-1",
        "difference",
        "difference?from=1&to=9",
        "difference?from=x&to=1",
        "site.toml?generation=9",
    )

    assert [ward.pages.client.get(f"/system/configuration/{path}").status_code for path in paths] == [404] * len(paths)


def test_going_back_makes_a_new_generation(ward: Ward) -> None:
    """An earlier one is put in force again with a reason, and it is written down."""
    ward.changes.apply(set_values("admission", {"per_source": 8}), expected=1, by="kim", reason="")

    answer = ward.post("/system/configuration/generations/1/roll-back", reason="it was better")

    assert answer.status_code == 303
    assert (ward.generation, ward.site.admission.per_source) == (3, 16)
    assert ward.changes.history()[0].reason == "it was better"
    assert ward.journal == [
        (
            "configuration.rolled_back",
            "generation 3: back to generation 1",
            {"before": "admission.per_source: 8", "after": "admission.per_source: 16", "reason": "it was better"},
        )
    ]


def test_going_back_needs_a_reason(ward: Ward) -> None:
    """Without one nothing is changed, and the field says so."""
    ward.changes.apply(set_values("admission", {"per_source": 8}), expected=1, by="kim", reason="")

    answer = ward.post("/system/configuration/generations/1/roll-back", reason="")

    assert answer.status_code == 422
    assert "Fill this in." in answer.text
    assert ward.generation == 2


def test_a_file_is_shown_before_it_counts(ward: Ward) -> None:
    """A loaded file says what it changes; only the second click puts it in force, with the reason."""
    text = TEXT.replace("10.1.0.5", "10.1.0.6")

    shown = ward.post("/system/configuration/load", file=(io.BytesIO(text.encode()), "site.toml"))
    assert shown.status_code == 200
    assert "destination.archive.host" in shown.text
    assert "10.1.0.6" in shown.text
    assert ward.generation == 1
    answer = ward.post("/system/configuration/load/apply", text=text.replace("\n", "\r\n"), reason="the archive moved")

    assert answer.status_code == 303
    assert (ward.generation, ward.changes.current().text) == (2, text)
    assert ward.journal[0][2]["reason"] == "the archive moved"


def test_a_file_with_errors_is_refused_with_all_of_them(ward: Ward) -> None:
    """Every problem stands on the page, and nothing is changed."""
    text = TEXT.replace("10.1.0.5", ";reboot").replace('"PACS1"', '"A TITLE THAT IS TOO LONG"')

    answer = ward.post("/system/configuration/load", file=(io.BytesIO(text.encode()), "site.toml"))

    assert answer.status_code == 422
    assert "destination[0].host" in answer.text
    assert "destination[0].ae_title" in answer.text
    assert ward.generation == 1


def test_what_is_no_site_file_is_refused(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else than a text of at most 1 MiB is refused at its field."""
    monkeypatch.setattr("webui.forms.system._FILE_BYTES", 1000)

    for content in (b"\xff\xfe\x00", b"", b"#" * 1001):
        answer = ward.post("/system/configuration/load", file=(io.BytesIO(content), "site.toml"))

        assert answer.status_code == 422
        assert "invalid-feedback" in answer.text


def test_the_second_of_two_is_told(ward: Ward) -> None:
    """Who saves after somebody else gets 409 and what the first changed, and nothing of theirs is applied."""
    ward.changes.apply(set_values("admission", {"per_source": 8}), expected=1, by="anna", reason="")

    answer = ward.post("/system/configuration/load/apply", text=TEXT.replace("10.1.0.5", "10.1.0.6"), generation="1")

    assert answer.status_code == 409
    assert "Anna put generation 2 in force meanwhile: admission.per_source: 16 → 8" in answer.text
    assert ward.generation == 2


def test_a_form_without_its_generation_is_stale(ward: Ward) -> None:
    """A form that does not say what it was about changes nothing."""
    for generation in ("", "x", "-1", "1" * 5000):
        answer = ward.post("/system/configuration/load/apply", text=TEXT.replace("10.1.0.5", "10.1.0.6"), generation=generation)

        assert answer.status_code == 409
    assert ward.generation == 1


def test_a_change_that_waits_is_on_every_page(ward: Ward) -> None:
    """Whatever page somebody opens, it says that a change will be taken back, why, and when."""
    ward.changes.apply(RENAMED, expected=1, by="kim", reason="")
    ward.clock.advance(15)

    for path in ("/system/", "/system/configuration/", "/system/settings/"):
        said = text_of(ward.get(path))
        assert "Generation 2 is taken back in 45 seconds unless you say so." in said
        assert "Scanners that call EDGE are refused." in said
    assert "taken back in 45 seconds" in text_of(ward.get("/system/unconfirmed"))


def test_a_click_lets_it_stay(ward: Ward) -> None:
    """Confirmed, it is no longer on any page and never taken back."""
    ward.changes.apply(RENAMED, expected=1, by="kim", reason="")

    answer = ward.post("/system/unconfirmed/confirm")

    assert answer.status_code == 303
    assert ward.journal == [("configuration.confirmed", "generation 2", {})]
    ward.clock.advance(600)
    assert "taken back in" not in ward.get("/system/")
    assert ward.site.box.ae_title.text == "EDGE2"


def test_a_click_takes_it_back(ward: Ward) -> None:
    """Nobody has to wait for the minute to be over."""
    ward.changes.apply(RENAMED, expected=1, by="kim", reason="")

    ward.post("/system/unconfirmed/take-back")

    assert ward.site.box.ae_title.text == "EDGE"
    assert "waits no longer" in ward.get("/system/unconfirmed")


def test_a_click_that_comes_too_late_says_so(ward: Ward) -> None:
    """After the minute a confirmation changes nothing, and says that nothing waits any more."""
    ward.changes.apply(RENAMED, expected=1, by="kim", reason="")
    ward.clock.advance(60)

    ward.post("/system/unconfirmed/confirm")

    assert "Nothing waits any more" in ward.get("/system/configuration/history")
    assert ward.changes.take_back_if_due()
    assert ward.site.box.ae_title.text == "EDGE"


def test_while_one_waits_another_is_refused(ward: Ward) -> None:
    """A change on top of one that waits gets 409 and the advice to confirm first."""
    ward.changes.apply(RENAMED, expected=1, by="kim", reason="")

    answer = ward.post("/system/configuration/load/apply", text=TEXT, generation="2")

    assert answer.status_code == 409
    assert "Confirm it or take it back first" in answer.text


def test_looking_takes_nobody_but_the_signed_in(ward: Ward) -> None:
    """The pages are for who is signed in; without, the banner is not looked for either."""
    ward.changes.apply(RENAMED, expected=1, by="kim", reason="")
    with ward.pages.client.session_transaction(base_url="https://localhost") as cookie:
        cookie.clear()

    assert ward.pages.client.get("/system/").status_code == 302


_POSTS = {
    "/system/configuration/generations/1/roll-back": Permission.ADMINISTER,
    "/system/configuration/load": Permission.ADMINISTER,
    "/system/configuration/load/apply": Permission.ADMINISTER,
    "/system/settings/box": Permission.ADMINISTER,
    "/system/settings/titles/add": Permission.ADMINISTER,
    "/system/settings/titles/remove": Permission.ADMINISTER,
    "/system/certificates/make": Permission.ADMINISTER,
    "/system/certificates/request": Permission.ADMINISTER,
    "/system/certificates/install": Permission.ADMINISTER,
    "/system/certificates/keys/rotate": Permission.ADMINISTER,
    "/system/certificates/keys/recovery": Permission.ADMINISTER,
    "/system/unconfirmed/confirm": Permission.SET_UP,
    "/system/unconfirmed/take-back": Permission.SET_UP,
}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TECHNICIAN])
def test_who_may_not_change_is_refused(tmp_path: Path, role: Role) -> None:
    """A viewer and a technician see the configuration, and change nothing of what is an administrator's."""
    ward = a_ward(tmp_path, role=role, control=Said(status=a_status(), ready=frozenset()))

    refused = [path for path in _POSTS if ward.post(path).status_code == 403]

    expected = [path for path, permission in _POSTS.items() if permission is Permission.ADMINISTER or role is Role.VIEWER]
    assert refused == expected
    assert ward.generation == 1
    assert "Load a site file" not in ward.get("/system/configuration/")
