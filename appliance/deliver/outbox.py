"""One destination's part of the ledger: settle, claim, look, in single transactions that all lanes share.

Promises: each method returns when what it did is durable. An outcome and the claim that follows it are one transaction, so a lane never
has two instances, and never takes the next one before the last is settled.
Failures: what `Recorder.record` raises.
Limits: what must step aside (`Wish.aside`) is taken a handful at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial

from appliance.deliver.destination import HealthRecord
from appliance.deliver.known_settings import settings_of, with_settings
from appliance.deliver.publication import AcceptancePublication
from appliance.deliver.recorder import Recorder
from appliance.deliver.second_chances import Release
from appliance.deliver.site_state import SiteState
from appliance.deliver.states import Event, move
from appliance.deliver.task import Task
from appliance.deliver.transport import Batch, Context
from appliance.ledger.claims import Choice, Claim, EarlierOfStudy
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries, Moved
from appliance.ledger.destinations import DestinationCondition, DestinationState, DestinationStates
from appliance.ledger.holding import NEVER_SENT
from appliance.ledger.instances import Instances
from appliance.ledger.pauses import Pauses
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass
from appliance.runtime.clock import Instant
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# Claims that step aside in one transaction (house.md section 6: at most 50 rows); the rest is looked at in the next one.
_ASIDE_AT_ONCE = 20
# Claims for one request in one transaction: a row each, beside what steps aside.
_TOGETHER = 25
# Held deliveries released in one transaction: one statement, milliseconds.
_RELEASED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Wish:
    """Which claim a lane would like.

    `calling`: the source's title (as in the ledger) whose deliveries go first among equally urgent ones. `aside` says what a claimed task
    has to do instead of being sent now, or None when it is sent. `alone` allows one that goes alone, once nothing else is ready. Deliveries
    of `passes_over` (numbers) go when nothing else is ready; with `strictly` not even then. `small`: no large objects, `urgent`: STAT only;
    nothing while a person has paused the destination at `wall` (UTC). Of the SOP classes `followers`, `follow` says what a task has to do
    while its study is owed what it is.
    """

    aside: Callable[[Task], Moved | None]
    postpone: Callable[[Task], Moved]
    calling: str | None = None
    alone: bool = False
    passes_over: frozenset[int] = frozenset()
    strictly: bool = False
    small: bool = False
    urgent: bool = False
    wall: float = 0.0
    followers: frozenset[str] = frozenset()
    follow: Callable[[Task, EarlierOfStudy], Moved | None] = lambda _task, _earlier: None


@dataclass(frozen=True, slots=True)
class Given:
    """What a wish got: a task or nothing; `more` says that there was too much to put aside to look at everything."""

    task: Task | None = None
    more: bool = False


class Outbox:
    """The ledger as the lanes of one destination see it. Threads may share it."""

    def __init__(
        self, ledger: Ledger, recorder: Recorder, publication: AcceptancePublication, destination_id: str, owner: str, settings: str
    ) -> None:
        """Work for `destination_id` in the name of the sender run `owner`; what is learned of it goes to `publication` too.

        `settings` is the mark of the terms on which it is served (`plan.Terms`).
        """
        self._recorder = recorder
        self._publication = publication
        self._deliveries = Deliveries(ledger)
        self._instances = Instances(ledger)
        self._pauses = Pauses(ledger)
        self._states = DestinationStates(ledger)
        self._destination_id = destination_id
        self._owner = owner
        self._settings = settings
        self._turns = itertools.count()
        self._never: frozenset[str] = frozenset()
        self._wall: Callable[[], float | None] = lambda: None
        self._expect: Callable[[Claim], None] = lambda _claim: None

    def never_send(self, sop_classes: Collection[str], wall: Callable[[], float]) -> None:
        """Hold deliveries of these SOP classes when their turn comes, at the time that `wall` gives; to be said before the first claim."""
        self._never, self._wall = frozenset(sop_classes), wall

    def expect_proof(self, expect: Callable[[Claim], None]) -> None:
        """Have `expect` called for each delivery that was delivered, in its transaction; to be said before the first claim."""
        self._expect = expect

    def settle(self, claim: Claim, moved: Moved, wish: Wish | None, *, quarantine: bool = False) -> Given:
        """Write down what became of `claim` and, with a wish, claim the next one."""

        def work() -> Given:
            if not self._deliveries.settle(claim.delivery_id, moved, owner=self._owner):
                log.error("delivery.no_longer_ours", delivery_id=claim.delivery_id, destination=self._destination_id)
            elif quarantine:
                self._instances.quarantine(claim.instance_id)
            elif moved.state is DeliveryState.DELIVERED:
                self._expect(claim)
            return Given() if wish is None else self._claim(wish)

        return self._recorder.record(work)

    def claim(self, wish: Wish) -> Given:
        """Claim the next delivery."""
        return self._recorder.record(lambda: self._claim(wish))

    def claim_company(self, wish: Wish, first: Task, batch: Batch) -> list[Task]:
        """Claim deliveries that go in one request with `first`, as many as `batch` has room for."""

        def work() -> list[Task]:
            taken: list[Task] = []
            room = batch.bytes - first.claim.length
            while room > 0 and len(taken) + 1 < min(batch.instances, _TOGETHER):
                task = self._claim(wish).task
                if task is None:
                    break
                taken.append(task)
                room -= task.claim.length
            return taken

        return self._recorder.record(work)

    def contexts(self, calling: str | None, first: Context) -> list[Context]:
        """Return `first`, then what is needed for what is queued (from the source title `calling`, when given), the most urgent first."""
        waiting = self._recorder.record(lambda: self._deliveries.contexts_waiting(self._destination_id, calling))
        return list(dict.fromkeys([first, *waiting]))

    def look(self, now: Instant, keep: DestinationState | None) -> int:
        """Queue what is due and return how much that was; with `keep`, write the destination's state down too."""

        def work() -> int:
            if keep is not None:
                self._states.put(keep)
            return self._deliveries.promote_due(self._destination_id, now)

        promoted = self._recorder.record(work)
        if keep is not None:
            self._publication.put(self._destination_id, keep.learned)
        return promoted

    def release(self, release: Release) -> int:
        """Queue what is to be released, a batch a transaction, each delivery once; return how many they were."""
        released, after = 0, 0
        while True:
            batch = self._recorder.record(partial(self._release, release, after))
            released += len(batch)
            if len(batch) < _RELEASED_AT_ONCE:
                return released
            after = batch[-1]

    def _release(self, release: Release, after: int) -> list[int]:
        what = (self._destination_id, release.sop_class, release.classes)
        return self._deliveries.release_held(*what, instances=release.instances, after=after, limit=_RELEASED_AT_ONCE)

    def known(self) -> tuple[HealthRecord | None, str, bool]:
        """Return what the ledger knows of the destination's health, what was learned of it (JSON), and whether its settings are new.

        New settings begin in good health.
        """

        def work() -> tuple[HealthRecord | None, str, bool]:
            found = self._states.get(self._destination_id)
            if found is None:
                return None, "{}", True
            is_new = settings_of(found.learned) != self._settings
            if is_new:
                found = DestinationState(found.id, last_success=found.last_success, learned=found.learned)
            state = SiteState(found.state)
            record = HealthRecord(state, found.reason, found.since, found.due, found.lanes, found.last_success, found.backoff_s)
            return record, found.learned, is_new

        return self._recorder.record(work)

    def state(self, record: HealthRecord, learned: str) -> DestinationState:
        """Return the row that keeps `record` and what was learned."""
        return DestinationState(
            self._destination_id,
            DestinationCondition(record.state.value),
            record.reason,
            record.since,
            record.due,
            record.lanes,
            record.last_success,
            record.backoff_s,
            with_settings(learned, self._settings),
        )

    def _claim(self, wish: Wish) -> Given:
        if self._pauses.get(self._destination_id, wish.wall) is not None:
            return Given()
        for _ in range(_ASIDE_AT_ONCE):
            claim = self._next(wish)
            if claim is None:
                return Given()
            task = self._task(claim)
            moved = self._refused_here(claim) or wish.aside(task)
            if moved is None and claim.sop_class_uid in wish.followers:
                moved = wish.follow(task, self._deliveries.earlier_of_study(claim))
            if moved is None and task.goes_alone and not (wish.alone and self._is_last()):
                moved = wish.postpone(task)
            if moved is None:
                return Given(task)
            self._deliveries.settle(claim.delivery_id, moved, owner=self._owner)
        return Given(more=True)

    def _refused_here(self, claim: Claim) -> Moved | None:
        if claim.sop_class_uid not in self._never:
            return None
        # Not due: only a change of settings, or a person, brings it back.
        return Moved(move(DeliveryState.SENDING, Event.UNUSABLE), hold_class=HoldClass.CONFIGURATION, reason=NEVER_SENT, at=self._wall())

    def _next(self, wish: Wish) -> Claim | None:
        # Every other turn is the newest one's (semantics.md F-13).
        newest = next(self._turns) % 2 == 1
        choice = Choice(wish.calling, wish.passes_over, newest, wish.small, wish.urgent)
        claim = self._deliveries.claim(self._destination_id, owner=self._owner, choice=choice)
        if claim is None and wish.passes_over and not wish.strictly:
            claim = self._deliveries.claim(self._destination_id, owner=self._owner, choice=replace(choice, exclude=frozenset()))
        return claim

    def _is_last(self) -> bool:
        return not self._deliveries.contexts_waiting(self._destination_id, None, 1)

    def _task(self, claim: Claim) -> Task:
        """Add the past; most deliveries have none, and asking costs nothing then."""
        outcomes = tuple(attempt.outcome for attempt in self._deliveries.attempts(claim.delivery_id)) if claim.attempts else ()
        went_there = claim.unknown_outcomes > 0 or (claim.cause is Cause.RESEND and self._went_there(claim))
        return Task(claim, outcomes, sent_before=went_there)

    def _went_there(self, claim: Claim) -> bool:
        return any(
            row.destination_id == claim.destination_id and row.state in {DeliveryState.DELIVERED, DeliveryState.PROVED}
            for row in self._deliveries.of_instance(claim.instance_id)
        )
