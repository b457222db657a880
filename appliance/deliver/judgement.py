"""What an outcome means: for its delivery, for the destination, and for what is held there. Pure: the moments are arguments.

Promises: a failure that is the destination's, or that says nothing about the instance, costs the delivery no attempt, but that its outcome
is unknown is never forgotten; what may be released by an outcome is told once.
Failures: `DeliveryMoveError` (ours) for a move that the table of states does not have.
Limits: changes the health that it was made with; whoever owns both serialises the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from appliance.deliver.destination import DestinationHealth
from appliance.deliver.schedule import jittered, soft_delay
from appliance.deliver.second_chances import Release, SecondChances
from appliance.deliver.settlement import Waits, excuse, settle
from appliance.deliver.task import Task
from appliance.deliver.transport import Context, Outcome
from appliance.deliver.verdict import Whose
from appliance.dimse.learned import Learned
from appliance.ledger.deliveries import Moved
from appliance.runtime.clock import Instant


class Judgement:
    """The judge of one destination's outcomes."""

    def __init__(self, health: DestinationHealth, waits: Waits, dice: Callable[[], float], learned: Learned | None = None) -> None:
        """Judge with `health` and what was learned of the destination in earlier runs; `dice` returns a number from -1 to 1."""
        self._health = health
        self._waits = waits
        self._dice = dice
        self._chances = SecondChances(learned)
        self._releases: list[Release] = []

    def of(self, task: Task, outcome: Outcome, now: Instant, *, lane: object, epoch: int, others_served: int) -> Moved:
        """Take note of an outcome of `lane`, begun under `epoch`, and return what becomes of the delivery."""
        verdict, claim, health = outcome.verdict, task.claim, self._health
        self._chances.refused(task.context, verdict)
        match verdict.whose:
            case Whose.DELIVERED:
                health.delivered(lane, now, epoch, others_served=others_served, delivery_id=claim.delivery_id)
                released = (self._chances.accepted(task.context), self._chances.pause_ended(health.take_accused()))
                self._releases += [release for release in released if release is not None]
            case Whose.SITE:
                times = health.site_failed(verdict, now, epoch, claim.delivery_id)
                if times:
                    return excuse(task, outcome, soft_delay(times, self._waits.soft, self._dice()), now)
            case Whose.INSTANCE | Whose.UNKNOWN:
                if health.instance_failed(verdict, claim.instance_id, claim.study_instance_uid, now):
                    # Long enough that the next probe takes another instance.
                    return excuse(task, outcome, jittered(self._waits.soft[1], self._dice()), now)
        return settle(task, outcome, self._waits, now, self._dice())

    def accepted(self, contexts: Iterable[Context]) -> None:
        """Take note of contexts that the destination accepts when the doctor asks: what was held for their refusal is tried once more."""
        released = [self._chances.accepted(context) for context in contexts]
        self._releases += [release for release in released if release is not None]

    def take_releases(self) -> list[Release]:
        """Return what the outcomes since the last call set free."""
        releases, self._releases = self._releases, []
        return releases
