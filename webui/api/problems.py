"""Errors as programs read them: problem details, with the next thing to try.

Promises: every error below `/api/` is `application/problem+json` with title, status, detail and advice, whoever raised it; what nobody
foresaw says nothing of itself.
Failures: none.
Limits: English; `type` is always "about:blank", so that the status says which kind it is.
Standard: RFC 9457.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from flask import Response, request
from pydantic import BaseModel, Field, ValidationError
from werkzeug.exceptions import HTTPException

from appliance.config.load import ConfigInvalidError
from appliance.config.problem import Problem as ConfigProblem
from appliance.core.errors import ApplianceError, Fault
from appliance.manage.control import LedgerRebuildingError
from appliance.manage.site_changes import SiteStaleError, SiteUnconfirmedError
from appliance.runtime.asking import NotRunningError, RequestTimeoutError

PREFIX = "/api/"
MEDIA_TYPE = "application/problem+json"

_ADVICE = {
    400: "Send what the document at /api/v1/openapi.json describes.",
    401: "Send a token that is in force: Authorization: Bearer dicom-edge_… (an administrator makes one under People).",
    403: "Ask an administrator of the box for a token with this scope.",
    404: "The document at /api/v1/openapi.json says what there is.",
    405: "The document at /api/v1/openapi.json says what there is.",
    409: "Read what is in force now, and make the change again.",
    413: "Send less at a time.",
    415: "Send JSON: Content-Type: application/json.",
    422: "Send what the document at /api/v1/openapi.json describes.",
    429: "Wait a minute, then try again.",
    503: "Images are still received. Try again in a minute.",
}


class Mistake(BaseModel):
    """One thing that is wrong, and where."""

    where: str
    problem: str
    advice: str = ""


class Problem(BaseModel):
    """An error (RFC 9457): what is wrong, and the next thing to try."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    advice: str = Field(default="", description="The next thing to try.")
    problems: list[Mistake] = Field(default=[], description="What is wrong, one by one, where it is known.")


def is_for_a_program() -> bool:
    """Say whether the request of this moment is one of the API."""
    return request.path.startswith(PREFIX)


def problem(status: int, detail: str, advice: str | None = None, problems: Sequence[Mistake] = ()) -> Response:
    """Return an error."""
    title = HTTPStatus(status).phrase
    said = Problem(
        title=title,
        status=status,
        detail=detail or title,
        advice=_ADVICE.get(status, "") if advice is None else advice,
        problems=list(problems),
    )
    response = Response(json.dumps(said.model_dump(mode="json")), status, mimetype=MEDIA_TYPE)
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="dicom-edge"'
    return response


def problem_of_http(error: HTTPException) -> Response:
    """Return what an HTTP error says."""
    response = problem(error.code or 500, "" if error.code != HTTPStatus.NOT_FOUND else "there is nothing at this address")
    for name, value in error.get_headers():
        # Which methods there are, and when to come again.
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def problem_of_box(error: ApplianceError) -> Response:
    """Return what an error of the box says."""
    if isinstance(error, ConfigInvalidError):
        return problem(422, str(error), error.advice, [_of_configuration(one) for one in error.problems])
    if isinstance(error, (SiteStaleError, SiteUnconfirmedError)):
        return problem(409, str(error), error.advice)
    if isinstance(error, (NotRunningError, RequestTimeoutError, LedgerRebuildingError)) or error.fault is not Fault.OPERATOR:
        return problem(503, str(error), error.advice or None)
    return problem(422, str(error), error.advice)


def problem_of_input(error: ValidationError) -> Response:
    """Return what is wrong with a request; nothing of its values is repeated."""
    wrong = [
        Mistake(where=".".join(map(str, one["loc"])), problem=one["msg"]) for one in error.errors(include_input=False, include_url=False)
    ]
    return problem(422, "the request is not as the document describes", None, wrong)


def _of_configuration(found: ConfigProblem) -> Mistake:
    return Mistake(where=found.where, problem=found.problem, advice=found.advice)
