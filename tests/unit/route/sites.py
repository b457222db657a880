"""Configurations and facts for the tests of `route`, with what a test is about given as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.route.rules import RoutingFacts

CT_IMAGE = Uid("1.2.840.10008.5.1.4.1.1.2")

Table = Mapping[str, object]

CT1: Table = {"name": "CT1", "ae_title": "CT1", "address": "10.0.0.7"}


def a_destination(name: str, **settings: object) -> Table:
    """Return a `[[destination]]`; nothing is ever sent to it."""
    return {"name": name, "ae_title": name.upper()[:16], "host": "10.1.0.5"} | settings


def a_route(name: str, *to: str, **settings: object) -> Table:
    """Return a `[[route]]`."""
    return {"name": name, "to": list(to)} | settings


def a_site(
    *, sources: Sequence[Table] = (CT1,), destinations: Sequence[Table] = (), routes: Sequence[Table] = (), local_ae: Sequence[Table] = ()
) -> Site:
    """Return a site with these tables; destinations that routes name are made up where they are not given."""
    named = {str(table["name"]) for table in destinations}
    asked = {str(name) for route in routes for name in route["to"]}  # type: ignore[attr-defined]
    return Site.model_validate(
        {
            "source": sources,
            "destination": [*destinations, *(a_destination(name) for name in sorted(asked - named))],
            "route": routes,
            "local_ae": local_ae,
        }
    )


def facts(
    *,
    source: str = "CT1",
    calling_title: str = "CT1",
    called_title: str = "EDGE",
    sop_class_uid: str = CT_IMAGE,
    modality: str = "CT",
    station_name: str = "ROOM 3",
) -> RoutingFacts:
    """Return what rules may ask about an instance."""
    return RoutingFacts(source, calling_title, called_title, Uid(sop_class_uid), modality, station_name)
