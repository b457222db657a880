"""How often one address may ask what costs something: a decorator on views, and what enforces it.

Promises: who asks too often gets 429 with the seconds to wait, and the view does not run; others are not affected.
Failures: `ValueError` at the start for a limit that cannot be read.
Limits: counted in memory, by address: a restart forgets, and people behind one address share. Who guesses passwords is slowed down in the
accounts besides, wherever they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

View = TypeVar("View", bound=Callable[..., Any])
_MARK = "webui_limit"

# More than anybody types, and no more than hashing costs.
PASSWORDS = "30 per minute"
"""For what tries a password or a code."""
CALLS_OUT = "12 per minute"
"""For what makes the box call somebody: connection tests."""


def limited(rule: str) -> Callable[[View], View]:
    """Serve the view only as often as `rule` says ("30 per minute") to one address."""

    def decorate(view: View) -> View:
        setattr(view, _MARK, rule)
        return view

    return decorate


def enforce_limits(app: Flask) -> None:
    """Put the limits of its views in force; call it when all views are there."""
    limiter: Any = Limiter(get_remote_address, app=app, storage_uri="memory://", headers_enabled=True)
    for endpoint, view in app.view_functions.items():
        rule = getattr(view, _MARK, None)
        if rule is not None:
            # Reading the form is free; sending it is what costs.
            app.view_functions[endpoint] = limiter.limit(rule, methods=["POST"])(view)
