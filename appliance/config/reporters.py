"""Which destination a caller is: where reports about what was sent come from. Pure.

Promises: a destination is known by its own title, from its own address where that is one, and by what its `also_calls_from` lists; titles
are compared as everywhere.
Failures: none.
Limits: of a destination that is configured by name the title alone counts, and the first one configured is meant where several would do.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from appliance.config.addresses import PeerNetwork
from appliance.config.model import DicomDestination, Site
from appliance.config.sources import read_address
from appliance.core.identity import AETitle


def find_reporter(site: Site, calling: AETitle, address: str) -> DicomDestination | None:
    """Return the destination that calls under this title from this address, or None."""
    known = read_address(address)
    for destination in site.destinations:
        if isinstance(destination, DicomDestination):
            for title, network in callers(destination):
                if title == calling and (network is None or known is None or known in network):
                    return destination
    return None


def callers(destination: DicomDestination) -> Iterator[tuple[AETitle, PeerNetwork | None]]:
    """Yield the titles under which a destination calls, and from where (None: from anywhere)."""
    host: PeerNetwork | None = None
    try:
        host = ipaddress.ip_network(str(destination.host))
    except ValueError:
        # A name: nobody is asked what it means while a peer waits.
        host = None
    yield destination.ae_title, host
    for other in destination.also_calls_from:
        yield other.ae_title, other.address
