"""Where an instance goes: the routes that apply, and one delivery for each destination they name. Pure.

Promises: the plan is a function of configuration and facts. A destination that several routes name is planned once, as urgent as the most
urgent of them says, and waits for its study only where all of them want that. The order is that of the configuration. What several routes
keep is kept for as long as the longest of them says. Nothing is sent back to where it came from, or
round (`loops`), or where its class is never sent.
Failures: none for a site that `config` has checked.
Limits: what was received earlier is not looked at; see `duplicates`.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.config.model import Route, Site
from appliance.ledger.holding import NEVER_SENT
from appliance.ledger.vocabulary import Priority
from appliance.route.loops import withheld
from appliance.route.rules import RoutingFacts, matches

_PRIORITIES = {"stat": Priority.STAT, "routine": Priority.ROUTINE, "bulk": Priority.BULK}


@dataclass(frozen=True, slots=True)
class Planned:
    """One delivery to be made; with `awaits_study` it waits until the study is complete."""

    destination_id: str
    priority: Priority
    awaits_study: bool = False


@dataclass(frozen=True, slots=True)
class Withheld:
    """One delivery that is not made, and why in an operator's words: it would go round, or the destination is never sent its class."""

    destination_id: str
    priority: Priority
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The names of the routes that apply, the deliveries they ask for, and for how many seconds routes with `keep` keep the instance.

    `withheld` names the destinations to which routes that apply do not send it.
    """

    routes: tuple[str, ...]
    deliveries: tuple[Planned, ...]
    keep_s: float | None = None
    withheld: tuple[Withheld, ...] = ()

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
    destinations = {destination.name: destination for destination in site.destinations}
    planned: dict[str, Planned] = {}
    held_back: dict[str, Withheld] = {}
    for route in applied:
        for name in route.to:
            destination, priority = destinations[name], _PRIORITIES[route.priority]
            reason = NEVER_SENT if facts.sop_class_uid in destination.never else withheld(route, destination, facts)
            if reason:
                held_back.setdefault(destination.id, Withheld(destination.id, priority, reason))
                continue
            asked = Planned(destination.id, priority, route.when_complete)
            planned[destination.id] = _both(planned.get(destination.id, asked), asked)
    keep_s = max((route.keep for route in applied if route.keep is not None), default=None)
    left_out = tuple(one for one in held_back.values() if one.destination_id not in planned)
    return Plan(tuple(route.name for route in applied), tuple(planned.values()), keep_s, left_out)


def _both(one: Planned, other: Planned) -> Planned:
    return Planned(one.destination_id, min(one.priority, other.priority), one.awaits_study and other.awaits_study)


def routes_for(site: Site, called_title: str) -> tuple[Route, ...]:
    """Return the enabled routes that may apply to what was sent to `called_title`: all, or those that its `[[local_ae]]` allows."""
    key = called_title.strip(" ").upper()
    allowed = next((local.routes for local in site.local_ae if local.ae_title.key == key), None)
    return tuple(route for route in site.routes if route.enabled and (allowed is None or route.name in allowed))
