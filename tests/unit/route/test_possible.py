"""Where an association can lead, against where its objects are then planned to go."""

from __future__ import annotations

import itertools

import pytest

from appliance.route.planner import plan
from appliance.route.possible import possible_destinations
from tests.unit.route.sites import CT1, CT_IMAGE, a_destination, a_route, a_site, facts

MR1 = {"name": "MR1", "ae_title": "MR1", "address": "10.0.0.8"}


def test_every_route_without_conditions_is_possible() -> None:
    """Everything to two places, and something that is only kept: two destinations, by their ids."""
    site = a_site(
        routes=[a_route("all", "archive", "reading"), {"name": "kept", "to": [], "keep": "2 days"}],
        destinations=[a_destination("archive", id="pacs-2019")],
    )

    assert possible_destinations(site, "CT1", "EDGE") == {"pacs-2019", "reading"}


@pytest.mark.parametrize(("source", "expected"), [("CT1", {"archive", "ct"}), ("MR1", {"archive"}), ("ct1", {"archive", "ct"})])
def test_the_source_narrows(source: str, expected: set[str]) -> None:
    """A route that is for another source leads nowhere for this one."""
    site = a_site(routes=[a_route("all", "archive"), a_route("ct", "ct", when={"source": ["CT1"]})])

    assert possible_destinations(site, source, "EDGE") == expected


def test_a_route_that_is_switched_off_leads_nowhere() -> None:
    """What is accepted at the door does not depend on it."""
    site = a_site(routes=[a_route("all", "archive"), a_route("off", "reading", enabled=False)])

    assert {"archive"} == possible_destinations(site, "CT1", "EDGE")


def test_the_called_title_narrows() -> None:
    """By a route's condition, and by the routes that a local title allows; capitals do not matter."""
    site = a_site(
        routes=[a_route("all", "archive"), a_route("workstation", "ws", when={"called": ["WS1"]})],
        local_ae=[{"ae_title": "WS1"}, {"ae_title": "PACS1", "routes": ["all"]}, {"ae_title": "SINK", "routes": []}],
    )

    assert possible_destinations(site, "CT1", "EDGE") == {"archive"}
    assert possible_destinations(site, "CT1", "ws1") == {"archive", "ws"}
    assert possible_destinations(site, "CT1", "PACS1") == {"archive"}
    assert possible_destinations(site, "CT1", "SINK") == set()


def test_what_only_an_object_says_does_not_narrow() -> None:
    """Modality, SOP class and station are not known yet: all of their routes are possible."""
    conditions = [{"modality": ["MR"]}, {"sop_class": ["1.2.3"]}, {"station": ["ROOM 9"]}]
    site = a_site(routes=[a_route(f"r{number}", f"d{number}", when=when) for number, when in enumerate(conditions)])

    assert possible_destinations(site, "CT1", "EDGE") == {"d0", "d1", "d2"}


def test_no_plan_goes_where_the_association_could_not() -> None:
    """Whatever an object of the association is, its plan names possible destinations only."""
    whens = [
        {},
        {"source": ["ct1"]},
        {"source": ["STRANGER"]},
        {"called": ["pacs1"]},
        {"source": ["CT1"], "modality": ["MR"]},
        {"called": ["EDGE"], "sop_class": [CT_IMAGE]},
    ]
    site = a_site(
        sources=[CT1, MR1],
        routes=[a_route(f"r{number}", f"d{number}", when=when) for number, when in enumerate(whens)],
        local_ae=[{"ae_title": "PACS1", "routes": ["r0", "r3", "r4"]}],
    )

    for source, called, modality in itertools.product(["CT1", "MR1", ""], ["EDGE", "PACS1", "pacs1"], ["CT", "MR", ""]):
        calling = source or "stranger"
        planned = plan(site, facts(source=source, calling_title=calling, called_title=called, modality=modality))
        assert {delivery.destination_id for delivery in planned.deliveries} <= possible_destinations(site, source or calling, called)
