"""What the desks of `lookup` have in common: a ledger, the configuration in force, a clock, and an end to each answer.

Promises: a thread that answers leaves no connection behind.
Failures: those of what answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from appliance.config.model import Site
from appliance.core.errors import ApplianceError, Fault
from appliance.ledger.database import Ledger
from appliance.runtime.clock import Clock
from appliance.runtime.control import Handler


@dataclass(frozen=True, slots=True)
class Desk:
    """Where questions are answered; `current` gives the configuration in force."""

    ledger: Ledger
    current: Callable[[], Site]
    clock: Clock

    @property
    def site(self) -> Site:
        """The configuration in force."""
        return self.current()

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the box."""
        return ZoneInfo(self.site.box.timezone)

    def names(self) -> dict[str, str]:
        """Return the names of the destinations in force by their ids; one that was removed is known by its id."""
        return {destination.id: destination.name for destination in self.site.destinations}

    def answering(self, answer: Handler) -> Handler:
        """Return what answers and then closes the connection of the thread that did, which ends with its answer."""

        def handler(request: object) -> object:
            try:
                return answer(request)
            finally:
                self.ledger.close()

        return handler


class ChoiceUnknownError(ApplianceError):
    """A word was asked for that is not among those there are."""

    fault = Fault.OPERATOR
    exit_code = 2
