"""Routes with `keep`: what goes nowhere stays for as long as they say, and is not called unrouted; and routes that change meanwhile."""

from __future__ import annotations

from pathlib import Path

from appliance.ledger.instances import Instances, InstanceState
from appliance.route.replay import Replay, Replayed
from tests.unit.route.bench import Bench
from tests.unit.route.sites import a_route, a_site

NOON = 1_709_208_000.0
DAY_S = 86_400.0
UID = "1.2.3.1.1"

NOTHING = a_site()
KEPT = a_site(routes=[a_route("look later", keep="2 days")])
KEPT_AND_SENT = a_site(routes=[a_route("look later", keep="2 days"), a_route("everything", "archive"), a_route("longer", keep="3 days")])


def _kept_until(bench: Bench) -> float | None:
    latest = bench.latest(UID)
    assert latest is not None
    return latest.keep_until


def test_what_is_kept_is_stored_and_sent_nowhere(tmp_path: Path) -> None:
    """An instance of a route with `keep` is stored without deliveries, kept from when it was received, and shown with its study."""
    bench = Bench(tmp_path, KEPT)
    name = bench.receive_image(UID)

    bench.route()

    assert (bench.counts(), bench.delivery_count(), bench.stored()) == ({InstanceState.STORED: 1}, 0, [str(name)])
    assert _kept_until(bench) == NOON + 1 + 2 * DAY_S
    assert [(study.instances, study.destinations) for study in bench.studies()] == [(1, {})]


def test_other_routes_send_what_is_kept(tmp_path: Path) -> None:
    """Where other routes apply too, their deliveries are made, and the longest time counts."""
    bench = Bench(tmp_path, KEPT_AND_SENT)
    bench.receive_image(UID)

    bench.route()

    assert [row.destination_id for row in bench.deliveries(UID)] == ["archive"]
    assert _kept_until(bench) == NOON + 1 + 3 * DAY_S


def test_without_keep_nothing_is_noted(tmp_path: Path) -> None:
    """An instance that is only sent, or not even that, has no time until which it is kept."""
    bench = Bench(tmp_path, NOTHING)
    bench.receive_image(UID)

    bench.route()

    assert (bench.counts(), _kept_until(bench)) == ({InstanceState.UNROUTED: 1}, None)


def test_the_same_again_is_kept_longer(tmp_path: Path) -> None:
    """The same bytes again are kept from when they came last, without a second copy."""
    bench = Bench(tmp_path, KEPT)
    bench.receive_image(UID)
    bench.route()
    bench.receive_image(UID)

    bench.route()

    assert (bench.counts(), len(bench.stored())) == ({InstanceState.STORED: 1}, 1)
    assert _kept_until(bench) == NOON + 2 + 2 * DAY_S


def test_a_new_copy_of_a_damaged_one_is_kept_as_long(tmp_path: Path) -> None:
    """What stands for a damaged copy is kept for as long as that one was to be, also where no route says so any more."""
    bench = Bench(tmp_path, KEPT)
    bench.receive_image(UID)
    bench.route()
    damaged = bench.latest(UID)
    assert damaged is not None
    with bench.ledger.write():
        Instances(bench.ledger).quarantine(damaged.id)
    bench.site = NOTHING
    bench.receive_image(UID)

    bench.route()

    assert _kept_until(bench) == NOON + 1 + 2 * DAY_S


def test_each_batch_takes_the_routes_of_its_moment(tmp_path: Path) -> None:
    """A configuration that comes between two batches counts for the second, and what was unrouted is not when it comes again."""
    bench = Bench(tmp_path, NOTHING)
    bench.receive_image(UID)
    bench.route()
    before = bench.counts()
    bench.site = KEPT
    bench.receive_image(UID)

    bench.route()

    assert (before, bench.counts()) == ({InstanceState.UNROUTED: 1}, {InstanceState.STORED: 1})
    assert len(bench.stored()) == 1
    assert _kept_until(bench) == NOON + 2 + 2 * DAY_S


def test_what_a_damaged_copy_was_owed_is_not_unrouted(tmp_path: Path) -> None:
    """A copy that takes over deliveries is stored, not unrouted, when routes do not ask for them any more."""
    bench = Bench(tmp_path, a_site(routes=[a_route("everything", "archive")]))
    bench.receive_image(UID)
    bench.route()
    damaged = bench.latest(UID)
    assert damaged is not None
    with bench.ledger.write():
        Instances(bench.ledger).quarantine(damaged.id)
    bench.site = NOTHING
    bench.receive_image(UID)

    bench.route()

    assert bench.counts() == {InstanceState.STORED: 1, InstanceState.QUARANTINED: 1}
    assert [row.destination_id for row in bench.deliveries(UID)] == ["archive"]


def test_a_replay_keeps(tmp_path: Path) -> None:
    """What was unrouted is kept from when it was received once a replayed route says so; doing it again changes nothing."""
    bench = Bench(tmp_path, NOTHING)
    bench.receive_image(UID)
    bench.route()
    replay = Replay(bench.ledger, KEPT, bench.clock, bench._wake)

    replayed = [replay.run(0.0, 2e9, dry_run=dry_run) for dry_run in (True, False, False)]

    assert replayed == [Replayed(1, 1, {}), Replayed(1, 1, {}), Replayed(1, 0, {})]
    assert (bench.counts(), bench.woken) == ({InstanceState.STORED: 1}, 0)
    assert _kept_until(bench) == NOON + 1 + 2 * DAY_S
