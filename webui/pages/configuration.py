"""The configuration: its text, its history, what changed, going back, and loading a file.

Promises: what is loaded is shown before it counts: every change, and what it means; who saves saves what they saw, or is told (409).
Failures: a text with errors is refused with every problem (422).
Limits: secrets are in files of their own and never shown. Remarks stand in the text as somebody wrote them.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from appliance.accounts.roles import Permission
from appliance.config.edits import replace_text
from appliance.config.generations import Applied, Generation, GenerationDamagedError, GenerationMissingError
from appliance.config.load import ConfigInvalidError
from webui.access import person, requires
from webui.forms.system import LoadForm, ReasonForm
from webui.services import services

blueprint = Blueprint("configuration", __name__, url_prefix="/configuration")

# A screen or two of the history.
_PAGE = 50
_UNUSABLE = 422


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """Show the text in force."""
    current = services().changes.current()
    shown = services().changes.read(current.generation) if current.generation else None
    return render_template("system/configuration.html", current=current, shown=shown)


@blueprint.get("/site.toml")
@requires(Permission.SEE)
def download() -> Response:
    """Return the text in force, or that of a generation, as a file."""
    number = request.args.get("generation", type=int)
    text = services().changes.current().text if number is None else _read(number).text
    return Response(text, mimetype="application/toml", headers={"Content-Disposition": 'attachment; filename="site.toml"'})


@blueprint.get("/history")
@requires(Permission.SEE)
def history() -> str:
    """List the generations, the newest first."""
    before = request.args.get("before", type=int)
    rows = [row for row in services().changes.history() if before is None or row.number < before]
    return render_template("system/history.html", rows=rows[:_PAGE], older=rows[_PAGE - 1].number if len(rows) > _PAGE else None)


@blueprint.get("/generations/<int:number>")
@requires(Permission.SEE)
def generation(number: int) -> str:
    """Show one generation: what it changed, its text, and going back to it."""
    shown, current = _read(number), services().changes.current()
    known = [row.number for row in services().changes.history() if row.state != "damaged" and row.number < number]
    previous = known[0] if known else None
    return render_template(
        "system/generation.html",
        shown=shown,
        current=current,
        previous=previous,
        changes=services().changes.difference(previous, number) if previous is not None else (),
        form=ReasonForm(generation=current.generation),
    )


@blueprint.get("/difference")
@requires(Permission.SEE)
def difference() -> str:
    """Show what changes from one generation to another."""
    first, second = (request.args.get(key, type=int) for key in ("from", "to"))
    if first is None or second is None:
        abort(404)
    _read(first)
    _read(second)
    return render_template("system/difference.html", first=first, second=second, changes=services().changes.difference(first, second))


@blueprint.post("/generations/<int:number>/roll-back")
@requires(Permission.ADMINISTER)
def roll_back(number: int) -> AnyResponse | tuple[str, int]:
    """Put an earlier generation in force again, as a new one."""
    form = ReasonForm()
    if not form.validate_on_submit():
        shown, current = _read(number), services().changes.current()
        page = render_template("system/generation.html", shown=shown, current=current, previous=None, changes=(), form=form)
        return page, _UNUSABLE
    _read(number)
    applied = services().changes.roll_back(number, expected=form.expected, by=person().name, reason=form.reason.data or "")
    return _done(applied, "configuration.rolled_back", form.reason.data or "", f"back to generation {number}")


@blueprint.route("/load", methods=["GET", "POST"])
@requires(Permission.ADMINISTER)
def load() -> str | tuple[str, int]:
    """Take a file, and show what it would change."""
    form = LoadForm(generation=services().changes.current().generation)
    if not form.validate_on_submit():
        return _load_page(form), _UNUSABLE if request.method == "POST" else 200
    try:
        proposal = services().changes.propose(replace_text(form.content))
    except ConfigInvalidError as error:
        return render_template("system/load.html", form=form, problems=error.problems), _UNUSABLE
    return render_template("system/proposal.html", form=form, text=form.content, proposal=proposal)


@blueprint.post("/load/apply")
@requires(Permission.ADMINISTER)
def apply() -> AnyResponse | tuple[str, int]:
    """Put the file that was shown in force."""
    form = LoadForm()
    if not form.validate_on_submit() or not (form.reason.data or "").strip():
        flash(_("Say why: whoever comes next will want to know."), "warning")
        return _load_page(form), _UNUSABLE
    try:
        applied = services().changes.apply(
            replace_text(form.content), expected=form.expected, by=person().name, reason=form.reason.data or ""
        )
    except ConfigInvalidError as error:
        return render_template("system/load.html", form=form, problems=error.problems), _UNUSABLE
    return _done(applied, "configuration.loaded", form.reason.data or "", "site.toml")


def _load_page(form: LoadForm) -> str:
    return render_template("system/load.html", form=form, problems=())


def _read(number: int) -> Generation:
    try:
        return services().changes.read(number)
    except (GenerationMissingError, GenerationDamagedError):
        abort(404)


def _done(applied: Applied, action: str, reason: str, what: str) -> AnyResponse:
    """Write the change down, and say what came of it."""
    if not applied.is_new:
        flash(_("Nothing changed: generation %(number)s stays in force.", number=applied.number), "info")
        return redirect(url_for("system.configuration.index"), 303)
    before, after = write_down(applied)
    services().accounts.changed(person(), action, f"generation {applied.number}: {what}", before=before, after=after, reason=reason)
    flash(_("Generation %(number)s is in force.", number=applied.number), "success")
    say_consequences(applied)
    return redirect(url_for("system.configuration.generation", number=applied.number), 303)


def write_down(applied: Applied) -> tuple[str, str]:
    """Return what a change replaced and what it put there, for the journal."""
    before = [f"{change.where}: {change.before}" for change in applied.changed if change.before is not None]
    after = [f"{change.where}: {change.after}" for change in applied.changed if change.after is not None]
    return "\n".join(before), "\n".join(after)


def say_consequences(applied: Applied) -> None:
    """Say what else a change means: what waits for a restart, and what is held from now on."""
    if applied.needs_restart:
        flash(_("Counts when the box is started again: %(what)s.", what=", ".join(applied.needs_restart)), "warning")
    for name in applied.removed_destinations:
        flash(_("What is owed to %(name)s is held until it comes back or somebody gives it up.", name=name), "warning")
