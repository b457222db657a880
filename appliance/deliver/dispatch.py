"""One destination's coordinator: opens lanes, knocks when it is dead, and is the desk where lanes get work and hand in outcomes.

Promises: what happens to one destination touches no other: each has its own thread, lanes and lock, and no lock is held over a network call
or a transaction. A lane ends only with nothing in its hands.
Failures: none leave the thread; a ledger that is gone for good ends it when the sender ends.
Limits: works in the ledger through the recorder only; new work is noticed by `look`, which somebody calls at least once a second.
"""

from __future__ import annotations

import threading

from appliance.core.identity import AETitle
from appliance.deliver.acceptance import Acceptance
from appliance.deliver.destination import DestinationHealth
from appliance.deliver.doctor import Diagnosis
from appliance.deliver.journal import DeliveryJournal, where
from appliance.deliver.judgement import Judgement
from appliance.deliver.lane import Lane
from appliance.deliver.outbox import Outbox, Wish
from appliance.deliver.own_faults import DAMAGED
from appliance.deliver.plan import Plan, Surroundings
from appliance.deliver.recorder import RecorderClosedError
from appliance.deliver.schedule import soft_delay
from appliance.deliver.second_chances import EVERYTHING_REFUSED
from appliance.deliver.settlement import give_back, step_aside
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Channel, Outcome, Transport, Wanted
from appliance.deliver.verdict import Verdict, Whose
from appliance.dimse.contexts import ACCEPTANCE
from appliance.ledger.deliveries import Moved
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
        self._lanes: dict[Lane, threading.Thread] = {}
        self._lane_count = 0
        self._idle = 0
        self._arrivals = 1
        """Grows whenever there may be new work; `_exhausted` is the value for which a claim found none."""
        self._exhausted = 0
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
                threads = list(self._lanes.values())
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
            arrivals, wish = self._arrivals, self._wish(None)
        given = self._outbox.claim(wish)
        with self._changed:
            if given.task is None:
                if not given.more and not wish.strictly:
                    self._exhausted = arrivals
                return given.more
            self._lane_count += 1
            lane = Lane(self, self._around.clock, given.task, f"{self._plan.name}/{self._lane_count}")
            lane.epoch = self._health.epoch
            self._health.lane_opened(lane)
            self._health.probe_started(self._now())
            thread = self._around.thread(target=lane.run, name=f"lane {lane.name}", daemon=True)
            self._lanes[lane] = thread
        thread.start()
        return True

    def _may_open_lane(self) -> bool:
        return (
            not self._around.stopping.is_set()
            and self._arrivals != self._exhausted
            and self._idle == 0
            and not any(lane.alone for lane in self._lanes)
            and self._health.lane_may_open(self._now(), len(self._lanes))
        )

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
            hurried = self._others_served(lane) > 0
        wanted = Wanted(lane.calling, needed, hurried=hurried, small_pdus=task.wants_small_pdus)
        try:
            channel = self._transport.open(wanted)
        except AssociationFailedError as error:
            self._no_association(lane, task, error.verdict)
            return None
        with self._changed:
            self._dirty |= self._acceptance.learn(channel.answers)
        return channel

    def settle(self, lane: Lane, task: Task, outcome: Outcome) -> Task | None:
        """Return the next task once the outcome of this one is durable; None when the lane is to end."""
        claim = task.claim
        with self._changed:
            others = self._others_served(lane)
            moved = self._judgement.of(task, outcome, self._now(), lane=lane, epoch=lane.epoch, others_served=others)
            if outcome.verdict.whose is Whose.DELIVERED:
                self._dirty = True
                self._wake_coordinator()
            self._note_health()
            arrivals, wish = self._arrivals, self._wish(lane) if self._goes_on(lane) else None
        is_damaged = outcome.verdict.flag == DAMAGED
        if is_damaged:
            self._around.set_apart(claim)
        given = self._outbox.settle(claim, moved, wish, quarantine=is_damaged)
        self._journal.settled(task, outcome, moved)
        if moved.state is DeliveryState.QUEUED:
            with self._changed:
                self._work_arrived()
        if wish is None or given.task is not None:
            return given.task
        return self._linger(lane, None if given.more else arrivals)

    def give_back(self, task: Task) -> None:
        """Return a task to the queue, unsent."""
        self._outbox.settle(task.claim, give_back(None), None)
        with self._changed:
            self._work_arrived()

    def put_aside(self, task: Task) -> None:
        """Let a task wait, uncharged, after a fault of our own."""
        self._outbox.settle(task.claim, self._aside(task, "an internal fault stopped the transfer"), None)

    def ended(self, lane: Lane) -> None:
        """Take note that the lane holds nothing any more."""
        with self._changed:
            self._lanes.pop(lane, None)
            self._health.lane_ended(lane)
            self._work_arrived()

    def _no_association(self, lane: Lane, task: Task, verdict: Verdict) -> None:
        """Take note that the lane was not let in, and give its task back."""
        with self._changed:
            title = lane.calling.key if self._plan.separates and not self._title_is_served(lane) else None
            self._health.association_failed(verdict, self._now(), others_served=self._others_served(lane), title=title)
            self._note_health()
        self._outbox.settle(task.claim, give_back(verdict.text), None)
        log.info("association.failed", destination=self._plan.name, calling=str(lane.calling), reason=verdict.flag)
        with self._changed:
            self._work_arrived()

    def _linger(self, lane: Lane, exhausted: int | None) -> Task | None:
        """Wait a little for more work, the association open; return it, or None. `exhausted`: what a claim has just found nothing for."""
        end = self._now().after(self._plan.linger_s)
        while True:
            with self._changed:
                if exhausted is not None:
                    self._exhausted = max(self._exhausted, exhausted)
                self._idle += 1
                self._changed.wait_for(lambda: not self._goes_on(lane) or self._arrivals != self._exhausted, end.remaining_s(self._now()))
                self._idle -= 1
                if not self._goes_on(lane) or self._arrivals == self._exhausted:
                    return None
                arrivals, wish = self._arrivals, self._wish(lane)
            given = self._outbox.claim(wish)
            if given.task is not None:
                with self._changed:
                    self._wake_coordinator()
                return given.task
            exhausted = None if given.more else arrivals

    def _goes_on(self, lane: Lane) -> bool:
        return not lane.alone and not self._around.stopping.is_set() and self._health.lane_may_go_on

    def _wish(self, lane: Lane | None) -> Wish:
        """Return what a lane, or the coordinator (None), may claim now. Under the lock; what it holds is used outside."""
        now = self._now()
        refused = self._health.refused_titles(now)

        def aside(task: Task) -> Moved | None:
            calling = self.calling(task)
            due = refused.get(calling.key)
            if due is None:
                return None
            return step_aside(f"the destination does not know this box as {calling}", due.remaining_s(now), now)

        def postpone(task: Task) -> Moved:
            return self._aside(task, "aborted three times in company: goes alone, when nothing else waits")

        prefers_source = lane is not None and self._plan.separates and not lane.stint_is_over(now)
        source = lane.source if lane is not None and prefers_source else None
        passes_over, strictly = self._health.passes_over(now)
        return Wish(aside, postpone, source, lane is None and not self._lanes, passes_over, strictly)

    def _aside(self, task: Task, reason: str) -> Moved:
        wait_s = soft_delay(task.claim.attempts + 1, self._plan.waits.soft, self._around.dice())
        return step_aside(reason, wait_s, self._now())

    def _others_served(self, lane: Lane) -> int:
        return sum(other.is_served for other in self._lanes if other is not lane)

    def _title_is_served(self, lane: Lane) -> bool:
        return any(other.is_served and other.calling == lane.calling for other in self._lanes if other is not lane)

    def _note_health(self) -> None:
        """Say and keep what changed; lanes that wait look whether they may go on."""
        if self._journal.health(self._health.record, self._now()):
            self._dirty = True
            self._wake_coordinator()

    def _work_arrived(self) -> None:
        self._arrivals += 1
        self._wake_coordinator()

    def _wake_coordinator(self) -> None:
        self._wakened = True
        self._changed.notify_all()

    def _now(self) -> Instant:
        return self._around.clock.now()
