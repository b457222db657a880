"""Who asks: a bearer token with scopes, and nothing else; cookies are not looked at, so that no page can act for somebody (no forgery).

Promises: a view runs only for a token that is in force and has its scope; what a token may not do is written down.
Failures: 401, 403.
Limits: scopes are permissions (`appliance.accounts.roles`); patients are shown to tokens with see-patients alone.
Standard: RFC 6750.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Response, current_app, g, request

from appliance.accounts.person import Machine
from appliance.accounts.roles import Permission
from webui.access import access_of, decided_elsewhere
from webui.api.problems import problem
from webui.services import services

View = TypeVar("View", bound=Callable[..., Any])
_SCHEME = "bearer "


def scope(permission: Permission) -> Callable[[View], View]:
    """Serve the view only to a token with this scope."""

    def decorate(view: View) -> View:
        return decided_elsewhere(view, permission)

    return decorate


def insist_on_token() -> Response | None:
    """Refuse a request without a token for what it asks; to be called before anything of the request is read."""
    needed = access_of(current_app.view_functions[request.endpoint or ""])
    if not isinstance(needed, Permission):
        return None
    header = request.headers.get("Authorization", "")
    secret = header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else ""
    who = services().accounts.token(secret, request.remote_addr or "") if secret else None
    if who is None:
        return problem(401, "this needs a token that is in force")
    if not who.may(needed):
        services().accounts.refused(who, f"{request.method} {request.endpoint}", needed)
        return problem(403, f"this needs a token with the scope {needed}")
    g.machine = who
    return None


def machine() -> Machine:
    """Return whose token it is; only in views with a `scope`."""
    return cast("Machine", g.machine)
