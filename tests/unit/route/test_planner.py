"""The planner: which destinations an instance is owed to, and how urgently."""

from __future__ import annotations

from appliance.ledger.vocabulary import Priority
from appliance.route.planner import Plan, Planned, plan
from tests.unit.route.sites import a_destination, a_route, a_site, facts


def test_every_route_that_applies_counts() -> None:
    """An instance goes to the destinations of all routes that apply, in the order of the configuration."""
    site = a_site(
        routes=[
            a_route("all", "archive"),
            a_route("mr", "neuro", when={"modality": ["MR"]}),
            a_route("ct", "room", "archive", when={"modality": ["CT"]}),
        ]
    )

    planned = plan(site, facts())

    assert Plan(("all", "ct"), (Planned("archive", Priority.ROUTINE), Planned("room", Priority.ROUTINE))) == planned


def test_the_most_urgent_route_decides() -> None:
    """A destination that several routes name is planned once, with the most urgent priority of them."""
    site = a_site(
        routes=[
            a_route("a", "archive", priority="bulk"),
            a_route("b", "archive", priority="stat"),
            a_route("c", "archive", priority="routine"),
        ]
    )

    planned = plan(site, facts())

    assert (Planned("archive", Priority.STAT),) == planned.deliveries


def test_no_route_is_unrouted() -> None:
    """An instance that no route applies to is unrouted."""
    site = a_site(routes=[a_route("mr", "neuro", when={"modality": ["MR"]})])

    planned = plan(site, facts())

    assert Plan((), ()) == planned
    assert planned.is_unrouted


def test_a_route_that_is_switched_off_applies_to_nothing() -> None:
    """It asks for no delivery, makes nothing more urgent, and an instance that only it would fit is unrouted."""
    site = a_site(routes=[a_route("off", "archive", "room", priority="stat", enabled=False), a_route("on", "archive")])
    alone = a_site(routes=[a_route("off", "archive", enabled=False)])

    planned = plan(site, facts())

    assert Plan(("on",), (Planned("archive", Priority.ROUTINE),)) == planned
    assert plan(alone, facts()).is_unrouted


def test_keep_is_a_route_without_deliveries() -> None:
    """What a route with `keep` applies to is routed, and sent nowhere."""
    site = a_site(routes=[a_route("keep", keep="2 days")])

    planned = plan(site, facts())

    assert Plan(("keep",), (), 172_800.0) == planned
    assert not planned.is_unrouted


def test_deliveries_name_the_id() -> None:
    """A destination that was renamed is still the same destination: deliveries carry its id."""
    site = a_site(destinations=[a_destination("new name", id="old name")], routes=[a_route("all", "new name")])

    planned = plan(site, facts())

    assert (Planned("old name", Priority.ROUTINE),) == planned.deliveries


def test_local_ae_restricts_routes() -> None:
    """What is sent to a title with routes of its own goes by these only, and the box's own title stays unrestricted."""
    site = a_site(
        routes=[a_route("archive", "archive"), a_route("room", "room")],
        local_ae=[{"ae_title": "ROOM", "routes": ["room"]}, {"ae_title": "PACS1"}, {"ae_title": "NOWHERE", "routes": []}],
    )

    routes = {title: plan(site, facts(called_title=title)).routes for title in ("EDGE", "room ", "PACS1", "NOWHERE", "OTHER", "")}

    everything = ("archive", "room")
    assert {"EDGE": everything, "room ": ("room",), "PACS1": everything, "NOWHERE": (), "OTHER": everything, "": everything} == routes
