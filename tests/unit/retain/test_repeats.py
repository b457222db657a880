"""The same bytes sent again, which made deliveries: their object outlives the ledger for as long as a rebuild may need it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.config.model import Site
from appliance.ledger.database import Ledger
from appliance.ledger.faults import LedgerStorageError
from appliance.ledger.instances import Instances, InstanceState
from appliance.ledger.orders import OrderVerb
from appliance.ledger.selection import Selection
from appliance.ledger.studies import Studies
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.retain import keeper
from appliance.retain.keeper import Keeper
from appliance.retain.snapshot import Snapshots
from appliance.retain.verify import Condition, Verifier
from appliance.spool.inventory import Inventory
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.unit.retain.bench import Box, Crash
from tests.unit.retain.crashing import crashing_at
from tests.unit.route.sites import a_route, a_site

UID = "1.2.3.1"
DELIVERED, QUEUED, HELD, CANCELLED = DeliveryState.DELIVERED, DeliveryState.QUEUED, DeliveryState.HELD, DeliveryState.CANCELLED


def _two_titles() -> Site:
    """Return a site in which each of two called titles stands for a destination, and a third for both."""
    return a_site(
        routes=[a_route("archive", "archive"), a_route("room", "room")],
        local_ae=[
            {"ae_title": "PACS1", "routes": ["archive"]},
            {"ae_title": "ROOM", "routes": ["room"]},
            {"ae_title": "BOTH", "routes": ["archive", "room"]},
        ],
    )


@pytest.fixture
def box(box: Box) -> Box:
    """Return a box that has an image for the archive, recorded before a snapshot."""
    box.die()
    box.site = _two_titles()
    box.open()
    _receive(box, "PACS1")
    box.keeper.round()
    return box


def _receive(box: Box, called: str) -> SpoolName:
    """Receive the image again through a called title, and record it."""
    name = box.receive(UID, called=called)
    box.route()
    return name


def _again(box: Box) -> None:
    """Lose the ledger and start again."""
    box.lose()
    assert box.start() is not None
    box.route()


def _lose_snapshots(box: Box) -> None:
    for path in box.snapshots.all():
        path.unlink()


def _stand(box: Box) -> list[tuple[str, DeliveryState]]:
    """Return where the deliveries of the image stand, by destination."""
    return sorted((row.destination_id, row.state) for row in box.rows(UID))


def _remembered(box: Box) -> list[str]:
    """Return the names of the repeats in the ledger."""
    with box.ledger.read():
        return [name for (name,) in box.ledger.rows("SELECT spool_name FROM repeat ORDER BY object_id")]


# --- the ledger is lost -------------------------------------------------------------------------------------------------------------------


def test_the_second_destination_survives_the_ledger(box: Box) -> None:
    """What the same bytes were owed through another title, asked for after the snapshot, is owed after a rebuild."""
    _receive(box, "ROOM")
    before = _stand(box)

    _again(box)

    assert _stand(box) == before == [("archive", QUEUED), ("room", QUEUED)]


def test_a_resend_survives_the_ledger(box: Box) -> None:
    """What was delivered before the snapshot and sent again after it is sent again after a rebuild, once."""
    box.deliver(UID)
    box.keeper.round()
    name = _receive(box, "PACS1")

    _again(box)

    assert _stand(box) == [("archive", DELIVERED), ("archive", QUEUED)]
    assert (_remembered(box), box.incoming()) == ([str(name)], [])
    assert box.send_all() == {UID: 1}


def test_a_rebuild_that_knows_it_leaves_it(box: Box) -> None:
    """A repeat that the snapshot knows is not recorded twice."""
    name = _receive(box, "ROOM")
    box.keeper.round()

    _again(box)

    assert _stand(box) == [("archive", QUEUED), ("room", QUEUED)]
    assert (_remembered(box), len(box.stored())) == ([str(name)], 2)


def test_a_repeat_that_asks_for_nothing_is_dropped(box: Box) -> None:
    """The same bytes that are owed there already leave nothing, before a rebuild and after it."""
    _receive(box, "PACS1")
    before = len(box.stored())

    _again(box)

    assert (before, len(box.stored()), _remembered(box)) == (1, 1, [])


def test_a_cancelled_repeat_stays_cancelled(box: Box) -> None:
    """An order about what a repeat made is followed in the restored ledger."""
    _receive(box, "ROOM")
    box.order(OrderVerb.CANCEL, selection=Selection(destination_id="room"))

    _again(box)

    assert _stand(box) == [("archive", QUEUED), ("room", CANCELLED)]


def test_a_cancelled_repeat_that_was_not_moved_stays_cancelled(box: Box) -> None:
    """A repeat that was recorded and still waits when the ledger is lost is recorded before the order about it is followed."""
    name = _receive(box, "ROOM")
    box.order(OrderVerb.CANCEL, selection=Selection(destination_id="room"))
    (box.data / "spool" / "store" / name.store_directory() / str(name)).rename(box.data / "spool" / "incoming" / str(name))

    _again(box)

    assert _stand(box) == [("archive", QUEUED), ("room", CANCELLED)]
    assert box.incoming() == []


def test_without_a_snapshot_what_it_asked_for_is_held(box: Box) -> None:
    """A ledger made anew holds what the repeat asked for as it holds everything, on the one instance, and drops no object."""
    _receive(box, "ROOM")
    _lose_snapshots(box)

    _again(box)

    assert _stand(box) == [("archive", HELD), ("room", HELD)]
    assert {row.hold_class for row in box.rows(UID)} == {HoldClass.REBUILT}
    assert (box.latest(UID).version, len(box.stored()), len(_remembered(box))) == (1, 2, 1)


def test_without_a_snapshot_a_cancelled_repeat_stays_cancelled(box: Box) -> None:
    """An order about what a repeat made finds it in a ledger made anew, and so it does what it made before the order."""
    _receive(box, "BOTH")
    box.order(OrderVerb.CANCEL, selection=Selection(destination_id="room"))
    box.order(OrderVerb.CANCEL, selection=Selection(destination_id="archive"))
    _lose_snapshots(box)

    _again(box)

    assert {state for _, state in _stand(box)} == {CANCELLED}


def test_without_a_snapshot_what_was_sent_again_after_a_cancellation_is_owed(box: Box) -> None:
    """Whoever sends again what was cancelled wants it there: the order before it does not take that away."""
    box.order(OrderVerb.CANCEL, UID)
    _receive(box, "PACS1")
    _lose_snapshots(box)

    _again(box)

    assert _stand(box) == [("archive", CANCELLED), ("archive", HELD)]


def test_without_a_snapshot_an_order_finds_what_a_version_became(box: Box) -> None:
    """A version of the same bytes is a repeat in a ledger made anew; an order that names its object is about the instance."""
    box.die()
    box.site = a_site()
    box.open()
    box.receive("1.2.3.2", called="PACS1")
    box.route()
    box.die()
    box.site = _two_titles()
    box.open()
    box.receive("1.2.3.2", called="PACS1")
    box.route()
    versions = box.latest("1.2.3.2").version
    box.order(OrderVerb.CANCEL, "1.2.3.2")
    _lose_snapshots(box)

    _again(box)

    assert (versions, box.latest("1.2.3.2").version) == (2, 1)
    assert {row.state for row in box.rows("1.2.3.2")} == {CANCELLED}


def test_killed_before_it_was_moved(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeat that was recorded and not moved is moved at the next start, and recorded once."""
    name = box.receive(UID, called="ROOM")
    monkeypatch.setattr(Spool, "move_to_store", _crash)
    with pytest.raises(Crash):
        box.route()
    monkeypatch.undo()
    box.die()

    box.start()
    box.route()

    assert (box.incoming(), _remembered(box), len(box.stored())) == ([], [str(name)], 2)
    assert _stand(box) == [("archive", QUEUED), ("room", QUEUED)]


def _crash(*_: object) -> None:
    raise Crash


# --- others who look at the spool ---------------------------------------------------------------------------------------------------------


def test_verified_like_any_object(box: Box) -> None:
    """A repeat is verified as every object is; a damaged one is set apart, and its instance stays what it was."""
    name = _receive(box, "ROOM")
    box.change_file(
        box.data / "spool" / "store" / name.store_directory() / str(name), lambda content: content[:-1] + bytes([content[-1] ^ 1])
    )

    def mark(found: SpoolName) -> None:
        with box.ledger.write():
            Instances(box.ledger).quarantine_object(found.object_id)

    with capture_logs():
        found = list(Verifier(box.spool, Inventory(box.data), box.clock, mark_quarantined=mark).verify())

    assert sorted((one.name == name, one.condition, one.quarantined) for one in found) == [
        (False, Condition.OK, False),
        (True, Condition.DAMAGED, True),
    ]
    assert (box.latest(UID).state, _stand(box)) == (InstanceState.STORED, [("archive", QUEUED), ("room", QUEUED)])


def test_a_study_has_one_object(box: Box) -> None:
    """The objects of a study are those of its instances; a repeat is none of them."""
    _receive(box, "ROOM")

    with box.ledger.read():
        objects = Studies(box.ledger).objects(UID)

    assert [one.spool_name for one in objects] == [box.latest(UID).facts.spool_name]


# --- the keeper ---------------------------------------------------------------------------------------------------------------------------


def test_removed_when_everything_is_finished(box: Box) -> None:
    """The round after the last delivery of the instance removes the repeat, its object first, and nothing else."""
    _receive(box, "ROOM")
    rounds = [box.keeper.round().repeats]
    box.deliver(UID, destination="room")
    rounds.append(box.keeper.round().repeats)
    kept = _remembered(box)
    box.deliver(UID)

    rounds.append(box.keeper.round().repeats)

    assert rounds == [0, 0, 1]
    assert (len(kept), _remembered(box), box.stored()) == (1, [], [box.latest(UID).facts.spool_name])
    assert box.keeper.round().repeats == 0


def test_kept_until_a_snapshot_knows_the_end(box: Box) -> None:
    """Without a snapshot that knows that all was delivered nothing is removed."""
    _receive(box, "ROOM")
    box.deliver(UID)
    box.deliver(UID, destination="room")
    full = Keeper(box.ledger, Snapshots(box.data, box.key, box.clock, reserve_bytes=1 << 60), box.spool, box.clock)

    with pytest.raises(LedgerStorageError), capture_logs():
        full.round()

    assert (len(_remembered(box)), len(box.stored())) == (1, 2)


def test_what_ends_during_the_snapshot_is_kept(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery that ends while the snapshot is made may not be in it: its repeat stays for the next round."""
    _receive(box, "ROOM")
    box.deliver(UID)
    copy = Ledger.copy_to

    def copy_and_deliver(ledger: Ledger, target: Path) -> None:
        copy(ledger, target)
        box.deliver(UID, destination="room")

    monkeypatch.setattr(Ledger, "copy_to", copy_and_deliver)
    during = box.keeper.round().repeats
    monkeypatch.undo()

    assert (during, box.keeper.round().repeats) == (0, 1)


def test_many_are_removed_in_pages(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """More repeats than a transaction takes go in several; more than a round takes, in several rounds."""
    monkeypatch.setattr(keeper, "_REPEATS_AT_ONCE", 2)
    monkeypatch.setattr(keeper, "_REPEATS_A_ROUND", 5)
    for _ in range(7):
        box.deliver(UID)
        _receive(box, "PACS1")
    box.deliver(UID)

    removed = [box.keeper.round().repeats for _ in range(3)]

    assert removed == [5, 2, 0]
    assert len(box.stored()) == 1


def test_one_that_is_not_removed_stops_no_other(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeat that the disk does not let go is remembered and tried again; the next one is removed."""
    names = []
    for _ in range(2):
        box.deliver(UID)
        names.append(_receive(box, "PACS1"))
    box.deliver(UID)
    remove = Spool.remove

    def refuse(spool: Spool, name: SpoolName) -> None:
        if name == names[0]:
            raise OSError(5, "Input/output error")
        remove(spool, name)

    monkeypatch.setattr(Spool, "remove", refuse)
    with capture_logs() as logs:
        removed = box.keeper.round().repeats
    left = _remembered(box)
    monkeypatch.undo()

    assert (removed, left) == (1, [str(names[0])])
    assert "repeat.not_removed" in [line["event"] for line in logs]
    assert (box.keeper.round().repeats, _remembered(box)) == (1, [])


def test_a_repeat_that_is_gone_or_set_apart_is_forgotten(box: Box) -> None:
    """A repeat whose object somebody removed, or that was found damaged, costs its row only."""
    names = []
    for _ in range(2):
        box.deliver(UID)
        names.append(_receive(box, "PACS1"))
    box.spool.remove(names[0])
    box.spool.quarantine(names[1], "verification")
    box.deliver(UID)

    assert (box.keeper.round().repeats, _remembered(box), box.spool.quarantined()) == (2, [], 1)


@pytest.mark.parametrize("loses_ledger", [False, True])
def test_killed_at_every_step_of_a_round(tmp_path: Path, *, loses_ledger: bool) -> None:
    """Wherever a round is cut off, also with the ledger, no repeat that is owed is lost, and the next round removes what is finished."""
    lived = Box(tmp_path / "lived", _two_titles())
    lived.start()
    _receive(lived, "PACS1")
    lived.receive("1.2.3.2", called="PACS1")
    lived.route()
    lived.keeper.round()
    _receive(lived, "ROOM")
    lived.receive("1.2.3.2", called="ROOM")
    lived.route()
    for destination in ("archive", "room"):
        lived.deliver(UID, destination=destination)
    lived.die()
    cut, was_cut = 0, True

    while was_cut:
        cut += 1
        box = Box(Path(shutil.copytree(tmp_path / "lived", tmp_path / "again")), _two_titles())
        box.start()
        was_cut = False
        with crashing_at(cut), capture_logs():
            try:
                box.keeper.round()
            except Crash:
                was_cut = True
        # Those who still have it open are gone with their process.
        (box.lose if loses_ledger else box.die)()
        box = Box(box.data, _two_titles())
        box.start()
        box.route()
        assert sorted((row.destination_id, row.state) for row in box.rows("1.2.3.2")) == [("archive", QUEUED), ("room", QUEUED)]
        box.send_all()
        for uid in (UID, "1.2.3.2"):
            box.deliver(uid, destination="room")
        box.keeper.round()
        assert (len(box.stored()), _remembered(box)) == (2, [])
        box.die()
        shutil.rmtree(box.data)

    assert cut > 5
