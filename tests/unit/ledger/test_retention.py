"""What the keeper does to the ledger: attempts folded into their count, old tombstones forgotten, and nothing that is owed touched."""

from __future__ import annotations

import pytest

from appliance.ledger.deliveries import AttemptRecord, DeliveryMissingError, Moved
from appliance.ledger.instances import InstanceMissingError, InstanceState
from appliance.ledger.repeats import Repeat, Repeats
from appliance.ledger.retention import Retention, Walk
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from tests.unit.ledger.bench import Bench

DELIVERED, HELD, DEFERRED, QUEUED = DeliveryState.DELIVERED, DeliveryState.HELD, DeliveryState.DEFERRED, DeliveryState.QUEUED


def _attempt(bench: Bench, delivery: int, at: float, state: DeliveryState = QUEUED) -> None:
    bench.settle(delivery, Moved(state, hold_class=HoldClass.VERDICT, attempt=AttemptRecord(at, "try")))


def _attempts(bench: Bench, delivery: int) -> int:
    with bench.ledger.read():
        return len(bench.deliveries.attempts(delivery))


def _fold(bench: Bench, before: float, *, after: int = 0, limit: int = 500) -> Walk:
    with bench.ledger.write():
        return Retention(bench.ledger).fold_attempts(before, after=after, limit=limit)


def _prune(bench: Bench, before: float, *, limit: int = 50) -> int:
    with bench.ledger.write():
        return Retention(bench.ledger).prune_tombstones(before, limit=limit)


def _evict(bench: Bench, instance: int, at: float) -> None:
    with bench.ledger.write():
        Retention(bench.ledger).evict(instance, at)


def test_old_attempts_are_folded_into_their_count(bench: Bench) -> None:
    """Attempts of what was finished before the day are dropped and stay counted; recent ones, and those of what is owed, are kept."""
    old, recent, owed = (bench.receive_and_owe() for _ in range(3))
    _attempt(bench, old, 1.0)
    _attempt(bench, owed, 2.0, HELD)
    _attempt(bench, old, 3.0, DELIVERED)
    _attempt(bench, recent, 4.0)
    _attempt(bench, recent, 11.0, DELIVERED)

    walk = _fold(bench, 10.0)

    assert walk == Walk(None, 2)
    assert [_attempts(bench, delivery) for delivery in (old, recent, owed)] == [0, 2, 1]
    assert bench.row(old).attempts == 2


def test_what_was_cancelled_counts_from_then(bench: Bench) -> None:
    """The end of a delivery that no attempt ended is when it was cancelled."""
    early, late = bench.receive_and_owe(), bench.receive_and_owe()
    for delivery, at in ((early, 5.0), (late, 15.0)):
        _attempt(bench, delivery, 1.0, DEFERRED)
        bench.settle(delivery, Moved(DeliveryState.CANCELLED, at=at))

    _fold(bench, 10.0)

    assert [_attempts(bench, delivery) for delivery in (early, late)] == [0, 1]


def test_folding_goes_on_where_it_was(bench: Bench) -> None:
    """A walk in small pages passes over what is kept, drops the rest, and ends."""
    deliveries = [bench.receive_and_owe() for _ in range(6)]
    for number, delivery in enumerate(deliveries):
        _attempt(bench, delivery, float(number), DELIVERED if number % 2 else HELD)
    dropped, after, pages = 0, 0, 0

    while True:
        walk = _fold(bench, 100.0, after=after, limit=2)
        dropped, pages = dropped + walk.dropped, pages + 1
        if walk.after is None:
            break
        after = walk.after

    assert (dropped, pages) == (3, 4)
    assert [_attempts(bench, delivery) for delivery in deliveries] == [1, 0, 1, 0, 1, 0]


def test_old_tombstones_are_forgotten(bench: Bench) -> None:
    """An instance evicted long ago goes with its deliveries, its attempts and its empty study; others stay."""
    old, recent = bench.receive(study="1.2.3"), bench.receive(study="1.2.4")
    delivery = bench.owe(old)
    _attempt(bench, delivery, 1.0, DELIVERED)
    _evict(bench, old, 5.0)
    _evict(bench, recent, 15.0)

    pruned = _prune(bench, 10.0)

    assert pruned == 1
    with bench.ledger.read():
        assert bench.ledger.rows("SELECT id FROM instance") == [(recent,)]
        assert bench.ledger.rows("SELECT study_instance_uid FROM study") == [("1.2.4",)]
        assert bench.ledger.rows("SELECT count(*) FROM attempt") == [(0,)]
        with pytest.raises(DeliveryMissingError):
            bench.deliveries.get(delivery)


def test_a_study_stays_while_it_has_an_instance(bench: Bench) -> None:
    """Forgetting one instance of a study leaves the study to the others."""
    old, kept = bench.receive(study="1.2.3"), bench.receive(study="1.2.3")
    _evict(bench, old, 5.0)

    _prune(bench, 10.0)

    with bench.ledger.read():
        assert bench.ledger.rows("SELECT i.id FROM instance i JOIN study s ON s.id = i.study_id") == [(kept,)]


@pytest.mark.parametrize("state", [QUEUED, DEFERRED, HELD])
def test_what_is_owed_is_never_forgotten(bench: Bench, state: DeliveryState) -> None:
    """A tombstone that is still owed somewhere, which should not be, stays until it is not."""
    instance = bench.receive()
    delivery = bench.owe(instance)
    bench.settle(delivery, Moved(state, hold_class=HoldClass.PERSON, due=bench.clock.now().after(1.0)))
    _evict(bench, instance, 5.0)

    assert _prune(bench, 10.0) == 0


def test_a_tombstone_stays_while_it_is_repeated(bench: Bench) -> None:
    """An instance whose bytes are kept in a repeat is forgotten after the repeat is."""
    instance = bench.receive()
    with bench.ledger.write():
        Repeats(bench.ledger).add(Repeat("a", "b"), instance)
    _evict(bench, instance, 5.0)
    kept = _prune(bench, 10.0)
    with bench.ledger.write():
        Repeats(bench.ledger).forget(["a"])

    assert (kept, _prune(bench, 10.0)) == (0, 1)


def test_what_waits_for_a_forgotten_version_waits_no_more(bench: Bench) -> None:
    """A reference to a forgotten delivery is taken away with it."""
    first, second = bench.receive(uid="2.25.9"), bench.receive(uid="2.25.9", version=2)
    earlier, later = bench.owe(first), bench.owe(second)
    with bench.ledger.write():
        bench.ledger.change("UPDATE delivery SET state = 'delivered' WHERE id = ?", (earlier,))
    _evict(bench, first, 5.0)

    _prune(bench, 10.0)

    assert bench.row(later).blocked_by is None


def test_an_evicted_instance_is_a_tombstone(bench: Bench) -> None:
    """Eviction leaves the row; an instance that is not there cannot be evicted."""
    instance = bench.receive()

    _evict(bench, instance, 5.0)

    with bench.ledger.read():
        assert bench.instances.get(instance).state is InstanceState.EVICTED
    with pytest.raises(InstanceMissingError):
        _evict(bench, 99, 5.0)


def test_what_the_spool_should_hold_comes_in_pages(bench: Bench) -> None:
    """Stored and unrouted instances are listed by number; evicted and quarantined ones are not."""
    numbers = [bench.receive() for _ in range(5)]
    _evict(bench, numbers[1], 5.0)
    with bench.ledger.write():
        bench.instances.quarantine(numbers[2])

    with bench.ledger.read():
        first = Retention(bench.ledger).in_spool(limit=2)
        rest = Retention(bench.ledger).in_spool(after=first[-1].id, limit=2)

    assert [kept.id for kept in (*first, *rest)] == [numbers[0], numbers[3], numbers[4]]
    assert first[0].spool_name == f"{1:032x}-g1-{1:032x}-1000.i.age"


def test_doubt_is_about_what_is_owed(bench: Bench) -> None:
    """Every delivery that is owed may have been sent; what is finished is not in doubt."""
    owed, finished = bench.receive_and_owe(), bench.receive_and_owe()
    bench.settle(finished, DELIVERED)

    with bench.ledger.write():
        Retention(bench.ledger).doubt_outcomes()

    assert [bench.row(delivery).unknown_outcomes for delivery in (owed, finished)] == [1, 0]


def test_skipped_numbers_are_never_given(bench: Bench) -> None:
    """The next numbers come after the gap."""
    first = bench.receive_and_owe()

    with bench.ledger.write():
        Retention(bench.ledger).skip_numbers(1000)

    assert bench.receive_and_owe() == first + 1001
