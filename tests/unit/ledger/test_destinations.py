"""The health of destinations is kept as the sender wrote it."""

from __future__ import annotations

from appliance.ledger.destinations import DestinationCondition, DestinationState
from tests.unit.ledger.bench import Bench


def test_a_record_comes_back_as_it_was_put(bench: Bench) -> None:
    """Every field is kept, the due time on both clocks; a later record replaces the whole of an earlier one."""
    due = bench.clock.now().after(900)
    refusing = DestinationState("archive", DestinationCondition.REFUSING, "does not know us", 12.5, due, 3, 7.25, 900.0, '{"a": 1}')
    alive = DestinationState("archive", lanes=4)

    seen = []
    for record in (refusing, alive):
        with bench.ledger.write():
            bench.states.put(record)
        with bench.ledger.read():
            seen.append(bench.states.get("archive"))

    assert seen == [refusing, alive]


def test_all_lists_every_destination_by_id(bench: Bench) -> None:
    """Only what was written is there; an unknown id gives None."""
    with bench.ledger.write():
        bench.states.put(DestinationState("reading"))
        bench.states.put(DestinationState("archive"))

    with bench.ledger.read():
        assert [state.id for state in bench.states.all()] == ["archive", "reading"]
        assert bench.states.get("elsewhere") is None
