"""The façade: what a person can ask of the box, whoever answers.

Promises: nothing here needs a key; everything is asked of a running daemon.
Failures: `NotRunningError` (exit code 3) where the box does not run; `RequestRefusedError` with the daemon's words.
"""

from __future__ import annotations

from pathlib import Path

from appliance.runtime.control import ask
from appliance.runtime.requests import (
    DestinationsReply,
    DestinationsRequest,
    DestinationTestReply,
    DestinationTestRequest,
    ExportItem,
    ExportReply,
    ExportRequest,
    ObjectsReply,
    ObjectsRequest,
    OrderReply,
    OrderRequest,
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

# The daemon that answers questions about the ledger: it has the ledger key, no network, and starts when it is asked.
_LIBRARIAN = "lookup"
# An object of 2 GB on a slow disk takes a while; no answer for this long means that the daemon is stuck.
_LONG_S = 300.0


class Control:
    """Asks the daemons of one data directory."""

    def __init__(self, run_dir: Path) -> None:
        """Point at the run directory of the box."""
        self._run_dir = run_dir

    def status(self) -> StatusReply:
        """Return how the box is."""
        return ask(self._run_dir, _LIBRARIAN, StatusRequest(), StatusReply)

    def queue(self, *, destination: str | None = None, state: str | None = None, limit: int = 100, after: int = 0) -> QueueReply:
        """Return a page of deliveries in id order; without `state`, those that are not settled."""
        return ask(self._run_dir, _LIBRARIAN, QueueRequest(destination, state, limit, after), QueueReply)

    def studies(self, request: StudiesRequest) -> StudiesReply:
        """Return a page of studies, newest first."""
        return ask(self._run_dir, _LIBRARIAN, request, StudiesReply)

    def objects(self, uid: str) -> ObjectsReply:
        """Return every sealed object of a SOP instance or of a study."""
        return ask(self._run_dir, _LIBRARIAN, ObjectsRequest(uid), ObjectsReply)

    def export(self, items: tuple[ExportItem, ...], folder: Path, *, overwrite: bool) -> ExportReply:
        """Write objects as plain files into `folder` and return what became of each."""
        request = ExportRequest(items, str(folder.absolute()), overwrite)
        return ask(self._run_dir, "opener", request, ExportReply, deadline_s=_LONG_S)

    def verify(self, request: VerifyRequest) -> VerifyReply:
        """Return the next page of a verification."""
        return ask(self._run_dir, "keeper", request, VerifyReply, deadline_s=_LONG_S)

    def order(self, request: OrderRequest) -> OrderReply:
        """Hold, release, retry or cancel deliveries."""
        return ask(self._run_dir, "sender", request, OrderReply, deadline_s=_LONG_S)

    def replay(self, request: ReplayRequest) -> ReplayReply:
        """Ask today's routes about instances that were received before."""
        return ask(self._run_dir, "router", request, ReplayReply, deadline_s=_LONG_S)

    def test_destination(self, name: str) -> DestinationTestReply:
        """Find out, step by step, whether a destination would take what is sent to it."""
        return ask(self._run_dir, "sender", DestinationTestRequest(name), DestinationTestReply, deadline_s=_LONG_S)

    def rotate_keys(self) -> RotateReply:
        """Make the next key generation."""
        return ask(self._run_dir, "keeper", RotateRequest(), RotateReply, deadline_s=_LONG_S)

    def destinations(self) -> DestinationsReply:
        """Return every destination and how it is."""
        return ask(self._run_dir, _LIBRARIAN, DestinationsRequest(), DestinationsReply)
