"""Papers: the commissioning sheet to print, and the support bundle to send.

Promises: nothing that the box knows of a patient is in either; looking asks daemons and sends nothing to anybody.
Failures: what a daemon does not answer is left out, and the sheet says so.
Limits: the sheet shows the last test of each destination; testing is on the pages of the destinations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from flask import Blueprint, Response, render_template
from werkzeug.utils import secure_filename

from appliance.accounts.roles import Permission
from appliance.config.addresses import network_text
from appliance.config.model import Site, Source
from appliance.config.sources import find_source
from appliance.core.errors import ApplianceError
from appliance.manage.certificates import shown_certificates
from appliance.manage.commissioning import addresses_of, bypasses, listening
from appliance.manage.support import Findable, bundle
from appliance.runtime.page_requests import SourceActivity
from webui.access import person, requires
from webui.sentences_routes import route_sentence
from webui.services import services

Answer = TypeVar("Answer")

blueprint = Blueprint("papers", __name__, url_prefix="/papers")


@blueprint.get("/commissioning")
@requires(Permission.SEE)
def commissioning() -> str:
    """Show the sheet that stays with the box."""
    ours = services()
    site, control = ours.site(), ours.control
    activity = _answer(control.activity)
    certificates = _answer(lambda: shown_certificates(ours.data, site))
    tests = _answer(control.last_tests)
    return render_template(
        "system/commissioning.html",
        site=site,
        generation=ours.changes.current().generation,
        now=ours.clock.now().wall,
        addresses=addresses_of(site),
        listening=listening(ours.data),
        certificate=certificates.certificates[0] if certificates is not None else None,
        last_image=lambda source: _last_image(activity.rows if activity is not None else (), source, site),
        address_of=lambda source: "*" if source.address is None else network_text(source.address),
        is_answered=activity is not None,
        tests={row.destination: row for row in tests.rows} if tests is not None else {},
        routes=[route_sentence(route, site) for route in site.routes],
        bypasses=bypasses(site),
        by=person().full_name,
    )


@blueprint.get("/support")
@requires(Permission.OPERATE)
def support() -> str:
    """Show what a support bundle says, before anybody sends it."""
    return render_template("system/support.html", text=_bundle())


@blueprint.get("/support/bundle.txt")
@requires(Permission.OPERATE)
def download() -> Response:
    """Return the support bundle as a file."""
    name = secure_filename(f"support-{services().site().box.name}.txt")
    return Response(_bundle(), mimetype="text/plain", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _bundle() -> str:
    ours = services()
    return bundle(Findable(ours.data, ours.control, ours.site(), ours.changes.history(), ours.calls(), ours.clock.now().wall))


def _last_image(rows: Iterable[SourceActivity], source: Source, site: Site) -> str | None:
    """Return when the last image of a scanner came."""
    return max((row.last_received for row in rows if find_source(site, row.calling, row.address) == source), default=None)


def _answer(question: Callable[[], Answer]) -> Answer | None:
    try:
        return question()
    except (ApplianceError, OSError):
        return None
