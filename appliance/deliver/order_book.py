"""What an order makes of deliveries, and the sealed orders that are in the spool.

Promises: a delivery is moved only along `states.TRANSITIONS`; an order is followed once, in the transaction that records it.
Failures: `read` raises what opening a sealed object raises, and `OrderDamagedError`; the others what the ledger raises.
Limits: what is being sent is left to its lane. `retain/rebuild` gets a book injected, because siblings never import each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from appliance.deliver.states import Event, move
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries, Moved
from appliance.ledger.orders import MAX_ORDER_BYTES, ORDER_CLASS_UID, Order, OrderDamagedError, OrderVerb, decode_order
from appliance.ledger.pauses import Pauses
from appliance.ledger.requests import Requests
from appliance.ledger.resends import Resends
from appliance.ledger.selection import Chosen, Selections
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool

EVENTS: Mapping[OrderVerb, Event] = MappingProxyType(
    {
        OrderVerb.HOLD: Event.HELD_BY_PERSON,
        OrderVerb.RELEASE: Event.RELEASED,
        OrderVerb.RETRY: Event.RELEASED,
        OrderVerb.CANCEL: Event.CANCELLED,
    }
)
"""What each verb does to a delivery that it takes; one that is not here makes deliveries (`ledger.resends`)."""

_Where = frozenset[tuple[DeliveryState, HoldClass | None]]

_WAITING: _Where = frozenset({(DeliveryState.QUEUED, None), (DeliveryState.DEFERRED, None)})
_HELD: _Where = frozenset((DeliveryState.HELD, hold_class) for hold_class in HoldClass)
_HELD_BY_PERSON: _Where = frozenset({(DeliveryState.HELD, HoldClass.PERSON)})
_HELD_AS_REBUILT: _Where = frozenset({(DeliveryState.HELD, HoldClass.REBUILT)})

TAKES: Mapping[OrderVerb, _Where] = MappingProxyType(
    {
        OrderVerb.HOLD: _WAITING | _HELD - _HELD_BY_PERSON,
        OrderVerb.RELEASE: _HELD,
        # What a person holds, and what nobody knows about, is not for a word as light as this.
        OrderVerb.RETRY: frozenset({(DeliveryState.DEFERRED, None)}) | _HELD - _HELD_BY_PERSON - _HELD_AS_REBUILT,
        OrderVerb.CANCEL: _WAITING | _HELD,
    }
)
"""Where a delivery may stand for each verb to change anything about it."""

_DONE: Mapping[OrderVerb, str] = MappingProxyType({OrderVerb.HOLD: "held", OrderVerb.CANCEL: "cancelled"})
_SENT_AGAIN = "sent again by {} before the ledger was rebuilt"
_OBJECT_GONE = "the ledger was rebuilt, and the object is no longer in the spool"


class OrderBook:
    """The orders of one spool."""

    def __init__(self, spool: Spool) -> None:
        """Read from `spool`, which needs the private keys."""
        self._spool = spool

    def read(self, name: SpoolName) -> Order | None:
        """Return the order in a message object, None when the message is none."""
        with self._spool.open(name) as sealed:
            if sealed.header.sop_class_uid != ORDER_CLASS_UID:
                return None
            if sealed.length > MAX_ORDER_BYTES:
                raise OrderDamagedError("a sealed order is too long")
            return decode_order(sealed.read(sealed.length))

    def follow(self, ledger: Ledger, name: SpoolName, order: Order) -> int:
        """Do what a sealed order says and record it, inside `write()`; return how many deliveries it moved."""
        if order.verb is OrderVerb.RESEND:
            moved = Resends(ledger).follow(order, name.object_id)
        else:
            moved = sum(_act(ledger, chosen, order) for key in order.keys for chosen in Selections(ledger).find(key))
        if order.destination_id:
            Pauses(ledger).follow(order)
        Requests(ledger).add(order, count=moved, object_id=name.object_id, spool_name=str(name))
        return moved

    def replay(self, ledger: Ledger, name: SpoolName, order: Order) -> int:
        """Do what a sealed order says in a ledger that was made anew, where everything is held as rebuilt; else as `follow`.

        Nobody knows what was delivered after a release, so that it ends a person's hold and no more: an archive would be flooded with what
        it has. Such a ledger does not know which cause's delivery was owed then: the order is about all of the same bytes to the same
        destination, except what a later reception asked for. What was sent again is held too, once, where nothing else is held for it.
        """
        moved = 0
        if order.verb is OrderVerb.RESEND:
            moved = Resends(ledger).follow(order, name.object_id, held=_SENT_AGAIN.format(order.who))
        for key in order.keys if order.verb in EVENTS else ():
            for chosen in Selections(ledger).find(key, made_before=name.object_id):
                if order.verb is OrderVerb.RELEASE:
                    moved += _hold_again(ledger, chosen, order)
                else:
                    moved += _act(ledger, chosen, order)
        if order.destination_id:
            Pauses(ledger).follow(order)
        Requests(ledger).add(order, count=moved, object_id=name.object_id, spool_name=str(name))
        return moved

    def object_gone(self, ledger: Ledger, instance_id: int, at: float) -> int:
        """Hold what is still owed of an instance without an object, inside `write()`; return how many deliveries that is."""
        deliveries = Deliveries(ledger)
        rows = [row for row in deliveries.unfinished(instance_id) if row.state is not DeliveryState.HELD]
        for row in rows:
            after = move(row.state, Event.UNUSABLE)
            deliveries.settle(row.id, Moved(after, hold_class=HoldClass.REBUILT, reason=_OBJECT_GONE, at=at))
        return len(rows)


def takes(verb: OrderVerb, chosen: Chosen) -> bool:
    """Say whether an order changes anything about a delivery that stands where this one does."""
    return (chosen.state, chosen.hold_class) in TAKES[verb]


def moved_by(order: Order, chosen: Chosen) -> Moved:
    """Return what an order makes of a delivery that it takes. Raises `DeliveryMoveError` for one that it does not."""
    after = move(chosen.state, EVENTS[order.verb])
    hold_class = HoldClass.PERSON if after is DeliveryState.HELD else None
    return Moved(after, hold_class=hold_class, reason=_reason(order, chosen), at=order.at)


def _act(ledger: Ledger, chosen: Chosen, order: Order) -> bool:
    if not takes(order.verb, chosen):
        return False
    return Deliveries(ledger).settle(chosen.id, moved_by(order, chosen))


def _hold_again(ledger: Ledger, chosen: Chosen, order: Order) -> bool:
    if (chosen.state, chosen.hold_class) not in _HELD_BY_PERSON:
        return False
    reason = f"released by {order.who} before the ledger was rebuilt"
    return Deliveries(ledger).settle(chosen.id, Moved(DeliveryState.HELD, hold_class=HoldClass.REBUILT, reason=reason))


def _reason(order: Order, chosen: Chosen) -> str | None:
    if order.verb in _DONE:
        done = f"{_DONE[order.verb]} by {order.who}"
        return f"{done}: {order.reason}" if order.reason else done
    # What a destination said is still the last that is known of it; what a person said is over.
    return "" if (chosen.state, chosen.hold_class) in _HELD_BY_PERSON | _HELD_AS_REBUILT else None
