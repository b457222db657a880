"""Where an instance goes: the routes that apply, and one delivery for each destination they name. Pure.

Promises: the plan is a function of configuration and facts. A destination that several routes name is planned once, as urgent as the most
urgent of them says. The order is that of the configuration. What
several routes keep is kept for as long as the longest of them says.
Failures: none for a site that `config` has checked.
Limits: what was received earlier is not looked at; see `duplicates`.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.config.model import Route, Site
from appliance.ledger.vocabulary import Priority
from appliance.route.rules import RoutingFacts, matches

_PRIORITIES = {"stat": Priority.STAT, "routine": Priority.ROUTINE, "bulk": Priority.BULK}


@dataclass(frozen=True, slots=True)
class Planned:
    """One delivery to be made."""

    destination_id: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Plan:
    """The names of the routes that apply, the deliveries they ask for, and for how many seconds routes with `keep` keep the instance."""

    routes: tuple[str, ...]
    deliveries: tuple[Planned, ...]
    keep_s: float | None = None

    @property
    def is_unrouted(self) -> bool:
        """Say whether no route applies, so that the instance is kept for a person to look at."""
        return not self.routes

    def keep_until(self, received_at: float) -> float | None:
        """Return until when an instance is kept that was received at this time, None where no route says so."""
        return None if self.keep_s is None else received_at + self.keep_s


def plan(site: Site, facts: RoutingFacts) -> Plan:
    """Return the plan for an instance."""
    applied = [route for route in routes_for(site, facts.called_title) if matches(route, facts)]
    ids = {destination.name: destination.id for destination in site.destinations}
    urgency: dict[str, Priority] = {}
    for route in applied:
        for name in route.to:
            asked = _PRIORITIES[route.priority]
            urgency[ids[name]] = min(asked, urgency.get(ids[name], asked))
    keep_s = max((route.keep for route in applied if route.keep is not None), default=None)
    return Plan(tuple(route.name for route in applied), tuple(Planned(*planned) for planned in urgency.items()), keep_s)


def routes_for(site: Site, called_title: str) -> tuple[Route, ...]:
    """Return the routes that may apply to what was sent to `called_title`: all, or those that its `[[local_ae]]` allows."""
    key = called_title.strip(" ").upper()
    allowed = next((local.routes for local in site.local_ae if local.ae_title.key == key), None)
    return site.routes if allowed is None else tuple(route for route in site.routes if route.name in allowed)
