"""People: who may log in as what, where they are logged in, and the tokens of programs. For administrators."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from appliance.accounts.faults import AccountInvalidError, LastAdministratorError, NameTakenError
from appliance.accounts.person import Person
from appliance.accounts.roles import Permission, Role
from webui.access import person, requires
from webui.days import end_of, last_day_before
from webui.forms.people import (
    SCOPE_WORDS,
    AddPersonForm,
    ChangePersonForm,
    TokenForm,
    put_at_its_field,
    role_word,
)
from webui.pages.account import NUMBER
from webui.services import services

blueprint = Blueprint("people", __name__, url_prefix="/people")
blueprint.add_app_template_global(role_word)

Answer = str | Response | tuple[str, int]


@blueprint.get("/")
@requires(Permission.ADMINISTER)
def index() -> str:
    """List people, sessions and tokens."""
    accounts = services().accounts
    return render_template(
        "people/index.html",
        accounts=accounts.people(),
        sessions=accounts.sessions(),
        tokens=accounts.tokens(),
        scope_words=SCOPE_WORDS,
        now=services().clock.now().wall,
    )


@blueprint.route("/add", methods=["GET", "POST"])
@requires(Permission.ADMINISTER)
def add() -> Answer:
    """Add an account, and show its one-time password: in the answer itself, because it stands nowhere else."""
    form = AddPersonForm()
    if not form.validate_on_submit():
        return _form("people/add.html", form)
    wanted = Person(0, form.name.data or "", _tidy(form.full_name.data), Role(form.role.data), expires_at=end_of(form.ends.data))
    try:
        added, password = services().accounts.add_person(person(), wanted)
    except AccountInvalidError as error:
        put_at_its_field(form, error)
    except NameTakenError:
        form.name.errors = [_("Somebody has this name already.")]
    else:
        return render_template("people/one_time.html", somebody=added, password=password)
    return _form("people/add.html", form)


@blueprint.route(f"/{NUMBER}", methods=["GET", "POST"])
@requires(Permission.ADMINISTER)
def change(number: int) -> Answer:
    """Show one account, and let it have another role or end, or be shut."""
    accounts = services().accounts
    somebody = accounts.person(number)
    kept = {"full_name": somebody.full_name, "role": somebody.role.value, "ends": last_day_before(somebody.expires_at)}
    form = ChangePersonForm(data={**kept, "is_enabled": somebody.is_enabled})
    if not form.validate_on_submit():
        return _form("people/change.html", form, somebody=somebody, sessions=accounts.sessions(somebody))
    wanted = replace(
        somebody,
        full_name=_tidy(form.full_name.data),
        role=Role(form.role.data),
        # A day that was not touched keeps its hour.
        expires_at=somebody.expires_at if form.ends.data == last_day_before(somebody.expires_at) else end_of(form.ends.data),
        is_enabled=bool(form.is_enabled.data),
    )
    try:
        accounts.change_person(person(), wanted, reason=form.reason.data or "")
    except AccountInvalidError as error:
        put_at_its_field(form, error)
    except LastAdministratorError:
        form.role.errors = [last_administrator_words()]
    else:
        flash(_("%(name)s is changed.", name=wanted.full_name), "success")
        return redirect(url_for("people.index"), 303)
    return _form("people/change.html", form, somebody=somebody, sessions=accounts.sessions(somebody))


@blueprint.post(f"/{NUMBER}/reset")
@requires(Permission.ADMINISTER)
def reset(number: int) -> str:
    """Give somebody a one-time password, and show it in the answer itself."""
    password = services().accounts.reset_password(person(), number)
    return render_template("people/one_time.html", somebody=services().accounts.person(number), password=password)


@blueprint.post(f"/{NUMBER}/remove")
@requires(Permission.ADMINISTER)
def remove(number: int) -> Response:
    """Remove an account; what it did stays written down."""
    try:
        services().accounts.remove_person(person(), number)
    except LastAdministratorError:
        flash(last_administrator_words(), "danger")
        return redirect(url_for("people.change", number=number), 303)
    flash(_("The account is removed. What it did stays under “Who did what”."), "success")
    return redirect(url_for("people.index"), 303)


@blueprint.post(f"/sessions/{NUMBER}/end")
@requires(Permission.ADMINISTER)
def end_session(number: int) -> Response:
    """End anybody's session."""
    services().accounts.end_session(person(), number)
    flash(_("The session has ended."), "success")
    return redirect(url_for("people.index"), 303)


@blueprint.route("/tokens/add", methods=["GET", "POST"])
@requires(Permission.ADMINISTER)
def add_token() -> Answer:
    """Make a token for a program, and show it in the answer itself, because it stands nowhere else."""
    form = TokenForm()
    if not form.validate_on_submit():
        return _form("people/add_token.html", form)
    scopes = frozenset(Permission(scope) for scope in form.scopes.data or ())
    try:
        name = _tidy(form.name.data)
        secret = services().accounts.add_token(person(), name, scopes, end_of(form.ends.data) or 0.0)
    except AccountInvalidError as error:
        put_at_its_field(form, error)
    except NameTakenError:
        form.name.errors = [_("There is a token with this name already.")]
    else:
        return render_template("people/token.html", name=name, secret=secret)
    return _form("people/add_token.html", form)


@blueprint.post(f"/tokens/{NUMBER}/end")
@requires(Permission.ADMINISTER)
def end_token(number: int) -> Response:
    """End a token."""
    services().accounts.end_token(person(), number)
    flash(_("The token opens nothing any more."), "success")
    return redirect(url_for("people.index"), 303)


def last_administrator_words() -> str:
    """Return why the last administrator must stay one."""
    return _("This is the last administrator without an end. Make somebody else an administrator first.")


def _form(template: str, form: object, **values: object) -> Answer:
    page = render_template(template, form=form, **values)
    return (page, 422) if request.method == "POST" else page


def _tidy(text: str | None) -> str:
    return " ".join((text or "").split())
