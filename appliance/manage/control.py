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
from appliance.runtime.asking import ask
from appliance.runtime.questions import (
    DeliveryReply,
    DeliveryRequest,
    DestinationTestReply,
    DestinationTestRequest,
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

Reply = TypeVar("Reply")

# The daemon that answers questions about the ledger: it has the ledger key, no network, and starts when it is asked.
_LIBRARIAN = "lookup"
# Of a question, whoever answers it: an index leads there.
_SHORT_S = 10.0
# An object of 2 GB on a slow disk takes a while; no answer for this long means that the daemon is stuck.
_LONG_S = 300.0


class Control:
    """Asks the daemons of one data directory."""

    def __init__(self, run_dir: Path) -> None:
        """Point at the run directory of the box."""
        self._run_dir = run_dir

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

    def objects(self, uid: str) -> ObjectsReply:
        """Return every sealed object of a SOP instance or of a study."""
        return self._ask(_LIBRARIAN, ObjectsRequest(uid), ObjectsReply)

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

    def test_destination(self, name: str, *, send: bool = False) -> DestinationTestReply:
        """Find out, step by step, whether a destination would take what is sent to it; with `send`, whether it proves a test image."""
        return self._ask("sender", DestinationTestRequest(name, send), DestinationTestReply, deadline_s=_LONG_S)

    def test_source(self, name: str) -> SourceTestReply:
        """Find out whether a source has called, what it was answered, and whether it could be called back."""
        return self._ask("sender", SourceTestRequest(name), SourceTestReply, deadline_s=_LONG_S)

    def rotate_keys(self) -> RotateReply:
        """Make the next key generation."""
        return self._ask("keeper", RotateRequest(), RotateReply, deadline_s=_LONG_S)

    def certificate(self, request: CertificateRequest) -> CertificateReply:
        """Make a TLS key and certificate, or a request for one to be signed."""
        return self._ask("keeper", request, CertificateReply, deadline_s=_LONG_S)

    def destinations(self) -> DestinationsReply:
        """Return every destination and how it is."""
        return self._ask(_LIBRARIAN, DestinationsRequest(), DestinationsReply)

    def _ask(self, daemon: str, request: object, reply_type: type[Reply], *, deadline_s: float = _SHORT_S) -> Reply:
        if rebuild_requested(self._run_dir.parent) is not None and living(self._run_dir):
            raise LedgerRebuildingError("the ledger is being rebuilt")
        return ask(self._run_dir, daemon, request, reply_type, deadline_s=deadline_s)
