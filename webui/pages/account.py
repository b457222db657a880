"""Logging in and out, and what somebody sets for themselves: password, language, their sessions."""

from __future__ import annotations

import math

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response

from appliance.accounts.faults import LogInRefusedError, PasswordWeakError
from appliance.accounts.roles import Permission
from webui.access import open_to_all, own_path, person, requires, signed_in
from webui.browsers import browser_name
from webui.forms.account import WEAKNESSES, LogInForm, PasswordForm
from webui.identity import sign_in, sign_out
from webui.language import COOKIE, LANGUAGES
from webui.limits import PASSWORDS, limited
from webui.services import services

blueprint = Blueprint("account", __name__, url_prefix="/account")

# SQLite's largest number: what is beyond it is nobody's, and the address answers 404.
NUMBER = "<int(max=9223372036854775807):number>"
# The choice is made once a browser.
_LANGUAGE_AGE_S = 400 * 86400


@blueprint.get("/log-in")
@open_to_all
def log_in() -> str | Response:
    """Show the log-in form, or go on where somebody is signed in."""
    target = own_path(request.args.get("next", "")) or url_for("home.index")
    if signed_in() is not None:
        return redirect(target, 303)
    return render_template("account/log_in.html", form=LogInForm(data={"next": target}), failed="")


@blueprint.post("/log-in")
@open_to_all
@limited(PASSWORDS)
def log_in_now() -> str | Response | tuple[str, int]:
    """Let somebody in, or say why not."""
    form = LogInForm()
    failed = ""
    if form.validate_on_submit():
        try:
            browser = browser_name(request.headers.get("User-Agent", ""))
            secret, who = services().accounts.log_in(form.name.data or "", form.password.data or "", request.remote_addr or "", browser)
        except LogInRefusedError as refused:
            failed = refusal_words(refused)
        else:
            sign_in(secret, who)
            return redirect(own_path(form.next.data or "") or url_for("home.index"), 303)
    return render_template("account/log_in.html", form=form, failed=failed), 422


@blueprint.post("/log-out")
@open_to_all
def log_out() -> Response:
    """End this session."""
    sign_out()
    flash(_("You are logged out."), "success")
    return redirect(url_for("account.log_in"), 303)


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """Show what somebody can set for themselves."""
    who = signed_in()
    return render_template("account/index.html", sessions=services().accounts.sessions(person()), this=who.session_id if who else 0)


@blueprint.route("/password", methods=["GET", "POST"])
@requires(Permission.SEE)
@limited(PASSWORDS)
def password() -> str | Response | tuple[str, int]:
    """Let somebody have another password."""
    form, who = PasswordForm(), signed_in()
    must = who is not None and who.must_change
    if who is None or not form.validate_on_submit():
        page = render_template("account/password.html", form=form, must_change=must)
        return (page, 422) if request.method == "POST" else page
    try:
        services().accounts.set_password(who, form.old.data or "", form.new.data or "")
    except LogInRefusedError as refused:
        form.old.errors = [_("This is not the password so far."), *([wait_words(refused.wait_s)] if refused.wait_s else [])]
    except PasswordWeakError as weak:
        form.new.errors = [str(WEAKNESSES[weak.weakness])]
    else:
        flash(_("The password is changed. Your other sessions have ended."), "success")
        return redirect(url_for("home.index" if must else "account.index"), 303)
    return render_template("account/password.html", form=form, must_change=must), 422


@blueprint.post("/language")
@open_to_all
def language() -> Response:
    """Take the reader's choice, for this browser and for whoever is signed in."""
    choice, who = request.form.get("language", ""), signed_in()
    answer = redirect(own_path(request.form.get("next", "")) or url_for("home.index"), 303)
    if choice in LANGUAGES:
        if who is not None:
            services().accounts.set_language(who.person, choice)
        answer.set_cookie(COOKIE, choice, max_age=_LANGUAGE_AGE_S, secure=True, httponly=True, samesite="Strict")
    return answer


@blueprint.post(f"/sessions/{NUMBER}/end")
@requires(Permission.SEE)
def end_session(number: int) -> Response:
    """End one of one's own sessions."""
    services().accounts.end_session(person(), number, of=person())
    flash(_("The session has ended."), "success")
    return redirect(url_for("account.index"), 303)


def refusal_words(refused: LogInRefusedError) -> str:
    """Return why somebody may not log in, in the reader's language: the same for names that exist and names that do not."""
    if refused.is_closed:
        return _("This account has ended or is disabled. Ask an administrator of the box.")
    words = _("This name and password do not open the box. Look whether capital letters are on, and try again.")
    return f"{words} {wait_words(refused.wait_s)}" if refused.wait_s else words


def wait_words(wait_s: float) -> str:
    """Return how long to wait for the next try."""
    seconds = math.ceil(wait_s)
    return ngettext("Wait %(num)s second before the next try.", "Wait %(num)s seconds before the next try.", seconds)
