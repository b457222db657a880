"""What differs between two configurations, in lines that a person and an audit trail can read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config.change import Change, difference, needs_restart
from appliance.config.load import default_site, to_json
from appliance.config.model import Listeners, Site, Source
from appliance.config.translation import sections_of
from appliance.core.identity import AETitle
from tests.unit.config.texts import EXAMPLE, a_destination, a_route, a_source, site_of

BASE = (
    a_source('address = "10.0.0.7"')
    + a_source('address = "10.0.0.8"', name="MR1", ae_title="MR1")
    + a_destination()
    + a_route('to = ["archive"]')
)


def test_the_same_configuration_has_no_difference() -> None:
    """Comments, order of keys and defaults spelled out change nothing."""
    before = site_of(EXAMPLE.read_text(encoding="utf-8"))

    assert difference(before, site_of("# a remark\n" + EXAMPLE.read_text(encoding="utf-8"))) == ()
    assert difference(default_site(), site_of('[admission]\nidle = "1 h"\n')) == ()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "[listen]\nworkers = 4\n", Change("listen.workers", "2", "4")),
        ("", '[listen]\ndicom = ["127.0.0.1:104"]\n', Change("listen.dicom", '["0.0.0.0:11112"]', '["127.0.0.1:104"]')),
        ("", "[delivery]\nconnect = 2.5\n", Change("delivery.connect", "10", "2.5")),
        ("", "[admission]\nblank_called = true\n", Change("admission.blank_called", "false", "true")),
        ("", '[box]\nae_title = "Edge"\n', Change("box.ae_title", '"EDGE"', '"Edge"')),
        (BASE, BASE.replace('"10.0.0.8"', '"10.0.0.9"'), Change("source.MR1.address", '"10.0.0.8"', '"10.0.0.9"')),
        (BASE, BASE.replace('address = "10.0.0.8"', ""), Change("source.MR1.address", '"10.0.0.8"', None)),
        (BASE, BASE + '[route.when]\nmodality = ["CT"]\n', Change("route.everything.when.modality", "[]", '["CT"]')),
    ],
)
def test_a_changed_key_is_one_change(before: str, after: str, expected: Change) -> None:
    """A key is named by its dotted path, with both values as they stand in the file."""
    assert difference(site_of(before), site_of(after)) == (expected,)


def test_sections_are_told_apart_by_what_they_are_called() -> None:
    """A source taken out from the front is one removal, though all others move up."""
    after = BASE.replace(a_source('address = "10.0.0.7"'), "")

    (change,) = difference(site_of(BASE), site_of(after))

    assert (change.where, change.after) == ("source.CT1", None)
    assert change.before is not None
    assert change.before.startswith('{ name = "CT1", ae_title = "CT1", address = "10.0.0.7", ')


def test_what_is_added_is_one_change_with_all_its_values() -> None:
    """A new destination is said in one line, lists and groups included."""
    lines = ('also_calls_from = [{ ae_title = "SC", address = "10.1.0.0/24" }]', "lanes = 2")

    (change,) = difference(default_site(), site_of(a_destination(*lines, name="the archive")))

    assert (change.where, change.before) == ('destination."the archive"', None)
    assert change.after is not None
    assert 'also_calls_from = [{ ae_title = "SC", address = "10.1.0.0/24" }]' in change.after
    assert "lanes = 2" in change.after


def test_a_renamed_destination_is_a_changed_name() -> None:
    """The id says that it is the same one; the path has the new name."""
    after = BASE.replace('name = "archive"', 'name = "pacs"\nid = "archive"').replace('to = ["archive"]', 'to = ["pacs"]')

    changes = difference(site_of(BASE), site_of(after))

    assert changes == (
        Change("destination.pacs.name", '"archive"', '"pacs"'),
        Change("route.everything.to", '["archive"]', '["pacs"]'),
    )


def test_another_order_is_a_change() -> None:
    """Sections that only changed places are said as an order."""
    first, second = a_source('address = "10.0.0.7"'), a_source('address = "10.0.0.8"', name="MR1", ae_title="MR1")

    changes = difference(site_of(first + second), site_of(second + first))

    assert changes == (Change("source (order)", '["CT1", "MR1"]', '["MR1", "CT1"]'),)


def test_a_title_in_other_capitals_is_the_same_title() -> None:
    """A title of the box that is spelled otherwise is a change of spelling, not another title."""
    changes = difference(site_of('[[local_ae]]\nae_title = "PACS"\n'), site_of('[[local_ae]]\nae_title = "pacs"\n'))

    assert changes == (Change("local_ae.pacs.ae_title", '"PACS"', '"pacs"'),)


def test_names_that_are_there_twice_are_compared_as_a_whole() -> None:
    """A site that no check has seen is compared too, without losing one of two sections of one name."""
    once = site_of(a_source('address = "10.0.0.7"'))
    twice = once.model_copy(update={"sources": once.sources * 2})

    assert difference(twice, twice) == ()
    assert [change.where for change in difference(once, twice)] == ["source"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change("listen.workers", "2", "4"), "listen.workers: 2 → 4"),
        (Change("source.CT1.address", None, '"10.0.0.7"'), 'source.CT1.address: added "10.0.0.7"'),
        (Change("source.CT1.address", '"10.0.0.7"', None), 'source.CT1.address: removed "10.0.0.7"'),
    ],
)
def test_a_change_is_one_line(change: Change, expected: str) -> None:
    """A change reads as where, what it was, what it is."""
    assert str(change) == expected


def test_only_listeners_and_workers_need_a_restart() -> None:
    """What is bound or started once is named; everything else is taken over by the running daemons."""
    after = site_of('[box]\nae_title = "EDGE2"\n[listen]\nworkers = 4\ndicom = ["0.0.0.0:104"]\n' + BASE)

    paths = needs_restart(difference(site_of(""), after))

    assert sorted(paths) == ["listen.dicom", "listen.workers"]


def test_no_key_of_the_configuration_holds_a_secret() -> None:
    """Changes show every value, so no key may be one that nobody must see: secrets stay in files, which keys name."""
    telling = re.compile(r"password|passphrase|secret|token|credential|private|api_?key", re.IGNORECASE)

    keys = {key for _, section in sections_of(Site) for key in section}

    assert [key for key in keys if telling.search(key) and not key.endswith("_file")] == []


_SOURCES = st.lists(st.sampled_from(["CT1", "MR1", "US1"]), unique=True, max_size=3)
_WORKERS = st.integers(1, 3)


@given(_SOURCES, _WORKERS, _SOURCES, _WORKERS)
@settings(max_examples=150, deadline=None)
def test_there_is_no_difference_exactly_when_nothing_differs(one: list[str], workers: int, two: list[str], more: int) -> None:
    """Two sites are written the same if and only if no change is found between them."""
    before, after = _site(one, workers), _site(two, more)

    changes = difference(before, after)

    assert (changes == ()) == (to_json(before) == to_json(after))


def _site(names: list[str], workers: int) -> Site:
    return Site(listen=Listeners(workers=workers), sources=tuple(Source(name=name, ae_title=AETitle(name)) for name in names))
