"""Scanners: who may send, what each sent, and who knocked without being listed."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from appliance.accounts.roles import Permission
from appliance.config.edits import Edit, add_table, change_table, field_problems, remove_table, together
from appliance.config.load import ConfigInvalidError
from appliance.config.model import Site, Source
from appliance.core.errors import ApplianceError
from appliance.manage.callers import Acceptance, Knock, knocks
from appliance.manage.site_changes import SiteStaleError
from webui.access import person, requires
from webui.forms.scanners import SourceForm, filled_from, in_words
from webui.forms.wizard import place_problems
from webui.knocking import acceptance_words, called_words, refusal_words, verdict_words
from webui.scanner_list import listed_scanners
from webui.services import services
from webui.vocabulary import class_words, modality_word

blueprint = Blueprint("scanners", __name__, url_prefix="/scanners")

# Strangers may be many; who is looked for has just called and is among the first.
_KNOCKS_SHOWN = 20


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """Show the scanners, and who knocked."""
    return render_template("scanners/index.html", **_state())


@blueprint.get("/now")
@requires(Permission.SEE)
def now() -> str:
    """Show the part that renews itself."""
    return render_template("scanners/_now.html", **_state())


@blueprint.route("/add", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def add() -> str | Response | tuple[str, int]:
    """Ask three questions about a scanner, and list it; what is known of a caller is filled in."""
    current = services().changes.current()
    form = SourceForm(data=_known_of_caller(current.site) | {"expected": current.generation})
    if not form.validate_on_submit():
        return render_template("scanners/form.html", form=form, name="", elsewhere=[]), 422 if form.is_submitted() else 200
    values = form.values
    edit = together(add_table("source", values), *_answering(form.also.data or ""))
    answer = _try(form, edit, str(values["name"]))
    if answer is not None:
        return answer
    _note("source.added", str(values["name"]), after=in_words(values))
    flash(_("%(name)s may send images from now on.", name=values["name"]), "success")
    return redirect(url_for("scanners.index"), 303)


@blueprint.route("/edit", methods=["GET", "POST"])
@requires(Permission.SET_UP)
def edit() -> str | Response | tuple[str, int]:
    """Change what is known of a scanner."""
    current = services().changes.current()
    source = _source(current.site, request.args.get("name", ""))
    if source is None:
        flash(_("This scanner is not listed any more."), "warning")
        return redirect(url_for("scanners.index"), 303)
    before = filled_from(source)
    form = SourceForm(data=before | {"expected": current.generation})
    if not form.validate_on_submit():
        return render_template("scanners/form.html", form=form, name=source.name, elsewhere=[]), 422 if form.is_submitted() else 200
    values = form.values
    answer = _try(form, together(change_table("source", source.name, values), *_renamed(current.site, source.name, values)), source.name)
    if answer is not None:
        return answer
    _note("source.changed", source.name, before=in_words(before), after=in_words(values))
    flash(_("%(name)s was changed.", name=values["name"]), "success")
    return redirect(url_for("scanners.index"), 303)


@blueprint.post("/remove")
@requires(Permission.SET_UP)
def remove() -> Response:
    """Take a scanner off the list."""
    name = request.form.get("name", "")
    source = _source(services().site(), name)
    try:
        _apply(remove_table("source", name), _expected())
    except ConfigInvalidError as error:
        flash(" ".join(said for problems in field_problems(error, "source", name).values() for said in problems), "danger")
        return redirect(url_for("scanners.index"), 303)
    _note("source.removed", name, before=in_words(filled_from(source)) if source is not None else "")
    flash(_("%(name)s was removed: it is refused from now on.", name=name), "success")
    return redirect(url_for("scanners.index"), 303)


@blueprint.post("/accept")
@requires(Permission.SET_UP)
def accept() -> Response:
    """Let a caller in, as what it most likely is."""
    knock = _knock(services().site(), request.form.get("calling", ""), request.form.get("address", ""))
    if knock is None or knock.acceptance is None:
        flash(_("This device does not wait any more."), "info")
        return redirect(url_for("scanners.index"), 303)
    acceptance = knock.acceptance
    try:
        _apply(_edit_of(acceptance), _expected())
    except ConfigInvalidError as error:
        flash(" ".join(f"{problem.problem}. {problem.advice}" for problem in error.problems if problem.severity == "error"), "danger")
        return redirect(url_for("scanners.index"), 303)
    call = knock.call
    thing = acceptance.name or str(acceptance.values.get("name", acceptance.answer_to))
    action = {"source": "source.changed" if acceptance.name else "source.added", "destination": "destination.changed"}
    _note(
        action.get(acceptance.kind, "title.added"),
        thing,
        before=knock.listed,
        after=" ".join(filter(None, (call.calling, call.address, acceptance.answer_to))),
        reason="it called",
    )
    flash(_("Done. Let %(title)s at %(address)s try again.", title=call.calling, address=call.address), "success")
    return redirect(url_for("scanners.index"), 303)


@blueprint.post("/test")
@requires(Permission.OPERATE)
def test() -> str:
    """Look step by step whether a scanner has called, and whether it could be called back."""
    reply = services().control.test_source(request.form.get("name", ""))
    return render_template("scanners/test.html", reply=reply)


def _state() -> dict[str, object]:
    site, calls, problem, activity = services().site(), services().calls(), "", None
    try:
        activity = services().control.activity().rows
    except ApplianceError:
        problem = _("What came lately is not known at the moment: the part of the box that knows does not answer.")
    titles = [title.text for title in site.local_titles]
    found = knocks(calls, site)
    return {
        "scanners": listed_scanners(site, activity or (), calls, now=services().clock.now().wall),
        "is_activity_known": activity is not None,
        "problem": problem,
        "strangers": [_stranger(knock, titles) for knock in found[:_KNOCKS_SHOWN]],
        "others": max(0, len(found) - _KNOCKS_SHOWN),
        "expected": site.generation,
        "modality_word": modality_word,
        "refusal_words": refusal_words,
    }


def _stranger(knock: Knock, titles: list[str]) -> dict[str, object]:
    return {
        "knock": knock,
        "call": knock.call,
        "wanted": class_words(knock.call.wanted),
        "refusal": refusal_words(knock.call),
        "verdict": verdict_words(knock, titles),
        "called": called_words(knock, titles),
        "offer": acceptance_words(knock.acceptance) if knock.acceptance is not None else "",
    }


def _known_of_caller(site: Site) -> dict[str, str]:
    """Return what fills the form for the caller that the address of the page names; nothing where it names none that waits."""
    knock = _knock(site, request.args.get("calling", ""), request.args.get("address", ""))
    if knock is None:
        return {}
    acceptance = knock.acceptance or Acceptance()
    offered = {key: str(value) for key, value in acceptance.values.items()} if acceptance.kind == "source" else {}
    return {"ae_title": knock.call.calling, "address": knock.call.address, "also": acceptance.answer_to} | offered


def _knock(site: Site, calling: str, address: str) -> Knock | None:
    for knock in knocks(services().calls(), site) if calling or address else ():
        if (knock.call.calling, knock.call.address) == (calling, address):
            return knock
    return None


def _edit_of(acceptance: Acceptance) -> Edit:
    edits = _answering(acceptance.answer_to)
    if acceptance.kind == "destination":
        edits.append(change_table("destination", acceptance.name, acceptance.values))
    elif acceptance.kind == "source" and acceptance.name:
        edits.append(change_table("source", acceptance.name, acceptance.values))
    elif acceptance.kind == "source":
        edits.append(add_table("source", acceptance.values))
    return together(*edits)


def _answering(title: str) -> list[Edit]:
    return [add_table("local_ae", {"ae_title": title})] if title else []


def _renamed(site: Site, old: str, values: dict[str, str | None]) -> list[Edit]:
    """Return the edits that let routes follow a scanner to its new name."""
    new = values["name"]
    routes = [route for route in site.routes if old in route.when.source and new != old]
    return [
        change_table("route", route.name, {"when": {"source": [new if name == old else name for name in route.when.source]}})
        for route in routes
    ]


def _try(form: SourceForm, edit: Edit, name: str) -> tuple[str, int] | None:
    """Put the edit in force; return the form again where that cannot be, with what is wrong at its fields."""
    code = 422
    try:
        _apply(edit, int(form.expected.data or 0))
    except ConfigInvalidError as error:
        elsewhere = place_problems(form, field_problems(error, "source", str(form.values["name"])))
    except SiteStaleError as error:
        code, elsewhere = 409, [_("Somebody else changed the settings meanwhile. Look once more, then save again."), str(error)]
        # A field of numbers shows what was sent, as long as that is known.
        form.expected.raw_data = [str(services().changes.current().generation)]
    else:
        return None
    return render_template(
        "scanners/form.html", form=form, name=name if request.endpoint == "scanners.edit" else "", elsewhere=elsewhere
    ), code


def _apply(edit: Edit, expected: int) -> None:
    services().changes.apply(edit, expected=expected, by=person().name, reason="changed on the Scanners page")


def _note(action: str, thing: str, *, before: str = "", after: str = "", reason: str = "") -> None:
    services().accounts.changed(person(), action, thing, before=before, after=after, reason=reason)


def _expected() -> int:
    text = request.form.get("expected", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1  # noqa: PLR2004 (no box has so many generations)


def _source(site: Site, name: str) -> Source | None:
    return next((source for source in site.sources if source.name == name), None)
