"""The queue as people see it: pages without gaps, counts that add up."""

from __future__ import annotations

from appliance.ledger.deliveries import AttemptRecord, Moved
from appliance.ledger.queue import QueueRow, Waiting
from appliance.ledger.vocabulary import DeliveryState, HoldClass, Priority
from tests.unit.ledger.bench import CT, EXPLICIT, MR, Bench


def test_a_row_says_what_the_command_prints(bench: Bench) -> None:
    """Every column of `queue list` is there."""
    delivery = bench.receive_and_owe(priority=Priority.STAT)
    due = bench.clock.now().after(60)
    attempt = AttemptRecord(1.0, "refused", 0xA900)
    bench.settle(delivery, Moved(DeliveryState.HELD, HoldClass.CONFIGURATION, due, attempt, reason="SOP class not supported"))

    with bench.ledger.read():
        rows = bench.deliveries.list()

    assert rows == [
        QueueRow(
            id=delivery,
            destination="archive",
            state=DeliveryState.HELD,
            hold_class=HoldClass.CONFIGURATION,
            priority=Priority.STAT,
            study_instance_uid="1.2.3",
            sop_instance_uid="2.25.1",
            attempts=1,
            due=due.wall,
            reason="SOP class not supported",
        )
    ]


def test_pages_follow_each_other_without_gaps(bench: Bench) -> None:
    """Going on after the last number seen shows every owed delivery once, in order, in whatever state."""
    owed = [bench.receive_and_owe() for _ in range(7)]
    bench.settle(owed[1], Moved(DeliveryState.HELD, HoldClass.PERSON))
    bench.settle(owed[3], Moved(DeliveryState.DEFERRED, due=bench.clock.now().after(5)))
    bench.settle(owed[4], DeliveryState.DELIVERED)

    pages: list[list[int]] = []
    after = None
    with bench.ledger.read():
        while rows := bench.deliveries.list(limit=2, after=after):
            pages.append([row.id for row in rows])
            after = rows[-1].id

    assert pages == [[owed[0], owed[1]], [owed[2], owed[3]], [owed[5], owed[6]]]


def test_lists_can_be_narrowed(bench: Bench) -> None:
    """By destination, by state, by both; finished deliveries are shown when their state is asked for."""
    instance = bench.receive()
    to_archive, to_reading = bench.owe(instance, "archive"), bench.owe(instance, "reading")
    done = bench.owe(bench.receive(), "reading")
    bench.settle(done, DeliveryState.DELIVERED)

    with bench.ledger.read():
        lists = [
            bench.deliveries.list(),
            bench.deliveries.list("archive"),
            bench.deliveries.list(state=DeliveryState.DELIVERED),
            bench.deliveries.list("archive", DeliveryState.DELIVERED),
            bench.deliveries.list("reading", DeliveryState.QUEUED),
        ]

    assert [[row.id for row in rows] for rows in lists] == [[to_archive, to_reading], [to_archive], [done], [], [to_reading]]


def test_counts_know_every_state(bench: Bench) -> None:
    """Each state has a count."""
    deliveries = [bench.receive_and_owe() for _ in range(3)]
    bench.settle(deliveries[0], DeliveryState.PROVED)

    with bench.ledger.read():
        counts = bench.deliveries.counts()

    assert counts == dict.fromkeys(DeliveryState, 0) | {DeliveryState.PROVED: 1, DeliveryState.QUEUED: 2}


def test_waiting_is_what_moves_and_held_is_apart(bench: Bench) -> None:
    """Queued, sending and deferred wait, since the oldest of them; held ones are counted for themselves."""
    began = bench.clock.now().wall
    done = bench.receive_and_owe()
    bench.clock.advance(10)
    deferred, held, _queued = (bench.receive_and_owe() for _ in range(3))
    bench.clock.advance(10)
    bench.receive_and_owe(priority=Priority.STAT)
    bench.settle(done, DeliveryState.DELIVERED)
    bench.settle(deferred, Moved(DeliveryState.DEFERRED, due=bench.clock.now().after(5)))
    bench.settle(held, Moved(DeliveryState.HELD, HoldClass.VERDICT))
    bench.claim()

    with bench.ledger.read():
        waiting, nothing = bench.deliveries.waiting("archive"), bench.deliveries.waiting("reading")
        held_counts = (bench.deliveries.held("archive"), bench.deliveries.held("reading"))

    assert (waiting, nothing) == (Waiting(3, began + 10), Waiting(0, None))
    assert held_counts == (1, 0)


def test_contexts_are_those_really_ready(bench: Bench) -> None:
    """Each pair of class and syntax once, the most urgent first, cut at the limit; what waits or is another title's is not asked for."""
    bench.receive_and_owe(sop_class=CT, calling="CT1")
    bench.receive_and_owe(sop_class=CT, calling="CT1")
    bench.receive_and_owe(sop_class=MR, calling="MR1", priority=Priority.STAT)
    later = bench.receive_and_owe(sop_class="1.2.840.10008.5.1.4.1.1.1.2", calling="CT1")
    bench.settle(later, Moved(DeliveryState.DEFERRED, due=bench.clock.now().after(5)))

    with bench.ledger.read():
        everything = bench.deliveries.contexts_waiting("archive")
        of_ct = bench.deliveries.contexts_waiting("archive", "ct1")
        one = bench.deliveries.contexts_waiting("archive", limit=1)
        elsewhere = bench.deliveries.contexts_waiting("reading")

    assert everything == [(MR, EXPLICIT), (CT, EXPLICIT)]
    assert (of_ct, one, elsewhere) == ([(CT, EXPLICIT)], [(MR, EXPLICIT)], [])
