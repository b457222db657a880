"""What waits and what is held, added up for people who want to mend many at once.

Promises: changes nothing, and costs what is owed, however much is finished.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: looks at everything that is held, and, for a day, at everything that is owed and everything that came since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from appliance.ledger.database import Ledger
from appliance.ledger.holding import OWED_TO
from appliance.ledger.vocabulary import HoldClass


@dataclass(frozen=True, slots=True)
class HeldTogether:
    """What is held at one destination (id) for one reason.

    `last_outcome` is the flag of the last attempt of the latest of them ("": none), `sop_class_uid` the class of the first and the latest,
    empty where they differ; `since` is the wall time (UTC) of the first, None where that is not known.
    """

    destination_id: str
    hold_class: HoldClass
    reason: str = field(repr=False)
    count: int
    studies: int
    since: float | None
    last_outcome: str
    sop_class_uid: str


@dataclass(frozen=True, slots=True)
class Day:
    """What was received in a time: instances (those forgotten since are not counted), of how many studies, and how many are owed."""

    instances: int
    studies: int
    owed: int


# Along one narrow index; the study of each from another, because the rows themselves lie far apart.
_HELD = """
    SELECT d.destination_id, d.hold_class, d.reason, count(*) AS held, count(DISTINCT i.study_id), min(d.held_at), min(d.id), max(d.id)
    FROM delivery d INDEXED BY delivery_held CROSS JOIN instance i INDEXED BY instance_brief ON i.id = d.instance_id
    WHERE d.state = 'held' GROUP BY d.destination_id, d.hold_class, d.reason ORDER BY held DESC LIMIT ?
"""
# A study's deliveries are found by it, and are few.
_HELD_OF_STUDY = """
    SELECT d.destination_id, d.hold_class, d.reason, count(*) AS held, 1, min(d.held_at), min(d.id), max(d.id)
    FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id
    WHERE i.study_id = ? AND +d.state = 'held' GROUP BY d.destination_id, d.hold_class, d.reason ORDER BY held DESC
"""
_LAST_OUTCOME = "SELECT outcome FROM attempt WHERE delivery_id = ? ORDER BY id DESC LIMIT 1"
_CLASSES = "SELECT DISTINCT i.sop_class_uid FROM delivery d CROSS JOIN instance i ON i.id = d.instance_id WHERE d.id IN (?, ?)"

_RECEIVED = """
    SELECT count(*), count(DISTINCT study_id) FROM instance INDEXED BY instance_brief WHERE id >= ? AND received_at >= ? AND received_at < ?
"""
# What is held may lie far apart, and is asked of the narrow index; of the rest there is a queue, which lies together.
_OWED = """
    SELECT count(DISTINCT o.instance_id)
    FROM (
        SELECT instance_id FROM delivery INDEXED BY delivery_held WHERE state = 'held'
        UNION ALL
        SELECT instance_id FROM delivery INDEXED BY delivery_owed
        WHERE state IN ('queued', 'sending', 'deferred') AND state IN ('queued', 'sending', 'deferred', 'held')
    ) AS o CROSS JOIN instance i INDEXED BY instance_brief ON i.id = o.instance_id
    WHERE o.instance_id >= ? AND i.received_at >= ? AND i.received_at < ?
"""


class Backlog:
    """The repository of what waits."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def destination_ids(self) -> list[str]:
        """Return the ids of all destinations that are owed anything, also of those that were removed."""
        return [destination_id for (destination_id,) in self._ledger.rows(OWED_TO)]

    def held(self, *, limit: int) -> list[HeldTogether]:
        """Return what is held, together where destination, class and reason are the same: the `limit` biggest first."""
        return [self._together(*row) for row in self._ledger.rows(_HELD, (limit,))]

    def held_of_study(self, study_id: int) -> list[HeldTogether]:
        """Return what is held of one study, together in the same way, the biggest first."""
        return [self._together(*row) for row in self._ledger.rows(_HELD_OF_STUDY, (study_id,))]

    def day(self, first_id: int, since: float, until: float) -> Day:
        """Return what was received from one wall time until before another; nothing of it has a smaller number than `first_id`."""
        instances, studies = self._ledger.rows(_RECEIVED, (first_id, since, until))[0]
        return Day(instances, studies, self._ledger.rows(_OWED, (first_id, since, until))[0][0] if instances else 0)

    def _together(self, destination_id: str, hold_class: str, reason: str, *rest: Any) -> HeldTogether:
        count, studies, since, first, last = rest
        outcomes = self._ledger.rows(_LAST_OUTCOME, (last,))
        classes = self._ledger.rows(_CLASSES, (first, last))
        return HeldTogether(
            *(destination_id, HoldClass(hold_class), reason, count, studies, since),
            outcomes[0][0] if outcomes else "",
            classes[0][0] if len(classes) == 1 else "",
        )
