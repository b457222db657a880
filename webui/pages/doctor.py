"""The connection doctor at work: each step as soon as it is made, in plain words, with the next thing to try.

Promises: a test goes on in the sender whatever becomes of the page; whoever loads it again sees how far it is.
Failures: a test that is not remembered any more says so.
Limits: what he finds is shown as he says it, in English.
"""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, make_response, render_template

from appliance.accounts.roles import Permission
from appliance.core.errors import ApplianceError
from appliance.runtime.questions import DestinationTestProgressReply
from webui.access import requires
from webui.phases import phase_words
from webui.services import services

blueprint = Blueprint("doctor", __name__, url_prefix="/doctor")

# Nobody guesses what another person tests at the moment.
_TICKET_BYTES = 18


def begin_test(name: str = "", *, proposal: str = "", send: bool = False) -> str:
    """Begin the test of a destination, by name or as it is proposed, and return the ticket under which its steps are shown.

    Raises `RequestRefusedError` where the sender will not, and what asking raises.
    """
    ticket = secrets.token_urlsafe(_TICKET_BYTES)
    services().control.test_destination(name, send=send, proposal=proposal, ticket=ticket)
    return ticket


def how_far(ticket: str) -> DestinationTestProgressReply | None:
    """Return how far a test is; None without a ticket, and where the test is not remembered or nobody answers."""
    if not ticket:
        return None
    try:
        return services().control.test_progress(ticket)
    except ApplianceError:
        return None


@blueprint.app_template_global("phase_words")
def _words(phase: str) -> str:
    return phase_words(phase)


@blueprint.get("/<ticket>")
@requires(Permission.OPERATE)
def show(ticket: str) -> str:
    """Show a test with a page around it."""
    progress = services().control.test_progress(ticket)
    known = {destination.name for destination in services().site().destinations}
    return render_template("doctor/show.html", progress=progress, ticket=ticket, is_known=progress.destination in known)


@blueprint.get("/<ticket>/progress")
@requires(Permission.OPERATE)
def progress(ticket: str) -> Response:
    """Show how far a test is: the part of a page that renews itself, until the end."""
    found = services().control.test_progress(ticket)
    answer = make_response(render_template("doctor/_progress.html", progress=found))
    if found.done:
        answer.headers["X-Done"] = "1"
    return answer
