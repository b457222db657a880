"""A lane at a scripted desk: which association carries what."""

from __future__ import annotations

from dataclasses import replace

from appliance.core.identity import AETitle, Uid
from appliance.deliver.lane import STINT_INSTANCES, STINT_S, Lane
from appliance.deliver.recorder import RecorderClosedError
from appliance.deliver.task import Task
from appliance.deliver.transport import Batch, Channel, Outcome, Wanted
from tests.fakes.clock import FakeClock
from tests.unit.deliver.bench import FakeDestination
from tests.unit.deliver.test_settlement import a_task


def numbered(number: int, source: str = "CT1") -> Task:
    """Return a task of this number."""
    task = a_task()
    return replace(task, claim=replace(task.claim, delivery_id=number, sop_instance_uid=Uid(f"1.2.{number}"), calling_title=source))


class FakeDesk:
    """Gives out tasks in order and writes down what comes back."""

    def __init__(self, destination: FakeDestination, *tasks: Task) -> None:
        """Have these tasks; want everything."""
        self.destination = destination
        self.left = list(tasks)
        self.wanted = [True] * 100
        self.settled: list[tuple[int, str]] = []
        self.returned: list[int] = []
        self.aside: list[int] = []
        self.has_ended = False
        self.fault: Exception | None = None

    def begin(self, lane: Lane) -> bool:
        """Want it or not."""
        assert lane.epoch == 0
        return self.wanted.pop(0)

    def dial(self, lane: Lane, task: Task) -> Channel | None:
        """Open a channel for the one context."""
        return self.destination.open(Wanted(lane.calling, [task.context]))

    def company(self, _lane: Lane, _first: Task, _batch: Batch) -> list[Task]:
        """Have nothing that goes together."""
        return []

    def settle(self, lane: Lane, task: Task, outcome: Outcome, *, last: bool = True) -> Task | None:
        """Write it down and give the next."""
        assert not lane.alone
        assert last
        if self.fault is not None:
            raise self.fault
        self.settled.append((task.claim.delivery_id, outcome.verdict.flag))
        return self.left.pop(0) if self.left else None

    def give_back(self, task: Task) -> None:
        """Take it back."""
        self.returned.append(task.claim.delivery_id)

    def put_aside(self, task: Task) -> None:
        """Take it away."""
        self.aside.append(task.claim.delivery_id)

    def calling(self, task: Task) -> AETitle:
        """Call as the source."""
        return AETitle(task.claim.calling_title)

    def ended(self, lane: Lane) -> None:
        """See it end."""
        self.has_ended = not lane.is_served


def run(desk: FakeDesk, first: Task, clock: FakeClock | None = None) -> Lane:
    """Run a lane to its end in this thread."""
    lane = Lane(desk, clock or FakeClock(), first, "archive/1")
    lane.run()
    return lane


def test_one_title_one_association() -> None:
    """A change of title releases the association and opens another; the same title in other letters does not."""
    archive = FakeDestination()
    desk = FakeDesk(archive, numbered(2, "ct1"), numbered(3, "MR1"), numbered(4, "CT1"))

    run(desk, numbered(1))

    assert [(visit.calling, visit.instances, visit.ended) for visit in archive.visits] == [
        ("CT1", ["1.2.1", "1.2.2"], "release"),
        ("MR1", ["1.2.3"], "release"),
        ("CT1", ["1.2.4"], "release"),
    ]
    assert desk.has_ended


def test_what_is_not_wanted_any_more_is_given_back() -> None:
    """A destination in trouble gets nothing: the task goes back unsent, the association is released."""
    archive = FakeDestination()
    desk = FakeDesk(archive, numbered(2))
    desk.wanted = [True, True, False]

    run(desk, numbered(1))

    assert (archive.received, desk.returned, archive.visits[0].ended) == (["1.2.1"], [2], "release")


def test_trouble_while_dialling_is_noticed() -> None:
    """What is no longer wanted when the peer finally accepts is not sent."""
    archive = FakeDestination()
    desk = FakeDesk(archive)
    desk.wanted = [True, False]

    run(desk, numbered(1))

    assert (archive.received, desk.returned) == ([], [1])


def test_a_fault_while_settling_puts_the_task_aside() -> None:
    """When an outcome cannot be settled for a reason of ours, the task waits and the lane ends without its association."""
    archive = FakeDestination()
    desk = FakeDesk(archive)
    desk.fault = RuntimeError("a defect")

    run(desk, numbered(1))

    assert (desk.aside, desk.has_ended, archive.visits[0].ended) == ([1], True, "abort")


def test_a_recorder_that_is_closed_ends_the_lane() -> None:
    """When nothing can be recorded any more the lane ends; the next sender run finds its claim."""
    archive = FakeDestination()
    desk = FakeDesk(archive)
    desk.fault = RecorderClosedError("closed")

    run(desk, numbered(1))

    assert (desk.aside, desk.has_ended, archive.visits[0].ended) == ([], True, "release")


def test_a_passing_refusal_is_asked_for_anew() -> None:
    """A context that was refused without a reason is proposed again once the association has had that answer for a while."""
    archive, clock = FakeDestination(), FakeClock()
    desk = FakeDesk(archive, numbered(2), numbered(3))
    archive.refused_contexts = {numbered(1).context: 1}
    plain_settle = desk.settle

    def settle(lane: Lane, task: Task, outcome: Outcome, *, last: bool = True) -> Task | None:
        assert last
        if task.claim.delivery_id == 2:
            clock.advance(STINT_S)
        return plain_settle(lane, task, outcome)

    desk.settle = settle  # type: ignore[method-assign]
    run(desk, numbered(1), clock)

    assert [flag for _, flag in desk.settled] == ["context_rejected"] * 3
    assert len(archive.visits) == 2


def test_a_stint_ends_by_count_or_by_time() -> None:
    """After 50 instances, or 5 s, others may go first."""
    archive, clock = FakeDestination(), FakeClock()
    desk = FakeDesk(archive, *(numbered(number) for number in range(2, STINT_INSTANCES)))
    lane = run(desk, numbered(1), clock)
    by_count = lane.stint_is_over(clock.now())
    other = run(FakeDesk(archive, numbered(2)), numbered(1), clock)
    before = other.stint_is_over(clock.now())

    clock.advance(STINT_S)

    assert (by_count, before, other.stint_is_over(clock.now())) == (False, False, True)
    assert len(archive.received) == STINT_INSTANCES - 1 + 2
