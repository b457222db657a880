"""Destinations that a person paused: nothing is sent there until somebody resumes them, or until a moment that was said.

Promises: `follow` replaces what was ordered before. A pause that is over by its moment is none, whoever asks.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: the moment is one of the clock on the wall, because a person said it: a clock that jumps over it ends the pause.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.ledger.database import Ledger
from appliance.ledger.orders import Order, OrderVerb

_PUT = "INSERT OR REPLACE INTO pause (destination_id, until, who, reason, at) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause as it was ordered: `until` and `at` are wall times (UTC), `until` None is until somebody resumes."""

    destination_id: str
    until: float | None
    who: str
    reason: str = field(repr=False)
    at: float


class Pauses:
    """The repository of pauses."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def get(self, destination_id: str, wall: float) -> Pause | None:
        """Return the pause of a destination at this moment (wall time), or None."""
        rows = self._ledger.rows("SELECT destination_id, until, who, reason, at FROM pause WHERE destination_id = ?", (destination_id,))
        pause = Pause(*rows[0]) if rows else None
        return None if pause is None or (pause.until is not None and pause.until <= wall) else pause

    def follow(self, order: Order) -> bool:
        """Do what an order about a whole destination says; return whether that changed anything."""
        if order.verb is OrderVerb.HOLD:
            self._ledger.change(_PUT, (order.destination_id, order.until, order.who, order.reason, order.at))
            return True
        return bool(self._ledger.change("DELETE FROM pause WHERE destination_id = ? RETURNING destination_id", (order.destination_id,)))
