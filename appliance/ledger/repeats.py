"""Objects that hold the bytes of a recorded instance once more, and asked for deliveries of it.

What is sent is the instance's own object. A repeat is kept because it says what was asked for: the ledger is an index of the spool (P2),
and one that is rebuilt without knowing the repeat records it again.

Promises: `add` and what the repeat asked for belong into one transaction.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: `finished` walks over the repeats that are not, as far as it looks. Repeats are not counted among the bytes that the store holds.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from appliance.ledger.database import Ledger

_ADD = "INSERT INTO repeat (object_id, spool_name, instance_id) VALUES (?, ?, ?)"

# The plus keeps SQLite from walking over everything that is owed; an instance has few deliveries.
_FINISHED = """
    SELECT r.object_id, r.spool_name FROM repeat r
    WHERE NOT EXISTS (
        SELECT 1 FROM delivery d WHERE d.instance_id = r.instance_id AND +d.state IN ('queued', 'sending', 'deferred', 'held')
    )
    ORDER BY r.object_id LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A repeat: its reception id, and the name of its sealed object."""

    object_id: str
    spool_name: str


class Repeats:
    """The repository of repeats."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def add(self, repeat: Repeat, instance_id: int) -> None:
        """Remember an object that repeats an instance. One that is remembered already is `LedgerStatementError` (ours)."""
        self._ledger.change(_ADD, (repeat.object_id, repeat.spool_name, instance_id))

    def finished(self, *, limit: int) -> list[Repeat]:
        """Return at most `limit` repeats, by reception id, of instances that are owed nowhere any more."""
        return [Repeat(*row) for row in self._ledger.rows(_FINISHED, (limit,))]

    def forget(self, object_ids: Collection[str]) -> int:
        """Forget repeats by their reception ids; return how many there were."""
        gone = self._ledger.change(
            "DELETE FROM repeat WHERE object_id IN (SELECT value FROM json_each(?)) RETURNING object_id", (json.dumps(list(object_ids)),)
        )
        return len(gone)
