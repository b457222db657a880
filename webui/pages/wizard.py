"""The first start: from the set-up code on the console to the first image at the archive, a page a step.

Promises: while nobody has an account every address leads here, and nothing else is served; what was done is not asked again, also after
a restart in the middle; nothing has a password that somebody else could know.
Failures: what is wrong with an entry stands at its field.
Limits: the clock, and the network of the box itself, are set on its console.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, session, url_for
from flask_babel import format_time, get_timezone, to_user_timezone
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from appliance.accounts.faults import AccountInvalidError, LogInRefusedError, PasswordWeakError
from appliance.accounts.roles import Permission
from appliance.config.edits import field_problems, replace_text
from appliance.config.load import LARGEST_FILE_BYTES, ConfigInvalidError
from webui import first_start
from webui.access import open_to_all, requires, signed_in
from webui.browsers import browser_name
from webui.first_start import FINISHED, STEPS, Progress, step_page
from webui.forms.wizard import AdministratorForm, BoxForm, CodeForm, SiteFileForm, TimeForm, place_problems
from webui.identity import sign_in
from webui.language import span
from webui.pages import wizard_peers
from webui.services import services

blueprint = Blueprint("wizard", __name__, url_prefix="/first-start")

for _rule, _view, _methods in (
    ("/archive", wizard_peers.archive, ["GET", "POST"]),
    ("/scanner", wizard_peers.scanner, ["GET", "POST"]),
    ("/scanner/callers", wizard_peers.callers, ["GET"]),
    ("/scanner/accept", wizard_peers.accept, ["POST"]),
    ("/image", wizard_peers.image, ["GET", "POST"]),
    ("/image/live", wizard_peers.image_live, ["GET"]),
):
    blueprint.add_url_rule(_rule, view_func=_view, methods=_methods)

# What is served before anybody has an account, besides this place and what it looks like.
_ALSO_OPEN = ("account.language",)
# A page that another part of the application may have.
_SHEET = "system.papers.commissioning"
_IS_SET_UP = "dicom-edge-is-set-up"
_CODE = "set-up-code"
# Beyond this the box and the browser do not show the same minute; a request takes a part of a second.
_SAME_TIME_S = 30.0


@blueprint.before_app_request
def lead_here() -> Response | None:
    """Lead whatever is asked for to the first start, while there is nobody; and an administrator who left it back into it."""
    endpoint = request.endpoint or ""
    if endpoint.startswith("wizard.") or endpoint.endswith("static") or endpoint in _ALSO_OPEN:
        return None
    if _needs_setup():
        if request.path.startswith("/api/"):
            abort(503)
        return redirect(url_for("wizard.index"), 303)
    who = signed_in()
    is_home = endpoint == "home.index" and request.method == "GET"
    if is_home and who is not None and who.person.may(Permission.ADMINISTER) and Progress().is_under_way:
        return redirect(url_for("wizard.index"), 303)
    return None


@blueprint.get("/")
@open_to_all
def index() -> Response:
    """Lead to the first step that is not done."""
    step = ("administrator" if session.get(_CODE) else "code") if _needs_setup() else Progress().next_step()
    return redirect(url_for(f"wizard.{step}"), 303)


@blueprint.route("/code", methods=["GET", "POST"])
@open_to_all
def code() -> str | Response:
    """Ask for the code that stands on the console."""
    if not _needs_setup():
        return redirect(url_for("wizard.index"), 303)
    form = CodeForm()
    if form.validate_on_submit():
        entered = (form.code.data or "").strip()
        try:
            is_right = services().accounts.check_setup_code(entered)
        except LogInRefusedError as refused:
            form.code.errors = [_("After several wrong codes the box waits. Try again in %(span)s.", span=span(max(1.0, refused.wait_s)))]
        else:
            if is_right:
                session[_CODE] = entered
                return redirect(url_for("wizard.administrator"), 303)
            form.code.errors = [_("This is not the code. It stands on the box's console, in the line that begins with “pages:”.")]
    return step_page("code", form=form)


@blueprint.route("/administrator", methods=["GET", "POST"])
@open_to_all
def administrator() -> str | Response:
    """Make the first account, and sign in with it."""
    if not _needs_setup() or not session.get(_CODE):
        return redirect(url_for("wizard.index"), 303)
    form = AdministratorForm()
    if form.validate_on_submit():
        accounts = services().accounts
        name, password = (form.name.data or "").strip(), form.password.data or ""
        try:
            accounts.create_first(session[_CODE], name, (form.full_name.data or "").strip(), password, request.remote_addr or "")
        except LogInRefusedError:
            # The box was started again meanwhile, and its console shows another code.
            session.pop(_CODE)
            flash(_("The console shows another code now. Enter it, then make the account again."), "warning")
            return redirect(url_for("wizard.code"), 303)
        except (PasswordWeakError, AccountInvalidError) as error:
            name_of_field = error.field if isinstance(error, AccountInvalidError) and error.field in form else "password"
            form[name_of_field].errors = [f"{str(error)[:1].upper()}{str(error)[1:]}. {error.advice}"]
        else:
            browser = browser_name(request.headers.get("User-Agent", ""))
            sign_in(*accounts.log_in(name, password, request.remote_addr or "", browser))
            accounts.remember_wizard("administrator", {"name": name})
            return redirect(url_for("wizard.box"), 303)
    return step_page("administrator", form=form)


@blueprint.route("/box", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def box() -> str | Response:
    """Ask who the box is."""
    progress, site = Progress(), services().changes.current().site
    kept = progress.values("box")
    form = BoxForm(
        data={
            **{key: kept.get(key, "") for key in ("hospital", "department", "modality")},
            "name": site.box.name if kept else "",
            "titles": "drop-in" if site.local_ae else "own",
            "ae_title": str(site.box.ae_title),
            "archive_title": kept.get("drop_in") or (str(site.local_ae[0].ae_title) if site.local_ae else ""),
            "timezone": site.box.timezone,
        }
    )
    elsewhere: list[str] = []
    if form.validate_on_submit():
        entered = {"name": form.name.data or "", "ae_title": form.ae_title.data or "", "timezone": form.timezone.data or ""}
        edit = first_start.box_edit(site, **entered, drop_in=form.drop_in, drop_in_before=kept.get("drop_in", ""))
        try:
            first_start.write(edit, "box.named", entered["name"], after=f"{entered['ae_title']} {form.drop_in}".strip())
        except ConfigInvalidError as error:
            elsewhere = place_problems(form, field_problems(error, "box", ""))
        else:
            parts = {key: form[key].data or "" for key in ("hospital", "department", "modality")}
            progress.remember("box", drop_in=form.drop_in, **parts)
            return redirect(url_for("wizard.time"), 303)
    return step_page("box", form=form, elsewhere=elsewhere)


@blueprint.route("/time", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def time() -> str | Response:
    """Show the time of the box and that of the browser, and what to do where they differ."""
    form = TimeForm()
    now = services().clock.now().wall
    difference = None
    if form.validate_on_submit():
        difference = _difference(form.browser.data or "", now)
        if difference is None or abs(difference) <= _SAME_TIME_S or request.form.get("anyway"):
            Progress().remember("time", difference="" if difference is None else str(round(difference)))
            return redirect(url_for("wizard.archive"), 303)
    wanted = now if difference is None else now - difference
    zone = get_timezone()
    local = to_user_timezone(datetime.fromtimestamp(wanted, UTC))
    return step_page(
        "time",
        form=form,
        now=now,
        now_text=format_time(datetime.fromtimestamp(now, UTC), "HH:mm:ss"),
        box_timezone=str(zone),
        difference=difference,
        wanted_text=local.strftime("%Y-%m-%d %H:%M:%S"),
    )


@blueprint.route("/done", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def done() -> str | Response:
    """Say what has been set up."""
    progress = Progress()
    if request.method == "POST":
        progress.remember(FINISHED)
        return redirect(url_for("home.index"), 303)
    has, lacks = first_start.sentences(services().changes.current().site, progress.archive())
    sheet = url_for(_SHEET) if _SHEET in current_app.view_functions else ""
    return step_page("done", sentences=has, missing=lacks, sheet=sheet)


@blueprint.route("/site-file", methods=["GET", "POST"])
@requires(Permission.ADMINISTER)
def site_file() -> str | Response:
    """Take a whole configuration instead of asking."""
    form = SiteFileForm()
    problems: list[tuple[str, str, str]] = []
    if form.validate_on_submit():
        content = form.file.data.stream.read(LARGEST_FILE_BYTES + 1)
        try:
            text = content.decode("utf-8")
            first_start.write(replace_text(text), "configuration.loaded", form.file.data.filename or "site.toml")
        except UnicodeDecodeError:
            form.file.errors = [_("This is not a text file. Save it again with the encoding UTF-8.")]
        except ConfigInvalidError as error:
            problems = [(problem.where, problem.problem, problem.advice) for problem in error.problems]
        else:
            progress = Progress()
            for step in ("box", "archive", "scanner"):
                progress.remember(step, **progress.values(step))
            flash(_("The site file is in force."), "success")
            return redirect(url_for("wizard.image"), 303)
    return render_template("wizard/site_file.html", form=form, problems=problems, steps=STEPS, here="box", progress=Progress())


@blueprint.post("/leave")
@requires(Permission.SET_UP)
def leave() -> Response:
    """End the first start where it is: the pages for everything are there."""
    Progress().remember(FINISHED)
    return redirect(url_for("home.index"), 303)


def _needs_setup() -> bool:
    """Say whether nobody has an account yet; once there is somebody, there always will be."""
    known = current_app.extensions
    if _IS_SET_UP not in known:
        if services().accounts.needs_setup():
            return True
        known[_IS_SET_UP] = True
    return False


def _difference(text: str, now: float) -> float | None:
    """Return how many seconds the box is ahead of the browser, None where the browser did not say."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return None
    return now - told.astimezone(UTC).timestamp() if told.tzinfo is not None else None
