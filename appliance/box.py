"""The whole box in one terminal: what is checked and prepared before the first daemon starts, and what is said when it is ready.

Promises: READY is printed when every daemon says it is; before that, whatever stands in the way is one line and an exit
code, and nothing has been changed. Keys, spool and ledger exist before any daemon starts.
Failures: `BoxRunningError` for a second `run` on the same data; configuration, key and port errors from where they arise.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import click

from appliance import __version__
from appliance.config.generations import Generations
from appliance.config.load import ConfigInvalidError, activate, default_site, demo_site, read_text
from appliance.config.model import Site
from appliance.config.site_file import SiteFile
from appliance.core.errors import ApplianceError, Fault
from appliance.keyring import (
    ACCOUNTS_VARIABLE,
    DIGEST_VARIABLE,
    TLS_VARIABLE,
    accounts_secret,
    ledger_key,
    private_spool,
    root_key,
    snapshots,
)
from appliance.keys.derive import KEY_LENGTH, Label, derive
from appliance.keys.generations import ensure_keys
from appliance.keys.root import RootKey, RootKeyMissingError, create_root
from appliance.keys.tls_key import identity_path, tls_password
from appliance.retain.assessment import assess
from appliance.runtime import logging
from appliance.runtime.clock import SystemClock
from appliance.runtime.listening import (
    LISTEN_VARIABLE,
    TLS_LISTEN_VARIABLE,
    WEB_LISTEN_VARIABLE,
    PortUnavailableError,
    addresses,
    bind,
)
from appliance.runtime.supervisor import Program, Supervisor
from appliance.spool.files import write_atomically

# Daemons of a killed `run` drain for 30 s at most (house.md section 3); a new one waits for them rather than fight for the port.
_PREDECESSOR_S = 40.0
_LOOPBACK = "127.0.0.1"
# How old the newest snapshot of the ledger may be (house.md section 6).
KEEPER_PERIOD_S = 900.0


class BoxRunningError(ApplianceError):
    """Another `run` owns the data directory."""

    fault = Fault.OPERATOR
    advice = "Stop it first, or choose another directory with --data."


class DataDirectoryError(ApplianceError):
    """The data directory cannot be made or written."""

    fault = Fault.OPERATOR
    advice = "Choose a directory this user may write with --data, or free some space."


def run_box(data: Path, *, config_file: Path | None, demo: bool, log_level: str) -> int:
    """Run the box until it is stopped; return the exit code."""
    # Until the daemons start, only what stands in the way is said, in one line.
    logging.configure("run", level="warning")
    os.umask(0o077)
    with _sole_owner(data):
        site = _site(data, config_file)
        family = _family_lock(data / "run")
        root = _prepare(data)
        ensure_identity(data, root, site)
        archive = bind([(_LOOPBACK, 0)]) if demo else []
        if demo:
            site = demo_site(site, archive_port=addresses(archive)[0][1])
            # An overlay for this run only: the next start without --demo takes the last generation again.
            activate(data, site)
        doors = _open_doors(site, demo=demo)
        listening = {"dicom": addresses(doors.plain), "dicom_tls": addresses(doors.secure), "web": addresses(doors.web)}
        write_atomically(data / "run" / "listening.json", json.dumps({**listening, "demo": demo}).encode())
        programs = _programs(data, site, doors, archive, root, log_level)
        code = _setup_code(data, root) if doors.web else None
        logging.configure("run", level=log_level)
        supervisor = Supervisor(
            programs, data / "run", inherited=(family,), on_ready=lambda: _say_ready(data, site, listening, code, demo=demo)
        )
        ended_with = supervisor.run()
        (data / "run" / "listening.json").unlink(missing_ok=True)
        return ended_with


@contextlib.contextmanager
def _sole_owner(data: Path) -> Iterator[None]:
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data / "run").mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirectoryError(f"cannot use {data} as data directory: {(error.strerror or 'error').lower()}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BoxRunningError(f"a box already runs on {data}") from None
    try:
        yield
    finally:
        os.close(descriptor)


def _site(data: Path, config_file: Path | None) -> Site:
    """Put in force what the operator's file says, or keep the last good configuration, and return the site in force."""
    generations, file = Generations(data), SiteFile(data)
    try:
        if config_file is not None:
            generations.apply(read_text(config_file), "run --config", f"started with {config_file.name}", where=config_file.name)
        elif (text := file.news()) is not None:
            generations.apply(text, "run", "site.toml was changed", where="site.toml")
            file.settle(text)
    except ConfigInvalidError as error:
        standing = generations.restore()
        if standing is None:
            raise
        click.echo(f"dicom-edge: {error}. Configuration {standing.number} stays in force. {error.advice}", err=True)
        return standing.site
    standing = generations.restore()
    if standing is None:
        generations.apply("", "run", "first start without a site.toml")
        standing = generations.restore()
    return default_site() if standing is None else standing.site


def _family_lock(run_dir: Path) -> int:
    """Return a lock that every daemon of this run inherits: the next run gets it only when the last of them has ended."""
    descriptor = os.open(run_dir / "family", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _PREDECESSOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise BoxRunningError("a daemon of an earlier run is still at work") from None
            time.sleep(0.05)
        else:
            return descriptor


def _root(data: Path) -> RootKey:
    try:
        return root_key(data)
    except RootKeyMissingError:
        # The first start makes one; `create_root` refuses while anything exists that an older one protects.
        return create_root(data)


def _prepare(data: Path) -> RootKey:
    root = _root(data)
    ensure_keys(data, root)
    # Makes the ledger, checks it and brings it up to date, or marks it for the router to rebuild.
    assess(data, ledger_key(root), private_spool(data, root), snapshots(data, root))
    return root


def ensure_identity(data: Path, root: RootKey, site: Site) -> None:
    """Make the box's own TLS identity where there is none: what that takes is loaded once in the box's life."""
    if identity_path(data).exists():
        return
    from appliance.keys.tls_identity import create_identity
    from appliance.manage.certificates import names_of

    create_identity(data, tls_password(root), names_of(site), now=SystemClock().now().wall)


@dataclass(frozen=True, slots=True)
class _Doors:
    """The listening sockets: for plain DICOM, for DICOM over TLS, and for browsers."""

    plain: Sequence[socket]
    secure: Sequence[socket]
    web: Sequence[socket]


def _open_doors(site: Site, *, demo: bool) -> _Doors:
    plain = bind((address.host, address.port) for address in site.listen.dicom)
    secure = bind((address.host, address.port) for address in site.listen.dicom_tls)
    if site.listen.web == "off":
        return _Doors(plain, secure, ())
    host, port = site.listen.web.host, site.listen.web.port
    try:
        return _Doors(plain, secure, bind([(host, port)]))
    except PortUnavailableError:
        if not demo:
            for door in (*plain, *secure):
                door.close()
            raise
        # Somebody tries the box on a machine where the usual port is taken: any other will do.
        return _Doors(plain, secure, bind([(host, 0)]))


def _setup_code(data: Path, root: RootKey) -> str | None:
    """Make the accounts ready, and return the code of the first start while there is no administrator."""
    from appliance.manage.accounts import prepare

    try:
        return prepare(data, accounts_secret(root)[:KEY_LENGTH], SystemClock())
    except ApplianceError as error:
        # Nobody can log in then; images are received all the same.
        click.echo(f"dicom-edge: {error}. {error.advice}".rstrip(), err=True)
        return None


def _programs(data: Path, site: Site, doors: _Doors, archive: Sequence[socket], root: RootKey, log_level: str) -> list[Program]:
    """Return what to run."""
    digest = _in_memory("digest-key", derive(root.material, Label.DIGEST))
    password = _in_memory("tls-password", tls_password(root))
    plain, secure = _inheriting(doors.plain), _inheriting(doors.secure)
    receiver = (*plain, *secure, digest, password)
    receiver_environment = {
        LISTEN_VARIABLE: ",".join(map(str, plain)),
        TLS_LISTEN_VARIABLE: ",".join(map(str, secure)),
        DIGEST_VARIABLE: str(digest),
        TLS_VARIABLE: str(password),
    }
    programs = [
        Program("router", 0, _arguments("router", data, 0, log_level)),
        Program("sender", 0, _arguments("sender", data, 0, log_level)),
    ]
    programs += [
        Program("lookup", 0, _arguments("lookup", data, 0, log_level), on_request=True),
        Program("opener", 0, _arguments("opener", data, 0, log_level), on_request=True),
        Program("keeper", 0, _arguments("keeper", data, 0, log_level), on_request=True, period_s=KEEPER_PERIOD_S),
    ]
    programs += [
        Program("receiver", worker, _arguments("receiver", data, worker, log_level), receiver, receiver_environment)
        for worker in range(site.listen.workers)
    ]
    if doors.web:
        programs.append(_pages(data, doors.web, password, root, log_level))
    if archive:
        descriptors = _inheriting(archive)
        environment = {LISTEN_VARIABLE: ",".join(map(str, descriptors))}
        programs.append(Program("demo-archive", 0, _arguments("demo-archive", data, 0, log_level), descriptors, environment))
    return programs


def _pages(data: Path, web: Sequence[socket], password: int, root: RootKey, log_level: str) -> Program:
    """Return the daemon of the pages: it has the key of the accounts and what opens the TLS key, and the box works without it."""
    accounts = _in_memory("accounts-key", accounts_secret(root))
    descriptors = _inheriting(web)
    environment = {
        WEB_LISTEN_VARIABLE: ",".join(map(str, descriptors)),
        ACCOUNTS_VARIABLE: str(accounts),
        TLS_VARIABLE: str(password),
    }
    arguments = _arguments("web", data, 0, log_level)
    return Program("web", 0, arguments, (*descriptors, accounts, password), environment, is_vital=False)


def _in_memory(name: str, secret: bytes) -> int:
    """Return a file that is nowhere on a disk, for daemons that must not see the key which the secret comes from."""
    descriptor = os.memfd_create(name)
    os.write(descriptor, secret)
    return descriptor


def _inheriting(sockets: Sequence[socket]) -> tuple[int, ...]:
    return tuple(listener.fileno() for listener in sockets)


def _arguments(name: str, data: Path, instance: int, log_level: str) -> tuple[str, ...]:
    return (
        sys.executable,
        "-m",
        "appliance",
        "--data",
        os.fspath(data.absolute()),
        "serve",
        name,
        "--instance",
        str(instance),
        "--log-level",
        log_level,
    )


def _say_ready(data: Path, site: Site, listening: Mapping[str, Sequence[tuple[str, int]]], code: str | None, *, demo: bool) -> None:
    plain = [f"{host}:{port}" for host, port in listening["dicom"]]
    where = ", ".join([*plain, *(f"{host}:{port} (TLS)" for host, port in listening["dicom_tls"])])
    click.echo(f"READY dicom-edge {__version__} as {site.box.ae_title} at {where}, data in {data}")
    for host, port in listening["web"]:
        click.echo(f"pages: https://{_called(host)}:{port}/" + (f"  set-up code {code}" if code else ""))
    if demo:
        click.echo(f"send an image:  {Path(sys.argv[0])} --data {data} send {_sample()}")
        click.echo(f"see it arrive:  {Path(sys.argv[0])} --data {data} studies; the demo archive keeps it in {data / 'demo' / 'archive'}")
    elif not site.sources:
        click.echo("No source is configured: every caller is refused. Describe the scanners and the archive in site.toml.")


def _called(host: str) -> str:
    """Return the address that a person types to come to `host`."""
    from appliance.manage.certificates import own_address

    if host in {"0.0.0.0", "::"}:  # noqa: S104 (what was bound, not where to bind)
        host = own_address() or _LOOPBACK
    return f"[{host}]" if ":" in host else host


def _sample() -> Path:
    """Return the path of an image that every installation has: one of pydicom's own, found without importing it."""
    spec = importlib.util.find_spec("pydicom")
    home = Path(spec.origin or "").parent if spec is not None else Path()
    return home / "data" / "test_files" / "CT_small.dcm"
