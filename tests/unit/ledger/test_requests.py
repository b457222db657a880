"""What was asked is recorded once, in the order in which it was asked."""

from __future__ import annotations

import pytest

from appliance.ledger.faults import LedgerStatementError
from appliance.ledger.orders import Order, OrderVerb
from appliance.ledger.requests import Requests
from tests.unit.ledger.bench import Bench


def _order(sequence: int) -> Order:
    return Order(OrderVerb.HOLD, "anna", "", 1.0, sequence, ())


def test_recorded_by_its_object(bench: Bench) -> None:
    """A request is found by the id of its sealed object, and one without an object is there too."""
    requests = Requests(bench.ledger)

    with bench.ledger.write():
        requests.add(_order(1), count=3, object_id="a", spool_name="a-g1")
        requests.add(_order(2), count=3)
        requests.add(_order(3), count=3)

    with bench.ledger.read():
        assert requests.recorded(["a", "b"]) == {"a"}
        assert bench.ledger.rows("SELECT verb, who, count, spool_name FROM request ORDER BY id")[0] == ("hold", "anna", 3, "a-g1")


def test_one_object_is_recorded_once(bench: Bench) -> None:
    """The same sealed order cannot be followed twice."""
    requests = Requests(bench.ledger)
    with bench.ledger.write():
        requests.add(_order(1), count=1, object_id="a")

    with pytest.raises(LedgerStatementError), bench.ledger.write():
        requests.add(_order(2), count=1, object_id="a")


def test_numbers_follow_the_highest(bench: Bench) -> None:
    """The next number comes after all that were given, in whatever order they were recorded."""
    requests = Requests(bench.ledger)
    numbers = []

    with bench.ledger.write():
        numbers.append(requests.next_sequence())
        for sequence in (9, 4):
            requests.add(_order(sequence), count=0)
        numbers.append(requests.next_sequence())

    assert numbers == [1, 10]
