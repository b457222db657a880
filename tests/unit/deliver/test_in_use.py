"""What a destination is being sent: titles from the configuration, contexts from the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config.model import Site
from appliance.core.identity import AETitle
from appliance.deliver.acceptance import Acceptance
from appliance.deliver.doctor import InUse
from appliance.deliver.in_use import calling_titles, in_use
from appliance.ledger.destinations import DestinationState
from tests.unit.ledger.bench import CT, EXPLICIT, J2K, MR, Bench

SOURCES = [
    {"name": "CT1", "ae_title": "CT1"},
    {"name": "MR1", "ae_title": "MR1"},
    {"name": "another CT1", "ae_title": "ct1", "address": "10.0.0.9"},
    {"name": "anybody", "ae_title": "*", "address": "10.0.0.0/24"},
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Make an empty ledger."""
    made = Bench(tmp_path / "data")
    yield made
    made.ledger.close()


def a_site(calling_ae: str, sources: list[dict[str, str]] = SOURCES) -> Site:
    """Return a site with one destination that is called so."""
    destination = {"name": "archive", "ae_title": "PACS1", "host": "10.1.0.5", "calling_ae": calling_ae}
    return Site.model_validate({"source": sources, "destination": [destination]})


def everywhere(_site: Site, _source: str, _called: str) -> frozenset[str]:
    """Everything leads to the archive."""
    return frozenset({"archive"})


def from_mr1(_site: Site, source: str, called: str) -> frozenset[str]:
    """Only MR1 leads to the archive."""
    return frozenset({"archive"}) if (source, called) == ("MR1", "EDGE") else frozenset()


def titles(site: Site) -> list[str]:
    """Return the titles under which the archive is called."""
    return [str(title) for title in calling_titles(site, site.destinations[0], everywhere)]


def test_each_way_to_call_has_its_titles() -> None:
    """As the sources, each title once; as the box; as a literal; and as the box where no listed source has a title."""
    assert titles(a_site("source")) == ["CT1", "MR1"]
    assert titles(a_site("box")) == ["EDGE"]
    assert titles(a_site("RELAY")) == ["RELAY"]
    assert titles(a_site("source", SOURCES[3:])) == ["EDGE"]
    assert titles(a_site("RELAY", [])) == ["RELAY"]


def test_a_source_that_leads_elsewhere_lends_no_title() -> None:
    """Only who can reach the destination is asked for there."""
    site = a_site("source")

    assert calling_titles(site, site.destinations[0], from_mr1) == (AETitle("MR1"),)


def test_what_waits_and_what_was_learned(bench: Bench) -> None:
    """Queued contexts are needed; what was refused before comes next, then what was taken."""
    site = a_site("box")
    acceptance = Acceptance()
    acceptance.note([(MR, EXPLICIT)], taken=True)
    acceptance.note([(CT, J2K)], taken=False)
    bench.receive_and_owe()
    with bench.ledger.write():
        bench.states.put(DestinationState("archive", learned=acceptance.as_json()))

    found = in_use(bench.ledger, site, site.destinations[0], everywhere)

    assert found == InUse((AETitle("EDGE"),), ((CT, EXPLICIT),), ((CT, J2K), (MR, EXPLICIT)))  # type: ignore[arg-type]


def test_a_destination_that_was_never_sent_anything(bench: Bench) -> None:
    """Nothing waits and nothing is known."""
    site = a_site("box")

    assert in_use(bench.ledger, site, site.destinations[0], everywhere) == InUse((AETitle("EDGE"),))
