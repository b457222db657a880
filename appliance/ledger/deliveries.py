"""What is owed: one row an instance and destination, its attempts, and who is sending it now.

Promises: methods never open a transaction, so that a sender settles one outcome and claims the next in one `ledger.write()` (group commit).
A delivery is claimed by one owner at a time. A delivery of a later version of a SOP instance is not claimable before the earlier one to the
same destination is finished. Nothing here deletes a delivery (`retention` forgets those of old tombstones).
Failures: `DeliveryMissingError`; `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: whether a move is legal is `deliver/states`' matter; here it is only written down.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from appliance.core.errors import ApplianceError, Fault
from appliance.ledger.claims import LARGE_BYTES, Claims
from appliance.ledger.database import Row
from appliance.ledger.moments import columns, due_from
from appliance.ledger.traffic import WENT, minute_of
from appliance.ledger.vocabulary import TRIED_AGAIN, Cause, DeliveryState, HoldClass, Priority
from appliance.runtime.clock import Due, Instant


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try: `at` is wall time (UTC), `outcome` a constant word, `status` the DICOM status if any, `comment` the peer's text."""

    at: float
    outcome: str
    status: int | None = None
    comment: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Moved:
    """What becomes of a delivery. `hold_class` is for held, `due` for deferred and held (verdict, configuration); else they are cleared.

    `attempt` is counted and kept when given; a failure of the site gives none, because it costs the delivery nothing. `at` is the wall time
    of a move without an attempt. `reason` is what the operator reads; it, `proof`, `soft_attempts` and `unknown_outcomes` stay as they are
    when None.
    """

    state: DeliveryState
    hold_class: HoldClass | None = None
    due: Due | None = None
    attempt: AttemptRecord | None = None
    reason: str | None = None
    proof: str | None = None
    soft_attempts: int | None = None
    unknown_outcomes: int | None = None
    at: float | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery as it stands."""

    id: int
    instance_id: int
    destination_id: str
    cause: Cause
    cause_ref: str
    state: DeliveryState
    hold_class: HoldClass | None
    priority: Priority
    owner: str | None
    due: Due | None
    blocked_by: int | None
    attempts: int
    soft_attempts: int
    unknown_outcomes: int
    reason: str
    proof: str


DeliveryRows: TypeAlias = list[DeliveryRow]
"""A list, under a name that `Queue.list` does not hide."""


class DeliveryMissingError(ApplianceError):
    """There is no such delivery, or no such instance to deliver."""

    fault = Fault.OPERATOR


# A batch of `promote_due`, so that no other writer waits long (house.md section 6 says 20 ms).
_PROMOTED_AT_ONCE = 500

_INSTANCE = "SELECT sop_instance_uid, version, calling_title, length FROM instance WHERE id = ?"

# The plus keeps SQLite from walking over everything that is owed to the destination; an instance has few deliveries.
_EARLIER = """
    SELECT d.id FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id AND d.destination_id = ?
    WHERE i.sop_instance_uid = ? AND i.version < ? AND +d.state IN ('queued', 'sending', 'deferred', 'held')
    ORDER BY i.version DESC, d.id DESC LIMIT 1
"""

_ADD = """
    INSERT INTO delivery (instance_id, destination_id, cause, cause_ref, state, priority, calling_title, blocked_by, queued_at, large)
    VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?)
    ON CONFLICT (instance_id, destination_id, cause, cause_ref) DO NOTHING RETURNING id
"""

_ROW = """
    SELECT id, instance_id, destination_id, cause, cause_ref, state, hold_class, priority, owner, due_wall, due_boottime, due_boot_id,
        blocked_by, attempts, soft_attempts, unknown_outcomes, reason, proof
    FROM delivery
"""

_SETTLE = """
    UPDATE delivery
    SET state = ?, owner = NULL, hold_class = ?, due_wall = ?, due_boottime = ?, due_boot_id = ?, blocked_by = ?,
        ended_at = CASE WHEN ? THEN coalesce(ended_at, ?) END, attempts = attempts + ?, reason = coalesce(?, reason),
        held_at = CASE WHEN ? THEN coalesce(held_at, ?) WHEN state <> 'held' THEN held_at END,
        proof = coalesce(?, proof), soft_attempts = coalesce(?, soft_attempts), unknown_outcomes = coalesce(?, unknown_outcomes)
    WHERE id = ?
"""

# Three ranges of the index: due by this boot's clock, and everything that another boot made due.
_PROMOTE = """
    UPDATE delivery
    SET state = 'queued', hold_class = NULL, due_wall = NULL, due_boottime = NULL, due_boot_id = NULL
    WHERE id IN (
        SELECT id FROM (
            SELECT id, state, hold_class FROM delivery WHERE destination_id = ?1 AND due_boot_id = ?2 AND due_boottime <= ?3
            UNION ALL
            SELECT id, state, hold_class FROM delivery WHERE destination_id = ?1 AND due_boot_id < ?2
            UNION ALL
            SELECT id, state, hold_class FROM delivery WHERE destination_id = ?1 AND due_boot_id > ?2
        )
        WHERE state = 'deferred' OR (state = 'held' AND hold_class IN ('verdict', 'configuration'))
        LIMIT ?4
    )
    RETURNING id
"""

_FREE = """
    UPDATE delivery SET state = 'queued', owner = NULL
    WHERE state = 'sending' AND (owner IS NULL OR owner NOT IN (SELECT value FROM json_each(?))) RETURNING id
"""


class Deliveries(Claims):
    """The repository of deliveries: what the sender and the router do with them.

    `Claims` has what is next, `Holding` below it what is held and released many at a time, `Queue` below it what people ask.
    """

    def add(self, instance_id: int, destination_id: str, *, cause: Cause, cause_ref: str, priority: Priority, now: Instant) -> int | None:
        """Owe an instance to a destination; return the delivery's number, or None when this cause has made it already.

        While an earlier version of the same SOP instance is unfinished there, the new delivery waits for the newest such one. Raises
        `DeliveryMissingError` when there is no such instance.
        """
        found = self._ledger.rows(_INSTANCE, (instance_id,))
        if not found:
            raise DeliveryMissingError(f"there is no instance {instance_id} in the ledger")
        sop_instance_uid, version, calling_title, length = found[0]
        # Most instances are first versions, which nothing can precede.
        earlier = self._ledger.rows(_EARLIER, (destination_id, sop_instance_uid, version)) if version > 1 else []
        blocked_by = earlier[0][0] if earlier else None
        parameters = (instance_id, destination_id, cause.value, cause_ref, int(priority), calling_title, blocked_by, now.wall)
        added = self._ledger.change(_ADD, (*parameters, length > LARGE_BYTES))
        return int(added[0][0]) if added else None

    def get(self, delivery_id: int) -> DeliveryRow:
        """Return one delivery. Raises `DeliveryMissingError`."""
        rows = self._ledger.rows(f"{_ROW} WHERE id = ?", (delivery_id,))
        if not rows:
            raise DeliveryMissingError(f"there is no delivery {delivery_id} in the ledger")
        return _row(rows[0])

    def of_instance(self, instance_id: int) -> DeliveryRows:
        """Return every delivery of an instance, by number."""
        return [_row(row) for row in self._ledger.rows(f"{_ROW} WHERE instance_id = ? ORDER BY id", (instance_id,))]

    def unfinished(self, instance_id: int) -> DeliveryRows:
        """Return the deliveries of an instance that are still owed, by number."""
        return [row for row in self.of_instance(instance_id) if not row.state.is_finished]

    def attempts(self, delivery_id: int) -> tuple[AttemptRecord, ...]:
        """Return the attempts of a delivery that are kept, the first first."""
        rows = self._ledger.rows("SELECT at, outcome, status, comment FROM attempt WHERE delivery_id = ? ORDER BY id", (delivery_id,))
        return tuple(AttemptRecord(*row) for row in rows)

    def settle(self, delivery_id: int, move: Moved, *, owner: str | None = None) -> bool:
        """Write down what becomes of a delivery, and its attempt; whoever claimed it has it no longer.

        With `owner`, nothing is done unless it is still the owner; returns whether it was done. A delivery that is finished lets the
        later version that waits for it go. Raises `DeliveryMissingError`.
        """
        found = self._ledger.rows("SELECT owner, blocked_by, destination_id FROM delivery WHERE id = ?", (delivery_id,))
        if not found:
            raise DeliveryMissingError(f"there is no delivery {delivery_id} in the ledger")
        current, blocked_by, destination_id = found[0]
        if owner is not None and current != owner:
            return False
        attempt, state = move.attempt, move.state
        hold_class = move.hold_class if state is DeliveryState.HELD else None
        due = move.due if state is DeliveryState.DEFERRED or hold_class in TRIED_AGAIN else None
        if state.is_finished:
            # What waited for this one may still have to wait for what this one waited for (it was cancelled out of turn).
            self._ledger.change("UPDATE delivery SET blocked_by = ? WHERE blocked_by = ?", (blocked_by, delivery_id))
        self._ledger.change(
            _SETTLE,
            (
                *(state.value, hold_class, *columns(due), None if state.is_finished else blocked_by),
                *(state.is_finished, attempt.at if attempt else move.at, 1 if attempt else 0),
                *(move.reason, state is DeliveryState.HELD, attempt.at if attempt else move.at, move.proof),
                *(move.soft_attempts, move.unknown_outcomes, delivery_id),
            ),
        )
        if attempt:
            self._ledger.change(
                "INSERT INTO attempt (delivery_id, at, outcome, status, comment) VALUES (?, ?, ?, ?, ?)",
                (delivery_id, attempt.at, attempt.outcome, attempt.status, attempt.comment),
            )
            if state is DeliveryState.DELIVERED:
                self._ledger.change(WENT, (minute_of(attempt.at), destination_id))
        return True

    def promote_due(self, destination_id: str, now: Instant, *, limit: int = _PROMOTED_AT_ONCE) -> int:
        """Queue at most `limit` deliveries whose time has come: deferred ones, and held ones that are not a person's to release.

        Returns how many; as many as `limit` means that there may be more, for another transaction.
        """
        return len(self._ledger.change(_PROMOTE, (destination_id, now.boot_id, now.boottime, limit)))

    def free_dead_claims(self, live_owners: Collection[str]) -> int:
        """Queue again what owners that no longer live were sending, to any destination; return how many."""
        return len(self._ledger.change(_FREE, (json.dumps(sorted(live_owners)),)))


def _row(row: Row) -> DeliveryRow:
    number, instance_id, destination_id, cause, cause_ref, state, hold_class, priority, owner, wall, boottime, boot_id, *rest = row
    return DeliveryRow(
        *(
            number,
            instance_id,
            destination_id,
            Cause(cause),
            cause_ref,
            DeliveryState(state),
            HoldClass(hold_class) if hold_class else None,
        ),
        *(Priority(priority), owner, due_from(wall, boottime, boot_id)),
        *rest,
    )
