"""All settings: what `site.toml` can say beside scanners, destinations and routes, section by section.

Promises: each section is saved by itself, with a reason; what was not touched stays as it is written; who saves saves what they saw (409).
Failures: what is wrong with a value stands at its field (422), and nothing of the section is applied.
Limits: for administrators.
"""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from appliance.accounts.roles import Permission
from appliance.config.edits import Edit, add_table, field_problems, remove_table, set_values
from appliance.config.generations import Applied
from appliance.config.load import ConfigInvalidError
from webui.access import person, requires
from webui.forms.system import expected_in
from webui.pages.configuration import say_consequences, write_down
from webui.services import services
from webui.settings_fields import SettingSection, changed_values, section_of, sections
from webui.settings_words import SECTIONS

blueprint = Blueprint("settings", __name__, url_prefix="/settings")

_UNUSABLE = 422
_REASON_CHARACTERS = 300


@blueprint.get("/")
@requires(Permission.ADMINISTER)
def index() -> str:
    """Show every setting."""
    return _page()


@blueprint.post("/<section>")
@requires(Permission.ADMINISTER)
def save(section: str) -> Response | tuple[str, int]:
    """Change settings of one section."""
    if section not in SECTIONS:
        abort(404)
    site, reason = services().changes.current().site, _reason()
    shown = section_of(site, section)
    typed = {field.key: request.form.get(field.key, field.value) for field in shown.fields}
    if not reason:
        return _page(shown.refused(typed, reason, {"": [_("Say why: whoever comes next will want to know.")]})), _UNUSABLE
    changes = changed_values(site, section, typed)
    if not changes:
        flash(_("Nothing was changed."), "info")
        return redirect(url_for("system.settings.index"), 303)
    try:
        applied = _apply(set_values(section, changes), reason)
    except ConfigInvalidError as error:
        return _page(shown.refused(typed, reason, field_problems(error, section, ""))), _UNUSABLE
    return _done(applied, f"[{section}]", reason)


@blueprint.post("/titles/add")
@requires(Permission.ADMINISTER)
def add_title() -> Response | tuple[str, int]:
    """Let the box answer to one more title."""
    title, reason = request.form.get("ae_title", "").strip(), _reason()
    try:
        applied = _apply(add_table("local_ae", {"ae_title": title}), reason)
    except ConfigInvalidError as error:
        problems = [said for every in field_problems(error, "local_ae", title).values() for said in every]
        return _page(title=title, title_problems=problems), _UNUSABLE
    return _done(applied, f"local_ae {title}", reason)


@blueprint.post("/titles/remove")
@requires(Permission.ADMINISTER)
def remove_title() -> Response | tuple[str, int]:
    """Let the box answer to a title no longer."""
    title, reason = request.form.get("ae_title", "").strip(), _reason()
    try:
        applied = _apply(remove_table("local_ae", title), reason)
    except ConfigInvalidError as error:
        return _page(title_problems=[said for every in field_problems(error, "local_ae", title).values() for said in every]), _UNUSABLE
    return _done(applied, f"local_ae {title}", reason)


def _page(refused: SettingSection | None = None, *, title: str = "", title_problems: list[str] | None = None) -> str:
    current = services().changes.current()
    shown = [refused if refused is not None and one.name == refused.name else one for one in sections(current.site)]
    return render_template(
        "system/settings.html",
        sections=shown,
        generation=expected_in(request.form, current.generation),
        titles=current.site.local_ae,
        title=title,
        title_problems=title_problems or (),
    )


def _apply(edit: Edit, reason: str) -> Applied:
    return services().changes.apply(edit, expected=expected_in(request.form, -1), by=person().name, reason=reason)


def _reason() -> str:
    return request.form.get("reason", "").strip()[:_REASON_CHARACTERS]


def _done(applied: Applied, what: str, reason: str) -> Response:
    if applied.is_new:
        before, after = write_down(applied)
        thing = f"generation {applied.number}: {what}"
        services().accounts.changed(person(), "settings.changed", thing, before=before, after=after, reason=reason)
        flash(_("Saved: generation %(number)s is in force.", number=applied.number), "success")
        say_consequences(applied)
    else:
        flash(_("Nothing was changed."), "info")
    return redirect(url_for("system.settings.index"), 303)
