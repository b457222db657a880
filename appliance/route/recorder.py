"""What the router writes into the ledger: an instance and its deliveries, whole or not at all.

Promises: each `record` is one transaction of about `ROWS` rows or `SECONDS` (house.md section 6); an instance is never in the ledger
without the deliveries its routes ask for, and its study is waited for from then on (`study_watch`). An object that asked for a delivery is
remembered with it, so that a rebuild can ask again (P2). What it returns is committed.
Failures: what `ledger.write()` and the repositories raise; nothing of the transaction is recorded then.
Limits: one router writes; the ledger's unique reception id guards against a second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from appliance.config.model import Completion
from appliance.ledger.completions import Completions
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries, DeliveryRow, Moved
from appliance.ledger.instances import Instances, InstanceState, StoredInstance
from appliance.ledger.repeats import Repeat, Repeats
from appliance.ledger.requests import Requests
from appliance.ledger.traffic import Came, Traffic
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass
from appliance.route.completion import quiet_s
from appliance.route.duplicates import Arrival, Decision, decide
from appliance.route.planner import Planned, Withheld
from appliance.route.reception import Reception
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

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

    If it does not, the file is not needed. `instance_id` is the number of the instance that the object is, or repeats.
    """

    reception: Reception
    decision: Decision
    deliveries: int
    is_kept: bool
    instance_id: int


class Recorder:
    """Writes receptions into one ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, *, anew: bool = False, completion: Callable[[], Completion] = Completion) -> None:
        """Write into `ledger`; `completion` says for how long studies are waited for.

        `anew` is for a ledger that has lost what it knew: every object is kept, and whatever its routes ask for, owed already or not, is
        held until somebody says that it was not delivered.
        """
        self._ledger = ledger
        self._clock = clock
        self._anew = anew
        self._instances = Instances(ledger)
        self._deliveries = Deliveries(ledger)
        self._repeats = Repeats(ledger)
        self._completion = completion
        self._completions = Completions(ledger)
        self._traffic = Traffic(ledger)

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
            reopened = self._wait_for_studies(done)
            self._traffic.arrived(_came(recorded) for recorded in done)
        for study in reopened:
            log.info("study.reopened", study_instance_uid=study)
        return done

    def _record(self, reception: Reception) -> Recorded:
        facts, plan = reception.facts, reception.plan
        latest = self._instances.latest(facts.sop_instance_uid)
        open_rows = self._deliveries.unfinished(latest.id) if latest and not self._anew else []
        decision = self._decide(latest, reception, open_rows)
        if decision.version is not None:
            # What a damaged copy was owed is owed of this one, also where no route applies any more.
            state = InstanceState.UNROUTED if plan.is_unrouted and not decision.deliveries else InstanceState.STORED
            instance_id = self._instances.add(facts, version=decision.version, state=state)
        else:
            # Only an instance that is there has bytes that can be repeated.
            assert latest is not None  # noqa: S101 (a fact of `decide`, for the type checker)
            instance_id = latest.id
            if facts.hops > latest.facts.hops:
                self._instances.has_passed(instance_id, facts.hops)
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
        elif facts.study_instance_uid:
            waited = {row.destination_id for row in open_rows if row.state is DeliveryState.DEFERRED and row.due is None}
            self._defer(decision.deliveries, made, waited)
        if decision.version is not None:
            self._note_withheld(instance_id, reception.plan.withheld)
        count = sum(delivery is not None for delivery in made)
        is_kept = decision.version is not None or self._anew or count > 0
        if is_kept and decision.version is None:
            self._repeats.add(Repeat(facts.object_id, facts.spool_name), instance_id)
        return Recorded(reception, decision, count, is_kept, instance_id)

    def _decide(self, latest: StoredInstance | None, reception: Reception, open_rows: Sequence[DeliveryRow]) -> Decision:
        facts, planned = reception.facts, reception.plan.deliveries
        # Anew, nobody knows what was still owed when it came, and an order about it must find what it asked for: `open_rows` is empty.
        decision = decide(latest, facts, planned, {row.destination_id: row.priority for row in open_rows})
        if decision.supersedes:
            for row in open_rows:
                self._deliveries.settle(row.id, Moved(DeliveryState.CANCELLED, reason=_SUPERSEDED, at=self._clock.now().wall))
        return decision

    def _defer(self, planned: Sequence[Planned], made: Sequence[int | None], waited: Collection[str]) -> None:
        """Let wait for their study what was just made and asks for it, or takes the place of what waited for it."""
        for one, number in zip(planned, made, strict=True):
            if number is not None and (one.awaits_study or one.destination_id in waited):
                self._completions.defer(number)

    def _note_withheld(self, instance_id: int, withheld: Sequence[Withheld]) -> None:
        """Show what routes ask for and is not owed because it would go round: cancelled from the beginning, with the reason."""
        now = self._clock.now()
        for one in withheld:
            made = self._deliveries.add(instance_id, one.destination_id, cause=Cause.ROUTE, cause_ref="", priority=one.priority, now=now)
            if made is not None:
                self._deliveries.settle(made, Moved(DeliveryState.CANCELLED, reason=one.reason, at=now.wall))

    def _wait_for_studies(self, done: Sequence[Recorded]) -> list[str]:
        """Count the quiet time of the studies anew that something came of; return those that were complete before.

        The same bytes once more, which ask for nothing, do not open a study again.
        """
        news: dict[str, bool] = {}
        for recorded in done:
            uid = recorded.reception.facts.study_instance_uid
            news[uid] = news.get(uid, False) or recorded.is_kept
        now, settings, reopened = self._clock.now(), self._completion(), []
        for uid, is_news in news.items():
            # Objects without a study are never complete together, and wait for nothing.
            study = self._completions.find(uid) if uid else None
            if study is None or (study.is_complete and not is_news):
                continue
            self._completions.wait(study.id, now.after(quiet_s(settings, study.modalities)))
            if study.is_complete and study.is_known:
                reopened.append(uid)
        return reopened

    def _hold(self, made: Sequence[int | None]) -> None:
        """Hold what was just made, whose outcome nobody knows."""
        for number in made:
            if number is not None:
                self._deliveries.settle(
                    number,
                    Moved(DeliveryState.HELD, hold_class=HoldClass.REBUILT, reason=_REBUILT, unknown_outcomes=1, at=self._clock.now().wall),
                )


def _came(recorded: Recorded) -> Came:
    facts = recorded.reception.facts
    acquired_at = facts.attributes.acquired_at
    return Came(
        facts.calling_title,
        facts.source_address,
        facts.received_at,
        facts.length,
        recorded.instance_id if recorded.decision.version is not None else None,
        lag_s=None if acquired_at is None else facts.received_at - acquired_at,
    )


def _keep_until(reception: Reception, decision: Decision, latest: StoredInstance | None) -> float | None:
    """Return until when routes want the object kept: this one's, and those of the copy that it stands for."""
    asked = [reception.plan.keep_until(reception.facts.received_at)]
    if latest is not None and decision.arrival is Arrival.REGAINED:
        asked.append(latest.keep_until)
    return max((until for until in asked if until is not None), default=None)
