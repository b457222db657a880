"""Asking an archive for storage commitment: N-ACTION, and the reports that come back on the same association.

Promises: a report is answered 0000 only after `on_report` returned, which means that it is durable; every report that comes while the
association is open is answered. `ask` returns what the archive answered to the request, not what it reports.
Failures: while it opens what `open_service` raises; afterwards `TransferBrokenError`.
Limits: for one thread. Reports that come later come on an association of the archive's own, to the receiver.
Standard: PS3.4 J.3.2 and J.3.3; PS3.7 10.1.1 (N-EVENT-REPORT) and 10.1.4 (N-ACTION). The default roles: the requestor is the SCU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from appliance.dimse import commands, statuses
from appliance.dimse.commitment import (
    COMMITMENT_INSTANCE,
    COMMITMENT_PUSH_MODEL,
    LARGEST_REPORT,
    REQUEST_COMMITMENT,
    CommitmentReport,
    CommitmentReportInvalidError,
    Reference,
    encode_request,
    read_report,
)
from appliance.dimse.failures import Broken, TransferBrokenError
from appliance.dimse.messages import Message, MessageReader
from appliance.dimse.service import ServicePeer, open_service


class CommitmentRequests:
    """An association for requests. For one thread."""

    def __init__(self, peer: ServicePeer, on_report: Callable[[CommitmentReport], None]) -> None:
        """Associate. Raises what `open_service` raises."""
        self._peer = peer
        self._on_report = on_report
        self._messages = MessageReader(LARGEST_REPORT)
        service = open_service(peer, COMMITMENT_PUSH_MODEL, "requests for storage commitment")
        self._association, self._syntax, self._context_id = service.association, service.syntax, service.context_id

    def ask(self, transaction_uid: str, references: Sequence[Reference]) -> int | None:
        """Ask for commitment and return the status of the answer, None where it has none. Raises `TransferBrokenError`."""
        request: dict[int, int | str] = {
            commands.REQUESTED_SOP_CLASS_UID: COMMITMENT_PUSH_MODEL,
            commands.COMMAND_FIELD: commands.N_ACTION_RQ,
            commands.REQUESTED_SOP_INSTANCE_UID: COMMITMENT_INSTANCE,
            commands.ACTION_TYPE_ID: REQUEST_COMMITMENT,
        }
        data_set = encode_request(transaction_uid, references, self._syntax)
        message_id = self._association.say(self._context_id, request, data_set)
        deadline = time.monotonic() + self._peer.response_s
        while True:
            message = self._association.hear(self._messages, max(0.0, deadline - time.monotonic()))
            if self._take(message):
                continue
            command = message.command
            is_answer = command.number(commands.COMMAND_FIELD) == commands.N_ACTION_RQ | commands.RESPONSE
            if not is_answer or command.number(commands.MESSAGE_ID_RESPONDED_TO) != message_id:
                self._association.abort()
                raise TransferBrokenError(Broken.PROTOCOL, "the peer answers something that was not asked", after_first_pdv=True)
            return command.number(commands.STATUS)

    def listen(self, seconds: float) -> None:
        """Take reports until none has come for a while, or the peer ends the association. Raises `TransferBrokenError`."""
        while self._association.hears(seconds):
            if not self._take(self._association.hear(self._messages, self._peer.response_s)):
                self._association.abort()
                raise TransferBrokenError(Broken.PROTOCOL, "the peer sends something that was not asked", after_first_pdv=True)

    def release(self) -> None:
        """End in good order. Never raises."""
        self._association.release(self._peer.associate_s)

    def _take(self, message: Message) -> bool:
        """Deal with a report; return False where the message is none."""
        command = message.command
        if command.number(commands.COMMAND_FIELD) != commands.N_EVENT_REPORT_RQ:
            return False
        status = statuses.SUCCESS
        try:
            self._on_report(read_report(message.data_set, self._syntax))
        except CommitmentReportInvalidError:
            status = statuses.PROCESSING_FAILURE
        self._association.answer(message.context_id, report_response(command, status))
        return True


def report_response(request: commands.CommandSet, status: int) -> dict[int, int | str]:
    """Return the elements of the answer to an N-EVENT-REPORT (PS3.7 10.3.1.2)."""
    return {
        commands.AFFECTED_SOP_CLASS_UID: COMMITMENT_PUSH_MODEL,
        commands.COMMAND_FIELD: commands.N_EVENT_REPORT_RQ | commands.RESPONSE,
        commands.MESSAGE_ID_RESPONDED_TO: request.number(commands.MESSAGE_ID) or 0,
        commands.STATUS: status,
        commands.AFFECTED_SOP_INSTANCE_UID: COMMITMENT_INSTANCE,
        commands.EVENT_TYPE_ID: request.number(commands.EVENT_TYPE_ID) or 0,
    }
