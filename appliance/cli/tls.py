"""The verbs about the box's TLS certificate: tls show, generate, request, install. A private key is never shown."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from appliance.cli.output import print_json
from appliance.cli.state import State, everywhere
from appliance.config.load import ActiveConfigMissingError, default_site, load_active
from appliance.config.model import Site
from appliance.core.errors import ApplianceError, Fault
from appliance.keys.certificates import CertificateFacts, CertificateUnreadableError, read_certificates
from appliance.keys.tls_identity import install_certificate, own_certificate_pem
from appliance.manage.certificates import Shown, shown_certificates
from appliance.manage.control import Control
from appliance.runtime.clock import SystemClock
from appliance.runtime.requests import CertificateRequest

_DAY_S = 86400.0
_NAMES = click.option(
    "--name", "names", multiple=True, help="A host name or address of the box (default: those it knows); may be repeated."
)


class CertificateFileError(ApplianceError):
    """A file with a certificate cannot be read."""

    fault = Fault.OPERATOR
    advice = "Check the path and its rights."


@click.group()
def tls() -> None:
    """Look at the box's TLS certificate, make one, or have one signed."""


@tls.command("show")
@everywhere
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--pem", is_flag=True, help="Print the certificate itself, for peers that shall trust it.")
@click.pass_obj
def tls_show(state: State, file: Path | None, *, pem: bool) -> None:
    """Show the certificate that the box uses, or the one in FILE: whom it is for, until when, and its fingerprint."""
    shown, text = _of_file(file) if file is not None else _in_use(state)
    if pem and not state.as_json:
        click.echo(text, nl=False)
        return
    now = SystemClock().now().wall
    if state.as_json:
        print_json(
            {"where": shown.where, "own": shown.is_own, "certificates": [_plain(one, now) for one in shown.certificates], "pem": text}
        )
        return
    for number, one in enumerate(shown.certificates):
        click.echo(f"{'certificate' if number == 0 else 'signed by  '}  {one.subject}")
        if number == 0:
            click.echo(f"names        {', '.join(one.names)}")
            click.echo(f"issuer       {'itself' if one.issuer == one.subject else one.issuer}")
            click.echo(f"serial       {one.serial}")
        click.echo(f"valid        {_moment(one.not_before)} to {_moment(one.not_after)} ({_left(one, now)})")
        click.echo(f"fingerprint  sha256:{one.sha256}")
    click.echo(f"in           {shown.where}")


@tls.command("generate")
@everywhere
@_NAMES
@click.option("--replace", is_flag=True, help="Although there is a key: peers that pinned its certificate must be given the new one.")
@click.pass_obj
def tls_generate(state: State, names: tuple[str, ...], *, replace: bool) -> None:
    """Make a new key and a self-signed certificate; the next association uses them."""
    reply = Control(state.run_dir).certificate(CertificateRequest(names, replace=replace))
    (made, *_) = read_certificates(reply.pem.encode("ascii"))
    if state.as_json:
        print_json(_plain(made, SystemClock().now().wall) | {"pem": reply.pem})
        return
    click.echo(f"A new key and certificate for {', '.join(reply.names)}, until {_moment(made.not_after)}.")
    click.echo(f"fingerprint  sha256:{made.sha256}")


@tls.command("request")
@everywhere
@_NAMES
@click.pass_obj
def tls_request(state: State, names: tuple[str, ...]) -> None:
    """Print a request (PEM) for the hospital's authority to sign; `tls install` takes what comes back."""
    reply = Control(state.run_dir).certificate(CertificateRequest(names, sign=True))
    if state.as_json:
        print_json(reply)
    else:
        click.echo(reply.pem, nl=False)


@tls.command("install")
@everywhere
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def tls_install(state: State, file: Path) -> None:
    """Take the signed certificate in FILE (PEM, with the chain above it); the next association uses it."""
    installed = install_certificate(state.data, _read(file))
    if state.as_json:
        print_json(_plain(installed, SystemClock().now().wall))
    else:
        click.echo(f"{installed.subject}, signed by {installed.issuer}, is in use until {_moment(installed.not_after)}.")


def _in_use(state: State) -> tuple[Shown, str]:
    site = _site(state)
    try:
        shown = shown_certificates(state.data, site)
        text = own_certificate_pem(state.data) if shown.is_own else Path(shown.where).read_text(encoding="utf-8")
    except OSError as error:
        raise CertificateFileError(f"the certificate cannot be read ({error.strerror})") from None
    return shown, text


def _of_file(file: Path) -> tuple[Shown, str]:
    content = _read(file)
    try:
        certificates = read_certificates(content)
    except CertificateUnreadableError as error:
        raise CertificateFileError(f"{file} {error}", advice=error.advice) from None
    return Shown(str(file), is_own=False, certificates=certificates), content.decode("utf-8", "replace")


def _site(state: State) -> Site:
    try:
        return load_active(state.data)
    except ActiveConfigMissingError:
        return default_site()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateFileError(f"{file} cannot be read ({error.strerror})") from None


def _plain(one: CertificateFacts, now: float) -> dict[str, object]:
    return asdict(one) | {
        "not_before": _moment(one.not_before),
        "not_after": _moment(one.not_after),
        "expires_in_days": int((one.not_after - now) // _DAY_S),
    }


def _left(one: CertificateFacts, now: float) -> str:
    if one.not_after < now:
        return "EXPIRED; is the clock right?"
    if one.not_before > now:
        return "NOT VALID YET; is the clock right?"
    return f"{int((one.not_after - now) // _DAY_S)} days left"


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
