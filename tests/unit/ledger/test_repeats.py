"""Repeats: remembered with what they asked for, told when nothing of their instance is owed, forgotten by name."""

from __future__ import annotations

import pytest

from appliance.ledger.deliveries import Moved
from appliance.ledger.faults import LedgerStatementError
from appliance.ledger.repeats import Repeat, Repeats
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from tests.unit.ledger.bench import Bench


def _repeat(bench: Bench, letter: str, instance: int) -> Repeat:
    repeat = Repeat(letter * 32, f"the object {letter}")
    with bench.ledger.write():
        Repeats(bench.ledger).add(repeat, instance)
    return repeat


def _finished(bench: Bench, limit: int = 10) -> list[Repeat]:
    with bench.ledger.read():
        return Repeats(bench.ledger).finished(limit=limit)


def test_its_object_is_recorded(bench: Bench) -> None:
    """The object of a repeat is in the ledger, as that of an instance is; another is not."""
    repeat = _repeat(bench, "a", bench.receive())

    with bench.ledger.read():
        known = [bench.instances.recorded(object_id) for object_id in (repeat.object_id, f"{1:032x}", "b" * 32)]

    assert known == [True, True, False]


def test_remembered_once(bench: Bench) -> None:
    """The same object again is refused, and so is a repeat of nothing."""
    instance = bench.receive()
    _repeat(bench, "a", instance)

    for letter, number in (("a", instance), ("b", 99)):
        with pytest.raises(LedgerStatementError):
            _repeat(bench, letter, number)


@pytest.mark.parametrize("state", list(DeliveryState))
def test_finished_with_the_last_delivery(bench: Bench, state: DeliveryState) -> None:
    """While one delivery of the instance is owed, in whatever state, the repeat is not finished."""
    instance = bench.receive()
    first, second = bench.owe(instance), bench.owe(instance, "reading")
    repeat = _repeat(bench, "a", instance)
    bench.settle(first, DeliveryState.DELIVERED)
    bench.settle(second, Moved(state, HoldClass.PERSON, due=bench.clock.now().after(1.0)))

    assert _finished(bench) == ([repeat] if state.is_finished else [])


def test_finished_ones_come_in_order(bench: Bench) -> None:
    """Finished repeats are listed by reception id, no more than asked for; owed ones are passed over."""
    delivered, owed = bench.receive(), bench.receive()
    bench.owe(owed)
    for letter, instance in (("c", delivered), ("a", delivered), ("b", owed), ("d", delivered)):
        _repeat(bench, letter, instance)

    assert [repeat.object_id[0] for repeat in _finished(bench, limit=2)] == ["a", "c"]


def test_forgotten_by_name(bench: Bench) -> None:
    """Those named are gone, the others stay, and doing it again does no harm."""
    instance = bench.receive()
    gone, kept = _repeat(bench, "a", instance), _repeat(bench, "b", instance)
    counts = []

    for _ in range(2):
        with bench.ledger.write():
            counts.append(Repeats(bench.ledger).forget([gone.object_id, "none"]))

    assert (counts, _finished(bench)) == ([1, 0], [kept])
