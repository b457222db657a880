"""Orders as a person gives them: by names and words, checked, then handed to the desk that follows them.

Promises: a word that is none, or a destination that is not configured, moves nothing.
Failures: `OrderWordError`, `DestinationUnknownError` (operator); those of `deliver.orders`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from appliance.config.model import Site
from appliance.core.errors import ApplianceError, Fault
from appliance.deliver.order_book import EVENTS
from appliance.deliver.orders import Orders, Wanted
from appliance.ledger.database import Ledger
from appliance.ledger.destinations import DestinationStates
from appliance.ledger.orders import OrderVerb
from appliance.ledger.selection import Selection
from appliance.ledger.vocabulary import UNFINISHED, DeliveryState, HoldClass
from appliance.manage.overview import DestinationUnknownError
from appliance.runtime.control import Handler
from appliance.runtime.requests import OrderReply, OrderRequest, PauseReply, PauseRequest

Word = TypeVar("Word", bound=StrEnum)


class OrderWordError(ApplianceError):
    """An order uses a word that the box does not know."""

    fault = Fault.OPERATOR
    exit_code = 2


class OrderDesk:
    """Takes requests for the sender's `Orders`."""

    def __init__(self, orders: Orders, ledger: Ledger, site: Callable[[], Site]) -> None:
        """Hand on to `orders`, which work in `ledger`; `site` names the destinations."""
        self._orders = orders
        self._ledger = ledger
        self._site = site

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {OrderRequest: self.take, PauseRequest: self.pause}

    def take(self, request: OrderRequest) -> OrderReply:
        """Do what was asked for and say what became of it."""
        selection = Selection(
            ids=request.ids,
            study_instance_uid=request.study_instance_uid,
            destination_id=None if request.destination is None else self._id_of(request.destination),
            hold_class=None if request.hold_class is None else _word(HoldClass, request.hold_class, "hold class", HoldClass),
            state=None if request.state is None else _word(DeliveryState, request.state, "state of what is owed", UNFINISHED),
            sop_class_uid=request.sop_class_uid,
        )
        verb = _word(OrderVerb, request.verb, "order", EVENTS)
        try:
            done = self._orders.execute(Wanted(verb, selection, request.who, request.reason))
        finally:
            # The thread ends with this answer; its connection must not outlive it.
            self._ledger.close()
        return OrderReply(done.moved, done.busy, done.unchanged)

    def pause(self, request: PauseRequest) -> PauseReply:
        """Pause or resume a destination."""
        destination_id = self._id_of(request.destination)
        verb = OrderVerb.RELEASE if request.resume else OrderVerb.HOLD
        try:
            return PauseReply(self._orders.about_destination(verb, destination_id, request.who, request.reason, request.until))
        finally:
            # The thread ends with this answer; its connection must not outlive it.
            self._ledger.close()

    def _id_of(self, name: str) -> str:
        destinations = self._site().destinations
        for destination in destinations:
            if name in {destination.name, destination.id}:
                return destination.id
        if _is_remembered(self._ledger, name):
            # It was removed from the configuration; what is owed to it is held, and somebody may give it up.
            return name
        known = ", ".join(destination.name for destination in destinations)
        raise DestinationUnknownError(f"there is no destination {name!r}", advice=f"Destinations are: {known}.")


def _is_remembered(ledger: Ledger, destination_id: str) -> bool:
    try:
        with ledger.read():
            return DestinationStates(ledger).get(destination_id) is not None
    finally:
        # The thread ends with its answer; its connection must not outlive it.
        ledger.close()


def _word(kind: type[Word], text: str, what: str, known: object) -> Word:
    words = sorted(known)  # type: ignore[call-overload]
    if text not in words:
        raise OrderWordError(f"{text!r} is no {what}", advice=f"Say one of: {', '.join(words)}.")
    return kind(text)
