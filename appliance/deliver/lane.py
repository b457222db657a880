"""A lane: one thread that sends a destination's deliveries one after the other over one association at a time.

Where a channel takes several in one request, the lane asks for company: deliveries that go with the one it has, as far as any wait.

Promises: the outcomes of a request are durable before the next one is begun; an association carries one calling title, and is used for as
long as work for that title waits; an association that broke, or whose peer spoke for another message, is never used again.
Failures: none leave `run`; a fault of our own puts one instance aside and ends at most this lane.
Limits: a lane that waits for a peer is stopped by the peer's deadline only.
"""

from __future__ import annotations

from typing import Protocol

from appliance.core.identity import AETitle
from appliance.deliver.journal import where
from appliance.deliver.own_faults import judge_internal
from appliance.deliver.recorder import RecorderClosedError
from appliance.deliver.task import Task
from appliance.deliver.transport import Batch, BatchChannel, Channel, Outcome
from appliance.deliver.verdict import Verdict
from appliance.runtime.clock import Clock, Instant
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# After this much for one calling title, an older delivery of another one goes first: a source with a backlog must not keep the others out.
STINT_INSTANCES = 50
STINT_S = 5.0


class Desk(Protocol):
    """Where a lane gets its work and hands in its outcomes."""

    def begin(self, lane: Lane) -> bool:
        """Say whether the destination still wants what `lane` is about to send, and note under which of its epochs it begins."""

    def dial(self, lane: Lane, task: Task) -> Channel | None:
        """Return a channel for `task`, or None after having given the task back."""

    def company(self, lane: Lane, first: Task, batch: Batch) -> list[Task]:
        """Return tasks that may go in one request with `first`, as many as `batch` has room for; none is waited for."""

    def settle(self, lane: Lane, task: Task, outcome: Outcome, *, last: bool = True) -> Task | None:
        """Return the next task once the outcome of this one is durable; None when the lane is to end, or has others to settle first."""

    def give_back(self, task: Task) -> None:
        """Return a task to the queue, unsent."""

    def put_aside(self, task: Task) -> None:
        """Let a task wait, uncharged, after a fault of our own."""

    def calling(self, task: Task) -> AETitle:
        """Return the title under which a task is sent."""

    def ended(self, lane: Lane) -> None:
        """Take note that the lane holds nothing any more."""


class Lane:
    """The work of one lane thread. `calling` and `source` are the titles of its present association, as we call and as the source does."""

    def __init__(self, desk: Desk, clock: Clock, first: Task, name: str) -> None:
        """Begin with the task `first`; a task that goes alone makes a lane that ends after it."""
        self.name = name
        self.alone = first.goes_alone
        self.calling = desk.calling(first)
        self.source = first.claim.calling_title
        self.epoch = 0
        self._desk = desk
        self._clock = clock
        self._first = first
        self._channel: Channel | None = None
        self._small_pdus = False
        self._sent = 0
        self._since: Instant = clock.now()
        # What this lane has to account for, should it fail.
        self._held: list[Task] = []

    @property
    def is_served(self) -> bool:
        """Whether the lane holds an association."""
        return self._channel is not None

    def stint_is_over(self, now: Instant) -> bool:
        """Say whether this title has had its turn."""
        return self._sent >= STINT_INSTANCES or now.boottime - self._since.boottime >= STINT_S

    def run(self) -> None:
        """Send until there is nothing left to send here, then release the association."""
        task: Task | None = self._first
        try:
            while task is not None:
                task = self._guarded(task)
        except RecorderClosedError:
            # The next sender run finds the delivery unfinished.
            log.warning("lane.unrecorded", lane=self.name)
        finally:
            self._release()
            self._desk.ended(self)

    def _guarded(self, task: Task) -> Task | None:
        try:
            return self._serve(task)
        except RecorderClosedError:
            raise
        except Exception as error:  # noqa: BLE001  # boundary: a fault of ours ends this lane, not the destination's other ones
            log.error("lane.failed", lane=self.name, error=type(error).__name__, where=where(error))  # noqa: TRY400 (as in journal.where)
            self._abort()
            for held in self._held:
                self._let_go(held)
            return None

    def _let_go(self, task: Task) -> None:
        """Let a task wait after a fault of ours, or where not even that can be written give it back: it must not keep the others here."""
        for way in (self._desk.put_aside, self._desk.give_back):
            try:
                way(task)
            except RecorderClosedError:
                raise
            except Exception as error:  # noqa: BLE001  # boundary: one claim that cannot be moved does not keep the lane's other ones
                log.error("delivery.stuck", delivery_id=task.claim.delivery_id, error=type(error).__name__, where=where(error))  # noqa: TRY400 (as in journal.where)
            else:
                return

    def _serve(self, task: Task) -> Task | None:
        """Send one task, and what goes with it, and return the next one."""
        self._held = [task]
        if not self._desk.begin(self):
            self._desk.give_back(task)
            return None
        if not self._suits(task):
            self._release()
        if self._channel is None:
            if not self._dial(task):
                return None
            if not self._desk.begin(self):
                # The destination fell into trouble, or the sender was told to stop, while the peer took its time.
                self._desk.give_back(task)
                return None
        self._held += self._company(task)
        outcomes = self._outcomes(self._held)
        if any(outcome.verdict.ends_association for outcome in outcomes):
            self._abort()
        self._sent += len(outcomes)
        for member, outcome in zip(self._held[1:], outcomes[1:], strict=True):
            self._desk.settle(self, member, outcome, last=False)
            self._held.remove(member)
        return self._desk.settle(self, task, outcomes[0])

    def _company(self, task: Task) -> list[Task]:
        """Return what goes in one request with `task`: nothing where the channel sends one at a time, or the task failed before."""
        channel = self._channel
        if self.alone or task.outcomes or not isinstance(channel, BatchChannel) or channel.batch.instances <= 1:
            return []
        return self._desk.company(self, task, channel.batch)

    def _suits(self, task: Task) -> bool:
        """Say whether the open association can carry `task`: same title, context proposed and worth using, still there."""
        return (
            self._channel is not None
            and self._desk.calling(task) == self.calling
            and task.wants_small_pdus == self._small_pdus
            and self._channel.proposed(task.context)
            and not self._is_stale(self._channel.refusal(task.context))
            and self._channel.is_open
        )

    def _is_stale(self, refusal: Verdict | None) -> bool:
        """Say whether a refusal is to be asked for anew: it may pass, and this association has had it for a while."""
        may_pass = refusal is not None and not refusal.holds_after(1)
        return may_pass and self._clock.now().boottime - self._since.boottime >= STINT_S

    def _dial(self, task: Task) -> bool:
        self.calling, self.source = self._desk.calling(task), task.claim.calling_title
        self._small_pdus = task.wants_small_pdus
        self._sent, self._since = 0, self._clock.now()
        self._channel = self._desk.dial(self, task)
        return self._channel is not None

    def _outcomes(self, tasks: list[Task]) -> list[Outcome]:
        channel, task = self._channel, tasks[0]
        assert channel is not None  # noqa: S101 (`_serve` dialled; for the type checker)
        refusal = channel.refusal(task.context)
        if refusal is not None:
            return [Outcome(refusal)] * len(tasks)
        try:
            if len(tasks) > 1 and isinstance(channel, BatchChannel):
                return channel.send_together(tasks)
            return [channel.send(task)]
        except Exception as error:  # noqa: BLE001  # boundary: whatever one instance provokes, the others go on (P6)
            log.error("delivery.fault", delivery_id=task.claim.delivery_id, error=type(error).__name__, where=where(error))  # noqa: TRY400 (as in journal.where)
            return [Outcome(judge_internal())] * len(tasks)

    def _release(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.release()

    def _abort(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.abort()
