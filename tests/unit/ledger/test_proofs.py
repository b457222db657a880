"""What waits for proof stays cheap to ask for, and goes with its delivery."""

from __future__ import annotations

import pytest

from appliance.ledger import proofs
from appliance.ledger.proofs import Proofs
from appliance.ledger.vocabulary import DeliveryState
from tests.unit.ledger.bench import Bench


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (proofs._DUE, ("archive", "boot-1", 1.0, 500)),
        (proofs._OF_TRANSACTION, ("2.25.1", 25)),
        (proofs._OF_INSTANCE, ("2.25.1", "archive")),
        (proofs._OF_DELIVERIES, ("[1]",)),
        (proofs._EXPECT, (1, "archive", 1, 1.0, 1.0, "boot-1")),
    ],
    ids=["due", "of a transaction", "of an instance", "of deliveries", "expect"],
)
def test_no_statement_walks_over_a_table(bench: Bench, statement: str, parameters: tuple[str | float, ...]) -> None:
    """Everything that is looked up for proof is found by an index."""
    with bench.ledger.read():
        plan = [str(row[3]) for row in bench.ledger.rows(f"EXPLAIN QUERY PLAN {statement}", parameters)]

    walks = [step for step in plan if step.startswith("SCAN") and step.split()[1] not in {"json_each", "p"}]
    assert plan
    assert walks == []


def test_a_forgotten_delivery_waits_for_nothing(bench: Bench) -> None:
    """When the ledger forgets a delivery, what waited for its proof goes with it."""
    number = bench.receive_and_owe()
    claim = bench.claim()
    assert claim is not None
    bench.settle(number, DeliveryState.DELIVERED)
    with bench.ledger.write():
        Proofs(bench.ledger).expect(number, "archive", claim.instance_id, bench.clock.now().after(0.0))
    with bench.ledger.read():
        before = Proofs(bench.ledger).waiting("archive")

    with bench.ledger.write():
        bench.ledger.change("DELETE FROM delivery WHERE id = ?", (number,))

    with bench.ledger.read():
        assert (1, 0) == (before, Proofs(bench.ledger).waiting("archive"))
