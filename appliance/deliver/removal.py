"""Destinations that are no longer configured: what still waits for them is held, until they return.

Promises: nothing is deleted or cancelled, and nothing waits unseen for a destination that nobody serves; should the destination come back,
on whatever terms, they count as new, so that it gets everything that was not held by a person.
Failures: what the ledger raises.
Limits: a batch a call, so that who calls never stays away for long; what is being sent is its lane's, and is held by a later call if it
comes back to the queue; what waits for its study goes on waiting, and is held when that is complete.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from appliance.deliver.known_settings import with_settings
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries
from appliance.ledger.destinations import DestinationStates
from appliance.runtime.logging import get_logger

log = get_logger(__name__)


def hold_removed(ledger: Ledger, in_service: Collection[str], at: float) -> bool:
    """Hold, at the wall time `at`, some of what waits for any destination (id) not in service; return whether there may be more."""
    with ledger.write():
        held = Deliveries(ledger).hold_removed(in_service, at=at)
        states = DestinationStates(ledger)
        for destination_id in held:
            known = states.get(destination_id)
            if known is not None:
                states.put(replace(known, learned=with_settings(known.learned, None)))
    for destination_id, count in held.items():
        log.warning("deliveries.destination_removed", destination_id=destination_id, deliveries=count)
    return bool(held)
