"""One delivery with everything that is known of it and of its instance, for a person who asks why it is where it is.

Promises: changes nothing; nothing in it names a patient.
Failures: `DeliveryMissingError` (operator); `LedgerScopeError` outside `read()` or `write()`; what `database` lists.
Limits: attempts older than a month may have been folded into their count.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import AttemptRecord, Deliveries, DeliveryMissingError, DeliveryRow

_ABOUT = """
    SELECT d.queued_at, d.held_at, d.ended_at, s.study_instance_uid, i.sop_instance_uid, i.version, i.sop_class_uid, i.transfer_syntax_uid,
        i.calling_title, i.source_address, i.called_title, i.received_at, i.length
    FROM delivery d JOIN instance i ON i.id = d.instance_id JOIN study s ON s.id = i.study_id WHERE d.id = ?
"""


@dataclass(frozen=True, slots=True)
class DeliveryDetails:
    """A delivery: `row` as it stands, its attempts (the first first), and its instance; moments are wall times (UTC), `length` bytes."""

    row: DeliveryRow
    attempts: tuple[AttemptRecord, ...]
    queued_at: float
    held_at: float | None
    ended_at: float | None
    study_instance_uid: str
    sop_instance_uid: str
    version: int
    sop_class_uid: str
    transfer_syntax_uid: str
    calling_title: str
    source_address: str
    called_title: str
    received_at: float
    length: int


def details_of(ledger: Ledger, delivery_id: int) -> DeliveryDetails:
    """Return everything about a delivery, inside `read()` or `write()`. Raises `DeliveryMissingError`."""
    deliveries = Deliveries(ledger)
    row = deliveries.get(delivery_id)
    about = ledger.rows(_ABOUT, (delivery_id,))
    if not about:
        raise DeliveryMissingError(f"there is no delivery {delivery_id} in the ledger")
    return DeliveryDetails(row, deliveries.attempts(delivery_id), *about[0])


def held_since(ledger: Ledger, delivery_id: int) -> tuple[float | None, str]:
    """Return since when a delivery is held (wall time), None where that is not known, and the outcome of its last attempt ("": none)."""
    rows = ledger.rows(
        """
        SELECT d.held_at, (SELECT a.outcome FROM attempt a WHERE a.delivery_id = d.id ORDER BY a.id DESC LIMIT 1)
        FROM delivery d WHERE d.id = ?
        """,
        (delivery_id,),
    )
    return (rows[0][0], rows[0][1] or "") if rows else (None, "")
