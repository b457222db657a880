"""Where an association can lead, before its first object is seen: what may be accepted depends on it. Pure.

Promises: every destination that `planner.plan` can name for an object of the association is among the possible ones.
Failures: none for a site that `config` has checked.
Limits: the conditions that only an object answers (modality, SOP class, station) are taken to hold, so that some of the possible ones may
never be named.
"""

from __future__ import annotations

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.route.planner import routes_for
from appliance.route.rules import RoutingFacts, explain

_ANSWERED_BY_AN_ASSOCIATION = frozenset({"source", "called"})


def possible_destinations(site: Site, source_name: str, called_title: str) -> frozenset[str]:
    """Return the ids of the destinations to which objects from a source can go when it sends them to `called_title`.

    `source_name` is the configured name of the source, or the calling title of one that is not listed.
    """
    # As if the source were not listed: then its name is compared without regard to case, which allows for all that planning does.
    facts = RoutingFacts(source="", calling_title=source_name, called_title=called_title, sop_class_uid=Uid(""))
    names = {
        name
        for route in routes_for(site, called_title)
        if all(condition.holds for condition in explain(route, facts) if condition.name in _ANSWERED_BY_AN_ASSOCIATION)
        for name in route.to
    }
    return frozenset(destination.id for destination in site.destinations if destination.name in names)
