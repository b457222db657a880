"""The façade: what a person can ask of the box, whoever answers.

Promises: nothing here needs a key; everything is asked of a running daemon. While a running box rebuilds its ledger nobody waits for a
daemon that waits itself: that is said at once.
Failures: `NotRunningError` (exit code 3) where the box does not run; `LedgerRebuildingError`; `RequestRefusedError` with the daemon's
own words.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from appliance.ledger.access import rebuild_requested
from appliance.ledger.faults import LedgerRebuildingError
from appliance.runtime.account_requests import (
    AddPersonRequest,
    ChangePersonReply,
    ChangePersonRequest,
    OneTimeReply,
    PeopleReply,
    PeopleRequest,
    ResetPasswordRequest,
)
from appliance.runtime.asking import ask
from appliance.runtime.page_requests import (
    ActivityReply,
    ActivityRequest,
    BacklogReply,
    BacklogRequest,
    PreviewReply,
    PreviewRequest,
    ReadReply,
    ReadRequest,
    RecoveryReply,
    RecoveryRequest,
    ResendReply,
    ResendRequest,
    StudyReply,
    StudyRequest,
    StudySearchReply,
    StudySearchRequest,
    ThroughputReply,
    ThroughputRequest,
    TodayReply,
    TodayRequest,
)
from appliance.runtime.questions import (
    DeliveryReply,
    DeliveryRequest,
    DestinationTestProgressReply,
    DestinationTestProgressRequest,
    DestinationTestReply,
    DestinationTestRequest,
    ForetellFileRequest,
    ForetellReply,
    ForetellStudyRequest,
    LastTestsReply,
    LastTestsRequest,
    SourceTestReply,
    SourceTestRequest,
)
from appliance.runtime.requests import (
    CertificateReply,
    CertificateRequest,
    DestinationsReply,
    DestinationsRequest,
    ExportItem,
    ExportReply,
    ExportRequest,
    ObjectsReply,
    ObjectsRequest,
    OrderReply,
    OrderRequest,
    PauseReply,
    PauseRequest,
    QueueReply,
    QueueRequest,
    ReplayReply,
    ReplayRequest,
    RotateReply,
    RotateRequest,
    StatusReply,
    StatusRequest,
    StudiesReply,
    StudiesRequest,
    VerifyReply,
    VerifyRequest,
)
from appliance.runtime.service import living

__all__ = ["Control", "LedgerRebuildingError"]

Reply = TypeVar("Reply")

# The daemon that answers questions about the ledger: it has the ledger key, no network, and starts when it is asked.
_LIBRARIAN = "lookup"
# Of a question, whoever answers it: an index leads there.
_SHORT_S = 10.0
# Longer than opener takes to give up on a picture.
_PICTURE_S = 60.0
# An object of 2 GB on a slow disk takes a while; no answer for this long means that the daemon is stuck.
_LONG_S = 300.0


class Control:
    """Asks the daemons of one data directory."""

    def __init__(self, run_dir: Path) -> None:
        """Point at the run directory of the box."""
        self._run_dir = run_dir

    def ready(self) -> frozenset[str]:
        """Return the names of the daemons that are at work; nobody is asked, so this is known even when nobody answers."""
        return frozenset(daemon.name for daemon in living(self._run_dir) if daemon.ready)

    def status(self) -> StatusReply:
        """Return how the box is."""
        return self._ask(_LIBRARIAN, StatusRequest(), StatusReply)

    def queue(self, *, destination: str | None = None, state: str | None = None, limit: int = 100, after: int = 0) -> QueueReply:
        """Return a page of deliveries in id order; without `state`, those that are not settled."""
        return self._ask(_LIBRARIAN, QueueRequest(destination, state, limit, after), QueueReply)

    def delivery(self, number: int) -> DeliveryReply:
        """Return one delivery with everything that is known of it."""
        return self._ask(_LIBRARIAN, DeliveryRequest(number), DeliveryReply)

    def studies(self, request: StudiesRequest) -> StudiesReply:
        """Return a page of studies, newest first."""
        return self._ask(_LIBRARIAN, request, StudiesReply)

    def search_studies(self, request: StudySearchRequest) -> StudySearchReply:
        """Return a page of the studies that fit what somebody remembers of them, newest first."""
        return self._ask(_LIBRARIAN, request, StudySearchReply)

    def study(self, uid: str) -> StudyReply:
        """Return one study from the acquisition to the proof."""
        return self._ask(_LIBRARIAN, StudyRequest(uid), StudyReply)

    def activity(self) -> ActivityReply:
        """Return what each scanner has sent lately."""
        return self._ask(_LIBRARIAN, ActivityRequest(), ActivityReply)

    def throughput(self, bucket: str = "hour") -> ThroughputReply:
        """Return how much came and went in each hour, day or month."""
        return self._ask(_LIBRARIAN, ThroughputRequest(bucket), ThroughputReply)

    def backlog(self) -> BacklogReply:
        """Return how long each destination's queue is, and what is held, by reason."""
        return self._ask(_LIBRARIAN, BacklogRequest(), BacklogReply)

    def today(self) -> TodayReply:
        """Return what came today, and how much of it is owed to nobody any more."""
        return self._ask(_LIBRARIAN, TodayRequest(), TodayReply)

    def resend(self, request: ResendRequest) -> ResendReply:
        """Send a study, or some instances, to destinations again."""
        return self._ask("router", request, ResendReply, deadline_s=_LONG_S)

    def objects(self, uid: str, series: str | None = None) -> ObjectsReply:
        """Return every sealed object of a SOP instance or of a study, or of this series of it."""
        return self._ask(_LIBRARIAN, ObjectsRequest(uid, series), ObjectsReply)

    def export(self, items: tuple[ExportItem, ...], folder: Path, *, overwrite: bool) -> ExportReply:
        """Write objects as plain files into `folder` and return what became of each."""
        request = ExportRequest(items, str(folder.absolute()), overwrite)
        return self._ask("opener", request, ExportReply, deadline_s=_LONG_S)

    def verify(self, request: VerifyRequest) -> VerifyReply:
        """Return the next page of a verification."""
        return self._ask("keeper", request, VerifyReply, deadline_s=_LONG_S)

    def order(self, request: OrderRequest) -> OrderReply:
        """Hold, release, retry or cancel deliveries."""
        return self._ask("sender", request, OrderReply, deadline_s=_LONG_S)

    def pause(self, request: PauseRequest) -> PauseReply:
        """Pause or resume a destination."""
        return self._ask("sender", request, PauseReply)

    def replay(self, request: ReplayRequest) -> ReplayReply:
        """Ask today's routes about instances that were received before."""
        return self._ask("router", request, ReplayReply, deadline_s=_LONG_S)

    def test_destination(self, name: str, *, send: bool = False, proposal: str = "", ticket: str = "") -> DestinationTestReply:
        """Find out, step by step, whether a destination would take what is sent to it; with `send`, whether it proves a test image.

        `proposal` is the text of one that is not in force. With a `ticket` this returns at once: `test_progress` shows the steps.
        """
        return self._ask("sender", DestinationTestRequest(name, send, proposal, ticket), DestinationTestReply, deadline_s=_LONG_S)

    def test_progress(self, ticket: str) -> DestinationTestProgressReply:
        """Return how far a test is that was begun with a ticket."""
        return self._ask("sender", DestinationTestProgressRequest(ticket), DestinationTestProgressReply)

    def last_tests(self) -> LastTestsReply:
        """Return what the last test of each destination found."""
        return self._ask("sender", LastTestsRequest(), LastTestsReply)

    def foretell_file(self, request: ForetellFileRequest) -> ForetellReply:
        """Return what would become of a file."""
        return self._ask("router", request, ForetellReply)

    def foretell_study(self, uid: str) -> ForetellReply:
        """Return what would become of a study that was received."""
        return self._ask("router", ForetellStudyRequest(uid), ForetellReply)

    def test_source(self, name: str) -> SourceTestReply:
        """Find out whether a source has called, what it was answered, and whether it could be called back."""
        return self._ask("sender", SourceTestRequest(name), SourceTestReply, deadline_s=_LONG_S)

    def rotate_keys(self) -> RotateReply:
        """Make the next key generation."""
        return self._ask("keeper", RotateRequest(), RotateReply, deadline_s=_LONG_S)

    def set_recovery(self, recipient: str) -> RecoveryReply:
        """Seal what comes from now on to the hospital's recovery key too."""
        return self._ask("keeper", RecoveryRequest(recipient), RecoveryReply)

    def certificate(self, request: CertificateRequest) -> CertificateReply:
        """Make a TLS key and certificate, or a request for one to be signed."""
        return self._ask("keeper", request, CertificateReply, deadline_s=_LONG_S)

    def people(self) -> PeopleReply:
        """Return who may use the pages."""
        return self._ask("keeper", PeopleRequest(), PeopleReply)

    def add_person(self, request: AddPersonRequest) -> OneTimeReply:
        """Add an account, which begins with a one-time password."""
        return self._ask("keeper", request, OneTimeReply)

    def reset_password(self, request: ResetPasswordRequest) -> OneTimeReply:
        """Give an account a one-time password."""
        return self._ask("keeper", request, OneTimeReply)

    def change_person(self, request: ChangePersonRequest) -> ChangePersonReply:
        """Let an account have another role, or be enabled or not."""
        return self._ask("keeper", request, ChangePersonReply)

    def destinations(self) -> DestinationsReply:
        """Return every destination and how it is."""
        return self._ask(_LIBRARIAN, DestinationsRequest(), DestinationsReply)

    def preview(self, request: PreviewRequest) -> PreviewReply:
        """Return a small picture of a frame, or why there is none."""
        return self._ask("opener", request, PreviewReply, deadline_s=_PICTURE_S)

    def read(self, request: ReadRequest) -> ReadReply:
        """Return the next bytes of an object as a plain file."""
        return self._ask("opener", request, ReadReply, deadline_s=_LONG_S)

    def _ask(self, daemon: str, request: object, reply_type: type[Reply], *, deadline_s: float = _SHORT_S) -> Reply:
        if rebuild_requested(self._run_dir.parent) is not None and living(self._run_dir):
            raise LedgerRebuildingError("the ledger is being rebuilt")
        return ask(self._run_dir, daemon, request, reply_type, deadline_s=deadline_s)
