"""What is not sent, because it would go round: back to where it came from, or through one box too many. Pure.

Promises: an image is held back only where its title and, as far as both are known, its address are a destination's own; a route that names
the source explicitly sends it all the same. Whatever passed `MOST_BOXES` boxes goes nowhere.
Failures: none.
Limits: a destination that calls under a title that is neither its own nor in `also_calls_from` is not known again (one of our boxes that
sends under its sources' titles, for example): there the count of boxes ends the ring. Of one that is configured by name, not by address,
the title alone counts.
"""

from __future__ import annotations

from appliance.config.addresses import PeerNetwork
from appliance.config.model import Destination, DicomDestination, Route
from appliance.config.reporters import callers
from appliance.config.sources import read_address
from appliance.ledger.holding import CAME_FROM_IT, PASSED_TOO_MANY_BOXES
from appliance.route.rules import RoutingFacts

MOST_BOXES = 8
"""No hospital chains so many boxes; a ring is left after at most this many rounds of it."""


def withheld(route: Route, destination: Destination, facts: RoutingFacts) -> str:
    """Return why a route that applies does not send an instance to a destination, "" where it does."""
    if facts.hops >= MOST_BOXES:
        return PASSED_TOO_MANY_BOXES
    return CAME_FROM_IT if not route.when.source and came_from(destination, facts) else ""


def came_from(destination: Destination, facts: RoutingFacts) -> bool:
    """Say whether an instance was sent to the box by a destination."""
    if not isinstance(destination, DicomDestination):
        return False
    calling = facts.calling_title.strip(" ").upper()
    return any(calling == title.key and _is_within(facts.source_address, network) for title, network in callers(destination))


def _is_within(address: str, network: PeerNetwork | None) -> bool:
    """Say whether an address is in a network; what is not known speaks against nothing."""
    known = read_address(address)
    return network is None or known is None or known in network
