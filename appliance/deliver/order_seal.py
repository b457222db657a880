"""Orders as objects of the spool: sealed before they are followed, taken back where they are not, and found again after a kill.

Promises: an order that `seal` returns is durable in `incoming/`.
Failures: `seal` raises what sealing raises; `unrecorded` `OSError` and what the ledger raises. An order that cannot be read is reported,
and set apart where no second try helps.
Limits: who follows an order is its verb's matter.
"""

from __future__ import annotations

import contextlib

from appliance.core.identity import Uid
from appliance.deliver.order_book import OrderBook
from appliance.ledger.database import Ledger
from appliance.ledger.orders import ORDER_CLASS_UID, ORDER_SYNTAX_UID, Order, OrderDamagedError, encode_order
from appliance.ledger.requests import Requests
from appliance.runtime.logging import get_logger
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader, ObjectHeaderError
from appliance.spool.store import Spool, SpoolObjectMissingError

log = get_logger(__name__)

_UNREADABLE = (SealDamagedError, SealFormatError, ObjectHeaderError, OrderDamagedError)


class OrderSeal:
    """The orders of one spool, as objects."""

    def __init__(self, spool: Spool, ledger: Ledger) -> None:
        """Seal into `spool`, which needs recipients and private keys; `ledger` knows which orders were followed."""
        self._spool = spool
        self._ledger = ledger
        self._book = OrderBook(spool)

    def seal(self, order: Order) -> SpoolName:
        """Return the name of the order's object, durable in `incoming/`."""
        header = ObjectHeader(
            sop_class_uid=ORDER_CLASS_UID,
            sop_instance_uid=Uid(""),
            transfer_syntax_uid=ORDER_SYNTAX_UID,
            calling_title="",
            called_title="",
            peer_address="",
            reception_id="",
            received_at=order.at,
            kind="message",
        )
        with self._spool.admit(header) as admission:
            admission.write(encode_order(order))
            return admission.commit()

    def take_back(self, name: SpoolName) -> None:
        """Remove an order that the ledger did not follow; where that fails it is followed at the next start."""
        try:
            self._spool.remove(name)
        except OSError as error:
            log.error("order.not_taken_back", object_id=name.object_id, number=error.errno)  # noqa: TRY400 (what failed first is raised)

    def unrecorded(self) -> list[tuple[SpoolName, Order]]:
        """Return the orders in `incoming/` that were not followed, in the order in which they were given."""
        names = [name for name in self._spool.incoming() if name.kind == "m"]
        if not names:
            return []
        # Whoever sealed them may have been killed before the folder was synced.
        self._spool.sync_incoming()
        with self._ledger.read():
            recorded = Requests(self._ledger).recorded([name.object_id for name in names])
        found = [(name, order) for name in names if name.object_id not in recorded and (order := self._read(name)) is not None]
        return sorted(found, key=lambda one: (one[1].sequence, one[0]))

    def _read(self, name: SpoolName) -> Order | None:
        try:
            return self._book.read(name)
        except _UNREADABLE as error:
            log.error("order.damaged", object_id=name.object_id, error=type(error).__name__)  # noqa: TRY400 (where says nothing)
            # Router and sender may both come across it.
            with contextlib.suppress(SpoolObjectMissingError):
                self._spool.quarantine(name, type(error).__name__)
        except (SealForeignError, SpoolObjectMissingError) as error:
            log.error("order.unreadable", object_id=name.object_id, error=type(error).__name__)  # noqa: TRY400 (as above)
        return None
