"""`route replay`: new routes get what was received before them, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.ledger.deliveries import Deliveries, Moved
from appliance.ledger.instances import InstanceState
from appliance.ledger.vocabulary import Cause, DeliveryState, Priority
from appliance.route.replay import Replay, Replayed
from tests.unit.route import data_sets as ds
from tests.unit.route.bench import Bench
from tests.unit.route.sites import a_route, a_site

NOON = 1_709_208_000.0
ONE = a_site(routes=[a_route("everything", "archive")])
TWO = a_site(routes=[a_route("everything", "archive"), a_route("to read", "room", when={"modality": ["CT"]}, priority="stat")])
NONE = a_site()


def _replay(bench: Bench, site: object, *, since: float = 0.0, until: float = 2e9, dry_run: bool = False) -> Replayed:
    replay = Replay(bench.ledger, site, bench.clock, bench._wake)  # type: ignore[arg-type]
    return replay.run(since, until, dry_run=dry_run)


def test_new_routes_get_what_was_before(tmp_path: Path) -> None:
    """Each instance gets the deliveries that it never had, as urgent as the route says, and the sender is woken."""
    bench = Bench(tmp_path, ONE)
    for uid in ("1.2.3.1", "1.2.3.2"):
        bench.receive_image(uid)
    bench.receive_image("1.2.3.3", {ds.MODALITY: b"MR"})
    bench.route()
    woken = bench.woken

    replayed = _replay(bench, TWO)

    assert replayed == Replayed(3, 2, {"room": 2})
    rows = [(row.destination_id, row.cause, row.priority) for row in bench.deliveries("1.2.3.1")]
    assert rows == [("archive", Cause.ROUTE, Priority.ROUTINE), ("room", Cause.ROUTE, Priority.STAT)]
    assert len(bench.deliveries("1.2.3.3")) == 1
    assert bench.woken == woken + 1


def test_again_adds_nothing(tmp_path: Path) -> None:
    """A replay that was done adds nothing when it is done again."""
    bench = Bench(tmp_path, ONE)
    bench.receive_image("1.2.3.1")
    bench.route()
    _replay(bench, TWO)
    woken = bench.woken

    replayed = _replay(bench, TWO)

    assert (replayed, bench.woken) == (Replayed(1, 0, {}), woken)


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    """A dry run says what would be added, and adds nothing."""
    bench = Bench(tmp_path, NONE)
    bench.receive_image("1.2.3.1")
    bench.route()

    replayed = _replay(bench, TWO, dry_run=True)

    assert replayed == Replayed(1, 1, {"archive": 1, "room": 1})
    assert (bench.delivery_count(), bench.counts(), bench.woken) == (0, {InstanceState.UNROUTED: 1}, 0)


def test_the_unrouted_is_routed(tmp_path: Path) -> None:
    """An instance that no route asked for is stored once one does; one that still has none stays unrouted."""
    bench = Bench(tmp_path, NONE)
    bench.receive_image("1.2.3.1")
    bench.receive_image("1.2.3.2", called="OTHER")
    bench.route()
    site = a_site(routes=[a_route("some", "archive", when={"called": ["EDGE"]})])

    _replay(bench, site)

    assert bench.counts() == {InstanceState.STORED: 1, InstanceState.UNROUTED: 1}


@pytest.mark.parametrize("state", [DeliveryState.CANCELLED, DeliveryState.DELIVERED, DeliveryState.HELD])
def test_what_there_is_stays(tmp_path: Path, state: DeliveryState) -> None:
    """A destination that an instance had a delivery to gets none, whatever became of it."""
    bench = Bench(tmp_path, ONE)
    bench.receive_image("1.2.3.1")
    bench.route()
    (row,) = bench.deliveries("1.2.3.1")
    with bench.ledger.write():
        Deliveries(bench.ledger).settle(row.id, Moved(state))

    _replay(bench, ONE)

    assert [row.state for row in bench.deliveries("1.2.3.1")] == [state]


def test_a_resent_instance_had_its_delivery(tmp_path: Path) -> None:
    """A delivery of another cause counts too."""
    bench = Bench(tmp_path, ONE)
    bench.receive_image("1.2.3.1")
    bench.route()
    latest = bench.latest("1.2.3.1")
    assert latest is not None
    with bench.ledger.write():
        Deliveries(bench.ledger).add(latest.id, "room", cause=Cause.RESEND, cause_ref="x", priority=Priority.BULK, now=bench.clock.now())

    assert _replay(bench, TWO) == Replayed(1, 0, {})


def test_only_the_time_asked_for(tmp_path: Path) -> None:
    """What was received from the beginning until before the end is replayed."""
    bench = Bench(tmp_path, NONE)
    for number in range(1, 5):
        bench.receive_image(f"1.2.3.{number}")
    bench.route()

    _replay(bench, ONE, since=NOON + 2, until=NOON + 4)

    assert [len(bench.deliveries(f"1.2.3.{number}")) for number in range(1, 5)] == [0, 1, 1, 0]


def test_only_the_newest_version_that_is_kept(tmp_path: Path) -> None:
    """Older versions, and instances whose object is in quarantine, get nothing."""
    bench = Bench(tmp_path, NONE)
    bench.receive_image("1.2.3.1")
    bench.receive_image("1.2.3.1", {ds.PATIENT_ID: b"OTHER"})
    bench.receive_image("1.2.3.2")
    bench.route()
    damaged = bench.latest("1.2.3.2")
    assert damaged is not None
    with bench.ledger.write():
        bench.ledger.change("UPDATE instance SET state = 'quarantined' WHERE id = ?", (damaged.id,))

    replayed = _replay(bench, ONE)

    assert replayed == Replayed(1, 1, {"archive": 1})
    assert len(bench.deliveries("1.2.3.1")) == 1


def test_many_pages(tmp_path: Path) -> None:
    """More than a transaction takes is done in several, and all of it is done."""
    bench = Bench(tmp_path, NONE)
    for number in range(120):
        bench.receive_image(f"1.2.3.{number}")
    bench.route()

    replayed = _replay(bench, ONE)

    assert replayed == Replayed(120, 120, {"archive": 120})
    assert (bench.delivery_count(), bench.woken) == (120, 3)
