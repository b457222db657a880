"""What can be asked: one view an operation, each with its scope.

Promises: the same façade as the pages; every change is written down under the token's name; a request is checked against the document
before a view runs, and whoever asks before anything of it is read.
Failures: `problems`, whatever is raised.
Limits: lists come in pages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, abort, request
from flask.blueprints import BlueprintSetupState
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel

from appliance.accounts.roles import Permission
from appliance.config.edits import replace_text
from appliance.config.generations import Applied
from appliance.config.generations import Proposal as Difference
from appliance.runtime.asking import RequestRefusedError
from appliance.runtime.page_requests import StudyLine, StudySearchRequest
from appliance.runtime.requests import OrderRequest
from webui.access import open_to_all
from webui.api import models, settings
from webui.api.document import SCHEME, document, refusals
from webui.api.problems import problem, problem_of_input
from webui.api.tokens import insist_on_token, machine, scope
from webui.limits import CALLS_OUT, limited
from webui.services import services

_STATE, _STUDIES, _SETTINGS = Tag(name="state"), Tag(name="studies"), Tag(name="configuration")
_BODIES = {"POST", "PUT"}

View = TypeVar("View", bound=Callable[..., Any])

blueprint = APIBlueprint("api", __name__, url_prefix="/api/v1", operation_id_callback=lambda name, **_: name)


def _operation(method: str, rule: str, answer: type[BaseModel], permission: Permission, *more: int, tag: Tag) -> Callable[[View], View]:
    """Serve the view to tokens with the permission; it gives `answer`, or refuses as every one may, or with the statuses in `more`."""

    def decorate(view: View) -> View:
        add = getattr(blueprint, method)
        add(rule, tags=[tag], responses=refusals(answer, *more), security=[{SCHEME: [permission.value]}])(scope(permission)(view))
        return view

    return decorate


@blueprint.get("/openapi.json", doc_ui=False)
@open_to_all
def openapi() -> Response:
    """Return the document: it says what can be asked, and nothing of this box, so that no token is needed."""
    return Response(document(blueprint), mimetype="application/json")


@_operation("get", "/status", models.Status, Permission.SEE, tag=_STATE)
def status() -> Response:
    """Return how the box is."""
    return _said(models.Status.model_validate(services().control.status()))


@_operation("get", "/findings", models.Findings, Permission.SEE, tag=_STATE)
def findings() -> Response:
    """Return what a person should know, with advice."""
    return _said(models.Findings.model_validate(services().control.status()))


@_operation("get", "/destinations", models.Destinations, Permission.SEE, tag=_STATE)
def destinations() -> Response:
    """Return every destination and how it is."""
    return _said(models.Destinations.model_validate(services().control.destinations()))


@_operation("post", "/destinations/<string:name>/test", models.Tested, Permission.OPERATE, 404, 413, 415, 429, tag=_STATE)
@limited(CALLS_OUT)
def test_destination(path: models.DestinationPath, body: models.Test) -> Response:
    """Find out, step by step, whether a destination would take what is sent to it; this takes as long as it takes, up to minutes."""
    if path.name not in {one.name for one in services().site().destinations}:
        return problem(404, "there is no destination of this name")
    tested = services().control.test_destination(path.name, send=body.send)
    services().accounts.changed(machine(), "destination.tested", path.name, after="with a test image" if body.send else "")
    return _said(models.Tested.model_validate(tested))


@_operation("get", "/queue", models.Queue, Permission.SEE, tag=_STATE)
def queue(query: models.QueueQuery) -> Response:
    """Return a page of deliveries in id order: those that are not finished, or those in a state."""
    page = services().control.queue(destination=query.destination, state=query.state, limit=query.limit, after=query.after)
    said = models.Queue.model_validate(page)
    said.next = said.rows[-1].id if len(said.rows) == query.limit else None
    return _said(said)


@_operation("get", "/queue/<int:number>", models.Delivery, Permission.SEE, 404, tag=_STATE)
def delivery(path: models.DeliveryPath) -> Response:
    """Return one delivery with everything that is known of it, every try included."""
    try:
        found = services().control.delivery(path.number)
    except RequestRefusedError:
        return problem(404, "there is no delivery of this number")
    return _said(models.Delivery.model_validate(found))


@_operation("post", "/queue/orders", models.OrderDone, Permission.OPERATE, 413, 415, tag=_STATE)
def order(body: models.Order) -> Response:
    """Retry, hold, release or cancel the deliveries that meet every condition given."""
    who = machine()
    wanted = OrderRequest(
        body.verb,
        who.name,
        body.reason,
        tuple(body.ids) if body.ids else None,
        body.study_instance_uid,
        body.destination,
        body.hold_class,
        body.state,
        body.sop_class_uid,
    )
    done = services().control.order(wanted)
    about = body.model_dump(exclude={"verb", "reason"}, exclude_none=True)
    what = ", ".join(f"{name} {value if name != 'ids' else len(value)}" for name, value in about.items())
    services().accounts.changed(who, f"queue.{body.verb}", what, after=f"{done.moved} deliveries", reason=body.reason)
    return _said(models.OrderDone.model_validate(done))


@_operation("get", "/studies", models.Studies, Permission.SEE, 404, tag=_STUDIES)
def studies(query: models.StudiesQuery) -> Response:
    """Return a page of studies, the newest first, with how far each is at each destination."""
    if query.words and not machine().may(Permission.SEE_PATIENTS):
        services().accounts.refused(machine(), "GET api.studies", Permission.SEE_PATIENTS)
        return problem(403, f"words need a token with the scope {Permission.SEE_PATIENTS}")
    since, until = (day.isoformat() if day is not None else None for day in (query.since, query.until))
    wanted = StudySearchRequest(query.words, query.modality, since, until, query.destination, query.state, query.limit, query.after)
    try:
        rows = services().control.search_studies(wanted).rows
    except RequestRefusedError as error:
        if query.after is None:
            raise
        return problem(404, str(error))
    following = rows[-1].study_instance_uid if len(rows) == query.limit else None
    return _said(models.Studies(rows=[_study(row) for row in rows], next=following))


@_operation("get", "/studies/<string:uid>", models.StudyState, Permission.SEE, 404, tag=_STUDIES)
def study(path: models.StudyPath) -> Response:
    """Return how far one study is at each destination, from the acquisition to the proof."""
    try:
        found = services().control.study(path.uid)
    except RequestRefusedError:
        return problem(404, "there is no such study")
    return _said(
        models.StudyState(
            study=_study(found.study),
            source=found.source,
            called=found.called,
            acquired_first=found.acquired_first,
            acquired_last=found.acquired_last,
            received_first=found.received_first,
            received_last=found.received_last,
            deliveries=[models.StudyDelivery.model_validate(one) for one in found.deliveries],
        )
    )


@_operation("get", "/configuration", settings.Configuration, Permission.SEE, tag=_SETTINGS)
def configuration() -> Response:
    """Return the site file in force, the number of its generation, and whether a change waits to be confirmed."""
    current = services().changes.current()
    return _said(settings.Configuration(generation=current.generation, text=current.text, pending=_pending()))


@_operation("get", "/configuration/generations", settings.Generations, Permission.SEE, tag=_SETTINGS)
def generations() -> Response:
    """Return every configuration that was ever in force, the newest first: who put it there, when and why."""
    rows = [
        settings.Generation(number=one.number, state=one.state, activated_at=one.activated_at, by=one.by, reason=one.reason)
        for one in services().changes.history()
    ]
    return _said(settings.Generations(rows=rows))


@_operation("post", "/configuration/proposals", settings.Proposed, Permission.SET_UP, 413, 415, tag=_SETTINGS)
def propose(body: settings.Proposal) -> Response:
    """Return what a site file would change; nothing is done. One with errors is answered 422, with all of them."""
    return _said(settings.Proposed(**_difference(services().changes.propose(replace_text(body.text)))))


@_operation("put", "/configuration", settings.Activated, Permission.SET_UP, 409, 413, 415, tag=_SETTINGS)
def activate(body: settings.Activation) -> Response:
    """Put a site file in force, if the generation that the caller read still is; otherwise 409, and nothing is done."""
    who = machine()
    applied = services().changes.apply(replace_text(body.text), expected=body.expected, by=who.name, reason=body.reason)
    if applied.is_new:
        changes = "; ".join(str(change) for change in applied.changed)
        services().accounts.changed(who, "configuration.activated", f"generation {applied.number}", after=changes, reason=body.reason)
    waiting = _pending() if applied.is_new else None
    return _said(settings.Activated(**_difference(applied), generation=applied.number, is_new=applied.is_new, pending=waiting))


@_operation("post", "/configuration/confirmation", settings.Confirmed, Permission.SET_UP, tag=_SETTINGS)
def confirm() -> Response:
    """Let the change stay that waits to be confirmed."""
    confirmed = services().changes.confirm(machine().name)
    if confirmed:
        services().accounts.changed(machine(), "configuration.confirmed", "")
    return _said(settings.Confirmed(confirmed=confirmed))


# Before anything of a request is read, and whatever it asks.
blueprint.before_request(insist_on_token)


@blueprint.before_request
def insist_on_json() -> Response | None:
    """Refuse a body that is no JSON object: what comes as text/plain may come from any page."""
    if request.method not in _BODIES or (not request.content_length and request.endpoint == "api.confirm"):
        return None
    if request.mimetype != "application/json":
        abort(415)
    try:
        said = request.get_json()
    except RecursionError:
        abort(400)
    return None if isinstance(said, dict) else problem(422, "the body is no JSON object")


@blueprint.record_once
def prepare(state: BlueprintSetupState) -> None:
    """Tell the application what is different here: no forgery tokens, because no cookie counts, and errors as problems."""
    state.app.extensions["csrf"].exempt(blueprint)
    # Where the library looks for it.
    state.app.validation_error_callback = problem_of_input  # type: ignore[attr-defined]


def _said(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), mimetype="application/json")


def _study(row: StudyLine) -> models.Study:
    patient = models.Patient(
        name=row.patient_name,
        id=row.patient_id,
        birth_date=row.birth_date,
        accession_number=row.accession_number,
        description=row.description,
    )
    return models.Study(
        study_instance_uid=row.study_instance_uid,
        modality=row.modality,
        study_date=row.study_date,
        received=row.received,
        complete=row.complete,
        instances=row.instances,
        destinations=row.destinations,
        patient=patient if machine().may(Permission.SEE_PATIENTS) else None,
    )


def _pending() -> settings.Pending | None:
    pending = services().changes.pending()
    return None if pending is None else settings.Pending.model_validate(pending)


def _difference(found: Difference | Applied) -> dict[str, Any]:
    return {
        "changes": [str(change) for change in found.changed],
        "needs_restart": list(found.needs_restart),
        "removed_destinations": list(found.removed_destinations),
        "remarks": [settings.Remark.model_validate(one) for one in found.problems],
    }
