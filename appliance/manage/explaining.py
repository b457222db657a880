"""`queue show`: one delivery, why it is where it is, since when, what was tried, and what to do.

Promises: what a peer said comes as it was kept; nothing names a patient but what an archive may have written into its comment.
Failures: `DeliveryMissingError` (operator); what reading the ledger raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.deliver.held_codes import advice_on, code_of
from appliance.dimse.contexts import named
from appliance.ledger.database import Ledger
from appliance.ledger.delivery_details import details_of
from appliance.runtime.control import Handler
from appliance.runtime.questions import DeliveryReply, DeliveryRequest, TryRow


class ExplainingDesk:
    """Answers from the threads of a control server."""

    def __init__(self, ledger: Ledger, site: Callable[[], Site]) -> None:
        """Read `ledger`; `site` names destinations."""
        self._ledger = ledger
        self._site = site

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {DeliveryRequest: self.delivery}

    def delivery(self, request: DeliveryRequest) -> DeliveryReply:
        """Return everything about a delivery. Raises `DeliveryMissingError`."""
        try:
            with self._ledger.read():
                found = details_of(self._ledger, request.id)
        finally:
            # The thread ends with its answer; its connection must not outlive it.
            self._ledger.close()
        row = found.row
        names = {destination.id: destination.name for destination in self._site().destinations}
        code = code_of(row.state, row.hold_class, row.reason, found.attempts[-1].outcome if found.attempts else "")
        return DeliveryReply(
            id=row.id,
            destination=names.get(row.destination_id, row.destination_id),
            state=row.state.value,
            hold_class=row.hold_class.value if row.hold_class else None,
            code=code,
            reason=row.reason,
            advice=advice_on(code),
            held_since=_iso(found.held_at) if row.hold_class else None,
            due=_iso(row.due.wall) if row.due else None,
            queued=_iso(found.queued_at) or "",
            ended=_iso(found.ended_at),
            priority=row.priority.name.lower(),
            cause=row.cause.value,
            waits_for=row.blocked_by,
            attempts=row.attempts,
            unknown_outcomes=row.unknown_outcomes,
            study_instance_uid=found.study_instance_uid,
            sop_instance_uid=found.sop_instance_uid,
            version=found.version,
            sop_class=named(Uid(found.sop_class_uid)),
            sop_class_uid=found.sop_class_uid,
            transfer_syntax=named(Uid(found.transfer_syntax_uid)),
            source=f"{found.calling_title} from {found.source_address}, calling {found.called_title}",
            received=_iso(found.received_at) or "",
            bytes=found.length,
            tries=tuple(
                TryRow(_iso(one.at) or "", one.outcome, None if one.status is None else f"{one.status:04X}", one.comment)
                for one in found.attempts
            ),
        )


def _iso(wall: float | None) -> str | None:
    return None if wall is None else datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
