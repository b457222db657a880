"""When a study is complete, what waits for that, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from appliance.config.completion import Completion
from appliance.config.model import Site
from appliance.ledger.completions import AWAITS_STUDY, Completions
from appliance.ledger.deliveries import Moved
from appliance.ledger.instances import Instances
from appliance.ledger.orders import OrderVerb
from appliance.ledger.study_events import StudyDelivered, StudyEvents
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.route.completion import quiet_s
from appliance.route.replay import Replay
from appliance.spool.part10 import ObjectHeader
from tests.unit.retain.bench import Box
from tests.unit.route import data_sets as ds
from tests.unit.route.sites import a_route, a_site

# The quiet time of CT.
QUIET_S = 300.0
LATER = a_route("later", "room", when_complete=True)
BOTH = a_site(routes=[a_route("everything", "archive"), LATER])
ONLY_LATER = a_site(routes=[LATER])
FIRST, SECOND, LATE = "1.2.3.1", "1.2.3.2", "1.2.3.3"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Box]:
    """Make a box with both routes, and start it."""
    box = Box(tmp_path / "data", BOTH)
    box.start()
    yield box
    box.ledger.let_go()


def _look(box: Box) -> None:
    """Let the longest pause between two looks pass, and look at the studies."""
    box.clock.advance(10.0)
    box.router.look_at_studies()


def _complete(box: Box) -> None:
    """Let the quiet time pass."""
    box.clock.advance(QUIET_S)
    _look(box)


def _stands(box: Box, uid: str) -> dict[str, str]:
    """Return where the deliveries of an instance stand, by destination."""
    return {row.destination_id: str(row.state) for row in box.rows(uid)}


def _told(box: Box) -> list[StudyDelivered]:
    with box.ledger.read():
        return StudyEvents(box.ledger).after(0, limit=100)


def _counts(box: Box) -> list[tuple[str, int, int, int, int, int]]:
    return [(one.destination_id, one.round, one.received, one.delivered, one.proved, one.given_up) for one in _told(box)]


@pytest.mark.parametrize(
    ("modalities", "expected"),
    [
        (["CR"], 120.0),
        (["CT"], 300.0),
        (["US"], 1800.0),
        (["XA"], 3600.0),
        (["MR"], 600.0),
        ([], 600.0),
        (["ct"], 300.0),
        (["CT", "XA"], 3600.0),
        (["CT", "PT"], 600.0),
        (["CT", "SR", "PR", "KO"], 300.0),
        (["SR"], 600.0),
    ],
)
def test_the_quiet_time_of_a_study(modalities: Sequence[str], expected: float) -> None:
    """The longest of the study's modalities counts; reports only where they are all there is."""
    assert quiet_s(Completion(), modalities) == expected


def test_a_time_that_a_site_sets_for_reports_counts() -> None:
    """Who names a modality that comes with images wants it waited for."""
    settings = Completion.model_validate({"quiet": {"SR": "20 min"}})

    assert quiet_s(settings, ["CT", "SR"]) == 1200.0


def test_only_the_route_that_asks_for_it_waits(started: Box) -> None:
    """What goes elsewhere goes at once; what waits is owed, says why, and goes when the study has been quiet."""
    started.receive_and_route(FIRST, SECOND)
    _look(started)
    before, reasons = _stands(started, FIRST), {row.destination_id: row.reason for row in started.rows(FIRST)}

    _complete(started)

    assert (before, reasons) == ({"archive": "queued", "room": "deferred"}, {"archive": "", "room": AWAITS_STUDY})
    assert [_stands(started, uid)["room"] for uid in (FIRST, SECOND)] == ["queued", "queued"]
    assert [row.reason for row in started.rows(FIRST)] == ["", ""]


def test_each_image_begins_the_time_anew(started: Box) -> None:
    """A study that something comes of every four minutes is not complete, whatever the wall clock says."""
    for uid in (FIRST, SECOND, LATE):
        started.receive_and_route(uid)
        started.clock.advance(QUIET_S - 60.0)
        started.clock.jump_wall(86_400.0)
        _look(started)

    assert _stands(started, FIRST)["room"] == "deferred"


def test_two_routes_to_one_destination(started: Box) -> None:
    """Where one of two routes to a destination does not wait, the image goes at once."""
    started.site = a_site(routes=[LATER, a_route("reports", "room")])

    started.receive_and_route(FIRST)

    assert _stands(started, FIRST) == {"room": "queued"}


def test_a_late_series_opens_the_study_again(started: Box) -> None:
    """What comes late waits until the study is quiet again; what went before is not sent twice, and the new counts are told."""
    started.receive_and_route(FIRST, SECOND)
    _complete(started)
    for destination in ("archive", "room"):
        started.deliver(FIRST, SECOND, destination=destination)
    _look(started)
    started.receive_and_route(LATE)
    opened = _stands(started, LATE)
    started.deliver(LATE)
    _look(started)
    told = len(_told(started))

    _complete(started)
    started.deliver(LATE, destination="room")
    _look(started)

    assert (opened["room"], told) == ("deferred", 2)
    assert _stands(started, FIRST)["room"] == "delivered"
    assert _counts(started) == [
        ("archive", 1, 2, 2, 0, 0),
        ("room", 1, 2, 2, 0, 0),
        ("archive", 2, 3, 3, 0, 0),
        ("room", 2, 3, 3, 0, 0),
    ]


def test_nothing_is_told_before_the_study_is_complete(started: Box) -> None:
    """A destination that has everything so far is not told of while more is expected, and one that lacks something never."""
    started.receive_and_route(FIRST)
    started.deliver(FIRST)
    _look(started)
    early = _told(started)

    _complete(started)
    _look(started)

    assert early == []
    assert _counts(started) == [("archive", 1, 1, 1, 0, 0)]


def test_each_is_told_once(started: Box) -> None:
    """Looking again, or a whole study sent again and delivered again, tells nothing new."""
    started.receive_and_route(FIRST)
    _complete(started)
    started.deliver(FIRST)
    started.deliver(FIRST, destination="room")
    for _ in range(3):
        _look(started)
    started.receive_and_route(FIRST)
    _complete(started)
    started.deliver(FIRST)
    started.deliver(FIRST, destination="room")
    _look(started)

    assert [(one.destination_id, one.round) for one in _told(started)] == [("archive", 1), ("room", 1)]


def test_what_is_cancelled_is_given_up(started: Box) -> None:
    """A study of which a person cancelled something is told with what was given up; one that was cancelled whole is not told."""
    started.receive_and_route(FIRST, SECOND)
    started.deliver(FIRST)
    started.order(OrderVerb.CANCEL, SECOND)
    started.move(FIRST, Moved(DeliveryState.DELIVERED))
    _complete(started)
    _look(started)

    assert sorted(_counts(started)) == [("archive", 1, 2, 1, 0, 1), ("room", 1, 2, 1, 0, 1)]


def test_proof_is_counted(started: Box) -> None:
    """What a destination gave proof of is counted apart."""
    started.receive_and_route(FIRST)
    _complete(started)
    started.move(FIRST, Moved(DeliveryState.PROVED))
    _look(started)

    assert sorted(_counts(started)) == [("archive", 1, 1, 1, 1, 0), ("room", 1, 1, 1, 1, 0)]


def test_a_restarted_machine_waits_anew(started: Box) -> None:
    """No scanner could send while the box was off, so the time begins again."""
    started.receive_and_route(FIRST)
    started.clock.reboot()
    _look(started)
    started.clock.advance(QUIET_S - 60.0)
    _look(started)
    before = _stands(started, FIRST)["room"]

    started.clock.advance(60.0)
    _look(started)

    assert (before, _stands(started, FIRST)["room"]) == ("deferred", "queued")


def test_a_person_need_not_wait(started: Box) -> None:
    """A retry sends what waits for its study at once."""
    started.receive_and_route(FIRST)

    started.order(OrderVerb.RETRY, FIRST)

    assert _stands(started, FIRST)["room"] == "queued"


def test_the_same_bytes_do_not_open_a_study(started: Box) -> None:
    """Bytes that are still owed everywhere lengthen an open study's time, and leave a complete study complete."""
    started.receive_and_route(FIRST)
    started.clock.advance(QUIET_S - 60.0)
    started.receive_and_route(FIRST)
    started.clock.advance(120.0)
    _look(started)
    lengthened = _stands(started, FIRST)["room"]
    _complete(started)
    started.receive_and_route(FIRST)
    with started.ledger.read():
        study = Completions(started.ledger).find("1.2.3")

    assert (lengthened, study is not None and study.is_complete) == ("deferred", True)


def test_a_new_copy_waits_as_the_damaged_one_did(started: Box) -> None:
    """What takes the place of a delivery that waited for its study waits too."""
    started.site = ONLY_LATER
    started.receive_and_route(FIRST)
    damaged = started.latest(FIRST).id
    with started.ledger.write():
        Instances(started.ledger).quarantine(damaged)

    started.receive_and_route(FIRST)

    assert started.latest(FIRST).version == 2
    assert _stands(started, FIRST) == {"room": "deferred"}


def test_images_without_a_study_do_not_wait(started: Box) -> None:
    """Objects that name no study are never complete together."""
    header = ObjectHeader(
        sop_class_uid=ds.CT_IMAGE,  # type: ignore[arg-type]
        sop_instance_uid=FIRST,  # type: ignore[arg-type]
        transfer_syntax_uid=ds.EXPLICIT,  # type: ignore[arg-type]
        calling_title="CT1",
        called_title="EDGE",
        peer_address="10.0.0.7",
        reception_id="",
        received_at=started.clock.now().wall,
    )
    with started.spool.admit(header) as admission:
        admission.write(ds.an_image(FIRST, {ds.STUDY_UID: None}))
        admission.commit()

    started.route()

    assert _stands(started, FIRST) == {"archive": "queued", "room": "queued"}


def test_a_large_study_is_let_go_in_parts(started: Box) -> None:
    """A study is complete only in the transaction that lets the last of it go."""
    started.site = ONLY_LATER
    started.receive_and_route(FIRST, SECOND, LATE)
    completions = Completions(started.ledger)
    with started.ledger.read():
        study = completions.find("1.2.3")
    assert study is not None

    parts = []
    for _ in range(2):
        with started.ledger.write():
            parts.append(completions.complete(study.id, 0.0, limit=2))

    assert [(part.let_go, part.round) for part in parts] == [(2, None), (1, 1)]


@pytest.mark.parametrize(("is_complete", "expected"), [(True, "queued"), (False, "deferred")])
def test_a_replayed_route_waits_where_the_study_is_open(started: Box, *, is_complete: bool, expected: str) -> None:
    """A route that waits sends what is of a complete study at once, and lets the rest wait."""
    started.site = a_site(routes=[a_route("everything", "archive")])
    started.receive_and_route(FIRST)
    if is_complete:
        _complete(started)

    Replay(started.ledger, BOTH, started.clock, lambda: None).run(0.0, 2e9, dry_run=False)

    assert _stands(started, FIRST)["room"] == expected


def test_a_restored_snapshot_knows_what_waits_and_what_was_told(started: Box) -> None:
    """After a rebuild from a snapshot what waited goes on waiting and goes when it is time; what was told is not told again."""
    started.receive_and_route(FIRST)
    _complete(started)
    started.deliver(FIRST)
    started.deliver(FIRST, destination="room")
    _look(started)
    told = _told(started)
    started.receive_and_route(SECOND)
    started.keeper.round()
    started.receive_and_route(LATE)
    started.lose()

    rebuilt = started.start()
    waiting = [_stands(started, uid)["room"] for uid in (SECOND, LATE)]
    again = _told(started)
    _complete(started)

    assert rebuilt is not None
    assert (waiting, again) == (["deferred", "deferred"], told)
    assert [_stands(started, uid)["room"] for uid in (SECOND, LATE)] == ["queued", "queued"]


def test_what_is_told_after_a_rebuild_has_a_new_number(started: Box) -> None:
    """What was told after the snapshot is told again, under a number that was never given."""
    started.receive_and_route(FIRST)
    started.keeper.round()
    _complete(started)
    started.deliver(FIRST)
    _look(started)
    lost = _told(started)
    started.lose()
    started.start()
    _complete(started)
    started.deliver(FIRST)
    _look(started)

    again = _told(started)

    assert ([one.destination_id for one in lost], [one.destination_id for one in again]) == (["archive"], ["archive"])
    assert again[0].number > lost[0].number


def test_without_a_snapshot_what_waited_is_held(started: Box) -> None:
    """Nobody knows whether it was sent before: it is held like everything, and a complete study does not let it go."""
    started.receive_and_route(FIRST)
    started.lose()
    started.start()

    _complete(started)

    assert {(row.state, row.hold_class) for row in started.rows(FIRST)} == {(DeliveryState.HELD, HoldClass.REBUILT)}


def test_a_waiting_delivery_of_a_removed_destination_is_not_let_go(started: Box) -> None:
    """What was held meanwhile, by a person or a setting, stays held when the study is complete."""
    started.receive_and_route(FIRST)
    started.order(OrderVerb.HOLD, FIRST)

    _complete(started)

    assert set(_stands(started, FIRST).values()) == {"held"}


def test_events_are_kept_for_as_long_as_tombstones(started: Box) -> None:
    """The keeper forgets what was told more than 400 days ago."""
    started.receive_and_route(FIRST)
    _complete(started)
    started.deliver(FIRST)
    _look(started)
    started.clock.advance(399 * 86_400.0)
    started.keeper.round()
    kept = len(_told(started))
    started.clock.advance(2 * 86_400.0)

    started.keeper.round()

    assert (kept, len(_told(started))) == (1, 0)


def test_many_arrivals_are_looked_at_in_turn(started: Box) -> None:
    """However many studies somebody is still owed, every one gets its turn."""
    site: Site = a_site(routes=[a_route("everything", *(f"d{number:03}" for number in range(250)))])
    started.site = site
    started.receive_and_route(FIRST)
    _complete(started)
    started.deliver(FIRST, destination="d249")
    for _ in range(4):
        _look(started)

    assert [one.destination_id for one in _told(started)] == ["d249"]
