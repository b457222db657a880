"""N-EVENT-REPORT as SCU of storage commitment: a report from an archive, sealed and durable before it is answered.

Promises: 0000 means that the report is durable in `incoming/` (P1, P2), where the router records it; after any other answer nothing is
left. What cannot be read as a report is refused and not kept.
Failures: `StoreRefusedError` with the answer; an internal fault is the seam's 0110.
Limits: 256 KiB, which is more than a report on a request of ours can need. Whether the transaction is ours is not asked here: the receiver
has no ledger.
Standard: PS3.4 J.3.3, PS3.7 10.1.1.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.core.errors import ApplianceError
from appliance.dimse import commands, statuses
from appliance.dimse.commands import CommandSet
from appliance.dimse.commitment import COMMITMENT_INSTANCE, COMMITMENT_PUSH_MODEL, LARGEST_REPORT, CommitmentReportInvalidError, read_report
from appliance.dimse.stream import AcceptedContext, Answer, Data, StoreCommand, StoreRefusedError
from appliance.receive.admission import AssociationOrigin
from appliance.receive.store_scp import ObjectTaker, Storage
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.spool.admission import SpoolWriteError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader

log = get_logger(__name__)


class ReportSink:
    """Takes one report."""

    def __init__(
        self,
        spool: ObjectTaker,
        origin: AssociationOrigin,
        storage: Storage,
        clock: Clock,
        on_stored: Callable[[], None],
        context: AcceptedContext,
    ) -> None:
        """Seal into `spool`; `on_stored` wakes whoever records messages."""
        self._spool = spool
        self._origin = origin
        self._storage = storage
        self._clock = clock
        self._on_stored = on_stored
        self._context = context
        self._data = bytearray()

    def begin(self, command: StoreCommand, context: AcceptedContext) -> None:
        """Not for objects."""
        raise NotImplementedError

    def write(self, data: Data) -> None:
        """Keep it, as long as it is no longer than a report can be."""
        self._data += data
        if len(self._data) > LARGEST_REPORT:
            raise self._refusal(statuses.RESOURCE_LIMITATION, "the report is too long")

    def commit(self) -> Answer:
        """Make the report durable. Raises `StoreRefusedError`."""
        content = bytes(self._data)
        try:
            report = read_report(content, self._context.transfer_syntax)
        except CommitmentReportInvalidError as error:
            raise self._refusal(statuses.PROCESSING_FAILURE, str(error)) from error
        header = ObjectHeader(
            sop_class_uid=COMMITMENT_PUSH_MODEL,
            sop_instance_uid=COMMITMENT_INSTANCE,
            transfer_syntax_uid=self._context.transfer_syntax,
            calling_title=self._origin.calling.text,
            called_title=self._origin.called.text,
            peer_address=self._origin.address,
            reception_id="",
            received_at=self._clock.now().wall,
            kind="message",
            command=commands.encode_command({commands.COMMAND_FIELD: commands.N_EVENT_REPORT_RQ}),
        )
        try:
            name = self._seal(header, content)
        except SpoolWriteError as error:
            self._storage.failed(error)
            raise self._refusal(statuses.RESOURCE_LIMITATION, "the report could not be stored") from error
        except ApplianceError as error:
            raise self._refusal(statuses.RESOURCE_LIMITATION, "the report could not be stored") from error
        log.info(
            "report.stored",
            object_id=name.object_id,
            source=self._origin.source_name,
            committed=len(report.committed),
            failed=len(report.failed),
        )
        return Answer(statuses.SUCCESS)

    def _seal(self, header: ObjectHeader, content: bytes) -> SpoolName:
        admitted = self._spool.admit(header)
        try:
            admitted.write(content)
        except BaseException:  # boundary: whatever ends it, nothing may be left behind; raised again
            admitted.abandon()
            raise
        return admitted.commit()

    def answered(self) -> None:
        """Wake whoever records messages."""
        self._on_stored()

    def abort(self) -> None:
        """Leave nothing behind: nothing is begun before `commit`."""
        self._data.clear()

    def _refusal(self, status: int, problem: str) -> StoreRefusedError:
        log.warning("report.refused", status=f"{status:04X}", problem=problem, source=self._origin.source_name, peer=self._origin.address)
        return StoreRefusedError(Answer(status, problem))


def report_sinks(
    spool: ObjectTaker, storage: Storage, clock: Clock, on_stored: Callable[[], None]
) -> Callable[[AssociationOrigin, CommandSet, AcceptedContext], ReportSink]:
    """Return what makes the sink of a report."""
    return lambda origin, _command, context: ReportSink(spool, origin, storage, clock, on_stored, context)
