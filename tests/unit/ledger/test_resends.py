"""Sending again: what can be, and the deliveries that an order makes."""

from __future__ import annotations

from appliance.ledger.instances import InstanceState
from appliance.ledger.orders import DeliveryKey, Order, OrderVerb
from appliance.ledger.repeats import Repeat, Repeats
from appliance.ledger.resends import Resends, Sendable
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass
from tests.unit.ledger.bench import Bench, facts

_REF = "f" * 32


def _order(*keys: DeliveryKey) -> Order:
    return Order(OrderVerb.RESEND, "anna", "lost there", 1_709_208_000.0, 1, keys)


def _key(number: int, destination: str = "archive") -> DeliveryKey:
    return DeliveryKey(f"{number:032x}", destination, Cause.RESEND)


def _follow(bench: Bench, *keys: DeliveryKey, ref: str = _REF, held: str = "") -> int:
    with bench.ledger.write():
        return Resends(bench.ledger).follow(_order(*keys), ref, held=held)


def test_what_can_be_sent(bench: Bench) -> None:
    """The newest version of each instance whose object is kept."""
    first, corrected = bench.receive(uid="2.25.1", version=1), bench.receive(uid="2.25.1", version=2)
    other, gone = bench.receive(uid="2.25.3"), bench.receive(uid="2.25.4")
    bench.receive(uid="2.25.5", study="1.9")
    with bench.ledger.write():
        bench.instances.quarantine(gone)

    with bench.ledger.read():
        resends = Resends(bench.ledger)
        study = resends.of_study("1.2.3")
        named = resends.of_instances(["2.25.5", "2.25.4", "2.25.1", "2.25.1"])

    assert first < corrected
    assert [Sendable(corrected, f"{2:032x}"), Sendable(other, f"{3:032x}")] == study
    assert [corrected, 5] == [one.id for one in named]


def test_an_order_makes_deliveries_once(bench: Bench) -> None:
    """Followed twice it makes one; another order makes another once nothing is owed there."""
    instance = bench.receive()
    bench.settle(bench.owe(instance), DeliveryState.DELIVERED)

    made = [_follow(bench, _key(1)), _follow(bench, _key(1))]
    with bench.ledger.read():
        rows = bench.deliveries.of_instance(instance)
    bench.settle(rows[-1].id, DeliveryState.DELIVERED)
    again = [_follow(bench, _key(1)), _follow(bench, _key(1), ref="e" * 32)]

    assert [(Cause.ROUTE, ""), (Cause.RESEND, _REF)] == [(row.cause, row.cause_ref) for row in rows]
    assert ([1, 0], [0, 1]) == (made, again)


def test_what_is_owed_already_is_not_owed_twice(bench: Bench) -> None:
    """Whatever caused what is owed, and however it stands; another destination is another matter."""
    delivery = bench.owe(bench.receive())
    for state in (DeliveryState.QUEUED, DeliveryState.DEFERRED, DeliveryState.HELD):
        bench.settle(delivery, state)
        assert 0 == _follow(bench, _key(1))

    assert 1 == _follow(bench, _key(1), _key(1, "reading"))


def test_what_is_gone_makes_none(bench: Bench) -> None:
    """An object that the box does not have, or never had, is owed to nobody."""
    bench.receive()
    with bench.ledger.write():
        bench.instances.quarantine_object(f"{1:032x}")

    assert 0 == _follow(bench, _key(1), _key(99))


def test_a_repeat_stands_for_its_instance(bench: Bench) -> None:
    """In a ledger that was made anew the named object may be a copy of the one that is recorded."""
    instance = bench.receive()
    with bench.ledger.write():
        Repeats(bench.ledger).add(Repeat(f"{50:032x}", "name"), instance)

    assert 1 == _follow(bench, _key(50))


def test_what_no_route_asked_for_is_routed_then(bench: Bench) -> None:
    """An instance that was kept for a person to look at is stored once somebody sends it on."""
    with bench.ledger.write():
        number = bench.instances.add(facts(7), version=1, state=InstanceState.UNROUTED)

    _follow(bench, _key(7))

    with bench.ledger.read():
        assert InstanceState.STORED is bench.instances.get(number).state


def test_held_as_rebuilt(bench: Bench) -> None:
    """Where nobody knows whether it was sent, it is held with the reason, and may have been sent before."""
    instance = bench.receive()

    _follow(bench, _key(1), held="sent again before")

    with bench.ledger.read():
        (row,) = bench.deliveries.of_instance(instance)
    assert (DeliveryState.HELD, HoldClass.REBUILT, "sent again before", 1) == (row.state, row.hold_class, row.reason, row.unknown_outcomes)
