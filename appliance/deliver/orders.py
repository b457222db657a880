"""Operators' orders: hold, release, retry and cancel deliveries. Done in the sender, because it alone moves deliveries.

Promises: an order is sealed into the spool before the ledger follows it, and followed in the transaction that records it; when `execute`
returns, both are durable. A sender that was killed between the two follows the order when it starts. An order that was not followed, and
raised, is taken back.
Failures: `OrderEmptyError`, `OrderTextError` (operator); what sealing and the ledger raise. Orders already followed for earlier parts of a
large selection stay.
Limits: a large selection is several orders of `MOST_KEYS` deliveries, each whole or not at all. What becomes owed meanwhile is not
included. What is being sent is skipped and counted: a person's wish waits for the outcome, and is to be said again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.core.errors import ApplianceError, Fault
from appliance.deliver.order_book import EVENTS, OrderBook, moved_by, takes
from appliance.deliver.order_seal import OrderSeal
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries
from appliance.ledger.orders import MOST_KEYS, DeliveryKey, Order, OrderVerb
from appliance.ledger.pauses import Pauses
from appliance.ledger.requests import Requests
from appliance.ledger.selection import Selection, Selections
from appliance.ledger.vocabulary import DeliveryState
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool

log = get_logger(__name__)

# What a page or a list shows of one text (hostile-inputs.md row 49), several times over.
_TEXT_CHARACTERS = 200


class OrderEmptyError(ApplianceError):
    """An order does not say which deliveries."""

    fault = Fault.OPERATOR
    exit_code = 2
    advice = "Name deliveries, a study, a destination, a hold class or a state."


class OrderTextError(ApplianceError):
    """A name or reason in an order cannot be kept."""

    fault = Fault.OPERATOR
    exit_code = 2
    advice = f"Use at most {_TEXT_CHARACTERS} printable characters."


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for; `who` is a user's name."""

    verb: OrderVerb
    selection: Selection
    who: str
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of it: deliveries that were moved, that are being sent just now, and that stood so that there was nothing to do."""

    moved: int = 0
    busy: int = 0
    unchanged: int = 0

    def __add__(self, other: Done) -> Done:
        """Return both together."""
        return Done(self.moved + other.moved, self.busy + other.busy, self.unchanged + other.unchanged)


class Orders:
    """The desk where orders are taken. Threads may share it; one order is done at a time."""

    def __init__(self, spool: Spool, ledger: Ledger, clock: Clock, wake: Callable[[], None], *, most_keys: int = MOST_KEYS) -> None:
        """Seal into `spool`, which needs recipients and private keys; `wake` is called when something may be sent that could not."""
        self._ledger = ledger
        self._clock = clock
        self._wake = wake
        self._most_keys = most_keys
        self._book = OrderBook(spool)
        seals = OrderSeal(spool, ledger)
        self._seal, self._take_back, self._unrecorded = seals.seal, seals.take_back, seals.unrecorded
        self._one_at_a_time = threading.Lock()

    def recover(self) -> int:
        """Follow the orders that a predecessor sealed and did not record; return how many. Before any lane runs.

        Raises `OSError` and what the ledger raises. An order that cannot be opened now is left, and reported.
        """
        with self._one_at_a_time:
            # What makes deliveries is the router's, as all that makes some.
            waiting = [(name, order) for name, order in self._unrecorded() if order.verb in EVENTS]
            for name, order in waiting:
                with self._ledger.write():
                    moved = self._book.follow(self._ledger, name, order)
                log.warning("order.recovered", verb=order.verb, object_id=name.object_id, deliveries=moved)
        return len(waiting)

    def execute(self, wanted: Wanted) -> Done:
        """Do what somebody asks for, and say what became of it."""
        if wanted.selection.is_everything:
            raise OrderEmptyError(f"{wanted.verb} what?")
        check_texts(wanted.who, wanted.reason)
        done = Done()
        with self._one_at_a_time:
            with self._ledger.read():
                # What becomes owed from now on is somebody else's business, and cannot keep this from ending.
                after, upto = 0, Selections(self._ledger).last()
            while after < upto:
                part, after = self._execute_part(wanted, after, upto)
                done += part
        if done.moved and wanted.verb in {OrderVerb.RELEASE, OrderVerb.RETRY, OrderVerb.CANCEL}:
            # A cancelled version lets the later one go.
            self._wake()
        log.info("order.done", verb=wanted.verb, who=wanted.who, moved=done.moved, busy=done.busy, unchanged=done.unchanged)
        return done

    def about_destination(self, verb: OrderVerb, destination_id: str, who: str, reason: str = "", until: float | None = None) -> bool:
        """Pause (hold) or resume (release) a destination; return whether that changed anything."""
        check_texts(who, reason)
        name = None
        with self._one_at_a_time:
            try:
                with self._ledger.write():
                    sequence, at = Requests(self._ledger).next_sequence(), self._clock.now().wall
                    order = Order(verb, who, reason, at, sequence, (), destination_id, until)
                    changed = Pauses(self._ledger).follow(order)
                    name = self._seal(order) if changed else None
                    self._record(order, name)
            except Exception:  # boundary: whatever went wrong, an order that was not followed is taken back; raised again
                if name is not None:
                    self._take_back(name)
                raise
        self._wake()
        log.info("order.done", verb=verb, who=who, destination_id=destination_id, changed=changed)
        return changed

    def _execute_part(self, wanted: Wanted, after: int, upto: int) -> tuple[Done, int]:
        """Seal and follow one order about the next deliveries after a number; return what was done and the number it came to."""
        verb, name = wanted.verb, None
        try:
            # One transaction from looking to following, so that the sealed order names exactly what it moved.
            with self._ledger.write():
                page = Selections(self._ledger).page(wanted.selection, after=after, upto=upto, limit=self._most_keys)
                taken = [chosen for chosen in page if takes(verb, chosen)]
                busy = sum(chosen.state is DeliveryState.SENDING for chosen in page)
                if taken:
                    order = self._order(wanted, [chosen.key for chosen in taken])
                    name = self._seal(order) if verb.is_sealed else None
                    for chosen in taken:
                        Deliveries(self._ledger).settle(chosen.id, moved_by(order, chosen))
                    self._record(order, name)
        except Exception:  # boundary: whatever went wrong, an order that was not followed is taken back; raised again
            if name is not None:
                self._take_back(name)
            raise
        done = Done(len(taken), busy, len(page) - len(taken) - busy)
        return done, page[-1].id if len(page) == self._most_keys else upto

    def _order(self, wanted: Wanted, keys: list[DeliveryKey]) -> Order:
        sequence = Requests(self._ledger).next_sequence()
        return Order(wanted.verb, wanted.who, wanted.reason, self._clock.now().wall, sequence, tuple(keys))

    def _record(self, order: Order, name: SpoolName | None) -> None:
        object_id, spool_name = (None, None) if name is None else (name.object_id, str(name))
        Requests(self._ledger).add(order, count=len(order.keys), object_id=object_id, spool_name=spool_name)


def check_texts(*texts: str) -> None:
    """Raise `OrderTextError` where a name or reason cannot be kept."""
    for text in texts:
        if len(text) > _TEXT_CHARACTERS or not text.isprintable():
            raise OrderTextError("a name or reason is too long, or not printable")
