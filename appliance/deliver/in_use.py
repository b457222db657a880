"""What a destination is being sent: the titles under which the box calls it, and the contexts that its deliveries need.

Promises: what waits comes first; a source that can never lead to the destination lends it no title.
Failures: what reading the ledger raises.
Limits: looks at the thousand most urgent deliveries; what is held is known by what the destination answered to it before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.config.model import Destination, Site
from appliance.core.identity import AETitle
from appliance.deliver.acceptance import Acceptance
from appliance.deliver.doctor import InUse
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries
from appliance.ledger.destinations import DestinationStates

Possible = Callable[[Site, str, str], frozenset[str]]
"""Says to which destinations (ids) a source's name and a called title can lead; `route.possible` has it."""


def in_use(ledger: Ledger, site: Site, destination: Destination, possible: Possible) -> InUse:
    """Return what is in use towards a destination now. Opens a transaction of its own, for reading."""
    with ledger.read():
        waiting = Deliveries(ledger).contexts_waiting(destination.id)
        state = DestinationStates(ledger).get(destination.id)
    learned = Acceptance(state.learned if state is not None else "{}").learned
    # What was refused is worth asking again before what was taken: it may have been allowed meanwhile.
    known = (*sorted(learned.refused), *sorted(learned.taken))
    return InUse(calling_titles(site, destination, possible), tuple(waiting), known)


def calling_titles(site: Site, destination: Destination, possible: Possible) -> tuple[AETitle, ...]:
    """Return the titles under which deliveries call a destination, each once; the box's own where no listed source leads there.

    A source that is known by its address alone calls with titles that nobody knows beforehand: it lends none.
    """
    box = site.box.ae_title
    titles = [destination.calling_title(source, box) for source in _titles_of_sources(site, destination, possible)]
    return tuple(dict.fromkeys(titles)) or (destination.calling_title(box, box),)


def _titles_of_sources(site: Site, destination: Destination, possible: Possible) -> Iterable[AETitle]:
    for source in site.sources:
        leads_there = any(destination.id in possible(site, source.name, called.text) for called in site.local_titles)
        if source.ae_title is not None and leads_there:
            yield source.ae_title
