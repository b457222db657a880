"""An archive with storage commitment, written with pynetdicom: it stores, is asked, and reports as the script says.

Promises: what is in `kept` was stored; `asked` has every request, in order; a report goes under the title and on the association that the
script wants, and `reported` has the status with which each was answered (None where there was no answer, "refused" where the box let it
not in). After `close` nothing of it is left.
Failures: none of its own.
Limits: one report a request; the loopback only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import build_role

from tests.support.dcmtk import free_port

PUSH_MODEL = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"
# Long enough that the answer to the request has gone.
_AFTER_THE_ANSWER_S = 0.3

Way = Literal["same", "new", "new without roles", "never"]
Reasons = dict[str, int | None]


@dataclass(frozen=True)
class Asked:
    """A request."""

    calling: str
    called: str
    transaction: str
    uids: tuple[str, ...]


@dataclass
class CommitmentArchive:
    """One archive. Its script's attributes may be changed at any time."""

    title: str = "ARCHIVE"
    reports_as: str = "ARCHIVE"
    way: Way = "new"
    takes_commitment: bool = True
    action_status: int = 0x0000
    box_port: int = 0
    answer: Callable[[Asked], Reasons | None] | None = None
    loses: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    stored: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    reported: list[int | str | None] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    _threads: list[threading.Thread] = field(default_factory=list)
    _server: Any = None

    def __enter__(self) -> Self:
        """Start."""
        ae = AE(self.title)
        for storage in (CTImageStorage, SecondaryCaptureImageStorage):
            ae.add_supported_context(storage, ExplicitVRLittleEndian)
        ae.add_supported_context("1.2.840.10008.1.1")
        if self.takes_commitment:
            ae.add_supported_context(PUSH_MODEL)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._asked)]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        for thread in self._threads:
            thread.join(20)
        self._server.shutdown()

    def forget(self) -> None:
        """Forget what happened, and be honest again; reports that are on their way have gone then."""
        for thread in self._threads:
            thread.join(20)
        self.reports_as, self.way, self.action_status, self.answer = self.title, "new", 0x0000, None
        for books in (self.loses, self.stored, self.asked, self.reported, self._threads):
            books.clear()

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.stored.append(uid)
        if uid in self.loses:
            self.loses.discard(uid)
        else:
            self.kept.add(uid)
        return 0x0000

    def _asked(self, event: Any) -> tuple[int, None]:
        information = event.action_information
        uids = tuple(str(item.ReferencedSOPInstanceUID) for item in information.ReferencedSOPSequence)
        requestor = event.assoc.requestor.primitive
        asked = Asked(str(requestor.calling_ae_title), str(requestor.called_ae_title), str(information.TransactionUID), uids)
        self.asked.append(asked)
        results = self.answer(asked) if self.answer is not None else {uid: None if uid in self.kept else 0x0112 for uid in uids}
        if results is not None and self.way != "never" and self.action_status == 0:
            thread = threading.Thread(target=self._report, args=(event.assoc, asked, results), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self.action_status, None

    def _report(self, same: Association, asked: Asked, results: Reasons) -> None:
        time.sleep(_AFTER_THE_ANSWER_S)
        data_set = report(asked.transaction, results)
        if self.way == "same":
            self.reported.append(report_on(same, data_set))
        else:
            self.reported.append(report_to(self.box_port, self.reports_as, data_set, with_roles=self.way == "new"))


def report(transaction: str, results: Reasons) -> Dataset:
    """Return the data set of a report."""
    data_set = Dataset()
    data_set.TransactionUID = transaction
    for uid, reason in results.items():
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, uid
        if reason is None:
            data_set.setdefault("ReferencedSOPSequence", []).value.append(item)
        else:
            item.FailureReason = reason
            data_set.setdefault("FailedSOPSequence", []).value.append(item)
    return data_set


def report_to(port: int, calling: str, data_set: Dataset, *, with_roles: bool = True, called: str = "EDGE") -> int | str | None:
    """Report on an association of its own; return the status of the answer, "refused" where there is no association or no context."""
    ae = AE(calling)
    ae.add_requested_context(PUSH_MODEL)
    roles: list[SCP_SCU_RoleSelectionNegotiation] = [build_role(PUSH_MODEL, scp_role=True)] if with_roles else []
    association = ae.associate("127.0.0.1", port, ae_title=called, ext_neg=roles)  # type: ignore[arg-type]
    if not association.is_established:
        return "refused"
    try:
        if not association.accepted_contexts:
            return "refused"
        if with_roles:
            assert all(context.as_scp for context in association.accepted_contexts), "the box does not answer the role item"
        for context in association.accepted_contexts:
            # What the standard's default roles forbid, and archives do all the same.
            context._as_scp = True
        return report_on(association, data_set)
    finally:
        association.release()


def report_on(association: Association, data_set: Dataset) -> int | None:
    """Report on an association that is there; return the status of the answer, None where there is none."""
    kind = 2 if "FailedSOPSequence" in data_set else 1
    status, _ = association.send_n_event_report(data_set, kind, PUSH_MODEL, INSTANCE)
    return int(status.Status) if "Status" in status else None
