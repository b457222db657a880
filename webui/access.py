"""Who may see which page: one decorator on every view, and a table of the few that need nobody signed in.

Promises: a view without `requires` or `open_to_all` is never served (the application refuses to start); who is not signed in is asked to,
and comes back to where they were; who may not is told so, and it is written down; what changes something is never taken from another
origin's page.
Failures: 401 for machines, a redirection to the log-in page for people, 403.
Limits: which patients somebody may see is not decided here: a department's technicians see all of its.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from flask import Flask, abort, g, redirect, request, url_for

from appliance.accounts.person import Person, SignedIn
from appliance.accounts.roles import Permission
from webui.services import services

View = TypeVar("View", bound=Callable[..., Any])
_MARK = "webui_access"
_OPEN = "open"
# RFC 9110 9.2.1: what these methods ask for changes nothing.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def requires(permission: Permission) -> Callable[[View], View]:
    """Serve the view only to somebody signed in who has the permission."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: object, **kwargs: object) -> object:
            who = signed_in()
            if who is None:
                return redirect(url_for("account.log_in", next=_where_to_return()))
            if not who.person.may(permission):
                services().accounts.refused(who.person, f"{request.method} {request.endpoint}", permission)
                abort(403)
            return view(*args, **kwargs)

        setattr(guarded, _MARK, permission)
        return cast("View", guarded)

    return decorate


def decided_elsewhere(view: View, permission: Permission) -> View:
    """Mark a view whose permission is checked by whoever serves it: the API, by its tokens."""
    setattr(view, _MARK, permission)
    return view


def open_to_all(view: View) -> View:
    """Serve the view to everybody: the log-in page, the first start, and what they look like."""
    setattr(view, _MARK, _OPEN)
    return view


def access_of(view: Callable[..., Any]) -> Permission | str | None:
    """Return the permission that the view asks for, "open", or None where nobody decided."""
    return cast("Permission | str | None", getattr(view, _MARK, None))


def signed_in() -> SignedIn | None:
    """Return whose request this is, or None."""
    return cast("SignedIn | None", g.get("signed_in"))


def person() -> Person:
    """Return who is signed in; only for views behind `requires`."""
    who = signed_in()
    if who is None:
        abort(401)
    return who.person


def refuse_other_origins(app: Flask) -> None:
    """Answer 403 to a request that changes something and says that it comes from a page of somebody else."""
    app.before_request(_refuse_other_origins)


def own_path(target: str) -> str | None:
    """Return `target` where it is a path of ours to come back to, None otherwise: what came in as ?next= never leaves the box."""
    # Browsers take a backslash for a slash, and leave out what cannot be printed: "/\\evil.example", "/\t/evil.example".
    is_plain = target.isascii() and target.isprintable() and "\\" not in target
    return target if is_plain and target.startswith("/") and not target.startswith("//") else None


def insist_on_decisions(app: Flask) -> None:
    """Raise `RuntimeError` (a defect) where a view says nothing about who may see it."""
    undecided = sorted(
        endpoint for endpoint, view in app.view_functions.items() if access_of(view) is None and not endpoint.endswith("static")
    )
    if undecided:
        raise RuntimeError(f"views without an access rule: {', '.join(undecided)}")


def _refuse_other_origins() -> None:
    if request.method in _SAFE:
        return
    origin = request.headers.get("Origin")
    # Fetch metadata says the same where a browser sends no Origin; a program sends neither, and has no cookie to misuse.
    if (origin is not None and urlsplit(origin).netloc != request.host) or request.headers.get("Sec-Fetch-Site") == "cross-site":
        abort(403)


def _where_to_return() -> str:
    return request.full_path.rstrip("?") if request.method == "GET" else url_for("home.index")
