"""Whose turn it is when a backlog waits: the newest of the most urgent, for who asks for it."""

from __future__ import annotations

from appliance.ledger.claims import BACKLOG, Choice
from appliance.ledger.vocabulary import Priority
from tests.unit.ledger.bench import Bench


def claimed(bench: Bench, *, calling: str | None = None, newest: bool = True) -> int | None:
    """Claim the next delivery, and return its number."""
    with bench.ledger.write():
        claim = bench.deliveries.claim("archive", owner="run-1", choice=Choice(calling, newest=newest))
    return None if claim is None else claim.delivery_id


def a_week_passes(bench: Bench) -> None:
    """Let as many numbers be given to other deliveries as make a backlog."""
    with bench.ledger.write():
        bench.ledger.change("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'delivery'", (BACKLOG,))


def test_the_newest_goes_first_where_a_backlog_waits(bench: Bench) -> None:
    """Who asks for the newest gets it for as long as far older ones wait, who does not gets the oldest."""
    old = [bench.receive_and_owe() for _ in range(3)]
    a_week_passes(bench)
    new = [bench.receive_and_owe() for _ in range(2)]

    turns = [claimed(bench, newest=newest) for newest in (True, False, True, False, True, True)]

    assert turns == [new[1], old[0], new[0], old[1], old[2], None]


def test_without_a_backlog_the_order_is_kept(bench: Bench) -> None:
    """A short queue is sent in the order in which it came, whoever asks."""
    owed = [bench.receive_and_owe() for _ in range(3)]

    turns = [claimed(bench) for _ in range(3)]

    assert turns == owed


def test_the_newest_is_never_before_the_more_urgent(bench: Bench) -> None:
    """The turn of the newest is among equally urgent ones."""
    urgent = bench.receive_and_owe(priority=Priority.STAT)
    old = bench.receive_and_owe()
    a_week_passes(bench)
    bulk = bench.receive_and_owe(priority=Priority.BULK)

    turns = [claimed(bench) for _ in range(3)]

    assert turns == [urgent, old, bulk]


def test_the_newest_of_the_title_that_a_lane_serves(bench: Bench) -> None:
    """A lane that goes on with its source takes that source's newest, and another's when its own has nothing left."""
    old_ct, old_mr = bench.receive_and_owe(calling="CT1"), bench.receive_and_owe(calling="MR1")
    a_week_passes(bench)
    new_ct, new_mr = bench.receive_and_owe(calling="CT1"), bench.receive_and_owe(calling="MR1")

    turns = [claimed(bench, calling="ct1") for _ in range(4)]

    assert turns == [new_ct, old_ct, new_mr, old_mr]
