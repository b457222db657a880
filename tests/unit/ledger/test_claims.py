"""Claims: what is next for a lane that takes only some of it, and what of a study is owed before a delivery."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.ledger.claims import BACKLOG, LARGE_BYTES, Choice, EarlierOfStudy
from appliance.ledger.deliveries import AttemptRecord, Moved
from appliance.ledger.instances import InstanceState
from appliance.ledger.orders import Order, OrderVerb
from appliance.ledger.pauses import Pauses
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass, Priority
from tests.unit.ledger.bench import Bench, facts


class Queue:
    """Deliveries to the archive, by number."""

    def __init__(self, bench: Bench) -> None:
        """Begin with none."""
        self.bench = bench
        self._count = 0

    def owe(self, length: int = 1000, *, priority: Priority = Priority.ROUTINE, calling: str = "CT1") -> int:
        """Owe one more."""
        self._count += 1
        with self.bench.ledger.write():
            one = replace(facts(self._count, uid=f"1.2.3.{self._count}"), length=length, calling_title=calling)
            instance = self.bench.instances.add(one, version=1, state=InstanceState.STORED)
            now = self.bench.clock.now()
            number = self.bench.deliveries.add(instance, "archive", cause=Cause.ROUTE, cause_ref="", priority=priority, now=now)
        assert number is not None
        return number

    def next(self, choice: Choice) -> int | None:
        """Claim the next."""
        with self.bench.ledger.write():
            claim = self.bench.deliveries.claim("archive", owner="run-1", choice=choice)
        return None if claim is None else claim.delivery_id


@pytest.fixture
def queue(bench: Bench) -> Queue:
    """Return an empty queue."""
    return Queue(bench)


def test_a_lane_kept_free_takes_what_is_small(queue: Queue) -> None:
    """It gets the most urgent and oldest of the small ones, and nothing when only large ones are left."""
    large, limit, later = queue.owe(LARGE_BYTES + 1), queue.owe(LARGE_BYTES), queue.owe()
    urgent = queue.owe(LARGE_BYTES + 1, priority=Priority.STAT)

    claims = [queue.next(Choice(small=True)) for _ in range(3)]
    rest = [queue.next(Choice()) for _ in range(2)]

    assert (claims, rest) == ([limit, later, None], [urgent, large])


def test_a_title_is_not_preferred_to_being_kept_free(queue: Queue) -> None:
    """Where the next of its title is large, a lane that is kept free takes a small one of another title."""
    queue.owe(LARGE_BYTES + 1, calling="CT1")
    small = queue.owe(calling="MR1")

    assert queue.next(Choice("CT1", small=True)) == small


def test_the_newest_is_passed_over_where_it_is_large(queue: Queue) -> None:
    """A lane that is kept free takes the oldest small one instead of the newest of its title, where that is large."""
    first = queue.owe()
    with queue.bench.ledger.write():
        queue.bench.ledger.change("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'delivery'", (BACKLOG,))
    queue.owe(LARGE_BYTES + 1)

    assert queue.next(Choice("CT1", newest=True, small=True)) == first


def test_only_what_is_urgent(queue: Queue) -> None:
    """A claim of what is STAT takes that, and nothing else."""
    queue.owe()
    urgent = queue.owe(priority=Priority.STAT)

    assert [queue.next(Choice(urgent=True)) for _ in range(2)] == [urgent, None]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (DeliveryState.QUEUED, EarlierOfStudy(moving=True, stuck=False)),
        (DeliveryState.DEFERRED, EarlierOfStudy(moving=False, stuck=True)),
        (DeliveryState.HELD, EarlierOfStudy(moving=False, stuck=True)),
        (DeliveryState.DELIVERED, EarlierOfStudy(moving=False, stuck=False)),
        (DeliveryState.CANCELLED, EarlierOfStudy(moving=False, stuck=False)),
    ],
)
def test_what_is_owed_of_a_study_before(queue: Queue, state: DeliveryState, expected: EarlierOfStudy) -> None:
    """What was owed earlier of the same study counts while it is owed; what was owed later does not."""
    bench, earlier = queue.bench, queue.owe()
    own = queue.owe(priority=Priority.STAT)
    queue.owe()
    with bench.ledger.write():
        claim = bench.deliveries.claim("archive", owner="run-1")
        due = bench.clock.now().after(60)
        if state is not DeliveryState.QUEUED:
            bench.deliveries.settle(earlier, Moved(state, hold_class=HoldClass.VERDICT, due=due))

    assert claim is not None
    assert claim.delivery_id == own
    with bench.ledger.read():
        assert bench.deliveries.earlier_of_study(claim) == expected


def test_a_pause_is_one_until_it_is_over(bench: Bench) -> None:
    """It is there until its moment, or until somebody resumes; a later order replaces an earlier one."""
    pauses = Pauses(bench.ledger)
    hold = Order(OrderVerb.HOLD, "anna", "moving house", 1.0, 1, (), "archive", 100.0)

    with bench.ledger.write():
        pauses.follow(hold)
        seen = [pauses.get("archive", wall) is not None for wall in (99.0, 100.0)]
        other = pauses.get("reading", 99.0)
        pauses.follow(replace(hold, until=None))
        lasting = pauses.get("archive", 1e12)
        resumed = [pauses.follow(replace(hold, verb=OrderVerb.RELEASE)) for _ in range(2)]
        after = pauses.get("archive", 99.0)

    assert seen == [True, False]
    assert (other, after) == (None, None)
    assert lasting is not None
    assert (lasting.who, lasting.reason) == ("anna", "moving house")
    assert resumed == [True, False]


def test_what_was_tried_before_is_stuck_also_while_it_is_queued(bench: Bench, queue: Queue) -> None:
    """What fails again and again is queued now and then for ever; what waits for its study does not begin to wait anew each time."""
    failing, _note = queue.owe(), queue.owe()
    queue.next(Choice())
    bench.settle(failing, Moved(DeliveryState.QUEUED, attempt=AttemptRecord(0.0, "processing_failure", 0x0110)))

    with bench.ledger.write():
        claim = bench.deliveries.claim("archive", owner="run-1", choice=Choice(exclude=frozenset({failing})))
        assert claim is not None
        earlier = bench.deliveries.earlier_of_study(claim)

    assert EarlierOfStudy(moving=False, stuck=True) == earlier
