"""Sending again what somebody asks to send again: which objects that is, and making the deliveries.

A sealed order names the object and the destination; the order's own id is what caused the delivery (`cause_ref`), so that another order may
ask for the same again, and the same order never asks twice.

Promises: methods never open a transaction. What is owed to a destination already is not owed twice.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: only newest versions whose object is kept can be sent again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.ledger.database import Ledger, Row
from appliance.ledger.deliveries import Deliveries, Moved
from appliance.ledger.instances import Instances
from appliance.ledger.orders import DeliveryKey, Order
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass, Priority
from appliance.runtime.clock import Instant


@dataclass(frozen=True, slots=True)
class Sendable:
    """An instance that can be sent again: its number, and the id of its object."""

    id: int
    object_id: str


_NEWEST = """
    i.state IN ('stored', 'unrouted')
    AND NOT EXISTS (SELECT 1 FROM instance n WHERE n.sop_instance_uid = i.sop_instance_uid AND n.version > i.version)
"""
_OF_STUDY = f"""
    SELECT i.id, i.object_id FROM study s CROSS JOIN instance i ON i.study_id = s.id
    WHERE s.study_instance_uid = ? AND +{_NEWEST.strip()} ORDER BY i.id
"""  # noqa: S608 (our own words)
_OF_UIDS = f"""
    SELECT i.id, i.object_id FROM json_each(?) AS wanted CROSS JOIN instance i ON i.sop_instance_uid = wanted.value
    WHERE +{_NEWEST.strip()} ORDER BY i.id
"""  # noqa: S608

_OWED_TO = """
    SELECT 1 FROM delivery d
    WHERE d.instance_id = ? AND d.destination_id = ? AND +d.state IN ('queued', 'sending', 'deferred', 'held') LIMIT 1
"""
_BY_OBJECT = """
    SELECT id FROM instance WHERE object_id = ?1 AND state IN ('stored', 'unrouted')
    UNION ALL SELECT r.instance_id FROM repeat r CROSS JOIN instance i ON i.id = r.instance_id
        WHERE r.object_id = ?1 AND i.state IN ('stored', 'unrouted')
"""


class Resends:
    """The repository of what is sent again."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger
        self._deliveries = Deliveries(ledger)
        self._instances = Instances(ledger)

    def of_study(self, study_instance_uid: str) -> list[Sendable]:
        """Return what can be sent of a study, in the order in which it came."""
        return _sendable(self._ledger.rows(_OF_STUDY, (study_instance_uid,)))

    def of_instances(self, sop_instance_uids: Sequence[str]) -> list[Sendable]:
        """Return which of these SOP instances can be sent, in the order in which they came."""
        return _sendable(self._ledger.rows(_OF_UIDS, (json.dumps(sorted(set(sop_instance_uids))),)))

    def is_owed(self, instance_id: int, destination_id: str) -> bool:
        """Say whether a destination is still to get an instance, whatever caused it."""
        return bool(self._ledger.rows(_OWED_TO, (instance_id, destination_id)))

    def follow(self, order: Order, cause_ref: str, *, held: str = "") -> int:
        """Owe what an order names, inside `write()`; return how many deliveries were made. `held`: hold them as rebuilt, for this reason.

        What is gone from the box, and what is owed there already, makes none.
        """
        # Owed since it was ordered, whenever that is followed; nothing that is queued is due at a time of any boot.
        since = Instant(order.at, 0.0, "")
        return sum(self._owe(key, cause_ref, since, held) for key in order.keys)

    def _owe(self, key: DeliveryKey, cause_ref: str, now: Instant, held: str) -> bool:
        found = self._ledger.rows(_BY_OBJECT, (key.object_id,))
        if not found or self.is_owed(found[0][0], key.destination_id):
            return False
        instance_id = int(found[0][0])
        made = self._deliveries.add(
            instance_id, key.destination_id, cause=Cause.RESEND, cause_ref=cause_ref, priority=Priority.ROUTINE, now=now
        )
        self._instances.routed(instance_id)
        if made is not None and held:
            moved = Moved(DeliveryState.HELD, hold_class=HoldClass.REBUILT, reason=held, unknown_outcomes=1, at=now.wall)
            self._deliveries.settle(made, moved)
        return made is not None


def _sendable(rows: Sequence[Row]) -> list[Sendable]:
    return [Sendable(*row) for row in rows]
