"""Several deliveries in one request: who goes with whom, and what becomes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from appliance.deliver.lane import Lane
from appliance.deliver.recorder import RecorderClosedError
from appliance.deliver.task import Task
from appliance.deliver.transport import Batch, Outcome, Wanted
from appliance.deliver.verdict import Break, judge_break
from appliance.ledger.vocabulary import DeliveryState
from tests.support.eventually import eventually
from tests.unit.deliver.bench import (
    Books,
    Engine,
    FakeChannel,
    FakeDestination,
    Visit,
    a_destination,
    a_site,
    broken,
    settled,
    status,
    success,
)
from tests.unit.deliver.test_lane import FakeDesk, numbered, run

DELIVERED, HELD, DEFERRED = DeliveryState.DELIVERED, DeliveryState.HELD, DeliveryState.DEFERRED
LOST = judge_break(Break.CLOSED, after_first_pdv=True, association_proved=True)


class TogetherDestination(FakeDestination):
    """A scripted destination that takes several instances in one request; `requests` holds the UIDs of each."""

    def __init__(self, batch: Batch) -> None:
        """Take as much as `batch` says."""
        super().__init__()
        self.batch = batch
        self.requests: list[list[str]] = []
        self.defect: Exception | None = None

    def open(self, wanted: Wanted) -> TogetherChannel:
        """Let in as the other does."""
        channel = super().open(wanted)
        return TogetherChannel(self, self.visits[-1], channel)


class TogetherChannel(FakeChannel):
    """A channel of it."""

    def __init__(self, destination: TogetherDestination, visit: Visit, _plain: FakeChannel) -> None:
        """Open."""
        super().__init__(destination, visit)
        self._together = destination

    @property
    def batch(self) -> Batch:
        """What goes together."""
        return self._together.batch

    def proposed(self, _context: object) -> bool:
        """Take everything, as a web server does."""
        return True

    def send(self, task: Task) -> Outcome:
        """Take one."""
        return self.send_together([task])[0]

    def send_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Take several."""
        assert self.is_open, "a channel that had ended was used again"
        self._together.requests.append([str(task.claim.sop_instance_uid) for task in tasks])
        if self._together.defect is not None:
            defect, self._together.defect = self._together.defect, None
            raise defect
        return [self._together.take(self._visit, task) for task in tasks]


class TogetherDesk(FakeDesk):
    """A desk that gives company from what is left, and may fail at a task."""

    def __init__(self, destination: FakeDestination, *tasks: Task) -> None:
        """Have these tasks."""
        super().__init__(destination, *tasks)
        self.fails_at: int | None = None

    def company(self, _lane: Lane, first: Task, batch: Batch) -> list[Task]:
        """Give what there is."""
        taken, self.left = self.left[: batch.instances - 1], self.left[batch.instances - 1 :]
        assert not first.outcomes
        return taken

    def settle(self, lane: Lane, task: Task, outcome: Outcome, *, last: bool = True) -> Task | None:
        """Write it down, or fail; give the next only for the last."""
        if task.claim.delivery_id == self.fails_at:
            raise RuntimeError("a defect")
        if last:
            return super().settle(lane, task, outcome)
        self.settled.append((task.claim.delivery_id, outcome.verdict.flag))
        return None


def test_what_waits_goes_together(books: Books) -> None:
    """A lane fills each request with what waits, in order, each instance once; the rest is a smaller one."""
    archive, uids = TogetherDestination(Batch(10, 1 << 20)), books.owe(count=25)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert [len(request) for request in archive.requests] == [10, 10, 5]
    assert sorted(archive.received) == sorted(uids)
    assert all([attempt.status for attempt in books.attempts(uid)] == [0] for uid in uids)


def test_bytes_are_bounded_too(books: Books) -> None:
    """A request that is full by its bytes gets no more company; each instance here has 100."""
    archive, uids = TogetherDestination(Batch(10, 300)), books.owe(count=7)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert [len(request) for request in archive.requests] == [3, 3, 1]


def test_each_has_its_own_outcome(books: Books) -> None:
    """One that is refused is held, and those that went with it are delivered."""
    archive, uids = TogetherDestination(Batch(5, 1 << 20)), books.owe(count=5)
    archive.answer = lambda task: status(0x0118)(task) if task.claim.sop_instance_uid == uids[2] else success(task)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: books.count(DELIVERED) == 4)
        eventually(lambda: books.count(HELD) == 1)

    assert books.row(uids[2]).state is HELD
    assert [len(request) for request in archive.requests] == [5]


def test_what_broke_together_goes_alone(books: Books) -> None:
    """After a request that broke, each of its instances goes in one of its own."""
    archive, uids = TogetherDestination(Batch(5, 1 << 20)), books.owe(count=4)
    archive.answer = lambda task: success(task) if task.outcomes else broken(LOST)(task)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert len(archive.requests[0]) == 4
    assert [len(request) for request in archive.requests[1:]] == [1] * 4
    assert archive.visits[0].ended == "abort"


def test_sources_that_are_told_apart_are_not_mixed(books: Books) -> None:
    """Where a destination sees which source an instance came from, nothing gets company."""
    archive, uids = TogetherDestination(Batch(5, 1 << 20)), [*books.owe(count=2), *books.owe(count=2, source="MR1")]

    with Engine(books, a_site(a_destination(calling_ae="source")), {"archive": archive}):
        eventually(settled(books, uids))

    assert [len(request) for request in archive.requests] == [1] * 4


def test_a_defect_of_ours_charges_none_of_them(books: Books) -> None:
    """Where sending several fails for a reason of ours, all wait and are delivered later."""
    archive, uids = TogetherDestination(Batch(5, 1 << 20)), books.owe(count=3)
    archive.defect = RuntimeError("a defect")

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert len(archive.requests[0]) == 3
    assert sorted(uid for request in archive.requests[1:] for uid in request) == sorted(uids)


def test_a_fault_while_settling_loses_none() -> None:
    """When one of several outcomes cannot be settled, it and those not settled yet are put aside; the others stay settled."""
    desk = TogetherDesk(TogetherDestination(Batch(4, 1 << 20)), *map(numbered, (2, 3, 4)))
    desk.fails_at = 3

    run(desk, numbered(1))

    assert desk.settled == [(2, "success")]
    assert sorted(desk.aside) == [1, 3, 4]


def test_a_closed_recorder_ends_the_lane_with_company() -> None:
    """When nothing can be recorded any more nothing is put aside: the next run finds all claims."""
    desk = TogetherDesk(TogetherDestination(Batch(4, 1 << 20)), numbered(2))
    desk.fault = RecorderClosedError("closed")

    run(desk, numbered(1))

    assert (desk.aside, desk.has_ended) == ([], True)


def test_one_that_failed_before_asks_for_no_company() -> None:
    """A task with a past goes alone, and the next one may have company again."""
    archive = TogetherDestination(Batch(4, 1 << 20))
    desk = TogetherDesk(archive, *map(numbered, (2, 3)))

    run(desk, replace(numbered(1), outcomes=("http_in_company",)))

    assert archive.requests == [["1.2.1"], ["1.2.2", "1.2.3"]]


def test_one_that_cannot_be_put_aside_keeps_no_other() -> None:
    """Where a fault of ours also strikes while tasks are put aside, the one it strikes is given back, and all others are put aside."""
    desk = TogetherDesk(TogetherDestination(Batch(4, 1 << 20)), *map(numbered, (2, 3, 4)))
    desk.fails_at = 2
    plain_aside = desk.put_aside

    def put_aside(task: Task) -> None:
        if task.claim.delivery_id == 1:
            raise RuntimeError("another defect")
        plain_aside(task)

    desk.put_aside = put_aside  # type: ignore[method-assign]
    run(desk, numbered(1))

    assert (desk.returned, sorted(desk.aside), desk.has_ended) == ([1], [2, 3, 4], True)


def test_one_that_cannot_be_let_go_keeps_no_other() -> None:
    """One that can neither be put aside nor given back stays alone: the others are put aside, and the lane ends."""
    desk = TogetherDesk(TogetherDestination(Batch(4, 1 << 20)), *map(numbered, (2, 3, 4)))
    desk.fails_at = 2
    plain_aside = desk.put_aside

    def put_aside(task: Task) -> None:
        if task.claim.delivery_id == 1:
            raise RuntimeError("another defect")
        plain_aside(task)

    def give_back(_task: Task) -> None:
        raise RuntimeError("a third one")

    desk.put_aside = put_aside  # type: ignore[method-assign]
    desk.give_back = give_back  # type: ignore[method-assign,assignment]
    run(desk, numbered(1))

    assert (sorted(desk.aside), desk.has_ended) == ([2, 3, 4], True)
