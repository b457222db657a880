"""The OpenAPI document: what `routes` says of itself, and what holds for all of it.

Promises: the document is made from the models that check requests and write answers; docs/openapi.json is the same text.
Failures: none.
Limits: version 1 of the API; keys may be added to answers, none is removed or renamed.
Standard: OpenAPI 3.1.
"""

from __future__ import annotations

import json
from typing import Any

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models import APISpec
from flask_openapi3.models.components import Components
from flask_openapi3.models.info import Info
from flask_openapi3.models.schema import Schema
from pydantic import BaseModel

from webui.api.problems import MEDIA_TYPE, Problem

_WORDS = {
    400: "The request cannot be read.",
    401: "There is no token, or it is not in force any more.",
    403: "The token has not the scope that this needs.",
    404: "There is no such thing.",
    409: "Somebody else changed it meanwhile, or another change waits to be confirmed.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request is not as described here, or cannot be done; `problems` says what is wrong.",
    429: "Too many in a minute.",
    503: "The part of the box that knows does not answer at the moment; images are received all the same.",
}
_ALWAYS = (400, 401, 403, 422, 503)
_REFERENCE = "#/components/schemas/{model}"
_ABOUT = (
    "What programs may ask of a DICOM Edge box, and order. Every operation needs a token (Authorization: Bearer) with its scope; an "
    "administrator makes tokens under People. Moments are ISO 8601 in UTC, spans are seconds. Errors are problem details (RFC 9457) with "
    "the next thing to try in `advice`."
)


SCHEME = "token"
"""What the document calls the way to say who one is; its scopes are permissions."""


def refusals(answer: type[BaseModel], *more: int) -> dict[int, Any]:
    """Return what an operation may answer: its answer, what every one may refuse, and `more`."""
    return {200: answer, **{status: {"description": _WORDS[status]} for status in sorted((*_ALWAYS, *more))}}


def document(blueprint: APIBlueprint) -> str:
    """Return the document of everything that `blueprint` serves, as JSON."""
    problems = Problem.model_json_schema(ref_template=_REFERENCE, mode="serialization")
    schemas = {**blueprint.components_schemas, Problem.__name__: Schema(**problems)}
    schemas |= {name: Schema(**schema) for name, schema in problems.get("$defs", {}).items()}
    spec = APISpec(
        openapi="3.1.0",
        info=Info(title="DICOM Edge", version="1", description=_ABOUT),
        paths=blueprint.paths,
        components=Components(
            schemas=dict(sorted(schemas.items())),
            securitySchemes={SCHEME: {"type": "http", "scheme": "bearer", "description": "A token with scopes."}},
        ),
    )
    said = spec.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)
    _tell_once(said)
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


def _tell_once(said: dict[str, Any]) -> None:
    """Let operations refer to what many of them say: how they refuse."""
    content = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model=Problem.__name__)}}}
    said["components"]["responses"] = {_name(status): {"description": words, "content": content} for status, words in _WORDS.items()}
    for path in said["paths"].values():
        for operation in path.values():
            for status in operation["responses"]:
                if int(status) in _WORDS:
                    operation["responses"][status] = {"$ref": f"#/components/responses/{_name(int(status))}"}


def _name(status: int) -> str:
    return f"Refused{status}"
