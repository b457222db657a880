"""What waits and is held, added up."""

from __future__ import annotations

from appliance.ledger.backlog import Backlog, Day
from appliance.ledger.deliveries import AttemptRecord, Moved
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from tests.unit.ledger.bench import CT, MR, Bench

BEGAN = 1_709_208_000.0


def _hold(bench: Bench, *, study: str, reason: str, at: float, sop_class: str = CT, outcome: str = "class_not_supported") -> None:
    delivery = bench.owe(bench.receive(study=study, sop_class=sop_class))
    bench.settle(
        delivery, Moved(DeliveryState.HELD, hold_class=HoldClass.VERDICT, reason=reason, attempt=AttemptRecord(at, outcome, 0x0122))
    )


def test_what_is_held_is_together_by_reason(bench: Bench) -> None:
    """Count, studies, since when, the last outcome, and the class where it is one; the biggest group first, and no more than asked for."""
    _hold(bench, study="1.1", reason="refused", at=BEGAN + 5)
    _hold(bench, study="1.2", reason="refused", at=BEGAN)
    _hold(bench, study="1.2", reason="refused", at=BEGAN + 9, outcome="class_rejected")
    _hold(bench, study="1.3", reason="odd", at=BEGAN, sop_class=MR)
    _hold(bench, study="1.3", reason="odd", at=BEGAN)
    bench.owe(bench.receive())

    with bench.ledger.read():
        first, second = Backlog(bench.ledger).held(limit=10)
        only = Backlog(bench.ledger).held(limit=1)

    assert ("archive", HoldClass.VERDICT, "refused", 3, 2, BEGAN, "class_rejected", CT) == (
        *(first.destination_id, first.hold_class, first.reason, first.count, first.studies, first.since),
        *(first.last_outcome, first.sop_class_uid),
    )
    assert ("odd", 2, 1, "") == (second.reason, second.count, second.studies, second.sop_class_uid)
    assert [first] == only


def test_what_a_person_holds_was_perhaps_never_tried(bench: Bench) -> None:
    """Without an attempt there is no outcome, and of an older hold nobody knows since when."""
    bench.settle(bench.owe(bench.receive()), Moved(DeliveryState.HELD, hold_class=HoldClass.PERSON, reason="wait"))

    with bench.ledger.read():
        (held,) = Backlog(bench.ledger).held(limit=10)

    assert ("", None) == (held.last_outcome, held.since)


def test_a_day_counts_what_is_owed_of_it_once(bench: Bench) -> None:
    """An instance that two destinations are owed is owed once; what another day brought, or nobody is owed any more, is not."""
    one, two, three, four = (bench.receive(study=f"1.{number // 2}") for number in range(4))
    bench.owe(one, "archive")
    bench.owe(one, "reading")
    bench.settle(bench.owe(two, "archive"), Moved(DeliveryState.HELD, hold_class=HoldClass.PERSON))
    bench.settle(bench.owe(three, "archive"), DeliveryState.DELIVERED)
    bench.owe(four, "archive")

    with bench.ledger.read():
        backlog = Backlog(bench.ledger)
        days = [backlog.day(1, BEGAN, BEGAN + 4), backlog.day(1, BEGAN + 2, BEGAN + 99), backlog.day(1, BEGAN - 9, BEGAN)]
        owing = backlog.destination_ids()

    assert [Day(3, 2, 2), Day(3, 2, 2), Day(0, 0, 0)] == days
    assert ["archive", "reading"] == owing
