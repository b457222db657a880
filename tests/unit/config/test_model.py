"""The model as other packages use it: frozen, typed, and the same after any journey."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from appliance.config.load import default_site, to_json, to_toml
from appliance.config.model import Admission, DicomDestination, Retention, Site, Source
from appliance.core.identity import AETitle
from tests.unit.config.texts import EXAMPLE, a_destination, a_source, site_of

EVERY_KEY = EXAMPLE.read_text(encoding="utf-8") + a_source('address = "10.9.0.0/16"', name="any", ae_title="*")


def test_a_site_cannot_be_changed() -> None:
    """A snapshot that was passed on stays what it was."""
    site = default_site()

    with pytest.raises(ValidationError):
        site.box.name = "other"  # type: ignore[misc]
    assert site.box.name == "dicom-edge"


def test_values_have_the_types_that_others_rely_on() -> None:
    """Durations are seconds, sizes bytes, titles titles, and any title is None."""
    site = site_of(EVERY_KEY)

    assert site.admission.idle == 3600.0
    assert site.retention.reserve == 5 << 30
    assert site.sources[0].ae_title == AETitle("CT1")
    assert site.sources[1].ae_title is None
    assert site.delivery.throttled == (30.0, 900.0)
    assert site.delivery.site_rule == (5, 2, 60.0)
    assert site.local_titles == (AETitle("EDGE"), AETitle("PACS1"))


@pytest.mark.parametrize(("calling_ae", "expected"), [("box", "EDGE"), ("source", "CT1"), ("ROUTER", "ROUTER")])
def test_how_the_box_calls_itself(calling_ae: str, expected: str) -> None:
    """The title towards a destination is the box's, the source's, or a literal one."""
    destination = site_of(a_destination(f'calling_ae = "{calling_ae}"')).destinations[0]

    title = destination.calling_title(AETitle("CT1"), AETitle("EDGE"))

    assert title.text == expected


@pytest.mark.parametrize(("lines", "expected"), [((), "archive"), (('id = "pacs-2019"',), "pacs-2019")])
def test_a_destination_takes_its_name_as_id(lines: tuple[str, ...], expected: str) -> None:
    """Without an id the name is the id."""
    destination = site_of(a_destination(*lines)).destinations[0]

    assert destination.id == expected


def test_code_may_say_plain_seconds() -> None:
    """A unit is required of files only: code says seconds and bytes."""
    admission, retention = Admission(idle=2.0), Retention(reserve=1 << 20)

    assert (admission.idle, retention.reserve) == (2.0, 1 << 20)


def test_code_uses_names_and_files_use_keys() -> None:
    """Code says `sources`, a file `source`; an unknown name is refused in both."""
    site = Site(
        sources=(Source(name="CT1", ae_title=AETitle("CT1")),), destinations=(DicomDestination(name="a", ae_title=AETitle("A"), host="h"),)
    )

    assert [source.name for source in site.sources] == ["CT1"]
    with pytest.raises(ValidationError):
        Site.model_validate({"sorces": []})


@pytest.mark.parametrize("text", ["", EVERY_KEY], ids=["defaults", "every key"])
def test_a_site_written_as_toml_is_the_same_site(text: str) -> None:
    """What `config show` prints is a file with the same meaning, down to the spelling of titles."""
    site = site_of(text)

    again = site_of(to_toml(site))

    assert again == site
    assert to_json(again) == to_json(site)


@pytest.mark.parametrize("text", ["", EVERY_KEY], ids=["defaults", "every key"])
def test_a_site_written_as_json_is_the_same_site(text: str) -> None:
    """JSON loses nothing either."""
    site = site_of(text)

    again = Site.model_validate_json(to_json(site))

    assert again == site
