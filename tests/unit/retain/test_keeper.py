"""The keeper's round: every part of it is done, whatever becomes of the others."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from appliance.ledger.deliveries import Deliveries
from appliance.ledger.faults import LedgerStorageError
from appliance.ledger.retention import Retention
from appliance.retain.keeper import ATTEMPTS_KEPT_S, TOMBSTONES_KEPT_S, TRAFFIC_KEPT_S, TRAFFIC_WHOLE_S, Keeper
from appliance.retain.snapshot import Snapshots
from tests.unit.retain.bench import Box


def _attempts(box: Box, uid: str) -> int:
    number = box.row(uid).id
    with box.ledger.read():
        return len(Deliveries(box.ledger).attempts(number))


def _evict(box: Box, *uids: str) -> None:
    for uid in uids:
        number = box.latest(uid).id
        with box.ledger.write():
            Retention(box.ledger).evict(number, box.clock.now().wall)


def test_a_round(box: Box) -> None:
    """A round takes a snapshot, folds what was finished long ago and forgets old tombstones; the next one finds nothing to do."""
    uids = [f"1.2.3.{number}" for number in range(25)]
    box.receive_and_route(*uids, "1.2.4.1")
    box.deliver(*uids)
    _evict(box, *uids)
    box.clock.advance(TOMBSTONES_KEPT_S + 60.0)
    box.deliver("1.2.4.1")

    first, second = box.keeper.round(), box.keeper.round()

    assert (first.folded, first.pruned, second.folded, second.pruned) == (25, 25, 0, 0)
    assert [path.name for path in box.snapshots.all()] == [first.snapshot, second.snapshot]
    assert _attempts(box, "1.2.4.1") == 1


def test_the_count_outlives_the_attempts(box: Box) -> None:
    """A month after the end the attempts of a delivery are a number; before that they are told one by one."""
    box.receive_and_route("1.2.3.1")
    box.deliver("1.2.3.1")
    box.clock.advance(ATTEMPTS_KEPT_S - 60.0)
    box.keeper.round()
    before = _attempts(box, "1.2.3.1")
    box.clock.advance(120.0)

    box.keeper.round()

    assert (before, _attempts(box, "1.2.3.1"), box.row("1.2.3.1").attempts) == (1, 0, 1)


def test_what_came_is_summed_up_and_forgotten(box: Box) -> None:
    """After two hours minutes become quarters of an hour, and after two years and a quarter they are forgotten."""
    box.receive_and_route("1.2.3.1")
    box.clock.advance(90.0)
    box.receive_and_route("1.2.3.2")
    rows = []

    for later_s in (0.0, TRAFFIC_WHOLE_S + 900.0, TRAFFIC_KEPT_S):
        box.clock.advance(later_s)
        box.keeper.round()
        with box.ledger.read():
            rows.append(box.ledger.rows("SELECT count(*), sum(instances) FROM arrival")[0])

    assert [(2, 2), (1, 2), (0, None)] == rows


def test_many_attempts_are_folded_in_pages(box: Box) -> None:
    """More attempts than a transaction takes are folded in several, and all of them are."""
    box.receive_and_route("1.2.3.1")
    number = box.row("1.2.3.1").id
    with box.ledger.write():
        for _ in range(450):
            box.ledger.change("INSERT INTO attempt (delivery_id, at, outcome, comment) VALUES (?, 1.0, 'x', '')", (number,))
    box.deliver("1.2.3.1")
    box.clock.advance(ATTEMPTS_KEPT_S + 60.0)

    assert box.keeper.round().folded == 451


def test_one_part_fails_and_the_others_are_done(box: Box) -> None:
    """Without space for a snapshot the ledger is still kept small, and the round fails in the end."""
    box.receive_and_route("1.2.3.1")
    box.deliver("1.2.3.1")
    box.clock.advance(ATTEMPTS_KEPT_S + 60.0)
    keeper = Keeper(box.ledger, Snapshots(box.data, box.key, box.clock, reserve_bytes=1 << 60), box.spool, box.clock)

    with pytest.raises(LedgerStorageError), capture_logs() as logs:
        keeper.round()

    assert _attempts(box, "1.2.3.1") == 0
    assert [line["event"] for line in logs] == ["keeper.failed", "keeper.round"]
