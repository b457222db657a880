"""Sending again, by names and with a sealed order, whatever is killed in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.deliver.orders import OrderTextError
from appliance.ledger.database import Row
from appliance.ledger.faults import LedgerStorageError
from appliance.ledger.orders import OrderVerb
from appliance.ledger.selection import Selection
from appliance.ledger.studies import StudyMissingError
from appliance.ledger.vocabulary import Cause, DeliveryState, Priority
from appliance.manage.overview import DestinationUnknownError
from appliance.manage.resending import ResendDesk, ResendEmptyError
from appliance.runtime.page_requests import ResendReply, ResendRequest
from tests.unit.ledger.troubled import Crash, TroubledLedger
from tests.unit.retain.bench import Box
from tests.unit.route.sites import a_destination, a_route, a_site

SITE = a_site(
    routes=[a_route("everything", "the archive")], destinations=[a_destination("the archive", id="archive"), a_destination("reading")]
)
UIDS = ("1.2.3.1", "1.2.3.2", "1.2.3.3")


class Hospital(Box):
    """A box that has received and delivered a study of three."""

    def __init__(self, data: Path) -> None:
        """Start it."""
        super().__init__(data, SITE)
        self.start()
        self.receive_and_route(*UIDS)
        self.deliver(*UIDS)

    def desk(self, *, most: int = 250) -> ResendDesk:
        """Return a desk, as after a restart."""
        return ResendDesk(self.spool, self.ledger, lambda: self.site, self.clock, self._wake, most=most)

    def send_again(self, *to: str, most: int = 250, study: str | None = "1.2.3", uids: tuple[str, ...] = ()) -> ResendReply:
        """Ask for a study, or for instances, to be sent again."""
        return self.desk(most=most).take(ResendRequest(to, "anna", "lost there", study, uids))

    def requests(self) -> list[Row]:
        """Return what was recorded of orders."""
        with self.ledger.read():
            return self.ledger.rows("SELECT verb, who, reason, count FROM request ORDER BY id")


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """Make one."""
    made = Hospital(tmp_path / "data")
    yield made
    made.ledger.let_go()


def test_a_study_is_owed_again(hospital: Hospital) -> None:
    """Each instance to each destination, by one sealed order that says who and why; the sender is woken."""
    woken = hospital.woken

    reply = hospital.send_again("the archive", "reading")

    assert (ResendReply(6, 0), woken + 1) == (reply, hospital.woken)
    (order,) = hospital.incoming("m")
    for uid in UIDS:
        _, again, other = hospital.rows(uid)
        assert [("archive", Cause.RESEND), ("reading", Cause.RESEND)] == [(row.destination_id, row.cause) for row in (again, other)]
        assert (DeliveryState.QUEUED, Priority.ROUTINE, order.object_id) == (again.state, again.priority, again.cause_ref)
    assert [("resend", "anna", "lost there", 6)] == hospital.requests()
    hospital.route()
    assert ([], 1) == (hospital.incoming("m"), len(hospital.stored("m")))


def test_what_is_owed_already_is_left(hospital: Hospital) -> None:
    """Asked twice it is owed once, and nothing is sealed for nothing; delivered, it may be asked for again."""
    first = hospital.send_again("the archive", uids=UIDS[:1], study=None)
    second = hospital.send_again("the archive")
    third = hospital.send_again("the archive")
    hospital.send_all()
    fourth = hospital.send_again("the archive")

    assert [ResendReply(1, 0), ResendReply(2, 1), ResendReply(0, 3), ResendReply(3, 0)] == [first, second, third, fourth]
    assert [1, 2, 3] == [row[3] for row in hospital.requests()]


def test_a_large_study_is_several_orders(hospital: Hospital) -> None:
    """No order holds other writers up for longer than its share takes."""
    assert ResendReply(6, 0) == hospital.send_again("the archive", "reading", most=4)
    assert [4, 2] == [row[3] for row in hospital.requests()]


def test_what_cannot_be_is_said_and_makes_nothing(hospital: Hospital) -> None:
    """Unknown destinations, studies and instances, nothing and nowhere, and texts that nobody can keep."""
    with hospital.ledger.write():
        hospital.ledger.change("UPDATE instance SET state = 'evicted' WHERE sop_instance_uid = ?", (UIDS[0],))
    cases = (
        (ResendRequest(("nowhere",), "anna", "", "1.2.3"), DestinationUnknownError),
        (ResendRequest((), "anna", "", "1.2.3"), ResendEmptyError),
        (ResendRequest(("reading",), "anna", "", "9.9"), StudyMissingError),
        (ResendRequest(("reading",), "anna", ""), ResendEmptyError),
        (ResendRequest(("reading",), "anna", "", None, (UIDS[0], UIDS[1])), ResendEmptyError),
        (ResendRequest(("reading",), "anna", "x" * 201, "1.2.3"), OrderTextError),
        (ResendRequest(("reading",), "an\nna", "", "1.2.3"), OrderTextError),
    )

    for request, error in cases:
        with pytest.raises(error):
            hospital.desk().take(request)

    assert ([], []) == (hospital.requests(), hospital.incoming("m"))


def test_a_study_that_is_gone_is_not_an_unknown_one(hospital: Hospital) -> None:
    """Where the box has no image of it any more, the words say so."""
    with hospital.ledger.write():
        hospital.ledger.change("UPDATE instance SET state = 'evicted'")

    with pytest.raises(ResendEmptyError, match="any more"):
        hospital.send_again("reading")


@pytest.mark.parametrize("trouble", [LedgerStorageError("the disk is full", full=True), Crash()])
def test_an_order_is_followed_once_or_taken_back(hospital: Hospital, trouble: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure takes the sealed order back; a kill leaves it, and the next start follows it, once."""
    monkeypatch.setattr("tests.unit.retain.bench.Ledger", TroubledLedger)
    hospital.die()
    hospital.open()
    assert isinstance(hospital.ledger, TroubledLedger)
    hospital.ledger.trouble = trouble
    with pytest.raises(type(trouble)):
        hospital.send_again("reading")
    hospital.ledger.trouble = None
    waiting = len(hospital.incoming("m"))

    followed = [hospital.desk().recover(), hospital.desk().recover()]

    is_killed = isinstance(trouble, Crash)
    assert (int(is_killed), [int(is_killed), 0]) == (waiting, followed)
    assert [2 if is_killed else 1] * 3 == [len(hospital.rows(uid)) for uid in UIDS]


def test_sender_and_router_follow_their_own(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes deliveries is left by the sender's recovery, and what moves them by the router's, so that none is followed twice."""
    monkeypatch.setattr("tests.unit.retain.bench.Ledger", TroubledLedger)
    hospital.die()
    hospital.open()
    assert isinstance(hospital.ledger, TroubledLedger)
    hospital.ledger.trouble = Crash()
    with pytest.raises(Crash):
        hospital.send_again("reading")
    hospital.ledger.trouble = None

    by_sender = hospital.orders.recover()
    by_router = hospital.desk().recover()

    assert (0, 1) == (by_sender, by_router)


def test_no_reason_in_the_log(hospital: Hospital) -> None:
    """What somebody wrote may name a patient: the log says who, what and how much."""
    with capture_logs() as logs:
        hospital.send_again("reading")

    assert [("order.done", 3)] == [(line["event"], line["moved"]) for line in logs]
    assert not any("lost there" in str(line) for line in logs)


# Rebuilding the ledger


def _states(hospital: Hospital) -> list[list[str]]:
    return [sorted(f"{row.destination_id} {row.cause} {row.state}" for row in hospital.rows(uid)) for uid in UIDS]


def test_a_rebuild_neither_loses_nor_doubles_it(hospital: Hospital) -> None:
    """From a snapshot that does not know the order, and from one that does, each instance is owed to it once."""
    hospital.keeper.round()
    hospital.send_again("reading")
    hospital.route()
    expected = _states(hospital)
    for _ in range(2):
        hospital.lose()
        hospital.start()

        assert expected == _states(hospital)
        assert [["archive route delivered", "reading resend queued"]] * 3 == expected
        hospital.keeper.round()


def test_what_the_snapshot_shows_as_owed_is_sent_once(hospital: Hospital) -> None:
    """Delivered after the snapshot and then sent again, it is owed once, by whichever cause."""
    hospital.receive_and_route("1.2.4.1")
    hospital.keeper.round()
    hospital.deliver("1.2.4.1")
    hospital.send_again("the archive", study=None, uids=("1.2.4.1",))

    hospital.lose()
    hospital.start()

    assert {"1.2.4.1": 1} == hospital.send_all()


def test_later_orders_about_it_are_followed_after_it(hospital: Hospital) -> None:
    """What was sent again and then cancelled stays cancelled."""
    hospital.keeper.round()
    hospital.send_again("reading")
    hospital.order(OrderVerb.CANCEL, selection=Selection(destination_id="reading"))

    hospital.lose()
    hospital.start()

    assert [["archive route delivered", "reading resend cancelled"]] * 3 == _states(hospital)


def test_without_a_snapshot_it_is_held_once(hospital: Hospital) -> None:
    """Nobody knows what was delivered: what a route holds is not held a second time, what only the order asked for is held for a person."""
    hospital.send_again("the archive", "reading")
    hospital.route()

    hospital.lose()
    hospital.start()

    assert [["archive route held", "reading resend held"]] * 3 == _states(hospital)
    assert {} == hospital.send_all()
