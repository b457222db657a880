"""The application: everything that makes the pages one, and the list of them.

Promises: `create_app` returns an application in which every view has an access rule, every answer the house's headers, every form a token
against forgery; errors are pages in the reader's language with the next thing to try.
Failures: `RuntimeError` for a view that says nothing about who may see it (a defect).
Limits: one box an application. Everything it knows of the box comes through `Services`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from flask import Flask
from flask_bootstrap import Bootstrap5
from flask_wtf import CSRFProtect

from webui.access import insist_on_decisions, open_to_all, person, refuse_other_origins, signed_in
from webui.errors import explain_errors
from webui.identity import recognise
from webui.language import speak
from webui.limits import enforce_limits
from webui.navigation import first_places, more_places
from webui.security import let_files_in, protect
from webui.services import services as ours
from webui.unconfirmed import lock_out_words, pending_change
from webui.vocabulary import state_word

if TYPE_CHECKING:
    from webui.services import Services

# One module a place; a place that is not here is not linked anywhere.
PAGES = (
    "account",
    "api",
    "audit",
    "charts",
    "destinations",
    "doctor",
    "guide",
    "health",
    "home",
    "people",
    "queue",
    "routes",
    "scanners",
    "system",
    "studies",
    "wizard",
)


def create_app(services: Services, *, secret: bytes) -> Flask:
    """Return the pages of the box behind `services`; `secret` signs cookies."""
    app = Flask("webui", static_folder="static", template_folder="templates")
    app.config.update(SECRET_KEY=secret, BOOTSTRAP_SERVE_LOCAL=True, WTF_CSRF_TIME_LIMIT=None)
    services.attach(app.extensions)
    protect(app)
    Bootstrap5(app)
    refuse_other_origins(app)
    recognise(app)
    let_files_in(app)
    CSRFProtect(app)
    speak(app)
    explain_errors(app)
    app.jinja_env.globals.update(
        first_places=first_places,
        more_places=more_places,
        signed_in=signed_in,
        person=person,
        state_word=state_word,
        box_name=lambda: ours().site().box.name,
        pending_change=pending_change,
        lock_out_words=lock_out_words,
    )
    for name in PAGES:
        app.register_blueprint(importlib.import_module(f"webui.pages.{name}").blueprint)
    open_to_all(app.view_functions["static"])
    insist_on_decisions(app)
    enforce_limits(app)
    return app
