"""System: who the box is and what it runs with; the door to configuration, settings, certificates, and papers.

Promises: looking changes nothing; a change that waits to be confirmed is shown on every page and confirmed or taken back here.
Failures: daemons that do not answer leave their part of a page empty, and it says so.
Limits: the machine itself (network, clock, updates) is set up elsewhere.
"""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from appliance.accounts.roles import Permission
from appliance.core.errors import ApplianceError
from appliance.manage.commissioning import addresses_of, listening
from appliance.runtime.requests import StatusReply
from webui.access import person, requires
from webui.pages import certificates, configuration, papers, settings
from webui.services import services
from webui.unconfirmed import pending_change

blueprint = Blueprint("system", __name__, url_prefix="/system")
for part in (configuration, settings, certificates, papers):
    blueprint.register_blueprint(part.blueprint)


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """Show what box this is."""
    site = services().site()
    return render_template(
        "system/index.html",
        site=site,
        status=_status(),
        addresses=addresses_of(site),
        listening=listening(services().data),
        now=services().clock.now().wall,
        current=services().changes.current(),
    )


@blueprint.get("/unconfirmed")
@requires(Permission.SEE)
def unconfirmed() -> str:
    """Show the change that waits: a fragment."""
    return render_template("system/_pending.html", waiting=pending_change())


@blueprint.post("/unconfirmed/confirm")
@requires(Permission.SET_UP)
def confirm() -> Response:
    """Let the change that waits stay."""
    waiting = services().changes.pending()
    if waiting is not None and services().changes.confirm(person().name):
        services().accounts.changed(person(), "configuration.confirmed", f"generation {waiting.generation}")
        flash(_("The change stays."), "success")
    else:
        flash(_("Nothing waits any more: the change was confirmed or taken back meanwhile."), "info")
    return redirect(url_for("system.configuration.history"), 303)


@blueprint.post("/unconfirmed/take-back")
@requires(Permission.SET_UP)
def take_back() -> Response:
    """Put the configuration before the change in force again."""
    applied = services().changes.revert(person().name)
    if applied is not None:
        services().accounts.changed(person(), "configuration.taken_back", f"generation {applied.number}")
        flash(_("The change was taken back: generation %(number)s is in force.", number=applied.number), "success")
    else:
        flash(_("Nothing waits any more: the change was confirmed or taken back meanwhile."), "info")
    return redirect(url_for("system.configuration.history"), 303)


def _status() -> StatusReply | None:
    try:
        return services().control.status()
    except ApplianceError:
        return None
