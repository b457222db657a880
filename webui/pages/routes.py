"""Routes: each as a sentence, in their order, and what would happen to an image.

Promises: whoever saves saves what they saw changed (409 otherwise). What would happen is judged by the daemon that judges what arrives;
of a file only the beginning leaves the browser's request, and nothing of it is kept.
Failures: what is wrong with an entry stands at its field (422).
Limits: routes act on what is received from then on.
"""

from __future__ import annotations

import base64

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from appliance.accounts.roles import Permission
from appliance.config.edits import Edit, field_problems
from appliance.config.load import ConfigInvalidError
from appliance.config.model import Route, Site
from appliance.core.errors import ApplianceError
from appliance.manage.site_changes import SiteStaleError, SiteUnconfirmedError
from appliance.runtime.asking import RequestRefusedError
from appliance.runtime.questions import ForetellFileRequest, ForetellReply
from appliance.runtime.requests import StudiesRequest, StudyRow
from webui.access import person, requires
from webui.forms.routes import AskForm, NeverForm, RouteForm
from webui.forms.wizard import place_problems
from webui.route_edits import adding, changing, find, moving, never_sending, removing, switching
from webui.security import takes_files
from webui.sentences_routes import route_sentence
from webui.services import services
from webui.vocabulary import class_word

blueprint = Blueprint("routes", __name__, url_prefix="/routes")

_UNUSABLE, _STALE = 422, 409
# Modality and station stand in a file's first kilobytes; the rest is pictures, which nobody asks about.
_HEAD_BYTES = 65536
_RECENT_STUDIES = 10
# Of the form about a route: which of its fields a key of the file is.
_FIELDS = {f"when.{key}": key for key in ("source", "modality", "called", "sop_class", "station")}


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """List the routes as sentences, in their order."""
    current = services().changes.current()
    site = current.site
    never = [(destination.name, [class_word(uid) for uid in destination.never]) for destination in site.destinations if destination.never]
    form = NeverForm(data={"generation": str(current.generation)}).offer(site)
    return render_template(
        "routes/index.html",
        routes=[(route, route_sentence(route, site)) for route in site.routes],
        generation=current.generation,
        never=never,
        form=form,
        has_destinations=bool(site.destinations),
    )


@blueprint.route("/add", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def add() -> str | Response | tuple[str, int]:
    """Add a route."""
    return _edited(None)


@blueprint.route("/edit", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def edit() -> str | Response | tuple[str, int]:
    """Change a route."""
    return _edited(_known(services().changes.current().site, request.args.get("name", "")))


@blueprint.post("/move")
@requires(Permission.SET_UP)
def move() -> Response:
    """Move a route up or down by one."""
    site = services().changes.current().site
    known, up = _known(site, request.form.get("name", "")), request.form.get("way") == "up"
    at = site.routes.index(known)
    if (up and at == 0) or (not up and at == len(site.routes) - 1):
        return redirect(url_for("routes.index"), 303)
    return _changed(moving(site, known, -1 if up else 1), "route.moved", known.name, after="up" if up else "down")


@blueprint.post("/switch")
@requires(Permission.SET_UP)
def switch() -> Response:
    """Switch a route on or off."""
    known = _known(services().changes.current().site, request.form.get("name", ""))
    on = request.form.get("on") == "yes"
    return _changed(switching(known, on=on), "route.switched", known.name, after="on" if on else "off")


@blueprint.post("/remove")
@requires(Permission.SET_UP)
def remove() -> Response:
    """Remove a route; what it has asked for already stays owed."""
    site = services().changes.current().site
    known = _known(site, request.form.get("name", ""))
    return _changed(removing(site, known), "route.removed", known.name, before=_line(known, site))


@blueprint.post("/never")
@requires(Permission.SET_UP)
def never() -> Response:
    """Never send a class of images to a destination."""
    site = services().changes.current().site
    name, sop_class = request.form.get("destination", ""), request.form.get("sop_class", "")
    destination = next((one for one in site.destinations if one.name == name), None) or abort(404)
    return _changed(never_sending(destination, sop_class), "destination.changed", destination.name, after=f"never={sop_class}")


@blueprint.route("/ask", methods=["GET", "POST"])
@requires(Permission.SEE)
@takes_files
def ask() -> str | tuple[str, int]:
    """Say what would happen to a study that was received, or to a file."""
    site = services().site()
    form = AskForm().offer(site)
    told: ForetellReply | None = None
    problem, study = "", request.args.get("study", "")
    try:
        if request.method == "POST" and form.validate():
            told = services().control.foretell_file(_question(form, site))
        elif study:
            told = services().control.foretell_study(study)
    except RequestRefusedError as error:
        problem = f"{str(error)[:1].upper()}{str(error)[1:]}. {error.advice}"
    page = render_template("routes/ask.html", form=form, told=told, problem=problem, study=study, studies=_recent_studies())
    return (page, _UNUSABLE) if problem else page


def _question(form: AskForm, site: Site) -> ForetellFileRequest:
    """Return the question about the file in the form: no more of it than its head."""
    sent = form.file.data
    head = sent.stream.read(_HEAD_BYTES) if sent is not None and hasattr(sent, "stream") else b""
    source = next((one for one in site.sources if one.name == form.source.data), None)
    typed = (form.calling.data or "").strip()
    calling = str(source.ae_title) if source is not None and source.ae_title is not None else typed or str(site.box.ae_title)
    # Any machine of its network is as good as another.
    address = "127.0.0.1" if source is None or source.address is None else str(source.address.network_address)
    return ForetellFileRequest(base64.b64encode(head).decode("ascii"), calling, form.called.data or "", address)


def _recent_studies() -> tuple[StudyRow, ...]:
    """Return the studies to choose from, without a word of whose they are; none where nobody answers."""
    try:
        return services().control.studies(StudiesRequest(limit=_RECENT_STUDIES)).rows
    except ApplianceError:
        return ()


def _edited(known: Route | None) -> str | Response | tuple[str, int]:
    """Show the form of a route, or save what it says."""
    current = services().changes.current()
    site = current.site
    form = RouteForm.filled(known, generation=current.generation).offer(site)
    problems: list[str] = []
    code = 200
    if form.validate_on_submit():
        values = form.values()
        change = adding(values) if known is None else changing(site, known, values)
        name = str(values["name"] or "")
        try:
            services().changes.apply(change, expected=_expected(form.generation.data), by=person().name, reason=_reason(known))
        except ConfigInvalidError as error:
            problems, code = place_problems(form, field_problems(error, "route", name), _FIELDS), _UNUSABLE
        except (SiteStaleError, SiteUnconfirmedError) as error:
            problems, code = [f"{error}.", _look_again() if isinstance(error, SiteStaleError) else error.advice], _STALE
            form.generation.data = str(current.generation)
        else:
            before = _line(known, site) if known is not None else ""
            action = "route.added" if known is None else "route.changed"
            services().accounts.changed(person(), action, name, before=before, after=str(values))
            flash(_("“%(name)s” is saved. It counts for what is received from now on.", name=name), "success")
            return redirect(url_for("routes.index"), 303)
    page = render_template("routes/form.html", form=form, route=known, problems=problems)
    return page if code == 200 else (page, code)  # noqa: PLR2004 (all is well)


def _changed(change: Edit, action: str, name: str, *, before: str = "", after: str = "") -> Response:
    """Put a small change in force that has no form of its own, and return to the list."""
    try:
        expected = _expected(request.form.get("generation", ""))
        services().changes.apply(change, expected=expected, by=person().name, reason=f"{action} on the pages")
    except (SiteStaleError, SiteUnconfirmedError, ConfigInvalidError) as error:
        advice = _look_again() if isinstance(error, SiteStaleError) else error.advice
        flash(f"{error}. {advice}", "danger")
    else:
        services().accounts.changed(person(), action, name, before=before, after=after)
    return redirect(url_for("routes.index"), 303)


def _look_again() -> str:
    return _("Look at what it says now; save again if your change is still right.")


def _reason(known: Route | None) -> str:
    return "route added on the pages" if known is None else "route changed on the pages"


def _line(route: Route, site: Site) -> str:
    """Return a route in one line for the journal, in English whoever reads it now."""
    _ = site
    return str(route.model_dump(mode="json", exclude_defaults=True))


def _expected(text: str | None) -> int:
    """Return the generation that somebody saw; what is no number was never in force."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else -1  # noqa: PLR2004 (more would take centuries)


def _known(site: Site, name: str) -> Route:
    """Return the route of a name, or answer 404."""
    return find(site, name) or abort(404)
