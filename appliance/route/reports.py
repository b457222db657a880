"""Commitment reports that the receiver sealed: recorded for the sender, then removed.

Promises: a report is in the ledger, durably, before its object goes; one that is found again after a crash is recorded once. What cannot be
read stands apart, and keeps no other message waiting.
Failures: the ledger's errors and `OSError` where they concern all objects.
Limits: what a report means, and whether it answers anything that was asked, is the sender's to say. Messages that are no reports (orders)
are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.core.errors import ApplianceError
from appliance.dimse.commitment import COMMITMENT_PUSH_MODEL, LARGEST_REPORT, CommitmentReport, CommitmentReportInvalidError, read_report
from appliance.ledger.database import Ledger
from appliance.ledger.proofs import Proofs
from appliance.runtime.clock import Clock, Due
from appliance.runtime.logging import get_logger
from appliance.spool.age import SealDamagedError, SealFormatError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeaderError
from appliance.spool.store import Spool, SpoolObjectMissingError

log = get_logger(__name__)

# What no second try changes.
_DAMAGED = (SealDamagedError, SealFormatError, ObjectHeaderError, CommitmentReportInvalidError)
# Orders wait in `incoming/` for the sender only for a moment; what cannot be read may be readable later.
_ASIDE_S = 60.0


class ReportRecords:
    """Takes reports out of one spool into one ledger; for one thread."""

    def __init__(self, spool: Spool, ledger: Ledger, clock: Clock, wake_sender: Callable[[], None]) -> None:
        """Take nothing yet; `wake_sender` is called when reports were recorded."""
        self._spool = spool
        self._ledger = ledger
        self._proofs = Proofs(ledger)
        self._clock = clock
        self._wake_sender = wake_sender
        self._aside: dict[str, Due] = {}

    def take(self, names: Sequence[SpoolName]) -> int:
        """Record the reports among message objects that wait, and remove them; return how many. Raises the ledger's errors, `OSError`."""
        now = self._clock.now()
        self._aside = {object_id: due for object_id, due in self._aside.items() if not due.is_due(now)}
        taken = 0
        for name in names:
            if name.object_id not in self._aside and self._take(name):
                taken += 1
        if taken:
            self._wake_sender()
        return taken

    def _take(self, name: SpoolName) -> bool:
        try:
            found = self._read(name)
        except _DAMAGED as error:
            log.error("report.unreadable", object_id=name.object_id, error=type(error).__name__)  # noqa: TRY400 (its text may be a peer's)
            self._spool.quarantine(name, type(error).__name__)
            return False
        except SpoolObjectMissingError:
            return False
        except ApplianceError as error:
            log.warning("report.set_aside", object_id=name.object_id, error=type(error).__name__)
            found = None
        if found is None:
            self._aside[name.object_id] = self._clock.now().after(_ASIDE_S)
            return False
        report, caller, at = found
        results = [*((uid, None) for uid in report.committed), *report.failed]
        with self._ledger.write():
            self._proofs.keep(report.transaction_uid, caller, at, results, name.object_id)
        self._spool.remove(name)
        return True

    def _read(self, name: SpoolName) -> tuple[CommitmentReport, str, float] | None:
        """Return a report, who sent it and when; None for a message that is none."""
        if name.length > LARGEST_REPORT:
            return None
        with self._spool.open(name) as sealed:
            header = sealed.header
            if header.sop_class_uid != COMMITMENT_PUSH_MODEL:
                return None
            return read_report(sealed.read(sealed.length), header.transfer_syntax_uid), header.calling_title, header.received_at
