"""What becomes of a delivery after a try: the verdict, the table of states and the back-off put together. Pure.

Promises: a delivery is moved only along `states.TRANSITIONS`; a site's failure costs no attempt; what is held is due again a day later.
Failures: `DeliveryMoveError` (ours) for a move that the table does not have.
Limits: none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from appliance.deliver.schedule import held_delay, soft_delay, spread_delay
from appliance.deliver.states import Event, move
from appliance.deliver.task import Task, in_a_row
from appliance.deliver.transport import Outcome
from appliance.deliver.verdict import Pace, Whose
from appliance.ledger.deliveries import AttemptRecord, Moved
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.runtime.clock import Instant

_SENDING = DeliveryState.SENDING


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of one site, in seconds: `soft` first and longest, `held`."""

    soft: tuple[float, float]
    held: float


def settle(task: Task, outcome: Outcome, waits: Waits, now: Instant, jitter: float) -> Moved:
    """Return what the outcome makes of the delivery that was being sent."""
    verdict, claim = outcome.verdict, task.claim
    if verdict.whose is Whose.SITE:
        return give_back(verdict.text)
    attempt = AttemptRecord(now.wall, verdict.flag, outcome.status, outcome.comment)
    if verdict.whose is Whose.DELIVERED:
        return Moved(move(_SENDING, Event.DELIVERED), attempt=attempt, reason=_reason(outcome), soft_attempts=0)
    tries = in_a_row(task.outcomes, verdict.flag) + 1
    unknown_outcomes = claim.unknown_outcomes + (verdict.whose is Whose.UNKNOWN)
    if verdict.hold is not None and verdict.holds_after(tries):
        return Moved(
            move(_SENDING, Event.UNUSABLE if verdict.hold is HoldClass.CONFIGURATION else Event.REFUSED),
            hold_class=verdict.hold,
            due=now.after(held_delay(waits.held, jitter)),
            attempt=attempt,
            reason=_reason(outcome),
            soft_attempts=tries,
            unknown_outcomes=unknown_outcomes,
        )
    # The back-off grows with every try, whatever it failed with: who fails in turns waits as long as who fails alike.
    wait = spread_delay(waits.soft, jitter) if verdict.pace is Pace.SPREAD else soft_delay(claim.attempts + 1, waits.soft, jitter)
    return Moved(
        move(_SENDING, Event.SOFT_FAILED),
        due=now.after(wait),
        attempt=attempt,
        reason=_reason(outcome),
        soft_attempts=tries,
        unknown_outcomes=unknown_outcomes,
    )


def give_back(reason: str | None) -> Moved:
    """Return a delivery to the queue uncharged: the destination is in trouble, or the sender stops (then no reason)."""
    return Moved(move(_SENDING, Event.SITE_FAILED), reason=reason)


def step_aside(reason: str, wait_s: float, now: Instant) -> Moved:
    """Let others go first, uncharged: an instance that goes alone and last, or whose source's title is not known."""
    return Moved(move(_SENDING, Event.SOFT_FAILED), due=now.after(wait_s), reason=reason)


def excuse(task: Task, outcome: Outcome, wait_s: float, now: Instant) -> Moved:
    """Let a delivery wait, uncharged, for a failure that is not its own; that it may have arrived is kept in mind all the same."""
    unknown_outcomes = task.claim.unknown_outcomes + (outcome.verdict.whose is Whose.UNKNOWN)
    return replace(step_aside(_reason(outcome), wait_s, now), unknown_outcomes=unknown_outcomes)


def _reason(outcome: Outcome) -> str:
    if outcome.status == 0:
        return ""
    return outcome.verdict.text if outcome.status is None else f"{outcome.verdict.text} ({outcome.status:04X})"
