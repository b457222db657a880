"""What is held, and lets go: everything that holds or releases more than one delivery at a time.

Promises: a batch costs what it moves and what is held at the destination, however much is finished or owed elsewhere. What a person holds,
and what a rebuild does not know about, is never released here.
Failures: `LedgerScopeError` outside `write()`; what `database` lists.
Limits: whether a move is legal is `deliver/states`' matter; what is being sent is its sender's.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from appliance.core.identity import Uid
from appliance.ledger.database import Value
from appliance.ledger.queue import Queue
from appliance.ledger.vocabulary import TRIED_AGAIN, HoldClass

DESTINATION_REMOVED = "the destination was removed"
"""Why a delivery is held whose destination is no longer configured."""

NEVER_SENT = "the destination's settings say never to send this SOP class there"
"""Why a delivery is held, or not even owed, whose class is on the destination's list."""

CAME_FROM_IT = "it came from there: it is sent back only by a route that names its source"
PASSED_TOO_MANY_BOXES = "it has passed as many boxes as may be: their routes lead in a ring"
"""Why what would go round is not owed."""

# So that no other writer waits long (house.md section 6 says 20 ms).
_AT_ONCE = 500

# The condition of the partial index `delivery_owed` stands in each of these word for word, so that SQLite may use it.
_RELEASE = """
    UPDATE delivery
    SET state = 'queued', hold_class = NULL, due_wall = NULL, due_boottime = NULL, due_boot_id = NULL
    WHERE id IN ({held} ORDER BY d.id LIMIT ?)
    RETURNING id
"""
_HELD = """
    SELECT d.id FROM delivery d CROSS JOIN instance i ON i.id = d.instance_id
    WHERE d.destination_id = ? AND d.state = 'held' AND d.state IN ('queued', 'sending', 'deferred', 'held') AND d.id > ?
        AND d.hold_class IN (SELECT value FROM json_each(?))
"""
_OF_CLASS = " AND i.sop_class_uid = ?"
# The plus keeps SQLite from looking each instance up instead of walking over what is held here.
_OF_INSTANCES = " AND +d.instance_id IN (SELECT value FROM json_each(?))"

# From one destination to the next along the index, instead of over everything that is owed.
OWED_TO = """
    WITH RECURSIVE owed (destination_id) AS (
        SELECT ''
        UNION ALL
        SELECT (
            SELECT d.destination_id FROM delivery d INDEXED BY delivery_owed
            WHERE d.state IN ('queued', 'sending', 'deferred', 'held') AND d.destination_id > owed.destination_id
            ORDER BY d.destination_id LIMIT 1
        )
        FROM owed WHERE owed.destination_id IS NOT NULL
    )
    SELECT destination_id FROM owed WHERE destination_id > ''
"""
"""The destinations that are owed anything, in the words of the database."""

# What waits for its study (deferred, and not due) goes on waiting, and is queued, and then held, when that is complete: once it was held,
# nobody could tell that a return of the destination must not send it yet.
_HOLD_REMOVED = """
    UPDATE delivery
    SET state = 'held', hold_class = 'configuration', due_wall = NULL, due_boottime = NULL, due_boot_id = NULL, reason = ?,
        held_at = coalesce(held_at, ?)
    WHERE id IN (
        SELECT id FROM delivery
        WHERE destination_id = ? AND state = ? AND state IN ('queued', 'sending', 'deferred', 'held')
            AND (state = 'queued' OR due_boot_id IS NOT NULL) LIMIT ?
    )
    RETURNING id
"""


class Holding(Queue):
    """The repository of deliveries as far as they are held and released many at a time."""

    def release_held(
        self,
        destination_id: str,
        sop_class: Uid | None,
        classes: Collection[HoldClass],
        *,
        instances: Collection[int] | None = None,
        after: int = 0,
        limit: int = _AT_ONCE,
    ) -> list[int]:
        """Queue what is held at a destination in one of `classes`: of a SOP class, of some instances, or (None) whatever it is.

        Takes at most `limit` deliveries, in order of number, beginning after the number `after`, and returns their numbers; as many as
        `limit` means that there may be more after the last. Classes that only a person releases are passed over.
        """
        released = json.dumps(sorted(TRIED_AGAIN.intersection(classes)))
        held, parameters = _HELD, list[Value]([destination_id, after, released])
        if sop_class is not None:
            held, parameters = held + _OF_CLASS, [*parameters, sop_class]
        if instances is not None:
            held, parameters = held + _OF_INSTANCES, [*parameters, json.dumps(sorted(instances))]
        rows = self._ledger.change(_RELEASE.format(held=held), (*parameters, limit))
        return sorted(number for (number,) in rows)

    def hold_removed(self, destination_ids: Collection[str], *, at: float | None = None, limit: int = _AT_ONCE) -> dict[str, int]:
        """Hold what waits for any destination but `destination_ids`, which are those in service: class configuration, and not due.

        What waits for its study is left alone until that is complete.
        `at` is the wall time since when. Takes at most `limit` deliveries; returns how many of each destination. As many as `limit` means
        that there may be more.
        """
        held: dict[str, int] = {}
        removed = [destination_id for (destination_id,) in self._ledger.rows(OWED_TO) if destination_id not in destination_ids]
        for destination_id in removed:
            for state in ("queued", "deferred"):
                left = limit - sum(held.values())
                rows = self._ledger.change(_HOLD_REMOVED, (DESTINATION_REMOVED, at, destination_id, state, left))
                held[destination_id] = held.get(destination_id, 0) + len(rows)
        return {destination_id: count for destination_id, count in held.items() if count}
