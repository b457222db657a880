"""The composition root: which daemon is made of what, with which keys (house.md section 3, the table).

Promises: each daemon imports and holds only what its row of the table allows; the receiver gets the digest key and public
keys, the pages the key of the accounts, and neither the root key.
Failures: every refusal to start is an `ApplianceError` with one line and an exit code.
Limits: separate users, limits and the root key as a credential come with the installed units.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.core.errors import ApplianceError
from appliance.keyring import accounts_keys, digest_key, ledger_key, own_tls, private_spool, root_key, serve_ledger, snapshots
from appliance.runtime import logging
from appliance.runtime.clock import SystemClock
from appliance.runtime.listening import TLS_LISTEN_VARIABLE, WEB_LISTEN_VARIABLE, bind, inherited
from appliance.runtime.service import Service

if TYPE_CHECKING:
    import ssl

    from appliance.config.model import Site
    from appliance.keys.root import RootKey
    from appliance.spool.store import Spool

# How long open C-STOREs may go on after a stop (house.md section 3, Drain).
_DRAIN_S = 30.0
_TICK_S = 0.5


def serve_daemon(name: str, data: Path, *, instance: int, log_level: str) -> int:
    """Run one daemon until it is told to stop; return its exit code."""
    logging.configure(name if instance == 0 else f"{name}.{instance}", level=log_level)
    os.umask(0o077)
    try:
        with Service(name, data / "run", instance) as service:
            DAEMONS[name](data, service)
    except ApplianceError as error:
        click.echo(f"dicom-edge {name}: {error}. {error.advice}".rstrip(), err=True)
        return error.exit_code
    return 0


def _receiver(data: Path, service: Service) -> None:
    from appliance.config.active import ActiveSite
    from appliance.dimse.contexts import Acceptance
    from appliance.keys.generations import RememberedRecipients
    from appliance.receive.acceptance import KnownAcceptance
    from appliance.receive.hearing import noted_by
    from appliance.receive.listener import AssociationOrigin, Listener
    from appliance.receive.report_scp import report_sinks
    from appliance.receive.secure_door import SecureDoor
    from appliance.receive.space import StorageWatch
    from appliance.receive.store_scp import StoreSink
    from appliance.route.possible import possible_destinations
    from appliance.runtime.callers import Callers
    from appliance.runtime.slots import Slots
    from appliance.runtime.wakeup import Bell
    from appliance.spool.heads import HeadPost
    from appliance.spool.store import Spool

    # Looked up anew for each association: a scanner that was just added is let in at its first try.
    site, clock = ActiveSite(data).newest, SystemClock()
    digests = digest_key(data)
    heads = HeadPost(service.run_dir, digests)
    spool = Spool(data, recipients=RememberedRecipients(data), digest_key=digests, heads=heads)
    spool.prepare()
    storage = StorageWatch(spool.space, lambda: site().retention, clock)
    acceptance, router = KnownAcceptance(service.run_dir), Bell(service.run_dir, "router")

    def sink(origin: AssociationOrigin) -> StoreSink:
        return StoreSink(spool, origin, storage, clock, router.ring, largest_bytes=site().admission.largest_object)

    def known(site: Site, source_name: str, called: str) -> Acceptance:
        return acceptance.for_destinations(possible_destinations(site, source_name, called))

    sockets = inherited()
    if sockets is None:
        sockets = bind((address.host, address.port) for address in site().listen.dicom)
    tls_sockets = inherited(TLS_LISTEN_VARIABLE)
    if tls_sockets is None:
        tls_sockets = bind((address.host, address.port) for address in site().listen.dicom_tls)
    callers = Callers(service.run_dir, service.instance)
    listener = Listener(
        sockets,
        site,
        sinks=sink,
        slots=Slots(service.run_dir / "slots"),
        storage_possible=storage.may_accept,
        stopping=service.stopping,
        known=known,
    )
    listener.tell(noted_by(callers, site, clock))
    listener.take_reports(report_sinks(spool, storage, clock, router.ring))
    if tls_sockets:
        listener.also_serve(SecureDoor(tls_sockets, lambda: site().tls, own_tls(data)))
    listener.start()
    service.ready()
    _until_stopped(service, callers.write)
    listener.drain(_DRAIN_S)


def _until_stopped(service: Service, each_tick: Callable[[], None] = lambda: None) -> None:
    # Ticks, because the kernel may hand SIGTERM to another thread (it does after SIGCONT), and Python acts on it in this one only.
    while not service.stopping.wait(_TICK_S):
        each_tick()


def _router(data: Path, service: Service) -> None:
    from appliance.config.active import ActiveSite
    from appliance.manage.configuration import following_site_file
    from appliance.manage.foretelling import ForetellingDesk
    from appliance.manage.replaying import ReplayDesk
    from appliance.manage.resending import ResendDesk
    from appliance.manage.site_changes import SiteChanges, taking_back_unconfirmed
    from appliance.route.router import Router
    from appliance.runtime.control import ControlServer
    from appliance.runtime.wakeup import Bell, HintListener
    from appliance.spool.heads import HeadListener

    # Looked up anew each time: an object is never routed by an older configuration than the one that let it in.
    site, clock, root = ActiveSite(data).newest, SystemClock(), root_key(data)
    spool = private_spool(data, root)
    _mend_ledger(data, root, spool, service)
    ledger = serve_ledger(data, root, service)
    if ledger is None:
        return
    hints = HintListener(service.run_dir, service.name)
    wake_sender = Bell(service.run_dir, "sender").ring
    heads = HeadListener(service.run_dir, digest_key(data))
    router = Router(spool, ledger, site, clock, wake_sender=wake_sender, heads=heads)
    resends = ResendDesk(spool, ledger, site, clock, wake_sender)
    resends.recover()
    router.recover()
    replay, foretelling = ReplayDesk(ledger, site, clock, wake_sender), ForetellingDesk(ledger, site, service.run_dir)
    handlers = {**replay.handlers(), **foretelling.handlers(), **resends.handlers()}
    control = ControlServer(service.run_dir, service.name, handlers)
    # Here and not with the pages: the change may be what keeps those from working.
    with following_site_file(data), taking_back_unconfirmed(SiteChanges(data, clock)):
        service.ready()
        router.run(service.stopping, hints)
    control.close()
    heads.close()


def _mend_ledger(data: Path, root: RootKey, spool: Spool, service: Service) -> None:
    """Rebuild the ledger where it is missing, damaged, or somebody asked for it; nobody else has it open then."""
    from appliance.config.active import ActiveSite
    from appliance.deliver.order_book import OrderBook
    from appliance.retain.assessment import assess, is_in_doubt
    from appliance.retain.rebuild import Rebuild
    from appliance.route.rerecording import Rerecording

    kept = snapshots(data, root)
    if is_in_doubt(data) and assess(data, ledger_key(root), spool, kept):
        recording = Rerecording(spool, ActiveSite(data).newest(), SystemClock())
        Rebuild(data, ledger_key(root), spool, kept, recording, OrderBook(spool), SystemClock()).run(service.stopping)


def _sender(data: Path, service: Service) -> None:
    from appliance.config.active import ActiveSite
    from appliance.deliver.orders import Orders
    from appliance.deliver.outgoing_tls import OutgoingTls
    from appliance.deliver.sender import Sender
    from appliance.manage.examination import Examinations
    from appliance.manage.ordering import OrderDesk
    from appliance.runtime.control import ControlServer
    from appliance.runtime.wakeup import HintListener

    # Looked up anew each time: a destination that was just added can be examined, and what is routed to it is sent.
    site, clock, root = ActiveSite(data).newest, SystemClock(), root_key(data)
    spool, ledger = private_spool(data, root), serve_ledger(data, root, service)
    if ledger is None:
        return
    hints = HintListener(service.run_dir, service.name)
    sender, tls = Sender(spool, ledger, site, clock, service.run_dir), OutgoingTls(own_tls(data))
    sender.secure_with(tls)
    orders = Orders(spool, ledger, clock, wake=service.wake)
    sender.recover()
    # Whatever was on its way out is made again when it is needed.
    spool.empty_derived()
    orders.recover()
    examinations = Examinations(ledger, site, sender.examined, tls, service.run_dir, sender.expected_reports)
    handlers = {**examinations.handlers(), **OrderDesk(orders, ledger, site).handlers()}
    control = ControlServer(service.run_dir, service.name, handlers)
    service.ready()
    sender.run(service.stopping, hints)
    control.close()


def _web(data: Path, service: Service) -> None:
    from appliance.config.active import ActiveSite
    from appliance.manage.site_changes import SiteChanges, taking_back_unconfirmed
    from webui.app import create_app
    from webui.composition import compose
    from webui.server import serve

    site = ActiveSite(data).newest
    accounts_key, secret = accounts_keys(data)
    sockets = inherited(WEB_LISTEN_VARIABLE)
    if sockets is None:
        web = site().listen.web
        sockets = [] if web == "off" else bind([(web.host, web.port)])
    context = _web_context(data, site)
    # Before anybody comes: an identity that cannot be used is said at the start.
    context()
    # As the router does, which may have a ledger to rebuild first.
    with taking_back_unconfirmed(SiteChanges(data, SystemClock())):
        is_done = serve(
            lambda: create_app(compose(data, accounts_key), secret=secret),
            sockets,
            context,
            run_dir=service.run_dir,
            stopping=service.stopping,
            ready=service.ready,
        )
    if not is_done:
        # A thread waits for a daemon that does not answer; nothing of it is lost, and nothing else is worth waiting for.
        os._exit(0)


def _web_context(data: Path, site: Callable[[], Site]) -> Callable[[], ssl.SSLContext]:
    """Return what gives the TLS context for a browser that comes now: the identity that scanners see, and no certificate asked for."""
    from appliance.dimse.tls import Check, Contexts, Profile, Recipe, named_credentials

    contexts, own = Contexts(), own_tls(data)

    def context() -> ssl.SSLContext:
        settings = site().tls
        credentials = named_credentials(settings.certificate, settings.key) or own
        return contexts.get(Recipe(is_acceptor=True, profile=Profile(settings.profile), check=Check.NOTHING, credentials=credentials))

    return context


def _demo_archive(data: Path, service: Service) -> None:
    from appliance.config.load import archive_site
    from appliance.demo import FileSink
    from appliance.receive.listener import Listener
    from appliance.runtime.slots import Slots

    site, home = archive_site(), data / "demo" / "archive"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    listener = Listener(
        inherited() or [],
        lambda: site,
        sinks=lambda origin: FileSink(home, origin),
        slots=Slots(service.run_dir / "demo-slots"),
        storage_possible=lambda: True,
        stopping=service.stopping,
    )
    listener.start()
    service.ready()
    _until_stopped(service)
    listener.drain(_DRAIN_S)


def _attendant(name: str) -> Callable[[Path, Service], None]:
    def serve(data: Path, service: Service) -> None:
        from appliance import attendants

        {"lookup": attendants.lookup, "opener": attendants.opener, "keeper": attendants.keeper}[name](data, service)

    return serve


DAEMONS: dict[str, Callable[[Path, Service], None]] = {
    "receiver": _receiver,
    "router": _router,
    "sender": _sender,
    "lookup": _attendant("lookup"),
    "opener": _attendant("opener"),
    "keeper": _attendant("keeper"),
    "web": _web,
    "demo-archive": _demo_archive,
}
