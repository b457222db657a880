"""Sending again: a study, or some instances, to destinations that somebody names. Done in the router, because it makes what is owed.

Promises: the order is sealed into the spool before it is followed, and followed in the transaction that records it, so that a ledger that
is rebuilt neither loses nor doubles it (decision 0014). What a destination is owed already is not owed twice.
Failures: `DestinationUnknownError`, `StudyMissingError`, `ResendEmptyError`, `OrderTextError` (operator); what sealing and the ledger
raise. What earlier parts of a large study made stays then.
Limits: a large study is several orders of `MOST_KEYS` deliveries, each whole or not at all. Only the newest version of an instance is sent,
and only while the box has its object.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from appliance.config.model import Site
from appliance.core.errors import ApplianceError, Fault
from appliance.deliver.order_book import OrderBook
from appliance.deliver.order_seal import OrderSeal
from appliance.deliver.orders import check_texts
from appliance.ledger.database import Ledger
from appliance.ledger.orders import MOST_KEYS, DeliveryKey, Order, OrderVerb
from appliance.ledger.requests import Requests
from appliance.ledger.resends import Resends, Sendable
from appliance.ledger.study_search import StudySearch
from appliance.ledger.vocabulary import Cause
from appliance.manage.overview import DestinationUnknownError
from appliance.runtime.clock import Clock
from appliance.runtime.control import Handler
from appliance.runtime.logging import get_logger
from appliance.runtime.page_requests import ResendReply, ResendRequest
from appliance.spool.store import Spool

log = get_logger(__name__)


class ResendEmptyError(ApplianceError):
    """There is nothing to send again, or nowhere to send it."""

    fault = Fault.OPERATOR
    advice = "Name a study that is in the box and at least one destination; what was removed from the box must come from the scanner again."


class ResendDesk:
    """Takes requests to send again. Threads may share it; one is done at a time."""

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        site: Callable[[], Site],
        clock: Clock,
        wake_sender: Callable[[], None],
        *,
        most: int = MOST_KEYS,
    ) -> None:
        """Seal into `spool`, which needs recipients and private keys; `wake_sender` is called when something new is owed."""
        self._ledger = ledger
        self._site = site
        self._clock = clock
        self._wake_sender = wake_sender
        self._most = most
        self._book = OrderBook(spool)
        self._seals = OrderSeal(spool, ledger)
        self._resends = Resends(ledger)
        self._one_at_a_time = threading.Lock()

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {ResendRequest: self.take}

    def recover(self) -> int:
        """Follow what a predecessor sealed and did not record; return how many orders. Raises `OSError` and what the ledger raises."""
        with self._one_at_a_time:
            waiting = [(name, order) for name, order in self._seals.unrecorded() if order.verb is OrderVerb.RESEND]
            for name, order in waiting:
                with self._ledger.write():
                    made = self._book.follow(self._ledger, name, order)
                log.warning("order.recovered", verb=order.verb, object_id=name.object_id, deliveries=made)
        return len(waiting)

    def take(self, request: ResendRequest) -> ResendReply:
        """Owe again what was asked for, and say how much that is."""
        check_texts(request.who, request.reason)
        destination_ids = self._ids_of(request.destinations)
        try:
            with self._one_at_a_time:
                return self._send_again(request, destination_ids)
        finally:
            # The thread ends with this answer; its connection must not outlive it.
            self._ledger.close()

    def _send_again(self, request: ResendRequest, destination_ids: Sequence[str]) -> ResendReply:
        with self._ledger.read():
            wanted = self._wanted(request)
        pairs = ((instance, destination_id) for destination_id in destination_ids for instance in wanted)
        made = unchanged = 0
        while page := list(islice(pairs, self._most)):
            added = self._owe(request, page)
            made, unchanged = made + added, unchanged + len(page) - added
        if made:
            self._wake_sender()
        log.info("order.done", verb=OrderVerb.RESEND, who=request.who, moved=made, unchanged=unchanged)
        return ResendReply(made, unchanged)

    def _wanted(self, request: ResendRequest) -> list[Sendable]:
        if request.study_instance_uid is not None:
            wanted = self._resends.of_study(request.study_instance_uid)
            if not wanted:
                # Raises for a study that never was; one that was is no longer kept.
                StudySearch(self._ledger).get(request.study_instance_uid)
                raise ResendEmptyError("the box has no image of this study any more")
        elif request.sop_instance_uids:
            wanted = self._resends.of_instances(request.sop_instance_uids)
            missing = len(set(request.sop_instance_uids)) - len(wanted)
            if missing:
                raise ResendEmptyError(f"{missing} of the images named are not in the box")
        else:
            raise ResendEmptyError("send what again?")
        return wanted

    def _owe(self, request: ResendRequest, page: Iterable[tuple[Sendable, str]]) -> int:
        """Seal and follow one order about what of a page is not owed already; return how many deliveries it made."""
        name = None
        try:
            # One transaction from looking to following, so that the sealed order names exactly what it made.
            with self._ledger.write():
                keys = tuple(
                    DeliveryKey(instance.object_id, destination_id, Cause.RESEND)
                    for instance, destination_id in page
                    if not self._resends.is_owed(instance.id, destination_id)
                )
                if not keys:
                    return 0
                sequence = Requests(self._ledger).next_sequence()
                order = Order(OrderVerb.RESEND, request.who, request.reason, self._clock.now().wall, sequence, keys)
                name = self._seals.seal(order)
                return self._book.follow(self._ledger, name, order)
        except Exception:  # boundary: whatever went wrong, an order that was not followed is taken back; raised again
            if name is not None:
                self._seals.take_back(name)
            raise

    def _ids_of(self, names: Sequence[str]) -> list[str]:
        """Return the ids of destinations in force, each once. Raises `DestinationUnknownError`, `ResendEmptyError`."""
        known = {destination.name: destination.id for destination in self._site().destinations}
        for name in names:
            if name not in known:
                raise DestinationUnknownError(f"there is no destination {name!r}", advice=f"Destinations are: {', '.join(known)}.")
        if not names:
            raise ResendEmptyError("send it where?")
        return [known[name] for name in dict.fromkeys(names)]
