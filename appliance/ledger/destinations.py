"""How each destination is doing, as the sender last knew it.

Promises: `put` replaces the whole record of one destination; `get` returns None for a destination never written.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: `learned` is text that only deliver/destination reads and writes (JSON).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from peewee import ModelSelect

from appliance.ledger.database import Ledger, Row
from appliance.ledger.moments import columns, due_from
from appliance.ledger.tables import DestinationStateTable
from appliance.runtime.clock import Due


class DestinationCondition(StrEnum):
    """How a destination is doing; deliver/verdict says what brings it there (semantics.md section 1)."""

    ALIVE = "alive"
    THROTTLED = "throttled"
    DEAD = "dead"
    REFUSING = "refusing"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class DestinationState:
    """One destination's health. `reason` is what the operator reads.

    `since` and `last_success` are wall times (UTC), `due` is when the next try may be made.
    """

    id: str
    state: DestinationCondition = DestinationCondition.ALIVE
    reason: str = ""
    since: float = 0.0
    due: Due | None = None
    lanes: int = 1
    last_success: float | None = None
    backoff_s: float = 0.0
    learned: str = "{}"


class DestinationStates:
    """The repository of destination health."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def get(self, destination_id: str) -> DestinationState | None:
        """Return what is known of a destination, or None."""
        rows = self._ledger.rows(*self._ledger.sql(_all().where(DestinationStateTable.id == destination_id)))
        return _state(rows[0]) if rows else None

    def all(self) -> list[DestinationState]:
        """Return every destination ever written, by id."""
        return [_state(row) for row in self._ledger.rows(*self._ledger.sql(_all().order_by(DestinationStateTable.id)))]

    def put(self, record: DestinationState) -> None:
        """Write the whole record, new or not."""
        due_wall, due_boottime, due_boot_id = columns(record.due)
        query = DestinationStateTable.replace(
            id=record.id,
            state=record.state.value,
            reason=record.reason,
            since=record.since,
            due_wall=due_wall,
            due_boottime=due_boottime,
            due_boot_id=due_boot_id,
            lanes=record.lanes,
            last_success=record.last_success,
            backoff_s=record.backoff_s,
            learned=record.learned,
        )
        self._ledger.change(*self._ledger.sql(query))


def _all() -> ModelSelect[DestinationStateTable]:
    return DestinationStateTable.select()


def _state(row: Row) -> DestinationState:
    name, state, reason, since, due_wall, due_boottime, due_boot_id, lanes, last_success, backoff_s, learned = row
    due = due_from(due_wall, due_boottime, due_boot_id)
    return DestinationState(name, DestinationCondition(state), reason, since, due, lanes, last_success, backoff_s, learned)
