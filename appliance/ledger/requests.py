"""What operators asked of the box, as it was done.

Promises: a sealed order is recorded once, by the id of its object, in the transaction that follows it: recorded means followed.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: which deliveries an order named stands in the sealed object only.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from appliance.ledger.database import Ledger
from appliance.ledger.orders import Order

_ADD = """
    INSERT INTO request (sequence, object_id, spool_name, verb, who, reason, count, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


class Requests:
    """The repository of requests."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def add(self, order: Order, *, count: int, object_id: str | None = None, spool_name: str | None = None) -> None:
        """Record that `order` was followed and moved `count` deliveries; `object_id` and `spool_name` are those of its sealed object."""
        self._ledger.change(_ADD, (order.sequence, object_id, spool_name, order.verb.value, order.who, order.reason, count, order.at))

    def recorded(self, object_ids: Collection[str]) -> set[str]:
        """Return those of the object ids that are recorded."""
        rows = self._ledger.rows(
            "SELECT object_id FROM request WHERE object_id IN (SELECT value FROM json_each(?))", (json.dumps(list(object_ids)),)
        )
        return {object_id for (object_id,) in rows}

    def next_sequence(self) -> int:
        """Return the number that comes after those of all requests."""
        return int(self._ledger.rows("SELECT coalesce(max(sequence), 0) FROM request")[0][0]) + 1
