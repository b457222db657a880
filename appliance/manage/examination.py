"""`destinations test`: the connection doctor sent to a destination, and what he finds told to the sender.

Promises: asks for what is in use there now, under the titles in use; what the destination answers is known to the sender before the reply
is given, so that what waited for a refusal to pass goes on by itself.
Failures: `DestinationUnknownError` (operator); what reading the ledger raises. A destination's own faults are the reply.
Limits: takes as long as the destination does, in the thread of the one who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.config.model import Destination, Site
from appliance.deliver.doctor import Diagnosis, InUse, examine
from appliance.deliver.in_use import in_use
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.ledger.database import Ledger
from appliance.manage.overview import DestinationUnknownError
from appliance.route.possible import possible_destinations
from appliance.runtime.control import Handler
from appliance.runtime.requests import DestinationTestReply, DestinationTestRequest, DoctorStep

Told = Callable[[str, Diagnosis], None]
"""Takes note of what was found at the destination of this id (`Sender.examined`)."""


class Examinations:
    """Answers from the threads of a control server."""

    def __init__(self, ledger: Ledger, site: Callable[[], Site], told: Told, tls: OutgoingTls | None = None) -> None:
        """Keep what is needed; `site` gives the configuration in force, `tls` calls over TLS as the sender does."""
        self._tls = tls or OutgoingTls()
        self._ledger = ledger
        self._site = site
        self._told = told

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {DestinationTestRequest: self.examine}

    def examine(self, request: DestinationTestRequest) -> DestinationTestReply:
        """Examine the way to a destination, by its name. Raises `DestinationUnknownError`, and what the ledger raises."""
        site = self._site()
        destination = _find(site, request.destination)
        diagnosis = examine(
            destination,
            self._in_use(site, destination),
            box=site.box.ae_title,
            settings=site.delivery,
            tls=self._tls.request(destination, site.tls),
        )
        self._told(destination.id, diagnosis)
        steps = tuple(DoctorStep(step.phase.value, step.ok, step.detail, step.advice, step.ms) for step in diagnosis.steps)
        return DestinationTestReply(destination.name, diagnosis.ok, steps)

    def _in_use(self, site: Site, destination: Destination) -> InUse:
        try:
            return in_use(self._ledger, site, destination, possible_destinations)
        finally:
            # The thread ends with its answer; its connection must not outlive it.
            self._ledger.close()


def _find(site: Site, name: str) -> Destination:
    for destination in site.destinations:
        if destination.name == name:
            return destination
    names = ", ".join(destination.name for destination in site.destinations)
    raise DestinationUnknownError(f"there is no destination {name!r}", advice=f"Destinations are: {names}.")
