"""The destinations in service: one dispatch each, as the configuration in force has them.

Promises: what the configuration leaves as it was is not touched; of one destination no two dispatches ever work at the same time, so that
new settings begin when the last instance sent under the old ones is settled. Nothing here waits but `stop`.
Failures: none of its own.
Limits: `follow`, `look` and `stop` belong to one thread; `find` is for any.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from appliance.config.model import Site
from appliance.deliver.dispatch import Dispatch
from appliance.deliver.plan import Terms
from appliance.runtime.logging import get_logger

log = get_logger(__name__)


Engage = Callable[[Terms, threading.Event], Dispatch]
"""Makes the dispatch that serves a destination on these terms until the event is set."""


@dataclass(slots=True)
class _Service:
    """A destination that is being served; `text` is that of its terms."""

    text: str
    dispatch: Dispatch
    stopping: threading.Event

    def stop(self) -> None:
        """Have it take nothing more up; its lanes finish their instances."""
        self.stopping.set()
        self.dispatch.look()


class Roster:
    """Who is served, and on which terms."""

    def __init__(self, engage: Engage) -> None:
        """Serve nobody yet."""
        self._engage = engage
        # By destination id. What is wanted and not served waits for the service before it to end.
        self._wanted: dict[str, Terms] = {}
        self._served: dict[str, _Service] = {}
        self._ending: dict[str, _Service] = {}

    @property
    def ending(self) -> frozenset[str]:
        """The destinations whose service on older terms has not come to its end."""
        return frozenset(self._ending)

    def follow(self, site: Site) -> None:
        """Serve what `site` has, as it has it: end the service of the rest, and begin what is new."""
        self._wanted = {one.id: Terms(one, site.delivery, site.box.ae_title, site.tls, site.box.timezone) for one in site.destinations}
        for destination_id, service in list(self._served.items()):
            terms = self._wanted.get(destination_id)
            if terms is None or terms.text != service.text:
                log.info("destination.terms_changed", destination_id=destination_id, removed=terms is None)
                del self._served[destination_id]
                self._ending[destination_id] = service
                service.stop()
        self._begin()

    def look(self) -> bool:
        """Have every dispatch look for what there is to do; return whether a service ended since the last time."""
        for service in (*self._served.values(), *self._ending.values()):
            service.dispatch.look()
        ended = [destination_id for destination_id, service in self._ending.items() if service.dispatch.join(0)]
        for destination_id in ended:
            del self._ending[destination_id]
        self._begin()
        return bool(ended)

    def stop(self) -> None:
        """End every service, and return when all have ended."""
        services = (*self._served.values(), *self._ending.values())
        self._wanted = {}
        for service in services:
            service.stop()
        for service in services:
            service.dispatch.join()

    def find(self, destination_id: str) -> Dispatch | None:
        """Return who serves a destination on the present terms; None while nobody does."""
        service = self._served.get(destination_id)
        return None if service is None else service.dispatch

    def _begin(self) -> None:
        for destination_id, terms in self._wanted.items():
            if destination_id not in self._served and destination_id not in self._ending:
                stopping = threading.Event()
                service = _Service(terms.text, self._engage(terms, stopping), stopping)
                self._served[destination_id] = service
                service.dispatch.start()
