"""Rebuilding the ledger: what is owed is not lost, what was cancelled stays cancelled, what a snapshot knows is not sent again."""

from __future__ import annotations

import stat
import threading
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from appliance.ledger.access import RebuildCause, rebuild_requested, request_rebuild
from appliance.ledger.cipher_file import connect, execute
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import AttemptRecord, Deliveries, Moved
from appliance.ledger.faults import LedgerInUseError, LedgerRebuildingError
from appliance.ledger.instances import InstanceState
from appliance.ledger.orders import OrderVerb
from appliance.ledger.retention import Retention
from appliance.ledger.selection import Selection
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass
from appliance.retain.rebuild import Rebuilt
from tests.unit.retain.bench import Box
from tests.unit.route.sites import a_route, a_site

HOLD, RELEASE, RETRY, CANCEL = OrderVerb.HOLD, OrderVerb.RELEASE, OrderVerb.RETRY, OrderVerb.CANCEL


def _again(box: Box) -> Rebuilt:
    """Lose the ledger and start again; return what the rebuild did."""
    box.lose()
    rebuilt = box.start()
    assert rebuilt is not None
    return rebuilt


# --- with a snapshot --------------------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_restored(box: Box) -> None:
    """Everything that the snapshot knows is there again, finished or not, and the mark is gone."""
    box.receive_and_route("1.2.3.1", "1.2.3.2")
    box.deliver("1.2.3.1")
    snapshot = box.keeper.round().snapshot
    before = box.row("1.2.3.1")

    rebuilt = _again(box)

    assert rebuilt == Rebuilt(snapshot, None, 0, 0, 0, 0)
    assert box.row("1.2.3.1") == before
    assert box.stands("1.2.3.2") == "queued"
    assert rebuild_requested(box.data) is None
    assert box.send_all() == {"1.2.3.2": 1}


def test_what_came_after_the_snapshot_is_routed_afresh(box: Box) -> None:
    """What the store holds beyond the snapshot is owed again, whether it was delivered or not, and sits in the store as before."""
    box.receive_and_route("1.2.3.1")
    box.deliver("1.2.3.1")
    box.keeper.round()
    box.receive_and_route("1.2.3.2", "1.2.3.3")
    box.deliver("1.2.3.2")
    stored = box.stored()

    rebuilt = _again(box)

    assert (rebuilt.recorded, rebuilt.returned) == (2, 0)
    assert [box.stands(f"1.2.3.{number}") for number in (1, 2, 3)] == ["delivered", "queued", "queued"]
    assert (box.stored(), box.incoming()) == (stored, [])


def test_what_waits_is_the_routers(box: Box) -> None:
    """What is in incoming is left there by the rebuild, and routed as always."""
    box.keeper.round()
    box.receive("1.2.3.1")

    rebuilt = _again(box)
    waiting = len(box.incoming())
    box.route()

    assert (rebuilt.recorded, waiting, box.stands("1.2.3.1")) == (0, 1, "queued")


def test_orders_since_the_snapshot_are_followed(box: Box) -> None:
    """Cancelled stays cancelled, held stays held and released is queued, for what the snapshot knew and for what came after."""
    box.receive_and_route("1.2.3.1", "1.2.3.2", "1.2.3.3")
    box.order(HOLD, "1.2.3.3")
    box.keeper.round()
    box.receive_and_route("1.2.4.1", "1.2.4.2", "1.2.4.3")
    box.order(HOLD, "1.2.3.2", "1.2.4.2", "1.2.4.3")
    box.order(CANCEL, "1.2.3.1", "1.2.4.1")
    box.order(RELEASE, "1.2.3.3", "1.2.4.3")

    rebuilt = _again(box)

    assert rebuilt.orders == 3
    assert [box.stands(f"1.2.3.{number}") for number in (1, 2, 3)] == ["cancelled", "held person", "queued"]
    assert [box.stands(f"1.2.4.{number}") for number in (1, 2, 3)] == ["cancelled", "held person", "queued"]
    assert (len(box.incoming("m")), len(box.stored("m"))) == (0, 4)


def test_orders_before_the_snapshot_are_not_followed_again(box: Box) -> None:
    """An order that the snapshot knows was followed: what was released since stays released."""
    box.receive_and_route("1.2.3.1", "1.2.3.2")
    box.order(HOLD, "1.2.3.1", "1.2.3.2")
    box.order(RELEASE, "1.2.3.1", "1.2.3.2")
    box.keeper.round()
    box.deliver("1.2.3.1")

    rebuilt = _again(box)

    assert (rebuilt.orders, box.stands("1.2.3.1"), box.stands("1.2.3.2")) == (0, "queued", "queued")


def test_an_order_sealed_but_not_recorded_is_followed(box: Box) -> None:
    """An order that waits in incoming when the ledger is lost is followed with the others."""
    box.receive_and_route("1.2.3.1")
    box.keeper.round()
    box.order(CANCEL, "1.2.3.1")
    waiting = box.incoming("m")

    rebuilt = _again(box)

    assert (len(waiting), rebuilt.orders, box.stands("1.2.3.1")) == (1, 1, "cancelled")
    assert box.orders.recover() == 0


def test_orders_are_followed_in_the_order_given(box: Box) -> None:
    """Hold, release, hold ends held, though the clock stepped back between each of them."""
    box.receive_and_route("1.2.3.1")
    box.keeper.round()
    for verb in (HOLD, RELEASE, HOLD):
        box.clock.jump_wall(-10_000.0)
        box.order(verb, "1.2.3.1")

    _again(box)

    assert box.stands("1.2.3.1") == "held person"


def test_an_order_about_what_was_recorded_and_not_moved(box: Box) -> None:
    """An object that was recorded and still waits when the ledger is lost is cancelled where it was cancelled."""
    box.keeper.round()
    box.receive_and_route("1.2.3.1")
    box.order(CANCEL, "1.2.3.1")
    path = box.path("1.2.3.1")
    path.rename(box.data / "spool" / "incoming" / path.name)

    rebuilt = _again(box)
    box.route()

    assert (rebuilt.recorded, box.stands("1.2.3.1"), box.incoming()) == (1, "cancelled", [])


def test_what_was_being_sent_is_queued(box: Box) -> None:
    """A delivery that the snapshot shows as being sent has no sender any more."""
    box.receive_and_route("1.2.3.1")
    with box.ledger.write():
        Deliveries(box.ledger).claim("archive", owner="run-1")
    box.keeper.round()

    _again(box)

    assert (box.stands("1.2.3.1"), box.row("1.2.3.1").owner) == ("queued", None)


def test_what_may_have_been_sent_is_marked(box: Box) -> None:
    """What the snapshot shows as owed may have been delivered since, so that a duplicate answered by the archive is ours."""
    box.receive_and_route("1.2.3.1", "1.2.3.2")
    box.deliver("1.2.3.2")
    box.keeper.round()

    _again(box)

    assert [box.row(uid).unknown_outcomes for uid in ("1.2.3.1", "1.2.3.2")] == [1, 0]


def test_objects_that_are_gone(box: Box) -> None:
    """What is owed and gone is quarantined and held, what was evicted after the snapshot is a tombstone, what is set apart is that."""
    box.receive_and_route("1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4")
    box.deliver("1.2.3.2", "1.2.3.4")
    box.keeper.round()
    for uid in ("1.2.3.1", "1.2.3.2"):
        box.path(uid).unlink()
    for uid in ("1.2.3.3", "1.2.3.4"):
        path = box.path(uid)
        path.rename(box.data / "spool" / "quarantine" / path.name)

    rebuilt = _again(box)

    assert rebuilt.gone == 4
    states = [box.latest(f"1.2.3.{number}").state for number in (1, 2, 3, 4)]
    quarantined = InstanceState.QUARANTINED
    assert states == [quarantined, InstanceState.EVICTED, quarantined, quarantined]
    assert [box.stands(f"1.2.3.{number}") for number in (1, 2, 3, 4)] == ["held rebuilt", "delivered", "held rebuilt", "delivered"]
    assert box.row("1.2.3.1").reason == "the ledger was rebuilt, and the object is no longer in the spool"


def test_numbers_are_not_given_twice(box: Box) -> None:
    """Deliveries recorded after the rebuild have numbers that the lost ledger never gave."""
    box.receive_and_route("1.2.3.1")
    box.keeper.round()
    box.receive_and_route("1.2.3.2", "1.2.3.3")
    lost = {box.row(uid).id for uid in ("1.2.3.2", "1.2.3.3")}

    _again(box)

    assert not {box.row(uid).id for uid in ("1.2.3.2", "1.2.3.3")} & lost


def test_a_replaced_copy_that_is_gone(box: Box) -> None:
    """The same bytes received again after their first copy was lost stand for them after a rebuild too, and are sent once."""
    box.receive_and_route("1.2.3.1")
    box.keeper.round()
    path = box.path("1.2.3.1")
    with box.ledger.write():
        box.ledger.change("UPDATE instance SET state = 'quarantined'")
    path.rename(box.data / "spool" / "quarantine" / path.name)
    box.receive_and_route("1.2.3.1")
    expected = [(row.cause, row.state) for row in box.rows("1.2.3.1")]

    _again(box)

    assert [(row.cause, row.state) for row in box.rows("1.2.3.1")] == expected == [(Cause.RESEND, DeliveryState.QUEUED)]
    assert box.send_all() == {"1.2.3.1": 1}


def test_a_dropped_copy_is_left_to_the_router(box: Box) -> None:
    """A stored object that the restored ledger has no use for goes back to incoming, and the router drops it."""
    box.site = a_site()
    box.die()
    box.open()
    box.receive_and_route("1.2.3.1")
    box.keeper.round()
    box.die()
    box.site = a_site(routes=[a_route("everything", "archive")])
    box.open()
    box.receive_and_route("1.2.3.1")
    with box.ledger.read():
        assert len(box.stored()) == 2
    box.site = a_site()

    rebuilt = _again(box)
    box.route()

    assert (rebuilt.recorded, rebuilt.returned) == (0, 1)
    assert (len(box.stored()), box.incoming()) == (1, [])


def test_an_older_snapshot_is_used_when_the_newest_is_bad(box: Box) -> None:
    """A damaged snapshot costs a quarter of an hour more, nothing else."""
    box.receive_and_route("1.2.3.1")
    box.deliver("1.2.3.1")
    older = box.keeper.round().snapshot
    box.receive_and_route("1.2.3.2")
    box.order(CANCEL, "1.2.3.2")
    newer = box.keeper.round().snapshot
    box.change_file(box.data / "ledger" / "snapshots" / newer, lambda content: content[:5000])

    rebuilt = _again(box)

    assert (rebuilt.snapshot, rebuilt.orders) == (older, 1)
    assert [box.stands("1.2.3.1"), box.stands("1.2.3.2")] == ["delivered", "cancelled"]


def test_an_older_schema_is_brought_up_to_date(box: Box) -> None:
    """A snapshot from before an update is migrated when it is restored, and stays as it was."""
    box.receive_and_route("1.2.3.1")
    path = box.data / "ledger" / "snapshots" / box.keeper.round().snapshot
    database = connect(path, box.key)
    for statement in (
        "DROP TABLE request",
        "DROP INDEX instance_evicted",
        "ALTER TABLE instance DROP COLUMN evicted_at",
        "DELETE FROM schema_version WHERE version = 2",
    ):
        execute(database, statement)
    database.close()
    before = path.read_bytes()

    rebuilt = _again(box)

    assert (rebuilt.snapshot, box.stands("1.2.3.1")) == (path.name, "queued")
    assert path.read_bytes() == before


# --- without a snapshot -----------------------------------------------------------------------------------------------------------------


def test_without_a_snapshot_everything_is_held(box: Box) -> None:
    """Every object of the store is recorded in the order of arrival, and nothing that routes ask for is sent by itself."""
    box.receive_and_route("1.2.3.1", "1.2.3.2", "1.2.3.3")
    box.deliver("1.2.3.1")

    rebuilt = _again(box)

    assert rebuilt == Rebuilt(None, None, 3, 0, 0, 0)
    assert [box.stands(f"1.2.3.{number}") for number in (1, 2, 3)] == ["held rebuilt"] * 3
    numbers = [box.latest(f"1.2.3.{number}").id for number in (1, 2, 3)]
    assert numbers == sorted(numbers)
    assert box.send_all() == {}
    box.clock.advance(400 * 86_400.0)
    with box.ledger.write():
        assert Deliveries(box.ledger).promote_due("archive", box.clock.now()) == 0


def test_what_a_person_releases_is_sent(box: Box) -> None:
    """What was held as rebuilt is sent when a person releases it, each instance once."""
    box.receive_and_route("1.2.3.1", "1.2.3.2")
    _again(box)

    done = box.order(RELEASE, "1.2.3.1", "1.2.3.2")

    assert done.moved == 2
    assert box.send_all() == {"1.2.3.1": 1, "1.2.3.2": 1}


def test_without_a_snapshot_all_orders_are_followed(box: Box) -> None:
    """Cancelled stays cancelled and held is a person's; what was released may have been sent since, so that it is held as the rest."""
    box.receive_and_route("1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4")
    box.order(CANCEL, "1.2.3.1")
    box.order(HOLD, "1.2.3.2", "1.2.3.3")
    box.order(RELEASE, "1.2.3.3")
    box.deliver("1.2.3.3")

    rebuilt = _again(box)

    assert rebuilt.orders == 3
    stands = [box.stands(f"1.2.3.{number}") for number in (1, 2, 3, 4)]
    assert stands == ["cancelled", "held person", "held rebuilt", "held rebuilt"]
    assert box.row("1.2.3.3").reason == "released by anna before the ledger was rebuilt"
    assert (len(box.incoming("m")), len(box.stored("m"))) == (0, 3)


def test_a_resend_that_was_cancelled_does_not_come_back(box: Box) -> None:
    """An order about a cause that a ledger made anew does not know is about what it has of the same object and destination."""
    box.receive_and_route("1.2.3.1")
    with box.ledger.write():
        box.ledger.change("UPDATE instance SET state = 'evicted'")
    box.path("1.2.3.1").unlink()
    box.deliver("1.2.3.1")
    box.receive_and_route("1.2.3.1")
    assert [row.cause for row in box.rows("1.2.3.1")] == [Cause.RESEND]
    box.order(CANCEL, "1.2.3.1")

    _again(box)

    assert box.stands("1.2.3.1") == "cancelled"


def test_twice_without_a_snapshot(box: Box) -> None:
    """A second loss before the next snapshot ends as the first one did."""
    box.receive_and_route("1.2.3.1", "1.2.3.2")
    box.order(CANCEL, "1.2.3.1")
    first = _again(box)

    second = _again(box)

    assert first == second
    assert [box.stands("1.2.3.1"), box.stands("1.2.3.2")] == ["cancelled", "held rebuilt"]


def test_an_empty_spool_gives_an_empty_ledger(box: Box) -> None:
    """A rebuild that was asked for in an empty box ends with an empty ledger, the old one beside it."""
    box.die()
    request_rebuild(box.data, RebuildCause.REQUESTED)

    rebuilt = box.start()

    assert rebuilt == Rebuilt(None, "damaged-20240229T120000Z.db", 0, 0, 0, 0)
    assert box.counts() == {}


# --- what is done to the files ------------------------------------------------------------------------------------------------------------


def test_the_old_ledger_is_kept(box: Box) -> None:
    """A damaged ledger is beside the new one, byte by byte, and a second one does not replace it."""
    box.receive_and_route("1.2.3.1")
    for number in range(2):
        box.die()
        box.change_file(box.ledger_file, lambda content, number=number: content[: 5000 + number])  # type: ignore[misc]
        box.start()

    kept = sorted(box.ledger_file.parent.glob("damaged-*"))
    assert [path.name for path in kept] == ["damaged-20240229T120001Z-1.db", "damaged-20240229T120001Z.db"]
    assert sorted(path.stat().st_size for path in kept) == [5000, 5001]
    assert stat.S_IMODE(box.ledger_file.stat().st_mode) == 0o600


def test_what_belongs_to_the_old_ledger_goes_with_it(box: Box) -> None:
    """A write-ahead log that a killed process left is kept with its database, and never taken for the new one's."""
    box.receive_and_route("1.2.3.1")
    box.keeper.round()
    box.die()
    log = box.ledger_file.with_name("ledger.db-wal")
    log.write_bytes(b"left over")
    request_rebuild(box.data, RebuildCause.REQUESTED)

    rebuilt = box.start()

    assert rebuilt is not None
    assert (box.ledger_file.parent / f"{rebuilt.kept}-wal").read_bytes() == b"left over"
    assert box.stands("1.2.3.1") == "queued"


def test_reception_goes_on(box: Box) -> None:
    """What is received while the ledger is being rebuilt is durable, and is recorded afterwards."""
    box.receive_and_route("1.2.3.1")
    box.lose()
    box.marked()
    rebuild = box.rebuild()
    follow = rebuild._follow

    def receive(*arguments: object, **keywords: object) -> None:
        box.receive("1.2.3.2")
        follow(*arguments, **keywords)  # type: ignore[arg-type]

    rebuild._follow = receive  # type: ignore[method-assign]
    rebuild.run()
    box.open()
    box.route()

    assert [box.stands("1.2.3.1"), box.stands("1.2.3.2")] == ["held rebuilt", "queued"]


def test_nobody_opens_meanwhile(box: Box) -> None:
    """While the ledger is being rebuilt nobody opens the one that is there."""
    box.receive_and_route("1.2.3.1")
    box.die()
    request_rebuild(box.data, RebuildCause.REQUESTED)
    rebuild = box.rebuild()
    fill, refused = rebuild._fill, []

    def opening(*arguments: object) -> Rebuilt:
        with pytest.raises(LedgerRebuildingError) as caught:
            Ledger.open(box.data, box.key, migrate=False)
        refused.append(caught.value)
        return fill(*arguments)  # type: ignore[arg-type]

    rebuild._fill = opening  # type: ignore[method-assign,assignment]
    rebuild.run()

    assert len(refused) == 1
    Ledger.open(box.data, box.key, migrate=False).let_go()


def test_not_while_it_is_in_use(box: Box) -> None:
    """A ledger that somebody has open is not rebuilt, and nothing is touched."""
    box.receive_and_route("1.2.3.1")
    request_rebuild(box.data, RebuildCause.REQUESTED)
    before = sorted(path.name for path in box.ledger_file.parent.iterdir())

    with pytest.raises(LedgerInUseError):
        box.rebuild().run()

    assert sorted(path.name for path in box.ledger_file.parent.iterdir()) == before


def test_it_waits_for_the_others(box: Box) -> None:
    """A rebuild waits until those who have the ledger open have let go, and then begins."""
    box.receive_and_route("1.2.3.1")
    request_rebuild(box.data, RebuildCause.REQUESTED)
    done: list[Rebuilt] = []
    thread = threading.Thread(target=lambda: done.append(box.rebuild().run(threading.Event())))
    thread.start()
    early = list(done)

    box.die()
    thread.join(10)

    assert (early, len(done)) == ([], 1)


def test_a_damaged_object_is_one_damaged_object(box: Box) -> None:
    """A damaged object is set apart, one whose key is missing waits, and the others are recorded."""
    box.receive_and_route("1.2.3.1", "1.2.3.2", "1.2.3.3")
    box.change_file(box.path("1.2.3.2"), lambda content: content[:300])

    with capture_logs():
        rebuilt = _again(box)

    assert box.spool.quarantined() == 1
    assert rebuilt.recorded == 2
    assert [box.stands("1.2.3.1"), box.stands("1.2.3.3")] == ["held rebuilt"] * 2


def test_an_order_that_cannot_be_read_stops_nothing(box: Box) -> None:
    """A damaged order is reported, and the ledger comes back with the other ones followed."""
    box.receive_and_route("1.2.3.1", "1.2.3.2")
    box.order(CANCEL, "1.2.3.1")
    box.order(CANCEL, "1.2.3.2")
    box.router.recover()
    first = min((box.data / "spool" / "store").rglob("*.m.age"), key=lambda path: path.name)
    box.change_file(first, lambda content: content[:-1] + b"?")

    with capture_logs() as logs:
        rebuilt = _again(box)

    assert rebuilt.orders == 1
    assert [box.stands("1.2.3.1"), box.stands("1.2.3.2")] == ["held rebuilt", "cancelled"]
    assert "order.unreadable" in [line["event"] for line in logs]


def test_nothing_of_a_patient_is_logged(box: Box) -> None:
    """A rebuild says numbers, ids and names of files, and nothing else."""
    box.receive_and_route("1.2.3.1")
    box.order(CANCEL, "1.2.3.1", reason="QUARTZVOLE was here")
    box.lose()

    with capture_logs() as logs:
        box.start()

    assert len(logs) > 3
    assert "QUARTZVOLE" not in str(logs)


def test_only_what_is_owed_matters_for_a_claim(box: Box) -> None:
    """Deliveries of every state in a snapshot come back as they were, except that nothing is being sent."""
    uids = [f"1.2.3.{number}" for number in range(6)]
    box.receive_and_route(*uids)
    due = box.clock.now().after(60.0)
    attempt = AttemptRecord(1.0, "refused", 0xC000, "cannot understand")
    for uid, moved in zip(
        uids,
        [
            Moved(DeliveryState.DELIVERED, attempt=attempt),
            Moved(DeliveryState.PROVED, proof="commitment"),
            Moved(DeliveryState.DEFERRED, due=due, attempt=attempt),
            Moved(DeliveryState.HELD, hold_class=HoldClass.VERDICT, due=due, attempt=attempt, reason="refused"),
            Moved(DeliveryState.CANCELLED),
            Moved(DeliveryState.EXPIRED),
        ],
        strict=True,
    ):
        box.move(uid, moved)
    before = [box.row(uid) for uid in uids]
    box.keeper.round()

    _again(box)

    after = [replace(box.row(uid), unknown_outcomes=0) for uid in uids]
    assert after == before


def test_a_tombstone_in_a_snapshot_stays_one(box: Box) -> None:
    """What was evicted before the snapshot is not missed."""
    box.receive_and_route("1.2.3.1")
    box.deliver("1.2.3.1")
    number = box.latest("1.2.3.1").id
    with box.ledger.write():
        Retention(box.ledger).evict(number, 1.0)
    box.path("1.2.3.1").unlink()
    box.keeper.round()

    rebuilt = _again(box)

    assert (rebuilt.gone, box.latest("1.2.3.1").state) == (0, InstanceState.EVICTED)


def test_another_destination_in_the_orders(box: Box) -> None:
    """An order about one destination leaves what is owed to the other."""
    box.die()
    box.site = a_site(routes=[a_route("everything", "archive", "room")])
    box.open()
    box.receive_and_route("1.2.3.1")
    number = box.latest("1.2.3.1").id
    with box.ledger.read():
        assert len(Deliveries(box.ledger).of_instance(number)) == 2
    box.order(CANCEL, selection=Selection(destination_id="room"))

    _again(box)

    assert [(row.destination_id, row.state) for row in box.rows("1.2.3.1")] == [
        ("archive", DeliveryState.HELD),
        ("room", DeliveryState.CANCELLED),
    ]
