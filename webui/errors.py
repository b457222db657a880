"""Errors as pages: what went wrong, in plain words, and the next thing to try.

Promises: an error of the box is shown with its advice, and its text is escaped; what nobody foresaw is logged with its name and shown as
one plain sentence, without a trace.
Failures: none.
Limits: what a program asks of `/api/` is answered as a program reads it (`api.problems`).
"""

from __future__ import annotations

from flask import Flask, Response, render_template
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from appliance.core.errors import ApplianceError, Fault
from appliance.manage.site_changes import SiteStaleError, SiteUnconfirmedError
from appliance.runtime.asking import NotRunningError, RequestTimeoutError
from appliance.runtime.logging import get_logger
from webui.api.problems import is_for_a_program, problem, problem_of_box, problem_of_http

log = get_logger(__name__)

_WORDS = {
    400: (lambda: _("The box cannot read this request"), lambda: _("Go back and try once more.")),
    403: (
        lambda: _("You may not do this"),
        lambda: _("Ask an administrator of the box for the right to do it, or log in as somebody who has it."),
    ),
    405: (lambda: _("This cannot be done here"), lambda: _("Go back and try once more.")),
    404: (lambda: _("There is no such page"), lambda: _("What you looked for may have been removed. Start at Home.")),
    409: (lambda: _("Somebody else changed this meanwhile"), lambda: _("Look at what it says now, and make your change again.")),
    413: (lambda: _("This is too large"), lambda: _("Choose a smaller file.")),
    415: (lambda: _("The box cannot read what was sent"), lambda: _("Send it as it is, not compressed.")),
    429: (lambda: _("Too many tries"), lambda: _("Wait a minute, then try again.")),
}


def explain_errors(app: Flask) -> None:
    """Show every error as a page."""
    app.register_error_handler(CSRFError, _stale)
    app.register_error_handler(HTTPException, _refusal)
    app.register_error_handler(ApplianceError, _box_error)
    app.register_error_handler(Exception, _unforeseen)


Answer = tuple[str, int] | Response


def _stale(_error: CSRFError) -> tuple[str, int]:
    return _page(403, _("This page was open for too long"), _("Load it again, then repeat what you did. Nothing was changed."))


def _refusal(error: HTTPException) -> Answer | HTTPException:
    code = error.code or 500
    if code < 400 or error.response is not None:  # noqa: PLR2004 (the first code of an error)
        return error
    if is_for_a_program():
        return problem_of_http(error)
    title, advice = _WORDS.get(code, (lambda: _("This cannot be done"), lambda: ""))
    return _page(code, title(), advice())


def _box_error(error: ApplianceError) -> Answer:
    if is_for_a_program():
        return problem_of_box(error)
    if isinstance(error, (NotRunningError, RequestTimeoutError)):
        return _page(503, _("A part of the box does not answer at the moment"), _("Images are still received. Try again in a minute."))
    if isinstance(error, (SiteStaleError, SiteUnconfirmedError)):
        said = str(error)
        return _page(409, _("Somebody else changed this meanwhile"), f"{said[:1].upper()}{said[1:]}. {error.advice}")
    return _page(422 if error.fault is Fault.OPERATOR else 500, str(error), error.advice)


def _unforeseen(error: Exception) -> Answer:
    log.error("web.failed", kind=type(error).__name__, exc_info=error)
    if is_for_a_program():
        return problem(500, "the pages made a mistake", "Images are not affected. Try again; if it stays, tell support the time.")
    return _page(500, _("The pages made a mistake"), _("Images are not affected. Try again; if it stays, tell support the time."))


def _page(code: int, title: str, advice: str) -> tuple[str, int]:
    return render_template("error.html", code=code, title=title, advice=advice), code
