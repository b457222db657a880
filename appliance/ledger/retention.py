"""What keeps the ledger bounded and true to the spool: folding attempts, dropping old tombstones, finding objects that are gone.

Promises: an attempt is dropped only when its delivery has been finished for long, and stays counted in the delivery; a tombstone only when
nothing of its instance is owed and no repeat of it is kept. Methods do at most a page, so that other writers never wait long.
Failures: `InstanceMissingError`; `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: attempts of what is still owed are passed over at each walk; what is held for years has one a day.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from appliance.ledger.database import Ledger
from appliance.ledger.instances import InstanceMissingError, InstanceState

# An end that nobody noted (a cancellation by an older version) counts from when it was owed.
_OLD_ATTEMPTS = """
    SELECT a.id, a.at < ?1, d.state IN ('delivered', 'proved', 'cancelled', 'expired') AND coalesce(d.ended_at, d.queued_at) < ?1
    FROM attempt a CROSS JOIN delivery d ON d.id = a.delivery_id
    WHERE a.id > ?2 ORDER BY a.id LIMIT ?3
"""

_OLD_TOMBSTONES = """
    SELECT i.id FROM instance i
    WHERE i.evicted_at < ? AND i.state = 'evicted' AND NOT EXISTS (
        SELECT 1 FROM delivery d WHERE d.instance_id = i.id AND d.state IN ('queued', 'sending', 'deferred', 'held')
    ) AND NOT EXISTS (SELECT 1 FROM repeat r WHERE r.instance_id = i.id)
    ORDER BY i.evicted_at LIMIT ?
"""

_OF_THESE = "(SELECT value FROM json_each(?1))"
_DELIVERIES_OF_THESE = f"(SELECT id FROM delivery WHERE instance_id IN {_OF_THESE})"  # noqa: S608 (our own words)
_DROP = (
    f"UPDATE delivery SET blocked_by = NULL WHERE blocked_by IN {_DELIVERIES_OF_THESE}",  # noqa: S608
    f"DELETE FROM attempt WHERE delivery_id IN {_DELIVERIES_OF_THESE}",  # noqa: S608
    f"DELETE FROM delivery WHERE instance_id IN {_OF_THESE}",  # noqa: S608
    f"DELETE FROM instance WHERE id IN {_OF_THESE} RETURNING study_id",  # noqa: S608
)
_DROP_EMPTY_STUDIES = f"DELETE FROM study WHERE id IN {_OF_THESE} AND NOT EXISTS (SELECT 1 FROM instance WHERE study_id = study.id)"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Walk:
    """How far a walk over the attempts came: `after` is where it goes on, None at its end; `dropped` counts."""

    after: int | None
    dropped: int


@dataclass(frozen=True, slots=True)
class Kept:
    """An instance whose object the spool should hold."""

    id: int
    spool_name: str


class Retention:
    """The ledger as its keeper sees it."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def fold_attempts(self, finished_before: float, *, after: int = 0, limit: int = 500) -> Walk:
        """Drop attempts, oldest first, of deliveries that were finished before the wall time; they stay counted in their deliveries.

        Looks at `limit` attempts whose numbers are above `after`.
        """
        rows = self._ledger.rows(_OLD_ATTEMPTS, (finished_before, after, limit))
        dropped = [number for number, _, is_settled in rows if is_settled]
        if dropped:
            self._ledger.change("DELETE FROM attempt WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(dropped),))
        # Attempts are numbered as they happen: behind a page that is all recent, everything is.
        is_over = len(rows) < limit or not any(is_old for _, is_old, _ in rows)
        return Walk(None if is_over else rows[-1][0], len(dropped))

    def prune_tombstones(self, evicted_before: float, *, limit: int = 50) -> int:
        """Forget at most `limit` instances that were evicted before the wall time, with their deliveries; return how many."""
        numbers = [number for (number,) in self._ledger.rows(_OLD_TOMBSTONES, (evicted_before, limit))]
        if not numbers:
            return 0
        these = (json.dumps(numbers),)
        for statement in _DROP[:-1]:
            self._ledger.change(statement, these)
        studies = {study for (study,) in self._ledger.change(_DROP[-1], these)}
        self._ledger.change(_DROP_EMPTY_STUDIES, (json.dumps(sorted(studies)),))
        return len(numbers)

    def evict(self, instance_id: int, at: float) -> None:
        """Say that the object of an instance was removed from the spool at the wall time `at`. Raises `InstanceMissingError`."""
        changed = self._ledger.change(
            "UPDATE instance SET state = ?, evicted_at = ? WHERE id = ? RETURNING id", (InstanceState.EVICTED.value, at, instance_id)
        )
        if not changed:
            raise InstanceMissingError(f"there is no instance {instance_id} in the ledger")

    def in_spool(self, *, after: int = 0, limit: int = 500) -> list[Kept]:
        """Return at most `limit` instances by number, after the number `after`, whose objects the spool should hold."""
        rows = self._ledger.rows(
            "SELECT id, spool_name FROM instance WHERE id > ? AND +state IN ('stored', 'unrouted') ORDER BY id LIMIT ?", (after, limit)
        )
        return [Kept(*row) for row in rows]

    def doubt_outcomes(self) -> None:
        """Say of everything that is owed that it may have been sent before, because the ledger is older than what happened since."""
        self._ledger.change(
            "UPDATE delivery SET unknown_outcomes = unknown_outcomes + 1 WHERE state IN ('queued', 'sending', 'deferred', 'held')"
        )

    def skip_numbers(self, count: int) -> None:
        """Leave out the next `count` numbers of instances, deliveries and requests: a lost ledger may have given them."""
        self._ledger.change("UPDATE sqlite_sequence SET seq = seq + ?", (count,))
