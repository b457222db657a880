"""Certificates and keys: the box's TLS certificate, made, signed and installed; and the keys that images are sealed with.

Promises: no private key is ever shown or sent; the daemon that has the keys does what is asked.
Failures: a keeper that does not answer is said; a certificate that does not fit is refused with the reason.
Limits: where `[tls]` names files, those are the certificate, and are renewed where they come from.
"""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse
from wtforms import Field

from appliance.accounts.roles import Permission
from appliance.core.errors import ApplianceError
from appliance.manage.certificates import Shown, names_of, shown_certificates, shown_pem
from appliance.manage.sealing_keys import SealingKeys, sealing_keys
from appliance.runtime.asking import RequestRefusedError
from appliance.runtime.requests import CertificateRequest
from webui.access import person, requires
from webui.forms.system import InstallForm, NamesForm, RecoveryForm
from webui.services import services

blueprint = Blueprint("certificates", __name__, url_prefix="/certificates")

_UNUSABLE = 422


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """Show the certificate in use, and the keys."""
    return _page()


@blueprint.get("/certificate.pem")
@requires(Permission.SEE)
def download() -> Response:
    """Return the certificate in use, for peers that shall trust it."""
    return _pem(shown_pem(services().data, services().site()), "dicom-edge.pem")


@blueprint.post("/make")
@requires(Permission.ADMINISTER)
def make() -> AnyResponse | tuple[str, int]:
    """Make a new key and a certificate that the box signs itself."""
    form = NamesForm(prefix="make")
    if not form.validate_on_submit() or not form.replace.data:
        if not form.replace.data:
            form.replace.errors = [*form.replace.errors, _("Tick this: the old certificate is gone afterwards.")]
        return _page(make=form), _UNUSABLE
    try:
        reply = services().control.certificate(CertificateRequest(form.listed, replace=True))
    except RequestRefusedError as error:
        _refuse(form.names, error)
        return _page(make=form), _UNUSABLE
    services().accounts.changed(person(), "certificate.made", ", ".join(reply.names))
    flash(
        _("The box has a new certificate, for %(names)s. Give it to whoever was given the old one.", names=", ".join(reply.names)),
        "success",
    )
    return redirect(url_for("system.certificates.index"), 303)


@blueprint.post("/request")
@requires(Permission.ADMINISTER)
def ask() -> Response | tuple[str, int]:
    """Return a request for the hospital's authority to sign, as a file."""
    form = NamesForm(prefix="ask")
    if not form.validate_on_submit():
        return _page(ask=form), _UNUSABLE
    try:
        reply = services().control.certificate(CertificateRequest(form.listed, sign=True))
    except RequestRefusedError as error:
        _refuse(form.names, error)
        return _page(ask=form), _UNUSABLE
    services().accounts.changed(person(), "certificate.requested", ", ".join(reply.names))
    return _pem(reply.pem, "dicom-edge-request.pem")


@blueprint.post("/install")
@requires(Permission.ADMINISTER)
def install() -> AnyResponse | tuple[str, int]:
    """Take the certificate that came back signed."""
    form = InstallForm(prefix="install")
    if form.validate_on_submit():
        try:
            services().control.certificate(CertificateRequest(install=form.content))
        except RequestRefusedError as error:
            _refuse(form.pem, error)
        else:
            shown, _problem = _shown()
            services().accounts.changed(person(), "certificate.installed", shown.certificates[0].sha256 if shown is not None else "")
            flash(_("The signed certificate is in use from the next connection on."), "success")
            return redirect(url_for("system.certificates.index"), 303)
    return _page(install=form), _UNUSABLE


@blueprint.post("/keys/rotate")
@requires(Permission.ADMINISTER)
def rotate() -> AnyResponse:
    """Seal what comes from now on with a new key."""
    done = services().control.rotate_keys()
    services().accounts.changed(
        person(), "keys.rotated", f"key generation {done.generation}", before=str(done.before), after=done.recipient
    )
    flash(
        _("Images are sealed with key generation %(number)s from now on. Those received before still open.", number=done.generation),
        "success",
    )
    return redirect(url_for("system.certificates.index"), 303)


@blueprint.post("/keys/recovery")
@requires(Permission.ADMINISTER)
def recovery() -> AnyResponse | tuple[str, int]:
    """Seal what comes from now on to the hospital's recovery key too."""
    form = RecoveryForm(prefix="recovery")
    if form.validate_on_submit():
        before = _keys()
        try:
            reply = services().control.set_recovery((form.recipient.data or "").strip())
        except RequestRefusedError as error:
            _refuse(form.recipient, error)
        else:
            known = before.recovery if before is not None else None
            services().accounts.changed(person(), "keys.recovery_set", "recovery key", before=known or "", after=reply.recipient)
            flash(_("Images received from now on can also be opened with the recovery key."), "success")
            return redirect(url_for("system.certificates.index"), 303)
    return _page(recovery=form), _UNUSABLE


def _page(**forms: object) -> str:
    shown, problem = _shown()
    return render_template(
        "system/certificates.html",
        shown=shown,
        problem=problem,
        keys=_keys(),
        names=names_of(services().site()),
        now=services().clock.now().wall,
        opened=next(iter(forms), ""),
        **{
            "make": NamesForm(prefix="make", formdata=None),
            "ask": NamesForm(prefix="ask", formdata=None),
            "install": InstallForm(prefix="install", formdata=None),
            "recovery": RecoveryForm(prefix="recovery", formdata=None),
            **forms,
        },
    )


def _shown() -> tuple[Shown | None, str]:
    """Return the certificates in use, or why they cannot be shown."""
    try:
        return shown_certificates(services().data, services().site()), ""
    except (ApplianceError, OSError) as error:
        return None, str(error)


def _keys() -> SealingKeys | None:
    try:
        return sealing_keys(services().data)
    except (ApplianceError, OSError):
        return None


def _pem(text: str, name: str) -> Response:
    return Response(text, mimetype="application/x-pem-file", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _refuse(field: Field, error: RequestRefusedError) -> None:
    """Show at a field what the box says against it, and what to do."""
    field.errors = [*field.errors, f"{error} {error.advice}".strip()]
