"""Choosing deliveries by what a person says, a page at a time, and by the key that outlives the ledger."""

from __future__ import annotations

import pytest

from appliance.ledger.deliveries import Moved
from appliance.ledger.orders import DeliveryKey
from appliance.ledger.selection import Selection, Selections
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass
from tests.unit.ledger.bench import CT, MR, Bench

ALL = 1 << 62


@pytest.fixture
def box(bench: Bench) -> Bench:
    """Two studies, two destinations, every state: delivery 1 to 8."""
    for study in ("1.2.3", "1.2.4"):
        for destination in ("archive", "reading"):
            for _ in range(2):
                bench.owe(bench.receive(study=study), destination)
    due = bench.clock.now().after(60.0)
    bench.settle(2, Moved(DeliveryState.HELD, HoldClass.PERSON))
    bench.settle(4, Moved(DeliveryState.HELD, HoldClass.VERDICT, due=due))
    bench.settle(6, Moved(DeliveryState.DEFERRED, due=due))
    bench.settle(8, DeliveryState.DELIVERED)
    return bench


def _chosen(bench: Bench, selection: Selection, *, after: int = 0, upto: int = ALL, limit: int = 100) -> list[int]:
    with bench.ledger.read():
        return [chosen.id for chosen in Selections(bench.ledger).page(selection, after=after, upto=upto, limit=limit)]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), [1, 2, 3, 4, 5, 6, 7]),
        (Selection(ids=(7, 2, 8, 99)), [2, 7]),
        (Selection(ids=()), []),
        (Selection(study_instance_uid="1.2.3"), [1, 2, 3, 4]),
        (Selection(study_instance_uid="9.9"), []),
        (Selection(destination_id="reading"), [3, 4, 7]),
        (Selection(state=DeliveryState.QUEUED), [1, 3, 5, 7]),
        (Selection(state=DeliveryState.DELIVERED), []),
        (Selection(hold_class=HoldClass.PERSON), [2]),
        (Selection(destination_id="archive", hold_class=HoldClass.VERDICT), []),
        (Selection(study_instance_uid="1.2.4", destination_id="archive", state=DeliveryState.DEFERRED), [6]),
        (Selection(sop_class_uid=CT), [1, 2, 3, 4, 5, 6, 7]),
        (Selection(sop_class_uid=MR), []),
        (Selection(ids=(1, 5), sop_class_uid=CT), [1, 5]),
        (Selection(study_instance_uid="1.2.3", destination_id="reading", sop_class_uid=CT), [3, 4]),
        (Selection(ids=(1, 5, 6), study_instance_uid="1.2.4", destination_id="archive"), [5, 6]),
    ],
)
def test_every_condition_must_hold(box: Bench, selection: Selection, expected: list[int]) -> None:
    """What is still owed and meets every condition is chosen, by number."""
    assert _chosen(box, selection) == expected


def test_pages_go_on_where_they_ended(box: Bench) -> None:
    """Pages meet everything once, in order, and end with the last number asked for."""
    everything = Selection()

    assert _chosen(box, everything, limit=3) == [1, 2, 3]
    assert _chosen(box, everything, after=3, limit=3) == [4, 5, 6]
    assert _chosen(box, everything, after=3, upto=5) == [4, 5]


def test_nothing_said_is_everything() -> None:
    """A selection knows when it says nothing; an empty list of numbers says something."""
    assert Selection().is_everything
    assert not Selection(ids=()).is_everything


def test_a_key_finds_its_delivery(box: Bench) -> None:
    """The key of a chosen delivery finds it, finished or not; another cause does not, unless any cause will do."""
    with box.ledger.read():
        selections = Selections(box.ledger)
        keys = [chosen.key for chosen in selections.page(Selection(), after=0, upto=ALL, limit=9)]
        found = [chosen.id for key in keys for chosen in selections.find(key)]
        finished = [chosen.state for chosen in selections.find(DeliveryKey(f"{8:032x}", "reading"))]
        other = DeliveryKey(keys[0].object_id, keys[0].destination_id, Cause.RESEND, "x")

        assert found == [1, 2, 3, 4, 5, 6, 7]
        assert finished == [DeliveryState.DELIVERED]
        assert selections.find(other) == []
        assert [chosen.id for chosen in selections.find(other, made_before="f" * 32)] == [1]
        assert selections.find(DeliveryKey(keys[0].object_id, "reading"), made_before="f" * 32) == []
