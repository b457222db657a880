"""Home: how the box is, in one honest sentence; then destinations, scanners, findings and the last studies."""

from __future__ import annotations

from flask import Blueprint, current_app, render_template

from appliance import __version__
from appliance.accounts.roles import Permission
from appliance.core.errors import ApplianceError
from appliance.runtime.page_requests import StudyLine, StudySearchRequest
from appliance.runtime.requests import FindingReply, StatusReply, StudiesRequest, StudyRow
from webui.access import person, requires
from webui.known import ask_all
from webui.pages.studies import person_name
from webui.scanner_list import listed_scanners
from webui.sentences import Sentence, sentences, space_left
from webui.services import services

blueprint = Blueprint("home", __name__)

# What fits on a screen below the rest.
_LAST_STUDIES = 5
_SEVERITIES = ("critical", "error", "warning", "info")


@blueprint.app_template_global()
def has_page(endpoint: str) -> bool:
    """Say whether a page is there, so that nothing links to one that is not."""
    return endpoint in current_app.view_functions


@blueprint.get("/")
@requires(Permission.SEE)
def index() -> str:
    """Show the state of the box."""
    return render_template("home/index.html", **_state())


@blueprint.get("/now")
@requires(Permission.SEE)
def now() -> str:
    """Show the part of Home that renews itself."""
    return render_template("home/_now.html", **_state())


def worst_code(findings: tuple[FindingReply, ...], said: list[Sentence]) -> str:
    """Return the code to read over the telephone: that of the worst finding, else that of the first sentence."""
    ordered = sorted(findings, key=lambda finding: _SEVERITIES.index(finding.severity) if finding.severity in _SEVERITIES else 0)
    return ordered[0].code if ordered else said[0].code


def _state() -> dict[str, object]:
    known = ask_all(services())
    said = sentences(known)
    status: StatusReply | None = known.status
    activity = () if known.activity is None else known.activity.rows
    is_silent = status is None
    return {
        "said": said,
        "status": status,
        "findings": () if status is None else status.findings,
        "space": space_left(known),
        "known": known,
        "scanners": listed_scanners(services().site(), activity, services().calls(), now=known.now),
        "studies": None if is_silent else _last_studies(),
        "code": worst_code(() if status is None else status.findings, said),
        "person_name": person_name,
        "version": __version__,
        "generation": services().site().generation,
    }


def _last_studies() -> tuple[StudyLine, ...] | tuple[StudyRow, ...] | None:
    """Return the newest studies, with patients only for those who may see them; None where nobody answers."""
    try:
        if person().may(Permission.SEE_PATIENTS):
            return services().control.search_studies(StudySearchRequest(limit=_LAST_STUDIES)).rows
        return services().control.studies(StudiesRequest(limit=_LAST_STUDIES)).rows
    except ApplianceError:
        return None
