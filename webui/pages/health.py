"""Health: what the box finds of itself, how much room it has, and how much came and went."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask_babel import gettext as _

from appliance.accounts.roles import Permission
from webui.access import requires
from webui.known import Known, ask_all
from webui.pages.charts import chart_of
from webui.sentences import sentences, space_left
from webui.services import services

blueprint = Blueprint("health", __name__, url_prefix="/health")

# The parts that are at work at every moment; the others are started when they are asked.
_RESIDENT = ("receiver", "router", "sender")


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """Show how the box is, with charts."""
    return render_template("health/index.html", **_state(), **chart_of(request.args.get("by", "day")), here="health.index")


@blueprint.get("/now")
@requires(Permission.SEE)
def now() -> str:
    """Show the part that renews itself."""
    return render_template("health/_now.html", **_state())


def _state() -> dict[str, object]:
    known = ask_all(services())
    return {
        "known": known,
        "said": sentences(known),
        "findings": () if known.status is None else known.status.findings,
        "parts": _parts(known),
        "troubled": [] if known.status is None else [one for one in known.status.destinations if one.reason or one.state != "alive"],
        "space": space_left(known),
    }


def _parts(known: Known) -> list[tuple[str, bool]]:
    """Return what each part of the box does, and whether it is at work."""
    words = {
        "receiver": _("the part that receives images"),
        "router": _("the part that decides where images go"),
        "sender": _("the part that sends images"),
    }
    return [(words[name], name in known.ready) for name in _RESIDENT]
