"""All settings: shown as they are in force, saved section by section, refused at the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.model import Section, Site
from appliance.config.rendering import plain_values
from tests.unit.config.texts import site_of
from tests.unit.webui.ward import TEXT, Ward, a_ward, text_of
from webui.settings_fields import LEFT_OUT, changed_values, section_of, sections
from webui.settings_words import SECTIONS, WORDS

BASE = site_of(TEXT)


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    """Return a box whose administrator is signed in."""
    return a_ward(tmp_path)


def test_every_setting_has_its_words() -> None:
    """Whoever adds a setting to the model adds its label and meaning, or says that it has no field."""
    once = {
        name for name, field in Site.model_fields.items() if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }
    settings = {(name, key) for name in once for key in plain_model(name)}

    assert set(SECTIONS) == once
    assert set(WORDS) | LEFT_OUT == settings
    assert not set(WORDS) & LEFT_OUT


def plain_model(name: str) -> set[str]:
    """Return the keys of a section."""
    model = Site.model_fields[name].annotation
    assert isinstance(model, type)
    assert issubclass(model, Section)
    return set(model.model_fields)


def test_what_was_not_touched_is_not_sent_back() -> None:
    """A form that comes back as it went out changes nothing, whatever the kind of value."""
    for section in sections(BASE):
        assert changed_values(BASE, section.name, {field.key: field.value for field in section.fields}) == {}


@pytest.mark.parametrize(
    ("section", "key", "typed", "expected"),
    [
        ("box", "ae_title", "EDGE2", "EDGE2"),
        ("box", "timezone", "", None),
        ("listen", "dicom", "0.0.0.0:104, [::]:11112", ["0.0.0.0:104", "[::]:11112"]),
        ("listen", "workers", "4", 4),
        ("listen", "workers", "4.5", 4.5),
        ("listen", "workers", "four", "four"),
        ("listen", "workers", "inf", "inf"),
        ("tls", "certificate", "/etc/box.pem", "/etc/box.pem"),
        ("tls", "authorities", "/etc/a.pem\n/etc/b.pem", ["/etc/a.pem", "/etc/b.pem"]),
        ("admission", "blank_called", "true", True),
        ("admission", "blank_called", "maybe", "maybe"),
        ("admission", "idle", "20 min", "20 min"),
        ("completion", "quiet", "CT = 9 min", {"CR": None, "CT": "9 min", "US": None, "XA": None}),
        ("retention", "refuse_at", "0.9", 0.9),
        ("delivery", "throttled", "10, 60", [10, 60]),
        ("delivery", "throttled", "10, x", [10, "x"]),
    ],
)
def test_what_is_typed_is_a_value_of_the_file(section: str, key: str, typed: str, expected: object) -> None:
    """Numbers, lists, switches and groups come back as the file writes them; what is none is left for the check to refuse."""
    fields = {field.key: field.value for field in section_of(BASE, section).fields}

    assert changed_values(BASE, section, fields | {key: typed}) == {key: expected}


def test_the_page_shows_what_is_in_force(ward: Ward) -> None:
    """Every section with its fields, their values and defaults."""
    page = ward.get("/system/settings/")

    assert 'name="name" value="vinh-ct"' in page
    assert all(f'name="{key}"' in page for _, key in WORDS)
    assert "Default: EDGE" in text_of(page)


def test_a_section_is_saved_with_its_reason(ward: Ward) -> None:
    """What was changed is in force, nothing else is written into the file, and the journal has before and after."""
    fields = {field.key: field.value for field in section_of(ward.site, "admission").fields}

    answer = ward.post("/system/settings/admission", more=fields | {"per_source": "8", "blank_called": "true"}, reason="ticket 17")

    assert answer.status_code == 303
    assert ward.changes.current().text == f"{TEXT}\n[admission]\nper_source = 8\nblank_called = true\n"
    assert ward.journal == [
        (
            "settings.changed",
            "generation 2: [admission]",
            {
                "before": "admission.per_source: 16\nadmission.blank_called: false",
                "after": "admission.per_source: 8\nadmission.blank_called: true",
                "reason": "ticket 17",
            },
        )
    ]


def test_an_emptied_field_is_the_default(ward: Ward) -> None:
    """Taking a value away takes its line away."""
    ward.post("/system/settings/box", name="")

    assert ward.site.box.name == "dicom-edge"
    assert "[box]" not in ward.changes.current().text


def test_nothing_is_saved_without_a_reason(ward: Ward) -> None:
    """Whoever comes next will want to know."""
    answer = ward.post("/system/settings/box", ae_title="EDGE2", reason=" ")

    assert answer.status_code == 422
    assert "Say why" in answer.text
    assert 'value="EDGE2"' in answer.text
    assert ward.generation == 1


def test_what_is_wrong_stands_at_its_field(ward: Ward) -> None:
    """A refused value is shown as it was typed, with what to write instead, and nothing of its section is applied."""
    answer = ward.post("/system/settings/retention", evict_at="0.5", refuse_at="2")

    assert answer.status_code == 422
    assert 'name="refuse_at" value="2"' in answer.text
    assert 'id="retention-refuse_at-wrong" class="invalid-feedback d-block"><p class="mb-1">Must be between 0 and 1' in answer.text
    assert ward.generation == 1


def test_what_fits_with_nothing_is_said(ward: Ward) -> None:
    """A problem between two settings stands at the one to change, one of a group's entry at the group."""
    order = ward.post("/system/settings/retention", evict_at="0.97")
    group = ward.post("/system/settings/completion", quiet="CT = soon")

    assert 'id="retention-refuse_at-wrong"' in order.text
    assert 'id="completion-quiet-wrong"' in group.text
    assert ward.generation == 1


def test_what_is_no_setting_is_ignored(ward: Ward) -> None:
    """Fields that a form does not have change nothing, and a section that is none is no page."""
    assert ward.post("/system/settings/admission", more={"is_admin": "true", "box.name": "x"}).status_code == 303
    assert ward.post("/system/settings/source", name="x").status_code == 404
    assert ward.generation == 1


def test_what_waits_for_a_restart_is_said(ward: Ward) -> None:
    """An address that counts only after a restart is said to, and waits to be confirmed as what could lock out."""
    ward.post("/system/settings/listen", web="0.0.0.0:9443")

    said = text_of(ward.get("/system/settings/"))
    assert "Counts when the box is started again: listen.web." in said
    assert "These pages move to 0.0.0.0:9443 when the box is started again." in said


def test_titles_come_and_go(ward: Ward) -> None:
    """The box answers to a title more and to one less, each a change of its own."""
    ward.post("/system/settings/titles/add", ae_title="PACS1")
    assert [title.text for title in ward.site.local_titles] == ["EDGE", "PACS1"]

    ward.post("/system/settings/titles/remove", ae_title="PACS1")

    assert [title.text for title in ward.site.local_titles] == ["EDGE"]
    assert ward.changes.pending() is not None


@pytest.mark.parametrize("title", ["", "EDGE", "A" * 17, "PA\\CS"])
def test_a_title_that_is_none_is_refused_at_its_field(ward: Ward, title: str) -> None:
    """Blank, twice, too long or with a backslash: the field says what is wrong."""
    answer = ward.post("/system/settings/titles/add", ae_title=title)

    assert answer.status_code == 422
    assert 'id="title-wrong"' in answer.text
    assert ward.generation == 1


def test_a_title_that_is_gone_is_said(ward: Ward) -> None:
    """Removing what somebody removed meanwhile says so."""
    assert ward.post("/system/settings/titles/remove", ae_title="PACS9").status_code == 422


def test_a_default_is_shown_as_it_is_written() -> None:
    """What the page calls the default is what the model has."""
    defaults = plain_values(Site())

    assert {field.key: field.default for field in section_of(BASE, "delivery").fields}["throttled"] == "30, 900"
    assert {field.key: field.default for field in section_of(BASE, "admission").fields}["idle"] == dict(defaults["admission"])["idle"]  # type: ignore[call-overload]
