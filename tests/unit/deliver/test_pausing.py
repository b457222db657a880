"""Orders about a whole destination: sealed like every order, followed once, and found again after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.deliver.order_book import OrderBook
from appliance.ledger.faults import LedgerStorageError
from appliance.ledger.orders import Order, OrderVerb
from appliance.ledger.pauses import Pause, Pauses
from tests.unit.deliver.test_orders import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a desk without orders."""
    return Desk(tmp_path, monkeypatch)


def _pause(desk: Desk) -> Pause | None:
    with desk.ledger.read():
        return Pauses(desk.ledger).get("archive", desk.clock.now().wall)


def test_a_pause_is_sealed_and_followed(desk: Desk) -> None:
    """The order is in the spool, the ledger follows it, and the sender is woken; so it is with the end of it."""
    until = desk.clock.now().wall + 60.0

    paused = desk.orders.about_destination(OrderVerb.HOLD, "archive", "anna", "moving house", until)
    seen = _pause(desk)
    resumed = desk.orders.about_destination(OrderVerb.RELEASE, "archive", "anna")

    sealed: list[Order] = sorted(desk.sealed(), key=lambda order: order.sequence)
    assert (paused, resumed, desk.woken) == (True, True, 2)
    assert seen is not None
    assert (seen.who, seen.reason, seen.until) == ("anna", "moving house", until)
    assert _pause(desk) is None
    assert [(order.verb, order.destination_id, order.until, order.keys) for order in sealed] == [
        (OrderVerb.HOLD, "archive", until, ()),
        (OrderVerb.RELEASE, "archive", None, ()),
    ]


def test_resuming_what_goes_changes_nothing(desk: Desk) -> None:
    """There is nothing to seal; that somebody asked is recorded."""
    changed = desk.orders.about_destination(OrderVerb.RELEASE, "archive", "anna")

    assert not changed
    assert desk.sealed() == []
    assert desk.requests() == [("release", 0, 0)]


def test_a_pause_that_was_not_recorded_is_taken_back(desk: Desk) -> None:
    """When the ledger fails, neither the order nor the pause is there."""
    desk.ledger.trouble = LedgerStorageError("no space", full=True)

    with pytest.raises(LedgerStorageError):
        desk.orders.about_destination(OrderVerb.HOLD, "archive", "anna")

    desk.ledger.trouble = None
    assert desk.sealed() == []
    assert _pause(desk) is None


def test_a_pause_outlives_a_crash(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealed and not recorded, because the process died: the next one follows it."""
    monkeypatch.setattr(desk.orders, "_take_back", lambda _name: None)
    desk.ledger.trouble = LedgerStorageError("the machine stopped here", full=False)
    with pytest.raises(LedgerStorageError):
        desk.orders.about_destination(OrderVerb.HOLD, "archive", "anna")
    desk.ledger.trouble = None
    before = _pause(desk)

    recovered = desk.again().recover()

    assert (before, recovered) == (None, 1)
    assert _pause(desk) is not None


def test_a_ledger_made_anew_knows_the_pause(desk: Desk) -> None:
    """What is told again to a ledger that was lost leaves the destination paused."""
    desk.orders.about_destination(OrderVerb.HOLD, "archive", "anna", "moving house")
    (name,) = [name for name in desk.spool.incoming() if name.kind == "m"]
    book = OrderBook(desk.spool)
    order = book.read(name)
    assert order is not None

    with desk.ledger.write():
        for statement in ("DELETE FROM pause", "DELETE FROM request"):
            desk.ledger.change(statement)
        book.replay(desk.ledger, name, order)

    pause = _pause(desk)
    assert pause is not None
    assert (pause.who, pause.reason) == ("anna", "moving house")
