"""The API held to its own document by a tool that was not written here: schemathesis asks what the document allows, and what it does not.

Promises: no answer is 5xx or undocumented, in status, type or shape; nothing that the document forbids is accepted. LONG=1 asks longer.
Limits: the daemons are fakes that answer as the real ones do; the configuration is a real one in a directory.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from appliance.accounts.person import Machine
from appliance.accounts.roles import SCOPES
from appliance.manage.site_changes import SiteChanges
from appliance.runtime.asking import RequestRefusedError
from appliance.runtime.clock import SystemClock
from appliance.runtime.page_requests import StudyDelivery, StudyLine, StudyReply, StudySearchReply
from appliance.runtime.questions import DeliveryReply, DestinationTestReply, DoctorStep, TryRow
from appliance.runtime.requests import (
    DestinationReply,
    DestinationsReply,
    FindingReply,
    OrderReply,
    OrderRequest,
    QueueReply,
    QueueRow,
    SpoolSpace,
    StatusReply,
)
from tests.support.pages import Said, pages_of
from tests.unit.config.texts import a_destination, a_route, a_source

_IS_LONG = os.environ.get("LONG") == "1"
_EXAMPLES = 500 if _IS_LONG else 12
_NO_VALUES: tuple[object, ...] = (None, [], {})
_TOKEN = "dicom-edge_a-token-of-the-test"
_SITE = a_source() + a_destination() + a_route('to = ["archive"]')
_AT = "2026-01-01T00:00:00+00:00"
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
    unsupported_method,
    allow_header_conformance,
]

_DESTINATION = DestinationReply("archive", "alive", 1, None, None, 0, 4, "", "PACS1@10.1.0.5:104", 0)
_FINDING = FindingReply("disk_full", "error", "The disk is nearly full.", "Free some space.", _AT)
_ROW = QueueRow(7, "archive", "held", "verdict", "routine", "1.2", "1.2.3", 1, None, "refused", "refused", _AT)
_STUDY = StudyLine("1.2", "Nguyen^Lan", "4711", "19700101", "A-1", "Thorax", "20260101", "CT", _AT, 2, {"archive": {"held": 1}}, None)
_DELIVERY = DeliveryReply(
    7, "archive", "held", "verdict", "refused", "refused", "Ask.", _AT, None, _AT, None, "routine", "route", None, 1, 0, "1.2", "1.2.3", 1,
    "CT Image Storage", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2", "CT1", _AT, 524288, (TryRow(_AT, "refused", "A900", ""),),
)  # fmt: skip


def _delivery(number: int) -> DeliveryReply:
    if number % 2:
        return _DELIVERY
    raise RequestRefusedError("there is no delivery of this number")


def _study(uid: str) -> StudyReply:
    if len(uid) % 2:
        deliveries = (StudyDelivery("archive", {"held": 1}, None, None, "commitment", ("refused",)),)
        return StudyReply(_STUDY, "CT1", "EDGE", _AT, None, _AT, _AT, deliveries, ())
    raise RequestRefusedError("there is no such study")


def _order(request: OrderRequest) -> OrderReply:
    if request.destination not in {None, "archive"}:
        raise RequestRefusedError("there is no destination of this name", advice="Destinations are: archive.")
    return OrderReply(1, 0, 0)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what the document says, over an application whose daemons answer."""
    data = tmp_path_factory.mktemp("api")
    real = SiteChanges(data, SystemClock())
    changes = Said(**{name: getattr(real, name) for name in ("current", "propose", "apply", "history", "pending", "confirm")})
    control = Said(
        status=StatusReply("1", True, "vinh-ct", 3, {"held": 1}, {"stored": 4}, 3.5, SpoolSpace(0, 1 << 40), (_DESTINATION,), (_FINDING,)),
        destinations=DestinationsReply((_DESTINATION,)),
        queue=QueueReply((_ROW,)),
        delivery=_delivery,
        order=_order,
        search_studies=StudySearchReply((_STUDY,)),
        study=_study,
        test_destination=DestinationTestReply("archive", False, (DoctorStep("connect", False, "refused", "Start it.", 3.0),)),
    )
    machine = Machine(1, "watcher", SCOPES, 4e9)
    accounts = {"token": lambda secret, _address: machine if secret == _TOKEN else None}
    pages = pages_of(data, role=None, site=_SITE, control=control, changes=changes, accounts=accounts)
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", pages.app)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_every_answer_is_documented(api: Any, mode: schemathesis.GenerationMode) -> None:
    """Whatever is asked, the answer is one that the document knows, and nothing that it forbids is taken."""
    asked = []
    for found in api.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=_EXAMPLES, deadline=None, derandomize=not _IS_LONG, suppress_health_check=list(HealthCheck), database=None)
        def ask(case: schemathesis.Case) -> None:
            # A parameter without a value does not go over the wire: what is wrong with it on paper is right there.
            assume(all(value not in _NO_VALUES for value in (case.query or {}).values()))
            asked.append(case.method)
            case.call_and_validate(headers={"Authorization": f"Bearer {_TOKEN}"}, checks=_CHECKS)

        try:
            ask()
        except Unsatisfiable:
            # An operation that takes nothing has nothing to forbid.
            assert mode is schemathesis.GenerationMode.NEGATIVE

    assert len(asked) > 100
