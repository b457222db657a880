"""One destination's coordinator: opens lanes, knocks when it is dead, and is the desk where lanes get work and hand in outcomes.

Promises: what happens to one destination touches no other: each has its own thread, lanes and lock, and no lock is held over a network call
or a transaction. A lane ends only with nothing in its hands.
Failures: none leave the thread; a ledger that is gone for good ends it when the sender ends.
Limits: works in the ledger through the recorder only; new work is noticed by `look`, which somebody calls at least once a second.
"""

from __future__ import annotations

from appliance.core.identity import AETitle
from appliance.deliver.acceptance import Acceptance
from appliance.deliver.crew import Crew
from appliance.deliver.destination import DestinationHealth
from appliance.deliver.doctor import Diagnosis
from appliance.deliver.journal import DeliveryJournal, where
from appliance.deliver.judgement import Judgement
from appliance.deliver.lane import Lane
from appliance.deliver.outbox import Given, Outbox, Wish
from appliance.deliver.own_faults import DAMAGED
from appliance.deliver.plan import Plan, Surroundings
from appliance.deliver.recorder import RecorderClosedError
from appliance.deliver.second_chances import EVERYTHING_REFUSED
from appliance.deliver.seeking import Look
from appliance.deliver.settlement import give_back
from appliance.deliver.site_state import SiteState
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Batch, Channel, Outcome, Transport, Wanted
from appliance.deliver.verdict import Verdict, Whose
from appliance.deliver.wishes import Wishes
from appliance.dimse.contexts import ACCEPTANCE
from appliance.ledger.vocabulary import DeliveryState
from appliance.runtime.clock import Instant
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# The health of a destination is written down this often at most while nothing but its last success changes.
_KEEP_S = 1.0


class Dispatch:
    """The coordinator of one destination; also the `Desk` of its lanes."""

    def __init__(self, plan: Plan, transport: Transport, outbox: Outbox, around: Surroundings) -> None:
        """Prepare; nothing happens before `start`."""
        self._plan = plan
        self._transport = transport
        self._outbox = outbox
        self._around = around
        self._journal = DeliveryJournal(plan.name)
        self._changed = around.condition()
        # Everything below is guarded by `_changed`.
        self._health = DestinationHealth(plan.pacing, around.dice, around.clock.now())
        self._acceptance = Acceptance()
        self._judgement = Judgement(self._health, plan.waits, around.dice)
        self._crew = Crew(plan.pacing, around.dice)
        self._opened = 0
        self._wishes = Wishes(plan, around)
        self._look = True
        self._wakened = False
        self._dirty = False
        self._kept_at = 0.0
        self._thread = around.thread(target=self._run, name=f"destination {plan.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def look(self) -> None:
        """Notice that there may be work, that something may be due, or that the sender stops. Returns at once."""
        with self._changed:
            self._look = True
            self._work_arrived()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end, which comes when `stopping` is set and every lane has finished its instance; say whether it has come."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def examined(self, diagnosis: Diagnosis) -> None:
        """Take note of what the doctor found; a site that refused the box and lets it in now is not waited for any longer."""
        with self._changed:
            self._dirty |= self._acceptance.learn(diagnosis.answers)
            self._judgement.accepted(context for context, result in diagnosis.answers.items() if result == ACCEPTANCE)
            if diagnosis.ends_refusal:
                self._health.retry_now(self._now())
                self._note_health()
            self._work_arrived()

    def _run(self) -> None:
        try:
            self._recall()
            while not self._around.stopping.is_set():
                self._guarded_step()
                with self._changed:
                    self._changed.wait_for(lambda: self._wakened or self._around.stopping.is_set(), self._health.wait_s(self._now()))
                    self._wakened = False
            with self._changed:
                threads = self._crew.threads
            for thread in threads:
                thread.join()
            self._look_into_ledger(keep=True)
        except RecorderClosedError:
            log.warning("destination.unrecorded", destination=self._plan.name)

    def _guarded_step(self) -> None:
        try:
            self._step()
        except RecorderClosedError:
            raise
        except Exception as error:  # noqa: BLE001  # boundary: a fault of ours must not end the destination; the next look tries again
            log.error("destination.failed", destination=self._plan.name, error=type(error).__name__, where=where(error))  # noqa: TRY400 (as in journal.where)

    def _recall(self) -> None:
        known, learned, is_new = self._outbox.known()
        if is_new:
            self._journal.released(self._outbox.release(EVERYTHING_REFUSED))
        with self._changed:
            self._dirty = is_new
            self._health = DestinationHealth(self._plan.pacing, self._around.dice, self._now(), known)
            self._acceptance = Acceptance(learned)
            self._judgement = Judgement(self._health, self._plan.waits, self._around.dice, self._acceptance.learned)
            self._journal.begin(self._health.record)

    def _step(self) -> None:
        """Do what is due: promote, knock, open lanes."""
        with self._changed:
            look, self._look = self._look, False
            hello, releases = self._health.hello_is_due(self._now()), self._judgement.take_releases()
            keep = self._dirty and (self._journal.has_news or self._now().boottime - self._kept_at >= _KEEP_S)
        for release in releases:
            self._journal.released(self._outbox.release(release))
        if look or keep or releases:
            self._look_into_ledger(keep=keep)
        if hello:
            self._knock()
        while self._open_lane():
            pass

    def _look_into_ledger(self, *, keep: bool) -> None:
        with self._changed:
            state = self._outbox.state(self._health.record, self._acceptance.as_json()) if keep else None
            if keep:
                self._dirty, self._kept_at = False, self._now().boottime
                self._journal.kept()
        if self._outbox.look(self._now(), state):
            with self._changed:
                self._look = True
                self._work_arrived()

    def _knock(self) -> None:
        """See whether a dead destination is back: somebody listens, and speaks DICOM."""
        began = self._now()
        try:
            self._transport.hello()
            self._transport.echo()
        except AssociationFailedError as error:
            with self._changed:
                self._health.hello_failed(error.verdict, began)
                self._note_health()
            return
        with self._changed:
            self._health.hello_answered(self._now())
            self._note_health()
            self._work_arrived()

    def _open_lane(self) -> bool:
        """Open one more lane if there is work and it may; return whether to try again."""
        with self._changed:
            if not self._may_open_lane():
                return False
            look = self._crew.look(None, self._now(), self._health.allowed_lanes)
            wish = self._wish(None, look)
        given = self._outbox.claim(wish)
        with self._changed:
            if given.task is None:
                self._crew.found_nothing(look, for_sure=not given.more and not wish.strictly)
                return given.more
            self._opened += 1
            lane = Lane(self, self._around.clock, given.task, f"{self._plan.name}/{self._opened}")
            lane.epoch = self._health.epoch
            self._health.lane_opened(lane)
            self._health.probe_started(self._now())
            thread = self._around.thread(target=lane.run, name=f"lane {lane.name}", daemon=True)
            self._crew.joined(lane, thread, given.task)
        try:
            thread.start()
        except Exception:  # boundary: no thread is left; whatever it was, the claim goes back. Raised again: the next look is soon enough
            with self._changed:
                self._crew.left(lane)
                self._health.lane_ended(lane)
            self._outbox.settle(given.task.claim, give_back(None), None)
            raise
        return True

    def _may_open_lane(self) -> bool:
        now, crew = self._now(), self._crew
        is_wanted = not self._around.stopping.is_set() and crew.wants_another(now, self._health.allowed_lanes)
        return is_wanted and self._health.lane_may_open(now, len(crew), beside_busy=crew.is_busy)

    def calling(self, task: Task) -> AETitle:
        """Return the title under which a task is sent."""
        return self._plan.calling(task.claim.calling_title)

    def begin(self, lane: Lane) -> bool:
        """Say whether the destination still wants what `lane` is about to send, and note under which of its epochs it begins."""
        with self._changed:
            wanted = not self._around.stopping.is_set() and (self._health.lane_may_go_on or lane.epoch == self._health.epoch)
            lane.epoch = self._health.epoch
            return wanted

    def dial(self, lane: Lane, task: Task) -> Channel | None:
        """Return a channel for `task`, or None after having given the task back."""
        title = task.claim.calling_title if self._plan.separates else None
        needed = [task.context] if lane.alone else self._outbox.contexts(title, task.context)
        with self._changed:
            hurried = self._crew.others_served(lane) > 0
        wanted = Wanted(lane.calling, needed, hurried=hurried, small_pdus=task.wants_small_pdus)
        try:
            channel = self._transport.open(wanted)
        except AssociationFailedError as error:
            self._no_association(lane, task, error.verdict)
            return None
        with self._changed:
            self._dirty |= self._acceptance.learn(channel.answers)
            if task.claim.is_large:
                self._wake_coordinator()
        return channel

    def company(self, lane: Lane, first: Task, batch: Batch) -> list[Task]:
        """Return tasks that may go in one request with `first`, as many as `batch` has room for; what is large never keeps company."""
        with self._changed:
            wish = self._wish(lane, Look(0, small=True)) if self._goes_on(lane) and not self._plan.separates else None
        return [] if wish is None else self._outbox.claim_company(wish, first, batch)

    def settle(self, lane: Lane, task: Task, outcome: Outcome, *, last: bool = True) -> Task | None:
        """Return the next task once the outcome of this one is durable; None when the lane is to end, or has others to settle first."""
        claim = task.claim
        with self._changed:
            others, epoch = self._crew.others_served(lane), self._health.epoch
            moved = self._judgement.of(task, outcome, self._now(), lane=lane, epoch=lane.epoch, others_served=others)
            if outcome.verdict.whose is Whose.DELIVERED:
                self._dirty = True
                self._crew.delivered(task, self._now())
            if claim.is_large or outcome.verdict.whose is Whose.DELIVERED:
                self._wake_coordinator()
            self._note_health()
            if self._health.state is SiteState.THROTTLED and self._health.epoch != epoch:
                self._crew.count.congested(self._now())
            self._crew.finished(lane)
            look = self._crew.look(lane, self._now(), self._health.allowed_lanes) if last and self._goes_on(lane) else None
            wish = None if look is None else self._wish(lane, look)
        is_damaged = outcome.verdict.flag == DAMAGED
        if is_damaged:
            self._around.set_apart(claim)
        given = self._outbox.settle(claim, moved, wish, quarantine=is_damaged)
        self._journal.settled(task, outcome, moved)
        if moved.state is DeliveryState.QUEUED:
            with self._changed:
                self._work_arrived()
        if look is None:
            return None
        return self._taken(lane, look, given) or self._linger(lane)

    def give_back(self, task: Task) -> None:
        """Return a task to the queue, unsent."""
        self._outbox.settle(task.claim, give_back(None), None)
        with self._changed:
            self._work_arrived()

    def put_aside(self, task: Task) -> None:
        """Let a task wait, uncharged, after a fault of our own."""
        self._outbox.settle(task.claim, self._wishes.aside(task, "an internal fault stopped the transfer"), None)

    def ended(self, lane: Lane) -> None:
        """Take note that the lane holds nothing any more."""
        with self._changed:
            self._crew.left(lane)
            self._health.lane_ended(lane)
            self._work_arrived()

    def _no_association(self, lane: Lane, task: Task, verdict: Verdict) -> None:
        """Take note that the lane was not let in, and give its task back."""
        with self._changed:
            title = lane.calling.key if self._plan.separates and not self._crew.title_is_served(lane) else None
            self._health.association_failed(verdict, self._now(), others_served=self._crew.others_served(lane), title=title)
            self._note_health()
        self._outbox.settle(task.claim, give_back(verdict.text), None)
        log.info("association.failed", destination=self._plan.name, calling=str(lane.calling), reason=verdict.flag)
        with self._changed:
            self._work_arrived()

    def _taken(self, lane: Lane, look: Look, given: Given) -> Task | None:
        """Take note of what a lane's look found, and return it."""
        with self._changed:
            self._crew.found(lane, look, given)
        return given.task

    def _linger(self, lane: Lane) -> Task | None:
        """Wait a little for more work, the association open; return it, or None."""
        end = self._now().after(self._plan.linger_s)
        while True:
            with self._changed:
                self._crew.rests()
                self._changed.wait_for(lambda: not self._goes_on(lane) or self._is_worth_it(lane), end.remaining_s(self._now()))
                self._crew.rested()
                if not self._goes_on(lane) or not self._is_worth_it(lane):
                    return None
                look = self._crew.look(lane, self._now(), self._health.allowed_lanes)
                wish = self._wish(lane, look)
            task = self._taken(lane, look, self._outbox.claim(wish))
            if task is not None:
                with self._changed:
                    self._wake_coordinator()
                return task

    def _is_worth_it(self, lane: Lane) -> bool:
        return self._crew.is_worth_it(lane, self._now(), self._health.allowed_lanes)

    def _goes_on(self, lane: Lane) -> bool:
        wanted = not lane.alone and not self._around.stopping.is_set() and self._health.lane_may_go_on
        goes_on = wanted and not self._crew.is_surplus(lane, self._now())
        self._crew.leaves(lane, for_good=not goes_on)
        return goes_on

    def _wish(self, lane: Lane | None, look: Look) -> Wish:
        """Return what a lane, or the coordinator (None), may claim now. Under the lock; what it holds is used outside."""
        prefers_source = lane is not None and self._plan.separates and not lane.stint_is_over(self._now())
        source = lane.source if lane is not None and prefers_source else None
        return self._wishes.wish(self._health, look, source=source, alone=lane is None and not len(self._crew))

    def _note_health(self) -> None:
        """Say and keep what changed; lanes that wait look whether they may go on."""
        if self._journal.health(self._health.record, self._now()):
            self._dirty = True
            self._wake_coordinator()

    def _work_arrived(self) -> None:
        self._crew.arrived()
        self._wake_coordinator()

    def _wake_coordinator(self) -> None:
        self._wakened = True
        self._changed.notify_all()

    def _now(self) -> Instant:
        return self._around.clock.now()
