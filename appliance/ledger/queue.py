"""The queue as people ask about it: pages of deliveries, and how many there are.

Promises: nothing here changes anything, and no question costs more when more deliveries are finished, except `counts` and a list of
finished ones.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: `counts` and `waiting` count by walking over an index (tens of milliseconds for a million deliveries).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from peewee import SQL, ModelSelect

from appliance.core.identity import Uid
from appliance.ledger.database import Ledger, Row
from appliance.ledger.tables import DeliveryTable, InstanceTable, StudyTable
from appliance.ledger.vocabulary import UNFINISHED, DeliveryState, HoldClass, Priority


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A delivery as `queue list` shows it; `destination` is an id, `due` is wall time (UTC) or None."""

    id: int
    destination: str
    state: DeliveryState
    hold_class: HoldClass | None
    priority: Priority
    study_instance_uid: str
    sop_instance_uid: str
    attempts: int
    due: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a destination is still to be sent: how many deliveries, and the wall time (UTC) of the oldest, None when there is none."""

    deliveries: int
    oldest: float | None


QueueRows: TypeAlias = list[QueueRow]
"""A list, under a name that `Queue.list` does not hide."""

Contexts: TypeAlias = list[tuple[Uid, Uid]]
"""Pairs of SOP class and transfer syntax."""
# How far `contexts_waiting` looks down the queue: enough to fill an association's 128 contexts in practice, and milliseconds at most.
_WINDOW = 1000

_WAITING_CONTEXTS = """
    SELECT i.sop_class_uid, i.transfer_syntax_uid
    FROM (
        SELECT instance_id, priority, id FROM delivery
        WHERE destination_id = ? AND state = 'queued' AND blocked_by IS NULL ORDER BY priority, id LIMIT ?
    ) AS w CROSS JOIN instance i ON i.id = w.instance_id
    ORDER BY w.priority, w.id
"""

_WAITING_CONTEXTS_OF_TITLE = """
    SELECT i.sop_class_uid, i.transfer_syntax_uid
    FROM (
        SELECT instance_id, priority, id FROM delivery
        WHERE destination_id = ? AND calling_title = ? AND state = 'queued' AND blocked_by IS NULL ORDER BY priority, id LIMIT ?
    ) AS w CROSS JOIN instance i ON i.id = w.instance_id
    ORDER BY w.priority, w.id
"""

# Held deliveries wait for a change or a person, not for the destination's next free lane.
_MOVING = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEFERRED)

# The condition of the partial index `delivery_owed`, word for word: SQLite does not conclude it from `state = 'queued'`.
_IS_OWED = "state IN ('queued', 'sending', 'deferred', 'held')"

# The state is written out, not bound, because SQLite chooses the index before it knows what is bound.
_COUNT_OWED = {
    state: f"SELECT count(*) FROM delivery WHERE destination_id = ? AND state = '{state}' AND {_IS_OWED}"  # noqa: S608 (our own words)
    for state in UNFINISHED
}
_OLDEST_OWED = {
    state: f"SELECT queued_at FROM delivery WHERE destination_id = ? AND state = '{state}' AND {_IS_OWED} ORDER BY id LIMIT 1"  # noqa: S608
    for state in UNFINISHED
}


class Queue:
    """The reading side of the deliveries."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def list(
        self, destination: str | None = None, state: DeliveryState | None = None, limit: int = 100, after: int | None = None
    ) -> QueueRows:
        """Return at most `limit` deliveries by number, starting after the number `after`.

        Without `state` those that are still owed; without `destination` (an id) those to all.
        """
        states = UNFINISHED if state is None else (state,)
        rows: QueueRows = []
        # A page of each state, then the first of them all: each page is one walk along an index, however many other rows there are.
        for one in states:
            rows += [_queue_row(row) for row in self._ledger.rows(*self._ledger.sql(_page(destination, one, limit, after or 0)))]
        return sorted(rows, key=lambda row: row.id)[:limit]

    def counts(self) -> dict[DeliveryState, int]:
        """Return how many deliveries are in each state; every state is there."""
        found: dict[str, int] = dict(self._ledger.rows("SELECT state, count(*) FROM delivery GROUP BY state"))
        return {state: int(found.get(state.value, 0)) for state in DeliveryState}

    def waiting(self, destination_id: str) -> Waiting:
        """Return what is queued, deferred or being sent to a destination."""
        deliveries = sum(self._ledger.rows(_COUNT_OWED[state], (destination_id,))[0][0] for state in _MOVING)
        ages = [row[0] for state in _MOVING for row in self._ledger.rows(_OLDEST_OWED[state], (destination_id,))]
        return Waiting(deliveries, min(ages, default=None))

    def contexts_waiting(self, destination_id: str, calling_title: str | None = None, limit: int = 128) -> Contexts:
        """Return which pairs of SOP class and transfer syntax are ready for a destination, the most urgent first, each once.

        With `calling_title` only what came from that title. Looks at the thousand most urgent deliveries.
        """
        if calling_title is None:
            rows = self._ledger.rows(_WAITING_CONTEXTS, (destination_id, _WINDOW))
        else:
            rows = self._ledger.rows(_WAITING_CONTEXTS_OF_TITLE, (destination_id, calling_title, _WINDOW))
        return [(Uid(sop_class), Uid(transfer_syntax)) for sop_class, transfer_syntax in dict.fromkeys(rows)][:limit]

    def held(self, destination_id: str) -> int:
        """Return how many deliveries to a destination are held."""
        return int(self._ledger.rows(_COUNT_OWED[DeliveryState.HELD], (destination_id,))[0][0])


def _page(destination: str | None, state: DeliveryState, limit: int, after: int) -> ModelSelect[DeliveryTable]:
    chosen = (DeliveryTable.state == state.value) & (DeliveryTable.id > after)
    if destination is not None:
        chosen &= DeliveryTable.destination_id == destination
        if not state.is_finished:
            chosen &= SQL(f'"t1".{_IS_OWED}')
    return (
        DeliveryTable.select(
            DeliveryTable.id,
            DeliveryTable.destination_id,
            DeliveryTable.state,
            DeliveryTable.hold_class,
            DeliveryTable.priority,
            StudyTable.study_instance_uid,
            InstanceTable.sop_instance_uid,
            DeliveryTable.attempts,
            DeliveryTable.due_wall,
            DeliveryTable.reason,
        )
        .join(InstanceTable)
        .join(StudyTable)
        .where(chosen)
        .order_by(DeliveryTable.id)
        .limit(limit)
    )


def _queue_row(row: Row) -> QueueRow:
    number, destination, state, hold_class, priority, *rest = row
    return QueueRow(number, destination, DeliveryState(state), HoldClass(hold_class) if hold_class else None, Priority(priority), *rest)
