"""What the router writes into the ledger: an instance and its deliveries, whole or not at all.

Promises: each `record` is one transaction of about `ROWS` rows or `SECONDS` (house.md section 6); an instance is never in the ledger
without the deliveries its routes ask for. An object that asked for a delivery is remembered with it, so that a rebuild can ask again (P2).
What it returns is committed.
Failures: what `ledger.write()` and the repositories raise; nothing of the transaction is recorded then.
Limits: one router writes; the ledger's unique reception id guards against a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries, Moved
from appliance.ledger.instances import Instances, InstanceState, StoredInstance
from appliance.ledger.repeats import Repeat, Repeats
from appliance.ledger.requests import Requests
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass
from appliance.route.duplicates import Arrival, Decision, decide
from appliance.route.reception import Reception
from appliance.runtime.clock import Clock

# house.md section 6: other writers wait meanwhile.
ROWS = 50
SECONDS = 0.020

# What the operator reads at a delivery whose object was damaged, when the same bytes came again and are owed in its place.
_SUPERSEDED = "the object was damaged; the same bytes were received again and are delivered instead"
# What the operator reads at everything that was in the spool when the ledger had to be made anew.
_REBUILT = "the ledger was rebuilt without knowing whether this was delivered"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a reception: the decision, how many deliveries it made, and whether the ledger now points to the object's file.

    If it does not, the file is not needed.
    """

    reception: Reception
    decision: Decision
    deliveries: int
    is_kept: bool


class Recorder:
    """Writes receptions into one ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, *, anew: bool = False) -> None:
        """Write into `ledger`.

        `anew` is for a ledger that has lost what it knew: every object is kept, and whatever its routes ask for, owed already or not, is
        held until somebody says that it was not delivered.
        """
        self._ledger = ledger
        self._clock = clock
        self._anew = anew
        self._instances = Instances(ledger)
        self._deliveries = Deliveries(ledger)
        self._repeats = Repeats(ledger)

    def recorded(self, object_ids: Sequence[str]) -> set[str]:
        """Return those of the reception ids that are in the ledger already."""
        with self._ledger.read():
            return {object_id for object_id in object_ids if self._instances.recorded(object_id)}

    def followed(self, object_ids: Sequence[str]) -> set[str]:
        """Return those of the ids of message objects that are in the ledger as orders that were followed."""
        with self._ledger.read():
            return Requests(self._ledger).recorded(object_ids)

    def record(self, receptions: Sequence[Reception]) -> list[Recorded]:
        """Record receptions from the first on, as many as fit into one transaction and at least one; return what became of those."""
        done: list[Recorded] = []
        rows = 0
        with self._ledger.write():
            began = self._clock.now().boottime
            for reception in receptions:
                recorded = self._record(reception)
                done.append(recorded)
                rows += int(recorded.is_kept) + recorded.deliveries
                if rows >= ROWS or self._clock.now().boottime - began >= SECONDS:
                    break
        return done

    def _record(self, reception: Reception) -> Recorded:
        facts, plan = reception.facts, reception.plan
        latest = self._instances.latest(facts.sop_instance_uid)
        decision = self._decide(latest, reception)
        if decision.version is not None:
            # What a damaged copy was owed is owed of this one, also where no route applies any more.
            state = InstanceState.UNROUTED if plan.is_unrouted and not decision.deliveries else InstanceState.STORED
            instance_id = self._instances.add(facts, version=decision.version, state=state)
        else:
            # Only an instance that is there has bytes that can be repeated.
            assert latest is not None  # noqa: S101 (a fact of `decide`, for the type checker)
            instance_id = latest.id
            if not plan.is_unrouted:
                self._instances.routed(instance_id)
        keep_until = _keep_until(reception, decision, latest)
        if keep_until is not None:
            self._instances.keep(instance_id, keep_until)
        made = [
            self._deliveries.add(
                instance_id,
                planned.destination_id,
                cause=decision.cause,
                # The reception makes a repeated request its own delivery, and the same request after a crash the same delivery.
                cause_ref=facts.object_id if decision.cause is Cause.RESEND else "",
                priority=planned.priority,
                now=self._clock.now(),
            )
            for planned in decision.deliveries
        ]
        if self._anew:
            self._hold(made)
        count = sum(delivery is not None for delivery in made)
        is_kept = decision.version is not None or self._anew or count > 0
        if is_kept and decision.version is None:
            self._repeats.add(Repeat(facts.object_id, facts.spool_name), instance_id)
        return Recorded(reception, decision, count, is_kept)

    def _decide(self, latest: StoredInstance | None, reception: Reception) -> Decision:
        facts, planned = reception.facts, reception.plan.deliveries
        if self._anew:
            # Nobody knows what was still owed when it came, and an order about it must find what it asked for.
            return decide(latest, facts, planned, {})
        open_rows = self._deliveries.unfinished(latest.id) if latest else []
        decision = decide(latest, facts, planned, {row.destination_id: row.priority for row in open_rows})
        if decision.supersedes:
            for row in open_rows:
                self._deliveries.settle(row.id, Moved(DeliveryState.CANCELLED, reason=_SUPERSEDED, at=self._clock.now().wall))
        return decision

    def _hold(self, made: Sequence[int | None]) -> None:
        """Hold what was just made, whose outcome nobody knows."""
        for number in made:
            if number is not None:
                self._deliveries.settle(
                    number, Moved(DeliveryState.HELD, hold_class=HoldClass.REBUILT, reason=_REBUILT, unknown_outcomes=1)
                )


def _keep_until(reception: Reception, decision: Decision, latest: StoredInstance | None) -> float | None:
    """Return until when routes want the object kept: this one's, and those of the copy that it stands for."""
    asked = [reception.plan.keep_until(reception.facts.received_at)]
    if latest is not None and decision.arrival is Arrival.REGAINED:
        asked.append(latest.keep_until)
    return max((until for until in asked if until is not None), default=None)
