"""What the box answered, as far as it did: what Home and Health speak of.

Promises: `ask_all` never raises because a daemon does not answer, and does not wait for one that has let it wait before; what was not
answered is None, and nothing is made up for it.
Failures: none of the box's; defects are raised.
Limits: answers of a few moments, not one snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from appliance.config.model import Retention
from appliance.core.errors import ApplianceError
from appliance.manage.control import LedgerRebuildingError
from appliance.runtime.asking import NotRunningError, RequestTimeoutError
from appliance.runtime.logging import get_logger
from appliance.runtime.page_requests import ActivityReply, TodayReply
from appliance.runtime.requests import StatusReply
from webui.services import Services

log = get_logger(__name__)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Known:
    """What the box answered, None for what it did not; `ready`: the daemons at work, `now` in seconds since 1970.

    `keeps_some`: a route keeps images here and sends them nowhere. `is_rebuilding`: nobody answers because the ledger is being rebuilt.
    """

    ready: frozenset[str]
    status: StatusReply | None
    today: TodayReply | None
    retention: Retention
    now: float
    keeps_some: bool = False
    is_rebuilding: bool = False
    activity: ActivityReply | None = None

    @property
    def waiting(self) -> int:
        """What is on its way, counted once a destination, with what is not yet recorded."""
        if self.status is None:
            return 0
        return sum(one.queued for one in self.status.destinations) + self.status.instances.get("incoming", 0)

    @property
    def held(self) -> int:
        """What is held, also for destinations that are no longer in the settings."""
        return 0 if self.status is None else self.status.deliveries.get("held", 0)

    @property
    def room(self) -> int | None:
        """Bytes that may still come before the box refuses (semantics of receive/space), None where nobody said."""
        if self.status is None:
            return None
        space = self.status.spool
        kept_free = max(self.retention.reserve, round((1 - self.retention.refuse_at) * space.total_bytes))
        return max(0, space.free_bytes - kept_free)

    @property
    def days(self) -> float | None:
        """For how many days the room will do at what comes a day, None where that is not known."""
        if self.room is None or self.today is None or self.today.bytes_a_day <= 0:
            return None
        return self.room / self.today.bytes_a_day


def ask_all(services: Services) -> Known:
    """Return what the box answers at this moment."""
    site, control, silences = services.site(), services.control, list[ApplianceError]()

    def answer(question: Callable[[], Answer]) -> Answer | None:
        # All of these are answered by the same daemon: one that was silent once is not waited for again.
        if silences:
            return None
        try:
            return question()
        except (NotRunningError, RequestTimeoutError, LedgerRebuildingError) as error:
            silences.append(error)
        except ApplianceError as error:
            log.warning("web.not_answered", problem=str(error))
        return None

    return Known(
        ready=control.ready(),
        status=answer(control.status),
        today=answer(control.today),
        activity=answer(control.activity),
        retention=site.retention,
        now=services.clock.now().wall,
        keeps_some=any(not route.to for route in site.routes),
        is_rebuilding=any(isinstance(problem, LedgerRebuildingError) for problem in silences),
    )
