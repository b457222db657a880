"""Deliveries: owed once a cause, claimed by one owner, never ahead of an earlier version, never given up by a dead owner."""

from __future__ import annotations

import threading

import pytest

from appliance.ledger.claims import Choice
from appliance.ledger.deliveries import AttemptRecord, DeliveryMissingError, Moved
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass, Priority
from tests.unit.ledger.bench import CT, EXPLICIT, Bench

REFUSED = AttemptRecord(1_709_208_100.0, "refused", 0xC000, "cannot understand")


def test_a_delivery_begins_queued(bench: Bench) -> None:
    """A new delivery is owed, untried, nobody's and due at once."""
    instance = bench.receive()

    delivery = bench.row(bench.owe(instance, "archive", priority=Priority.STAT, cause=Cause.RESEND, cause_ref="abc"))

    assert (delivery.instance_id, delivery.destination_id, delivery.cause, delivery.cause_ref) == (
        instance,
        "archive",
        Cause.RESEND,
        "abc",
    )
    assert (delivery.state, delivery.hold_class, delivery.priority, delivery.owner) == (DeliveryState.QUEUED, None, Priority.STAT, None)
    assert (delivery.due, delivery.blocked_by, delivery.attempts, delivery.reason, delivery.proof) == (None, None, 0, "", "")


def test_the_same_cause_owes_once(bench: Bench) -> None:
    """Instance, destination, cause and its reference make a delivery once; any other of the four makes another."""
    one, two = bench.receive(), bench.receive()
    wanted = [
        (one, "archive", Cause.ROUTE, ""),
        (one, "archive", Cause.ROUTE, ""),
        (two, "archive", Cause.ROUTE, ""),
        (one, "reading", Cause.ROUTE, ""),
        (one, "archive", Cause.RESEND, ""),
        (one, "archive", Cause.ROUTE, "again"),
    ]

    with bench.ledger.write():
        made = [
            bench.deliveries.add(instance, destination, cause=cause, cause_ref=ref, priority=Priority.ROUTINE, now=bench.clock.now())
            is not None
            for instance, destination, cause, ref in wanted
        ]

    assert made == [True, False, True, True, True, True]


def test_an_instance_that_is_not_there_cannot_be_owed(bench: Bench) -> None:
    """A delivery needs an instance."""
    with pytest.raises(DeliveryMissingError), bench.ledger.write():
        bench.deliveries.add(9, "archive", cause=Cause.ROUTE, cause_ref="", priority=Priority.ROUTINE, now=bench.clock.now())


def test_a_claim_says_all_that_sending_needs(bench: Bench) -> None:
    """The claim carries the instance's facts and the delivery's history, and the delivery is the owner's."""
    delivery = bench.receive_and_owe()

    claim = bench.claim(owner="run-1")

    assert claim is not None
    assert (claim.delivery_id, claim.destination_id, claim.owner, claim.version) == (delivery, "archive", "run-1", 1)
    assert (claim.sop_class_uid, claim.sop_instance_uid, claim.transfer_syntax_uid) == (CT, "2.25.1", EXPLICIT)
    assert (claim.study_instance_uid, claim.calling_title, claim.called_title, claim.length) == ("1.2.3", "CT1", "EDGE", 1000)
    assert claim.spool_name == f"{1:032x}-g1-{1:032x}-1000.i.age"
    assert (claim.priority, claim.cause) == (Priority.ROUTINE, Cause.ROUTE)
    assert (claim.attempts, claim.soft_attempts, claim.unknown_outcomes) == (0, 0, 0)
    assert (bench.row(delivery).state, bench.row(delivery).owner) == (DeliveryState.SENDING, "run-1")


def test_claims_go_by_priority_then_age(bench: Bench) -> None:
    """The most urgent goes first, and of those the oldest; then there is nothing."""
    bulk = bench.receive_and_owe(priority=Priority.BULK)
    first, second = bench.receive_and_owe(), bench.receive_and_owe()
    stat = bench.receive_and_owe(priority=Priority.STAT)

    claims = [bench.claim() for _ in range(5)]

    assert [claim and claim.delivery_id for claim in claims] == [stat, first, second, bulk, None]


def test_claims_are_of_one_destination(bench: Bench) -> None:
    """What is owed elsewhere is not claimed."""
    bench.receive_and_owe()

    assert bench.claim("reading") is None


def test_a_title_is_preferred_within_its_priority(bench: Bench) -> None:
    """A lane goes on with its source, whatever the title's case, unless something more urgent waits or its source has nothing left."""
    of_mr, of_ct = bench.receive_and_owe(calling="MR1"), bench.receive_and_owe(calling="CT1")
    urgent = bench.receive_and_owe(calling="MR1", priority=Priority.STAT)

    claims = [bench.claim(calling="ct1") for _ in range(4)]

    assert [claim and claim.delivery_id for claim in claims] == [urgent, of_ct, of_mr, None]


def test_excluded_deliveries_are_passed_over(bench: Bench) -> None:
    """A delivery named as excluded stays, with or without a preferred title."""
    first, second, third = (bench.receive_and_owe() for _ in range(3))

    with bench.ledger.write():
        plain = bench.deliveries.claim("archive", owner="run-1", choice=Choice(exclude=frozenset({first})))
        preferring = bench.deliveries.claim("archive", owner="run-1", choice=Choice("OTHER", frozenset({first})))
        none_left = bench.deliveries.claim("archive", owner="run-1", choice=Choice(exclude=frozenset({first})))

    assert [claim and claim.delivery_id for claim in (plain, preferring, none_left)] == [second, third, None]


def test_no_delivery_is_claimed_twice(bench: Bench) -> None:
    """Four threads that claim until nothing is left share the deliveries out without overlap."""
    owed = {bench.receive_and_owe() for _ in range(60)}
    claimed: list[int] = []

    def lane(owner: str) -> None:
        while claim := bench.claim(owner=owner):
            claimed.append(claim.delivery_id)

    lanes = [threading.Thread(target=lane, args=(f"run-{number}",)) for number in range(4)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()

    assert len(claimed) == 60
    assert set(claimed) == owed


def test_settle_and_claim_are_one_transaction(bench: Bench) -> None:
    """An outcome and the next claim are committed together or not at all."""
    first, second = bench.receive_and_owe(), bench.receive_and_owe()
    bench.claim()

    def fail_after_both() -> None:
        with bench.ledger.write():
            bench.deliveries.settle(first, Moved(DeliveryState.DELIVERED))
            bench.deliveries.claim("archive", owner="run-1")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail_after_both()
    undone = [bench.row(number).state for number in (first, second)]
    with bench.ledger.write():
        bench.deliveries.settle(first, Moved(DeliveryState.DELIVERED))
        bench.deliveries.claim("archive", owner="run-1")
    done = [bench.row(number).state for number in (first, second)]

    assert undone == [DeliveryState.SENDING, DeliveryState.QUEUED]
    assert done == [DeliveryState.DELIVERED, DeliveryState.SENDING]


def test_an_outcome_is_written_with_its_attempt(bench: Bench) -> None:
    """A settled delivery has its reason, its hold and due time, its counts and its attempt, and no owner."""
    delivery = bench.receive_and_owe()
    bench.claim()
    due = bench.clock.now().after(86400)

    bench.settle(
        delivery,
        Moved(DeliveryState.HELD, HoldClass.VERDICT, due, REFUSED, reason="refused: C000", soft_attempts=3, unknown_outcomes=1),
    )

    row = bench.row(delivery)
    assert (row.state, row.hold_class, row.due, row.owner) == (DeliveryState.HELD, HoldClass.VERDICT, due, None)
    assert (row.reason, row.attempts, row.soft_attempts, row.unknown_outcomes) == ("refused: C000", 1, 3, 1)
    with bench.ledger.read():
        assert bench.deliveries.attempts(delivery) == (REFUSED,)


def test_a_site_failure_costs_the_delivery_nothing(bench: Bench) -> None:
    """Queued again without an attempt, every count and text stays as it was."""
    delivery = bench.receive_and_owe()
    bench.settle(delivery, Moved(DeliveryState.QUEUED, attempt=REFUSED, reason="soft", soft_attempts=2, unknown_outcomes=1))
    before = bench.row(delivery)
    bench.claim()

    bench.settle(delivery, DeliveryState.QUEUED)

    assert bench.row(delivery) == before


def test_due_and_hold_class_belong_to_their_states(bench: Bench) -> None:
    """A state that does not wait keeps no due time, and one that is not held no class, whatever it is given."""
    delivery = bench.receive_and_owe()

    bench.settle(delivery, Moved(DeliveryState.QUEUED, HoldClass.PERSON, bench.clock.now().after(5)))

    assert (bench.row(delivery).hold_class, bench.row(delivery).due) == (None, None)


def test_only_the_owner_settles(bench: Bench) -> None:
    """A lane whose claim was taken away cannot overwrite what happened since."""
    delivery = bench.receive_and_owe()
    bench.claim(owner="run-2")

    with bench.ledger.write():
        late = bench.deliveries.settle(delivery, Moved(DeliveryState.DELIVERED), owner="run-1")
        timely = bench.deliveries.settle(delivery, Moved(DeliveryState.DEFERRED, due=bench.clock.now().after(5)), owner="run-2")

    assert (late, timely) == (False, True)
    assert bench.row(delivery).state is DeliveryState.DEFERRED


def test_a_delivery_that_is_not_there_cannot_be_settled(bench: Bench) -> None:
    """Nothing is settled or found that does not exist."""
    with pytest.raises(DeliveryMissingError), bench.ledger.write():
        bench.deliveries.settle(9, Moved(DeliveryState.DELIVERED))
    with pytest.raises(DeliveryMissingError), bench.ledger.read():
        bench.deliveries.get(9)


@pytest.mark.parametrize("end", [DeliveryState.DELIVERED, DeliveryState.PROVED, DeliveryState.CANCELLED, DeliveryState.EXPIRED])
def test_a_later_version_follows_the_earlier_one(bench: Bench, end: DeliveryState) -> None:
    """Version 2 is not claimable before version 1 is finished at the same destination, in any state in between."""
    first = bench.owe(bench.receive(uid="2.25.1", version=1))
    second = bench.owe(bench.receive(uid="2.25.1", version=2))

    blocked_by = bench.row(second).blocked_by
    bench.claim()
    while_sending = bench.claim()
    bench.settle(first, Moved(DeliveryState.HELD, HoldClass.PERSON))
    while_held = bench.claim()
    bench.settle(first, end)
    afterwards = bench.claim()

    assert blocked_by == first
    assert (while_sending, while_held) == (None, None)
    assert afterwards is not None
    assert (afterwards.delivery_id, afterwards.version) == (second, 2)


def test_versions_wait_only_for_their_own_destination(bench: Bench) -> None:
    """What one archive has not taken stops nothing at another, and finished deliveries stop nothing."""
    first, second = bench.receive(uid="2.25.1", version=1), bench.receive(uid="2.25.1", version=2)
    bench.owe(first, "archive")
    bench.settle(bench.owe(first, "reading"), DeliveryState.DELIVERED)

    blocked_by = bench.row(bench.owe(second, "reading")).blocked_by

    assert blocked_by is None


def test_a_cancelled_version_hands_on_what_it_waited_for(bench: Bench) -> None:
    """When version 2 is cancelled while version 1 is unfinished, version 3 waits for version 1."""
    first, second, third = (bench.owe(bench.receive(uid="2.25.1", version=version)) for version in (1, 2, 3))
    before = bench.row(third).blocked_by

    bench.settle(second, DeliveryState.CANCELLED)
    between = bench.row(third).blocked_by
    bench.settle(first, DeliveryState.DELIVERED)
    after = bench.row(third).blocked_by

    assert (before, between, after) == (second, first, None)


def test_unfinished_are_those_still_owed(bench: Bench) -> None:
    """Of an instance's deliveries those that ended are left out of `unfinished`, not of `of_instance`."""
    instance = bench.receive()
    done, waiting = bench.owe(instance, "archive"), bench.owe(instance, "reading")
    bench.settle(done, DeliveryState.DELIVERED)

    with bench.ledger.read():
        unfinished = [row.id for row in bench.deliveries.unfinished(instance)]
        every = [row.id for row in bench.deliveries.of_instance(instance)]

    assert (unfinished, every) == ([waiting], [done, waiting])


def test_a_deferred_delivery_is_queued_when_it_is_due(bench: Bench) -> None:
    """Not before its time, whatever the wall clock says."""
    delivery = bench.receive_and_owe()
    bench.settle(delivery, Moved(DeliveryState.DEFERRED, due=bench.clock.now().after(10)))

    at_once = bench.promote()
    bench.clock.jump_wall(1e9)
    after_a_jump = bench.promote()
    bench.clock.jump_wall(-2e9)
    bench.clock.advance(10)
    in_time = bench.promote()

    assert (at_once, after_a_jump, in_time) == (0, 0, 1)
    assert (bench.row(delivery).state, bench.row(delivery).due) == (DeliveryState.QUEUED, None)


def test_a_restart_makes_everything_due(bench: Bench) -> None:
    """Due times of another boot have come, wherever its id sorts."""
    first = bench.receive_and_owe()
    bench.settle(first, Moved(DeliveryState.DEFERRED, due=bench.clock.now().after(1e6)))
    bench.clock.reboot()
    second = bench.receive_and_owe()
    bench.settle(second, Moved(DeliveryState.DEFERRED, due=bench.clock.now().after(1e6)))

    first_reboot = bench.promote()
    states = [bench.row(number).state for number in (first, second)]
    for _ in range(9):
        # boot-11 sorts before boot-2.
        bench.clock.reboot()
    later_reboots = bench.promote()

    assert first_reboot == 1
    assert states == [DeliveryState.QUEUED, DeliveryState.DEFERRED]
    assert later_reboots == 1


@pytest.mark.parametrize(
    ("hold_class", "state"),
    [
        (HoldClass.VERDICT, DeliveryState.QUEUED),
        (HoldClass.CONFIGURATION, DeliveryState.QUEUED),
        (HoldClass.PERSON, DeliveryState.HELD),
        (HoldClass.REBUILT, DeliveryState.HELD),
    ],
)
def test_only_a_person_releases_what_a_person_holds(bench: Bench, hold_class: HoldClass, state: DeliveryState) -> None:
    """Held for a verdict or a setting is tried again in time; held by a person or a rebuild is not."""
    delivery = bench.receive_and_owe()
    bench.settle(delivery, Moved(DeliveryState.HELD, hold_class, bench.clock.now().after(86400)))
    bench.clock.advance(86400)

    bench.promote()

    assert bench.row(delivery).state is state
    assert bench.row(delivery).hold_class is (hold_class if state is DeliveryState.HELD else None)


def test_promoting_goes_in_batches_and_by_destination(bench: Bench) -> None:
    """As many as the limit are queued at once; another destination's wait for their own call."""
    instances = [bench.receive() for _ in range(5)]
    for instance in instances:
        bench.settle(bench.owe(instance), Moved(DeliveryState.DEFERRED, due=bench.clock.now().after(1)))
    bench.settle(bench.owe(instances[0], "reading"), Moved(DeliveryState.DEFERRED, due=bench.clock.now().after(1)))
    now = bench.clock.advance(1)

    with bench.ledger.write():
        batches = [bench.deliveries.promote_due("archive", now, limit=2) for _ in range(4)]

    assert batches == [2, 2, 1, 0]


def test_what_dead_owners_were_sending_is_queued_again(bench: Bench) -> None:
    """Claims of owners that live stay; all others are free at once, at every destination."""
    of_dead, of_live = bench.receive_and_owe(), bench.receive_and_owe()
    elsewhere = bench.owe(bench.receive(), "reading")
    bench.claim(owner="run-dead")
    bench.claim(owner="run-live")
    bench.claim("reading", owner="run-dead-too")

    with bench.ledger.write():
        freed = bench.deliveries.free_dead_claims({"run-live", "run-unknown"})
        again = bench.deliveries.free_dead_claims({"run-live"})

    assert (freed, again) == (2, 0)
    assert [bench.row(number).state for number in (of_dead, of_live, elsewhere)] == [
        DeliveryState.QUEUED,
        DeliveryState.SENDING,
        DeliveryState.QUEUED,
    ]
    assert bench.row(of_dead).owner is None
