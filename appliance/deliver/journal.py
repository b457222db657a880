"""What the sender says in the log, each event once: outcomes of deliveries, and changes of a destination.

Promises: events are constant words; fields are UIDs, titles, numbers and our own words. What a peer wrote (Error Comment) is not logged,
because it may name a patient; the ledger keeps it.
Failures: none.
Limits: one destination each; the caller serialises `health`.
"""

from __future__ import annotations

from appliance.deliver.destination import HealthRecord
from appliance.deliver.site_state import SiteState
from appliance.deliver.task import Task
from appliance.deliver.transport import Outcome
from appliance.ledger.deliveries import Moved
from appliance.ledger.vocabulary import DeliveryState
from appliance.runtime.clock import Instant
from appliance.runtime.logging import get_logger

log = get_logger(__name__)


def where(error: BaseException) -> str:
    """Return file and line of the innermost frame of an exception; its text is not for the log, it may quote what a peer sent."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


class DeliveryJournal:
    """The log of one destination."""

    def __init__(self, destination: str) -> None:
        """Write about the destination of this name."""
        self._destination = destination
        self._said: HealthRecord | None = None
        self.has_news = False
        """Whether something was said that the ledger does not know yet."""

    def begin(self, record: HealthRecord) -> None:
        """Start from a state that is known already."""
        self._said = record

    def kept(self) -> None:
        """Take note that the ledger knows everything."""
        self.has_news = False

    def health(self, record: HealthRecord, now: Instant) -> bool:
        """Say what changed about the destination; return whether anything did that is worth keeping.

        When the next knock at a dead destination is due changes every few seconds and is worth neither.
        """
        said, self._said = self._said, record
        if said is None or (said.state, said.reason, said.backoff_s) != (record.state, record.reason, record.backoff_s):
            self._say_state(record, now)
        elif said.lanes == record.lanes and (said.due == record.due or record.state is SiteState.DEAD):
            return False
        if said is not None and said.lanes != record.lanes:
            log.info("destination.lanes", destination=self._destination, lanes=record.lanes, before=said.lanes)
        self.has_news = True
        return True

    def settled(self, task: Task, outcome: Outcome, moved: Moved) -> None:
        """Say how a delivery ended this time."""
        claim = task.claim
        about = log.bind(
            destination=self._destination,
            delivery_id=claim.delivery_id,
            sop_instance_uid=claim.sop_instance_uid,
            outcome=outcome.verdict.flag,
            status=None if outcome.status is None else f"{outcome.status:04X}",
            attempts=claim.attempts + (moved.attempt is not None),
        )
        match moved.state:
            case DeliveryState.DELIVERED:
                about.info("delivery.delivered", length=claim.length)
            case DeliveryState.DEFERRED:
                about.info("delivery.deferred")
            case DeliveryState.HELD:
                about.warning("delivery.held", hold_class=moved.hold_class, reason=moved.reason)
            case _:
                about.info("delivery.returned")

    def released(self, count: int) -> None:
        """Say how many held deliveries are tried once more, if any."""
        if count:
            log.info("deliveries.released", destination=self._destination, deliveries=count)

    def _say_state(self, record: HealthRecord, now: Instant) -> None:
        due_s = None if record.due is None else round(record.due.remaining_s(now), 1)
        about = log.bind(destination=self._destination, reason=record.reason, due_s=due_s)
        match record.state:
            case SiteState.ALIVE:
                about.info("destination.alive")
            case SiteState.THROTTLED:
                about.warning("destination.throttled")
            case SiteState.DEAD:
                about.warning("destination.dead")
            case SiteState.REFUSING:
                about.warning("destination.refusing")
            case SiteState.PAUSED:
                about.warning("destination.paused")
