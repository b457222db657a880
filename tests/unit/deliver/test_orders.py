"""Operators' orders on a real spool and ledger: sealed first, followed once, whatever is killed in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.core.identity import Uid
from appliance.deliver.order_book import EVENTS, TAKES, OrderBook
from appliance.deliver.orders import Done, OrderEmptyError, Orders, OrderTextError, Wanted
from appliance.deliver.states import TRANSITIONS
from appliance.keys.derive import Label, derive
from appliance.keys.generations import RememberedRecipients, ensure_keys, unlock
from appliance.keys.root import create_root
from appliance.ledger.database import Row
from appliance.ledger.deliveries import Deliveries, Moved
from appliance.ledger.faults import LedgerStorageError
from appliance.ledger.orders import ORDER_CLASS_UID, ORDER_SYNTAX_UID, DeliveryKey, Order, OrderVerb
from appliance.ledger.selection import Selection
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass
from appliance.spool.admission import SpoolWriteError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from appliance.spool.store import Admission, Spool
from tests.fakes.clock import FakeClock
from tests.unit.deliver.bench import Books
from tests.unit.ledger.troubled import Crash, TroubledLedger

HOLD, RELEASE, RETRY, CANCEL = OrderVerb.HOLD, OrderVerb.RELEASE, OrderVerb.RETRY, OrderVerb.CANCEL
PLANTED = "PLANTEDREASON of a patient"


class Desk:
    """Orders on a spool and a ledger of their own."""

    def __init__(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make keys, spool and ledger."""
        self.data = data
        root = create_root(data)
        ensure_keys(data, root)
        self.spool = Spool(
            data, recipients=RememberedRecipients(data), digest_key=derive(root.material, Label.DIGEST), identities=unlock(data, root)
        )
        self.spool.prepare()
        monkeypatch.setattr("tests.unit.deliver.bench.Ledger", TroubledLedger)
        self.books = Books(data)
        assert isinstance(self.books.ledger, TroubledLedger)
        self.ledger = self.books.ledger
        self.clock = FakeClock()
        self.woken = 0
        self.orders = self.again()

    def again(self, *, most_keys: int = 250) -> Orders:
        """Return a new desk, as after a restart."""
        return Orders(self.spool, self.ledger, self.clock, self._wake, most_keys=most_keys)

    def give(self, verb: OrderVerb, selection: Selection, *, who: str = "anna", reason: str = "") -> Done:
        """Give an order, a second after the last."""
        self.clock.advance(1.0)
        return self.orders.execute(Wanted(verb, selection, who, reason))

    def put(self, uid: str, state: DeliveryState, hold_class: HoldClass | None = None) -> None:
        """Let a delivery stand somewhere."""
        with self.ledger.write():
            if state is DeliveryState.SENDING:
                assert Deliveries(self.ledger).claim("archive", owner="run-1") is not None
                return
            due = self.clock.now().after(60.0)
            moved = Moved(state, hold_class=hold_class, due=due, reason="said by the archive")
            Deliveries(self.ledger).settle(self._id(uid), moved)

    def stands(self, uid: str) -> str:
        """Return where a delivery stands."""
        row = self.books.row(uid)
        return f"{row.state} {row.hold_class}" if row.hold_class else str(row.state)

    def sealed(self) -> list[Order]:
        """Return the orders that wait, opened."""
        opened = [OrderBook(self.spool).read(name) for name in self.spool.incoming() if name.kind == "m"]
        return [order for order in opened if order is not None]

    def requests(self) -> list[Row]:
        """Return what is recorded: verb, count, and whether it was sealed."""
        with self.ledger.read():
            return self.ledger.rows("SELECT verb, count, object_id IS NOT NULL FROM request ORDER BY id")

    def _id(self, uid: str) -> int:
        return int(
            self.ledger.rows("SELECT d.id FROM delivery d JOIN instance i ON i.id = d.instance_id WHERE i.sop_instance_uid = ?", (uid,))[0][
                0
            ]
        )

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Make a desk with a ledger of its own."""
    made = Desk(tmp_path, monkeypatch)
    yield made
    made.ledger.let_go()


ARCHIVE = Selection(destination_id="archive")

STANDS = {
    "queued": (DeliveryState.QUEUED, None),
    "deferred": (DeliveryState.DEFERRED, None),
    "held verdict": (DeliveryState.HELD, HoldClass.VERDICT),
    "held configuration": (DeliveryState.HELD, HoldClass.CONFIGURATION),
    "held person": (DeliveryState.HELD, HoldClass.PERSON),
    "held rebuilt": (DeliveryState.HELD, HoldClass.REBUILT),
}


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        (HOLD, ["held person"] * 6),
        (RELEASE, ["queued", "deferred", "queued", "queued", "queued", "queued"]),
        (RETRY, ["queued", "queued", "queued", "queued", "held person", "held rebuilt"]),
        (CANCEL, ["cancelled"] * 6),
    ],
)
def test_what_each_verb_does(desk: Desk, verb: OrderVerb, expected: list[str]) -> None:
    """Each verb moves what it is meant for, wherever that stands, and leaves the rest."""
    uids = desk.books.owe(count=len(STANDS))
    for uid, (state, hold_class) in zip(uids, STANDS.values(), strict=True):
        desk.put(uid, state, hold_class)

    done = desk.give(verb, ARCHIVE)

    assert [desk.stands(uid) for uid in uids] == expected
    changed = sum(before != after for before, after in zip(STANDS, expected, strict=True))
    assert done == Done(moved=changed, unchanged=len(STANDS) - changed)


def test_every_move_is_in_the_table() -> None:
    """What a verb takes is a state from which its event leads somewhere."""
    missing = [(verb, state) for verb, places in TAKES.items() for state, _ in places if (state, EVENTS[verb]) not in TRANSITIONS]

    assert missing == []


def test_what_is_being_sent_is_busy(desk: Desk) -> None:
    """A delivery that a lane has is skipped and counted; the others are moved."""
    uids = desk.books.owe(count=3)
    desk.put(uids[0], DeliveryState.SENDING)

    done = desk.give(CANCEL, ARCHIVE)

    assert done == Done(moved=2, busy=1)
    assert [desk.stands(uid) for uid in uids] == ["sending", "cancelled", "cancelled"]
    assert [len(order.keys) for order in desk.sealed()] == [2]


def test_an_order_is_sealed_and_recorded(desk: Desk) -> None:
    """The sealed order says who, what and why, about exactly what it moved, and the ledger says that it was followed."""
    uids = desk.books.owe(count=2)
    desk.put(uids[1], DeliveryState.HELD, HoldClass.PERSON)

    desk.give(HOLD, ARCHIVE, reason="wait for the physicist")

    (order,) = desk.sealed()
    assert (order.verb, order.who, order.reason, order.at) == (HOLD, "anna", "wait for the physicist", desk.clock.now().wall)
    assert [(key.object_id, key.destination_id, key.cause_ref) for key in order.keys] == [(f"{1:032x}", "archive", "r")]
    assert desk.requests() == [("hold", 1, 1)]
    assert desk.books.row(uids[0]).reason == "held by anna: wait for the physicist"


def test_the_sealed_order_says_what_it_is(desk: Desk) -> None:
    """The object is a message of the class of orders, of which nothing is in the clear."""
    desk.books.owe()
    desk.give(HOLD, ARCHIVE, reason=PLANTED)

    (name,) = desk.spool.incoming()
    with desk.spool.open(name) as sealed:
        header = sealed.header

    assert (name.kind, header.kind, header.sop_class_uid) == ("m", "message", ORDER_CLASS_UID)
    assert b"PLANTED" not in (desk.data / "spool" / "incoming" / str(name)).read_bytes()


def test_what_a_person_wrote_is_not_logged(desk: Desk) -> None:
    """The reason of an order is in no log event."""
    desk.books.owe()

    with capture_logs() as logs:
        desk.give(HOLD, ARCHIVE, reason=PLANTED)

    assert [line["event"] for line in logs] == ["order.done"]
    assert "PLANTED" not in str(logs)


def test_a_retry_is_not_sealed(desk: Desk) -> None:
    """What a lost ledger may forget without harm costs no object, and is recorded all the same."""
    (uid,) = desk.books.owe()
    desk.put(uid, DeliveryState.DEFERRED)

    desk.give(RETRY, ARCHIVE)

    assert desk.spool.incoming() == []
    assert desk.requests() == [("retry", 1, 0)]
    assert (desk.books.row(uid).reason, desk.woken) == ("said by the archive", 1)


def test_an_order_about_nothing_leaves_nothing(desk: Desk) -> None:
    """An order that moves nothing seals nothing and records nothing."""
    desk.books.owe()

    done = desk.give(RELEASE, ARCHIVE)

    assert (done, desk.spool.incoming(), desk.requests(), desk.woken) == (Done(unchanged=1), [], [], 0)


def test_a_released_delivery_loses_the_person_reason(desk: Desk) -> None:
    """What a person said is over when a person releases; what the archive said is still the last that is known."""
    held, refused = desk.books.owe(count=2)
    desk.give(HOLD, Selection(ids=(desk.books.row(held).id,)))
    desk.put(refused, DeliveryState.HELD, HoldClass.VERDICT)

    desk.give(RELEASE, ARCHIVE)

    assert [desk.books.row(uid).reason for uid in (held, refused)] == ["", "said by the archive"]


def test_a_large_selection_is_several_orders(desk: Desk) -> None:
    """More than an order holds is several orders, each sealed and recorded, and everything is moved once."""
    uids = desk.books.owe(count=7)
    desk.orders = desk.again(most_keys=3)

    done = desk.give(CANCEL, ARCHIVE)

    assert done == Done(moved=7)
    assert [len(order.keys) for order in desk.sealed()] == [3, 3, 1]
    assert [order.sequence for order in desk.sealed()] == [1, 2, 3]
    assert {desk.stands(uid) for uid in uids} == {"cancelled"}


def test_everything_must_be_said(desk: Desk) -> None:
    """An order without any condition is a mistake, and touches nothing."""
    (uid,) = desk.books.owe()

    with pytest.raises(OrderEmptyError) as caught:
        desk.give(CANCEL, Selection())

    assert caught.value.exit_code == 2
    assert desk.stands(uid) == "queued"


@pytest.mark.parametrize("text", ["x" * 201, "two\nlines", "bell\a", "\u202egnp"])
def test_texts_are_short_and_printable(desk: Desk, text: str) -> None:
    """A reason or name that would upset a list is refused before anything is done."""
    desk.books.owe()

    with pytest.raises(OrderTextError):
        desk.give(CANCEL, ARCHIVE, reason=text)
    with pytest.raises(OrderTextError):
        desk.give(CANCEL, ARCHIVE, who=text)

    assert desk.requests() == []


def test_killed_between_seal_and_ledger(desk: Desk) -> None:
    """An order that was sealed and not recorded is followed at the next start, and only once."""
    uids = desk.books.owe(count=2)
    desk.ledger.trouble = Crash()
    with pytest.raises(Crash):
        desk.give(CANCEL, ARCHIVE)
    before = [desk.stands(uid) for uid in uids], len(desk.sealed()), desk.requests()
    desk.ledger.trouble = None

    followed = [desk.again().recover(), desk.again().recover()]

    assert before == (["queued", "queued"], 1, [])
    assert [desk.stands(uid) for uid in uids] == ["cancelled", "cancelled"]
    assert (followed, desk.requests()) == ([1, 0], [("cancel", 2, 1)])


def test_recovered_orders_leave_what_moved_on(desk: Desk) -> None:
    """An order that is followed late does nothing to what was delivered meanwhile."""
    uids = desk.books.owe(count=2)
    desk.ledger.trouble = Crash()
    with pytest.raises(Crash):
        desk.give(CANCEL, ARCHIVE)
    desk.ledger.trouble = None
    desk.put(uids[0], DeliveryState.DELIVERED)

    desk.again().recover()

    assert [desk.stands(uid) for uid in uids] == ["delivered", "cancelled"]


def test_orders_are_recovered_in_the_order_given(desk: Desk) -> None:
    """Hold and then release ends released, though the clock stepped back between the two."""
    (uid,) = desk.books.owe()
    seal, key = desk.orders._seal, DeliveryKey(f"{1:032x}", "archive", Cause.ROUTE, "r")
    desk.clock.advance(1000.0)
    seal(Order(HOLD, "anna", "", desk.clock.now().wall, 1, (key,)))
    desk.clock.jump_wall(-5000.0)
    seal(Order(RELEASE, "anna", "", desk.clock.now().wall, 2, (key,)))

    desk.again().recover()

    assert desk.stands(uid) == "queued"
    assert [row[0] for row in desk.requests()] == ["hold", "release"]


def test_a_ledger_that_refuses_takes_the_order_back(desk: Desk) -> None:
    """When the ledger cannot follow an order, it is not given: nothing moves, nothing stays in the spool."""
    (uid,) = desk.books.owe()
    desk.ledger.trouble = LedgerStorageError("no space is left for the ledger", full=True)

    with pytest.raises(LedgerStorageError):
        desk.give(CANCEL, ARCHIVE)

    desk.ledger.trouble = None
    assert (desk.stands(uid), desk.spool.incoming(), desk.again().recover()) == ("queued", [], 0)


def test_a_spool_that_refuses_moves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an order cannot be sealed, the ledger does not follow it."""
    (uid,) = desk.books.owe()

    def refuse(_self: Admission) -> SpoolName:
        raise SpoolWriteError(OSError(28, "no space"))

    monkeypatch.setattr(Admission, "commit", refuse)
    with pytest.raises(SpoolWriteError):
        desk.give(CANCEL, ARCHIVE)

    assert (desk.stands(uid), desk.requests()) == ("queued", [])


def test_a_cancelled_version_lets_the_next_one_go(desk: Desk) -> None:
    """The sender is woken when something may be sent that could not, and not for a hold."""
    desk.books.owe(count=2)

    desk.give(HOLD, ARCHIVE)
    after_hold = desk.woken
    desk.give(RELEASE, ARCHIVE)
    after_release = desk.woken
    desk.give(CANCEL, ARCHIVE)

    assert (after_hold, after_release, desk.woken) == (0, 1, 2)


def _seal(desk: Desk, sop_class: Uid, content: bytes) -> SpoolName:
    header = ObjectHeader(
        sop_class_uid=sop_class,
        sop_instance_uid=Uid(""),
        transfer_syntax_uid=ORDER_SYNTAX_UID,
        calling_title="",
        called_title="",
        peer_address="",
        reception_id="",
        received_at=desk.clock.now().wall,
        kind="message",
    )
    with desk.spool.admit(header) as admission:
        admission.write(content)
        return admission.commit()


def test_other_messages_are_left_alone(desk: Desk) -> None:
    """A message that is no order is not the orders' business."""
    name = _seal(desk, Uid("1.2.840.10008.1.20.1"), b"anything")

    assert desk.again().recover() == 0
    assert desk.spool.incoming() == [name]


@pytest.mark.parametrize("content", [b"no order", b"x" * (1 << 21)])
def test_a_damaged_order_is_set_apart(desk: Desk, content: bytes) -> None:
    """An order that cannot be understood goes to quarantine, and stops neither the start nor the next order."""
    _seal(desk, ORDER_CLASS_UID, content)
    (uid,) = desk.books.owe()
    desk.ledger.trouble = Crash()
    with pytest.raises(Crash):
        desk.give(CANCEL, ARCHIVE)
    desk.ledger.trouble = None

    with capture_logs() as logs:
        followed = desk.again().recover()

    assert (followed, desk.stands(uid), desk.spool.quarantined()) == (1, "cancelled", 1)
    assert logs[0]["event"] == "order.damaged"


def test_an_order_of_a_lost_key_is_left(desk: Desk) -> None:
    """An order that no key opens stays where it is, for when the key is put back."""
    _seal(desk, ORDER_CLASS_UID, b"whatever")
    desk.spool._identities = {}

    with capture_logs() as logs:
        followed = desk.again().recover()

    assert (followed, len(desk.spool.incoming())) == (0, 1)
    assert [line["event"] for line in logs] == ["order.unreadable"]
