"""Whose request it is: the session that the cookie names, looked up in the accounts for every request.

Promises: a session that was ended anywhere is ended here at the next request; signing in makes a new one and forgets whatever the cookie
said before; whoever has a password from somebody else chooses another before anything else.
Failures: none; whoever cannot be recognised is nobody.
Limits: the cookie lasts as long as the browser; nobody is remembered beyond that. A tablet may change its address.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, g, redirect, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from werkzeug.wrappers import Response

from appliance.accounts.person import SignedIn
from webui.services import services

# Where Flask-Login keeps it in the cookie, which is signed and read by nobody's script.
SESSION_KEY = "_user_id"
# What somebody may do who has yet to choose a password.
_BEFORE_OWN_PASSWORD = frozenset({"account.password", "account.log_out", "account.language"})


class _Member(UserMixin):
    """What Flask-Login takes for a user: a session, so that one ends with the other."""

    def __init__(self, secret: str, signed_in: SignedIn) -> None:
        self.secret = secret
        self.signed_in = signed_in

    def get_id(self) -> str:
        """Return what the cookie holds: the secret of the session, nobody's number."""
        return self.secret


def recognise(app: Flask) -> None:
    """Look up who is signed in, before every request."""
    logins: Any = LoginManager(app)
    # Its protection ties a session to an address, which a tablet that roams changes; ours is ended on the server.
    logins.session_protection = None
    logins.user_loader(_member)
    app.before_request(_look_up)
    app.before_request(_insist_on_own_password)


def sign_in(secret: str, who: SignedIn) -> None:
    """Let the browser have a session that was begun, and nothing that it had before."""
    session.clear()
    login_user(_Member(secret, who))
    g.signed_in = who


def sign_out() -> None:
    """End the session of this request, here and in the browser."""
    services().accounts.log_out(session.get(SESSION_KEY, ""))
    logout_user()
    session.clear()
    g.signed_in = None


def _member(secret: object) -> _Member | None:
    if not isinstance(secret, str):
        return None
    # A fragment that renews itself is not a person who does something: it must not keep a left tablet signed in.
    who = services().accounts.session(secret, quiet="X-Live" in request.headers)
    return _Member(secret, who) if who else None


def _look_up() -> None:
    # Nobody is the library's own anonymous user, who has no session.
    g.signed_in = getattr(current_user, "signed_in", None)


def _insist_on_own_password() -> Response | None:
    who: SignedIn | None = g.signed_in
    endpoint = request.endpoint or ""
    if who is None or not who.must_change or endpoint in _BEFORE_OWN_PASSWORD or endpoint.endswith("static"):
        return None
    return redirect(url_for("account.password"), 303)
