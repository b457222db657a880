"""The doctor's test image over STOW-RS: what is sent, what the server's answer means, and whether it is found again."""

from __future__ import annotations

import io
import json

import pydicom
import pytest

from appliance.config.model import Delivery, Site, StowDestination
from appliance.core.identity import AETitle
from appliance.deliver.diagnosis import Diagnosis
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.plan import Terms
from appliance.deliver.proof_doctor import Post, proof_of
from appliance.deliver.proof_reports import ExpectedReports
from appliance.deliver.synthetic import PATIENT_ID, SERIES_UID, STUDY_UID
from appliance.deliver.way_doctor import examine_way
from appliance.deliver.ways import way_to
from appliance.spool.names import SpoolName
from appliance.spool.store import SealedObject
from tests.support.strict_stow import Reply, StowRequest, StrictStow, report

EDGE = AETitle("EDGE")
NOBODY = Post(ExpectedReports(), lambda *_: None, lambda: ())


def nothing(name: SpoolName) -> SealedObject:
    """Open no object."""
    raise AssertionError(name)


def examined(server: StrictStow, **more: object) -> Diagnosis:
    """Examine the way to a server with a test image."""
    values = {"name": "web", "kind": "stow", "url": server.url, **more}
    site = Site.model_validate({"destination": [values]})
    (destination,) = site.destinations
    assert isinstance(destination, StowDestination)
    way = way_to(Terms(destination, Delivery(), EDGE), nothing, OutgoingTls())
    return examine_way(destination, way, EDGE, sends=True, proves=proof_of(destination, site, OutgoingTls(), NOBODY))


def test_a_test_image_is_stored_as_deliveries_are() -> None:
    """One request with one whole DICOM file of the reserved test patient, and the doctor says under which name to look."""
    with StrictStow() as server:
        found = examined(server)

    assert found.ok, found.steps
    assert ["name", "tcp", "http", "login", "send"] == [step.phase for step in found.steps]
    assert [] == server.faults
    (file,) = server.requests[-1].files
    image = pydicom.dcmread(io.BytesIO(file))
    assert (PATIENT_ID, STUDY_UID, "1.2.840.10008.1.2.1") == (image.PatientID, image.StudyInstanceUID, image.file_meta.TransferSyntaxUID)
    assert PATIENT_ID in found.steps[-1].detail


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(content=lambda request: report(failed=dict.fromkeys(request.uids, 0xA700))), "A700"),
        (Reply(status=403, content=b"secret words of an inner service", content_type="text/plain"), "may not store"),
        (Reply(status=302, content=b"", content_type="", headers=(("Location", "http://169.254.169.254/latest"),)), "another address"),
        (Reply(cuts=True), ""),
    ],
    ids=["refused-by-report", "forbidden", "redirected", "cut"],
)
def test_what_is_not_stored_is_said_in_fixed_words(reply: Reply, said: str) -> None:
    """A refusal fails the step; nothing of what the server wrote but numbers is shown, and no redirection is followed."""
    with StrictStow(replies=(Reply(), reply)) as server:
        found = examined(server)

    step = found.steps[-1]
    assert ("send", False) == (step.phase, step.ok)
    assert said in step.detail
    assert "secret words" not in f"{step.detail} {step.advice}"
    assert "169.254" not in f"{step.detail} {step.advice}"
    assert ["OPTIONS", "POST", "POST"] == [request.method for request in server.requests]
    # It lets the box in: what waited for a refusal to pass may go on.
    assert found.ends_refusal


def _listing(server: StrictStow, *, has_it: bool) -> Reply:
    def content(_request: StowRequest) -> bytes:
        uids = [uid for request in server.requests for uid in request.uids] if has_it else ["1.2.3"]
        values = {"0020000D": STUDY_UID, "0020000E": SERIES_UID}
        return json.dumps(
            [{tag: {"vr": "UI", "Value": [value]} for tag, value in {**values, "00080018": uid}.items()} for uid in uids]
        ).encode()

    return Reply(content=content)


@pytest.mark.parametrize("has_it", [True, False], ids=["listed", "not-listed"])
def test_a_service_that_proves_is_asked_for_the_image(*, has_it: bool) -> None:
    """With proof = "query" the service is asked by QIDO-RS whether it lists the image, and only then all is well."""
    server = StrictStow()
    server.replies = (Reply(), Reply(), _listing(server, has_it=has_it))
    with server:
        found = examined(server, proof="query")

    assert (("proof", has_it), has_it) == ((found.steps[-1].phase, found.steps[-1].ok), found.ok)
    assert "GET" == server.requests[-1].method
    assert found.ends_refusal


def test_without_being_asked_nothing_is_stored() -> None:
    """An examination without a test image sends none."""
    with StrictStow() as server:
        (destination,) = Site.model_validate({"destination": [{"name": "web", "kind": "stow", "url": server.url}]}).destinations
        assert isinstance(destination, StowDestination)
        found = examine_way(destination, way_to(Terms(destination, Delivery(), EDGE), nothing, OutgoingTls()), EDGE)

    assert ["name", "tcp", "http", "login"] == [step.phase for step in found.steps]
    assert [] == [file for request in server.requests for file in request.files]
