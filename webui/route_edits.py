"""What the forms of routes make of the configuration.

Promises: a title that has routes of its own follows a route that gets another name, and forgets one that is removed.
Failures: none.
Limits: without I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.config.edits import Edit, add_table, change_table, move_table, remove_table, together
from appliance.config.model import AnyDestination, Route, Site


def find(site: Site, name: str) -> Route | None:
    """Return the route of a name, None where there is none."""
    return next((route for route in site.routes if route.name == name), None)


def adding(values: Mapping[str, Any]) -> Edit:
    """Return the edit that adds a route behind the others."""
    return add_table("route", values)


def changing(site: Site, known: Route, values: Mapping[str, Any]) -> Edit:
    """Return the edit that changes a route."""
    name = str(values.get("name") or "")
    edits = [change_table("route", known.name, values)]
    if name != known.name:
        edits += _in_titles(site, known.name, name)
    return together(*edits)


def removing(site: Site, known: Route) -> Edit:
    """Return the edit that takes a route away."""
    return together(*_in_titles(site, known.name, None), remove_table("route", known.name))


def moving(site: Site, known: Route, by: int) -> Edit:
    """Return the edit that moves a route up (-1) or down (1)."""
    return move_table("route", known.name, site.routes.index(known) + by)


def switching(known: Route, *, on: bool) -> Edit:
    """Return the edit that switches a route on or off."""
    return change_table("route", known.name, {"enabled": None if on else False})


def never_sending(destination: AnyDestination, sop_class: str) -> Edit:
    """Return the edit after which a class is never sent to a destination."""
    return change_table("destination", destination.name, {"never": list(dict.fromkeys([*destination.never, sop_class]))})


def _in_titles(site: Site, name: str, fresh: str | None) -> list[Edit]:
    edits = []
    for local in site.local_ae:
        if local.routes is not None and name in local.routes:
            routes = [fresh if one == name else one for one in local.routes]
            edits.append(change_table("local_ae", str(local.ae_title), {"routes": [one for one in routes if one]}))
    return edits
