"""The daemons that come when they are asked and go when nobody does: lookup, opener, keeper (composition, like `daemons`).

Promises: each holds only the keys of its row (house.md section 3): lookup the ledger's, opener the private spool keys,
keeper all. A request is short; long work comes in pages, so that whoever asks can show how far it is and stop.
Failures: those of what they are made of, told to the one who asks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.core.identity import Uid
from appliance.keyring import accounts_keys, private_spool, root_key, serve_ledger, snapshots
from appliance.runtime.clock import SystemClock
from appliance.runtime.control import ControlServer, Handler
from appliance.runtime.deriving import DeriveRequest
from appliance.runtime.page_requests import PreviewRequest, ReadRequest
from appliance.runtime.requests import (
    ExportReply,
    ExportRequest,
    ExportRow,
    RotateReply,
    RotateRequest,
    VerifyRequest,
)
from appliance.runtime.service import Service

# Long enough that a person at a screen never waits for a start twice, short enough to give the memory back overnight.
_LOOKUP_IDLE_S = 600.0
# Private keys are not kept in memory longer than the work takes.
_KEYS_IDLE_S = 10.0
_TICK_S = 0.5
# A little less than the supervisor's (or the timer's) period, so that a round is never skipped for being early by a moment.
_ROUND_EVERY_S = 870.0


def lookup(data: Path, service: Service) -> None:
    """Answer questions about the ledger until nobody has asked for a while."""
    from appliance.config.active import ActiveSite
    from appliance.manage.explaining import ExplainingDesk
    from appliance.manage.overview import Overview
    from appliance.manage.page_answers import page_handlers
    from appliance.spool.store import Spool

    ledger = serve_ledger(data, root_key(data), service)
    if ledger is None:
        return
    # Looked up anew for each question: whoever just applied a configuration sees it.
    overview = Overview(ledger, Spool(data), ActiveSite(data).newest, service.run_dir, SystemClock())
    pages = page_handlers(ledger, ActiveSite(data).newest, SystemClock(), overview)
    handlers = {**overview.handlers(), **ExplainingDesk(ledger, ActiveSite(data).newest).handlers(), **pages}
    _serve(service, ControlServer(service.run_dir, service.name, handlers), _LOOKUP_IDLE_S)


def opener(data: Path, service: Service) -> None:
    """Export sealed objects, derive what destinations are to get, and make pictures, until nobody has asked for a while."""
    from appliance.config.active import ActiveSite
    from appliance.opener import preview
    from appliance.opener.derivation import Derivations
    from appliance.opener.jobs import ExportFile, Wanted, export
    from appliance.opener.reading import Readings
    from appliance.opener.room import DerivedRoom
    from appliance.opener.workbench import Workbench
    from appliance.spool.names import SpoolName

    spool = private_spool(data, root_key(data))

    def answer(request: ExportRequest) -> ExportReply:
        files = [
            ExportFile(Wanted(Uid(item.object.sop_instance_uid), item.object.version, name), item.file)
            for item in request.items
            if (name := SpoolName.parse(item.object.spool_name)) is not None
        ]
        done = export(spool, files, Path(request.folder), overwrite=request.overwrite)
        return ExportReply(tuple(ExportRow(one.file, one.outcome.value, one.problem) for one in done))

    site = ActiveSite(data).newest
    derivations = Derivations(spool, Workbench(), has_room=DerivedRoom(spool.space, lambda: site().retention).has)
    # Children of their own: however many pictures somebody looks at, what is transcoded does not wait for them.
    workbench = Workbench(progress_s=preview.PROGRESS_S, wait_s=preview.WAIT_S)
    previews, readings = preview.Previews(spool, workbench, SystemClock()), Readings(spool, SystemClock())
    handlers: dict[type, Handler] = {
        ExportRequest: answer,
        DeriveRequest: derivations.answer,
        PreviewRequest: previews.answer,
        ReadRequest: readings.answer,
    }
    control = ControlServer(service.run_dir, service.name, handlers)
    _serve(service, control, _KEYS_IDLE_S, is_at_work=readings.is_any_open)
    for work in (derivations, previews, readings):
        work.close()


def keeper(data: Path, service: Service) -> None:
    """Do a round where one is due, and answer what needs every key until nobody has asked for a while."""
    from appliance.config.load import load_active
    from appliance.keys.rotation import rotate
    from appliance.manage.account_desk import AccountDesk
    from appliance.manage.accounts import Accounts
    from appliance.manage.certificates import CertificateDesk
    from appliance.manage.sealing_keys import RecoveryDesk
    from appliance.manage.verification import Verification
    from appliance.retain.keeper import Keeper

    root, clock = root_key(data), SystemClock()
    ledger = serve_ledger(data, root, service)
    if ledger is None:
        return
    kept = snapshots(data, root, reserve_bytes=load_active(data).retention.reserve)
    spool = private_spool(data, root)
    verification = Verification(spool, data, ledger, clock)

    def rotated(_: RotateRequest) -> RotateReply:
        done = rotate(data, root)
        return RotateReply(done.before, done.generation, done.recipient)

    certificates = CertificateDesk(data, root, lambda: load_active(data), clock)
    handlers: dict[type, Handler] = {
        RotateRequest: rotated,
        VerifyRequest: verification.page,
        **certificates.handlers(),
        **RecoveryDesk(data).handlers(),
        **AccountDesk(Accounts(data, accounts_keys(data)[0], clock), clock).handlers(),
    }
    control = ControlServer(service.run_dir, service.name, handlers)
    if _is_due(kept.all(), clock.now().wall):
        Keeper(ledger, kept, spool, clock).round()
    _serve(service, control, _KEYS_IDLE_S)


def _is_due(snapshots: list[Path], now: float) -> bool:
    # A clock that was set back makes a snapshot of the future; then one more is cheaper than none.
    return not snapshots or not 0 <= now - snapshots[-1].stat().st_mtime < _ROUND_EVERY_S


def _serve(service: Service, control: ControlServer, idle_s: float, *, is_at_work: Callable[[], bool] = lambda: False) -> None:
    service.ready()
    while not service.stopping.wait(_TICK_S) and (control.idle_s < idle_s or is_at_work()):
        pass
    control.close()
