"""Destinations: how each is, its queue in numbers, testing, pausing, adding, changing and removing.

Promises: whoever saves saves what they saw changed (409 otherwise), with the reason at the field where something is wrong; a destination
keeps its queue when it is renamed or moves. Nothing is sent to a destination by looking at it.
Failures: what is wrong with an entry stands at its field (422); a sender that does not answer is said.
Limits: the doctor's words are shown as he says them.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from appliance.accounts.roles import Permission
from appliance.config.edits import Edit, field_problems
from appliance.config.load import ConfigInvalidError
from appliance.config.model import AnyDestination
from appliance.core.errors import ApplianceError
from appliance.manage.site_changes import SiteStaleError, SiteUnconfirmedError
from appliance.manage.typed_secrets import SecretUnusableError, SecretUnwritableError, forget_unused
from appliance.runtime.asking import NotRunningError, RequestRefusedError, RequestTimeoutError
from appliance.runtime.questions import LastTest
from appliance.runtime.requests import DestinationReply, PauseRequest
from webui.access import person, requires
from webui.destination_edits import (
    SecretMovedError,
    adding,
    changing,
    described,
    find,
    plain,
    proposal_of,
    removing,
    suggested,
    values_in,
    wanted,
)
from webui.forms.destinations import FORMS, DestinationForm
from webui.forms.wizard import place_problems
from webui.pages.doctor import begin_test, how_far
from webui.sentences_routes import route_sentence
from webui.services import services

blueprint = Blueprint("destinations", __name__, url_prefix="/destinations")

_UNUSABLE, _STALE = 422, 409
_REASON_CHARACTERS = 200


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """List every destination and how it is."""
    return render_template("destinations/index.html", rows=services().control.destinations().destinations, tests=_last_tests())


@blueprint.get("/show")
@requires(Permission.SEE)
def show() -> str:
    """Show one destination: its state, its queue, what leads there, and what can be done."""
    known = _known()
    site = services().site()
    return render_template(
        "destinations/show.html",
        destination=known,
        row=_row(known),
        test=_last_tests().get(known.name),
        routes=[route_sentence(route, site) for route in site.routes if known.name in route.to],
        can_send=known.kind in {"dicom", "stow"},
    )


@blueprint.post("/test")
@requires(Permission.OPERATE)
def test() -> Response:
    """Begin the test of a destination in force, and show it."""
    known, send = _known(), request.form.get("send") == "yes"
    ticket = begin_test(known.name, send=send)
    services().accounts.changed(person(), "destination.tested", known.name, after="with a test image" if send else "")
    return redirect(url_for("doctor.show", ticket=ticket), 303)


@blueprint.post("/pause")
@requires(Permission.OPERATE)
def pause() -> Response:
    """Send nothing more to a destination, or send to it again."""
    known, reason = _known(), request.form.get("reason", "").strip()[:_REASON_CHARACTERS]
    resume = request.form.get("resume") == "yes"
    if not reason and not resume:
        flash(_("Say why: whoever comes next will want to know."), "warning")
        return redirect(url_for("destinations.show", name=known.name), 303)
    reply = services().control.pause(PauseRequest(known.name, person().name, reason, resume=resume))
    if reply.changed:
        services().accounts.changed(person(), "destination.resumed" if resume else "destination.paused", known.name, reason=reason)
    said = _("%(name)s is sent to again.", name=known.name) if resume else _("%(name)s is paused: what is for it waits.", name=known.name)
    flash(said if reply.changed else _("Nothing had to be changed."), "success" if reply.changed else "info")
    return redirect(url_for("destinations.show", name=known.name), 303)


@blueprint.route("/add", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def add() -> str | Response | tuple[str, int]:
    """Choose a kind, answer a few questions, have them tested, save."""
    kind = request.args.get("kind", "")
    if not kind:
        return render_template("destinations/kinds.html")
    return _edited(None, kind)


@blueprint.route("/edit", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def edit() -> str | Response | tuple[str, int]:
    """Change a destination, have it tested, save."""
    known = _known()
    return _edited(known, known.kind)


@blueprint.route("/remove", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def remove() -> str | Response | tuple[str, int]:
    """Say what removing a destination does, and do it."""
    known, current = _known(), services().changes.current()
    problems: list[str] = []
    code = 200
    if request.method == "POST":
        site, reason = current.site, request.form.get("reason", "").strip()[:_REASON_CHARACTERS]
        saved = _saved(removing(site, known), _expected(request.form.get("generation", "")), reason or "removed on the pages")
        if not isinstance(saved, Exception):
            services().accounts.changed(person(), "destination.removed", known.name, before=described(plain(known)), reason=reason)
            flash(_("%(name)s is removed.", name=known.name), "success")
            return redirect(url_for("destinations.index"), 303)
        problems, code = _words_of(saved)
    routes = [route for route in current.site.routes if known.name in route.to]
    page = render_template(
        "destinations/remove.html",
        destination=known,
        row=_row(known),
        changed=[route.name for route in routes if len(route.to) > 1],
        gone=[route.name for route in routes if len(route.to) == 1],
        generation=services().changes.current().generation,
        problems=problems,
    )
    return page if code == 200 else (page, code)  # noqa: PLR2004 (all is well)


def _edited(known: AnyDestination | None, kind: str) -> str | Response | tuple[str, int]:
    """Show the form of a destination, test what it says, or save it."""
    if kind not in FORMS:
        abort(404)
    progress = how_far(request.args.get("ticket", "")) if request.method == "GET" else None
    current = services().changes.current()
    values: dict[str, Any] = plain(known) if known is not None else suggested(kind, current.site)
    if progress is not None and values_in(progress.proposal).get("kind", "dicom") == kind:
        values = values_in(progress.proposal)
    form = FORMS[kind].filled(values, generation=current.generation, ticket=request.args.get("ticket", "") if progress else "")
    problems: list[str] = []
    code = 200
    if form.validate_on_submit():
        outcome = _acted(form, known)
        if isinstance(outcome, Response):
            return outcome
        problems, code = outcome
        # Whoever sees that somebody else was quicker may save all the same.
        form.generation.data = str(current.generation)
    page = render_template(
        "destinations/form.html",
        form=form,
        destination=known,
        kind=kind,
        problems=problems,
        progress=progress,
        ticket=form.ticket.data or "",
        is_odd=_is_unproved(form),
    )
    return page if code == 200 else (page, code)  # noqa: PLR2004 (all is well)


def _acted(form: DestinationForm, known: AnyDestination | None) -> Response | tuple[list[str], int]:
    """Test what the form says, or save it; return where to go, or what is wrong."""
    try:
        values = wanted(form, known)
    except SecretMovedError:
        return _at_secrets(form, _("Type it again: what is known was typed for another place.")), _UNUSABLE
    except (SecretUnusableError, SecretUnwritableError) as error:
        return _at_secrets(form, f"{str(error)[:1].upper()}{str(error)[1:]}. {error.advice}"), _UNUSABLE
    site = services().changes.current().site
    change = adding(values) if known is None else changing(site, known, values)
    try:
        services().changes.propose(change)
        if request.form.get("do") == "test":
            return _tested(known, values)
    except ConfigInvalidError as error:
        names = {key: field for field, key in form.SECRETS.items()}
        return place_problems(form, field_problems(error, "destination", str(values.get("name", ""))), names), _UNUSABLE
    except RequestRefusedError as error:
        return [f"{str(error)[:1].upper()}{str(error)[1:]}. {error.advice}"], _UNUSABLE
    return _kept(form, known, values, change)


def _tested(known: AnyDestination | None, values: dict[str, Any]) -> Response:
    """Begin the test of what the form says, and show the form again with the steps."""
    table = values if known is None else {**values, "id": known.id}
    ticket = begin_test(str(values.get("name", "")), proposal=proposal_of(table))
    services().accounts.changed(person(), "destination.tested", str(values.get("name", "")), after=described(values))
    where = {"kind": values["kind"]} if known is None else {"name": known.name}
    return redirect(url_for("destinations.add" if known is None else "destinations.edit", ticket=ticket, **where) + "#test", 303)


def _kept(form: DestinationForm, known: AnyDestination | None, values: dict[str, Any], change: Edit) -> Response | tuple[list[str], int]:
    """Save, and say whether it was tested."""
    name = str(values.get("name", ""))
    saved = _saved(change, _expected(form.generation.data), "added on the pages" if known is None else "changed on the pages")
    if isinstance(saved, Exception):
        return _words_of(saved)
    before = described(plain(known)) if known is not None else ""
    action = "destination.added" if known is None else "destination.changed"
    services().accounts.changed(person(), action, name, before=before, after=described(values))
    forget_unused(services().data, services().changes.current().site, services().clock.now().wall)
    progress = how_far(form.ticket.data or "")
    table = values if known is None else {**values, "id": known.id}
    if progress is not None and progress.ok and progress.proposal == proposal_of(table):
        flash(_("%(name)s is saved, and its test went well.", name=name), "success")
    else:
        flash(_("%(name)s is saved, and was not tested like this. Test it now.", name=name), "warning")
    return redirect(url_for("destinations.show", name=name), 303)


def _saved(change: Edit, expected: int, reason: str) -> object | Exception:
    """Put an edit in force; return the error where that is for the person to mend."""
    try:
        return services().changes.apply(change, expected=expected, by=person().name, reason=reason)
    except (ConfigInvalidError, SiteStaleError, SiteUnconfirmedError) as error:
        return error


def _words_of(error: Exception) -> tuple[list[str], int]:
    """Return what to say about a change that was not made, and the status of the answer."""
    if isinstance(error, SiteStaleError):
        meanwhile = _("Look at what it says now; save again if your change is still right.")
        return [f"{error}.", meanwhile], _STALE
    advice = error.advice if isinstance(error, ApplianceError) else ""
    return [f"{str(error)[:1].upper()}{str(error)[1:]}. {advice}"], _UNUSABLE


def _at_secrets(form: DestinationForm, said: str) -> list[str]:
    for field in form.SECRETS:
        if form[field].data or not form.typed_secrets():
            form[field].errors = [*form[field].errors, said]
    return []


def _expected(text: str | None) -> int:
    """Return the generation that somebody saw; what is no number was never in force."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else -1  # noqa: PLR2004 (more would take centuries)


def _known() -> AnyDestination:
    """Return the destination that the request names, or answer 404."""
    name = request.form.get("name", "") if request.method == "POST" and "name" not in request.args else request.args.get("name", "")
    return find(services().changes.current().site, name) or abort(404)


def _row(known: AnyDestination) -> DestinationReply | None:
    """Return how a destination is, None where nobody says."""
    try:
        rows = services().control.destinations().destinations
    except (NotRunningError, RequestTimeoutError):
        return None
    return next((row for row in rows if row.name == known.name), None)


def _last_tests() -> dict[str, LastTest]:
    """Return the last test of each destination; none where the sender does not answer."""
    try:
        return {row.destination: row for row in services().control.last_tests().rows}
    except ApplianceError:
        return {}


def _is_unproved(form: DestinationForm) -> bool:
    """Say whether what is entered makes an image count as safe on the destination's word alone."""
    return "proof" in form and form["proof"].data == "delivered"


@blueprint.app_template_global()
def held_by_removal(row: DestinationReply | None) -> str:
    """Return how much becomes held when a destination is removed."""
    if row is None:
        return _("How much waits for it is not known at the moment; all of it becomes held.")
    count = row.queued + row.held
    if not count:
        return _("Nothing waits for it.")
    return ngettext(
        "%(num)s image waits for it, and becomes held: it is sent nowhere until somebody decides.",
        "%(num)s images wait for it, and become held: they are sent nowhere until somebody decides.",
        count,
    )
