"""Holding and releasing many deliveries at a time."""

from __future__ import annotations

import pytest

from appliance.core.identity import Uid
from appliance.ledger.completions import Completions
from appliance.ledger.deliveries import Moved
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from tests.unit.ledger.bench import CT, MR, Bench

ALL_CLASSES = frozenset(HoldClass)
HELD, QUEUED, DEFERRED = DeliveryState.HELD, DeliveryState.QUEUED, DeliveryState.DEFERRED


def held(bench: Bench, hold_class: HoldClass = HoldClass.VERDICT, *, sop_class: str = CT, destination: str = "archive") -> int:
    """Return the number of one more delivery that is held and not due for a day."""
    delivery = bench.owe(bench.receive(sop_class=sop_class), destination)
    bench.settle(delivery, Moved(HELD, hold_class, bench.clock.now().after(86400), reason="it said no"))
    return delivery


def release(bench: Bench, *classes: HoldClass, sop_class: str | None = None, destination: str = "archive") -> list[int]:
    """Release what is held in these classes."""
    with bench.ledger.write():
        return bench.deliveries.release_held(destination, None if sop_class is None else Uid(sop_class), classes)


@pytest.mark.parametrize("hold_class", list(HoldClass))
def test_only_a_person_releases_what_a_person_holds(bench: Bench, hold_class: HoldClass) -> None:
    """Verdicts and settings are let go when asked for; what a person holds and what a rebuild does not know stay, asked for or not."""
    delivery = held(bench, hold_class)
    goes = hold_class in {HoldClass.VERDICT, HoldClass.CONFIGURATION}

    released = release(bench, *ALL_CLASSES)

    row = bench.row(delivery)
    assert released == ([delivery] if goes else [])
    assert (row.state, row.hold_class, row.due) == ((QUEUED, None, None) if goes else (HELD, hold_class, None))
    assert row.reason == "it said no"


def test_a_hold_class_that_is_not_asked_for_stays(bench: Bench) -> None:
    """Each class by itself."""
    verdict, configuration = held(bench), held(bench, HoldClass.CONFIGURATION)

    released = release(bench, HoldClass.CONFIGURATION)

    assert released == [configuration]
    assert bench.row(verdict).state is HELD


def test_one_sop_class_of_one_destination(bench: Bench) -> None:
    """Other classes, and the same class elsewhere, stay held."""
    wanted, other, elsewhere = held(bench), held(bench, sop_class=MR), held(bench, destination="reading")

    released = release(bench, HoldClass.VERDICT, sop_class=CT)

    assert released == [wanted]
    assert [bench.row(number).state for number in (other, elsewhere)] == [HELD, HELD]


def test_some_instances_only(bench: Bench) -> None:
    """Of many that are held, those of the instances that are named."""
    deliveries = [held(bench) for _ in range(4)]
    instances = [bench.row(number).instance_id for number in deliveries]

    with bench.ledger.write():
        released = bench.deliveries.release_held("archive", None, ALL_CLASSES, instances=[instances[3], instances[1], 9999])

    assert released == [deliveries[1], deliveries[3]]


def test_releasing_goes_in_batches_that_go_on(bench: Bench) -> None:
    """A batch begins after the last one, so that what is held again in the meantime is not released twice."""
    deliveries = [held(bench) for _ in range(5)]
    batches, after = [], 0

    for _ in range(4):
        with bench.ledger.write():
            batches.append(bench.deliveries.release_held("archive", None, ALL_CLASSES, after=after, limit=2))
        for number in batches[-1]:
            bench.settle(number, Moved(HELD, HoldClass.VERDICT))
            after = number

    assert batches == [deliveries[:2], deliveries[2:4], deliveries[4:], []]


def test_nothing_but_the_held_is_released(bench: Bench) -> None:
    """What waits its time, is queued, sent or delivered is not touched."""
    numbers = [bench.receive_and_owe() for _ in range(3)]
    bench.settle(numbers[0], Moved(DEFERRED, due=bench.clock.now().after(60)))
    bench.settle(numbers[1], DeliveryState.DELIVERED)

    assert release(bench, *ALL_CLASSES) == []
    assert [bench.row(number).state for number in numbers] == [DEFERRED, DeliveryState.DELIVERED, QUEUED]


def test_what_waits_for_a_removed_destination_is_held(bench: Bench) -> None:
    """Queued and deferred deliveries of destinations that are not in service become held with the reason, and are not due."""
    queued, deferred = bench.owe(bench.receive(), "old"), bench.owe(bench.receive(), "older")
    bench.settle(deferred, Moved(DEFERRED, due=bench.clock.now().after(60)))
    kept = bench.receive_and_owe()

    with bench.ledger.write():
        moved = bench.deliveries.hold_removed({"archive", "reading"})
        again = bench.deliveries.hold_removed({"archive", "reading"})

    assert (moved, again) == ({"old": 1, "older": 1}, {})
    assert [(row.state, row.hold_class, row.due, row.reason) for row in map(bench.row, (queued, deferred))] == [
        (HELD, HoldClass.CONFIGURATION, None, "the destination was removed")
    ] * 2
    assert bench.row(kept).state is QUEUED


def test_what_waits_for_its_study_goes_on_waiting(bench: Bench) -> None:
    """A removal does not touch what waits for its study, so that a return does not send it too early; once complete it is held."""
    completions, instance = Completions(bench.ledger), bench.receive()
    waiting = bench.owe(instance, "old")
    with bench.ledger.write():
        completions.defer(waiting)

    with bench.ledger.write():
        early = bench.deliveries.hold_removed({"archive"})
        state = bench.deliveries.get(waiting).state
        study = completions.find("1.2.3")
        assert study is not None
        completions.complete(study.id, 0.0)
        late = bench.deliveries.hold_removed({"archive"})

    assert (early, state, late) == ({}, DEFERRED, {"old": 1})


def test_a_removal_leaves_the_rest_as_it_is(bench: Bench) -> None:
    """What is being sent, held already or finished there is not touched."""
    numbers = {state: bench.owe(bench.receive(), "old") for state in (HELD, DeliveryState.DELIVERED, DeliveryState.CANCELLED)}
    for state, number in numbers.items():
        bench.settle(number, Moved(state, HoldClass.PERSON if state is HELD else None))
    sending = bench.owe(bench.receive(), "old")
    bench.claim("old")

    with bench.ledger.write():
        moved = bench.deliveries.hold_removed(())

    assert moved == {}
    assert {state: bench.row(number).state for state, number in numbers.items()} == {state: state for state in numbers}
    assert (bench.row(numbers[HELD]).hold_class, bench.row(sending).state) == (HoldClass.PERSON, DeliveryState.SENDING)


def test_holding_goes_in_batches(bench: Bench) -> None:
    """No more than the limit at once, over all removed destinations together."""
    for destination in ("old", "older", "old"):
        bench.owe(bench.receive(), destination)

    batches = []
    for _ in range(3):
        with bench.ledger.write():
            batches.append(sum(bench.deliveries.hold_removed((), limit=2).values()))

    assert batches == [2, 1, 0]
