"""What would happen to a file or a study: asked over the requests that pages use."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.core.identity import AETitleInvalidError
from appliance.dimse.file_head import HeadNotDicomError
from appliance.manage.foretelling import ForetellingDesk, StudyNotReceivedError
from appliance.runtime.questions import ForetellFileRequest, ForetellStudyRequest
from tests.unit.dimse.test_file_head import meta
from tests.unit.ledger.bench import MR, Bench
from tests.unit.route import data_sets as ds
from tests.unit.route.sites import Table, a_route, a_site


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Make an empty ledger."""
    bench = Bench(tmp_path)
    yield bench
    bench.ledger.close()


def a_desk(bench: Bench, *routes: Table) -> ForetellingDesk:
    """Return the desk of a box with these routes."""
    site = a_site(routes=routes)
    return ForetellingDesk(bench.ledger, lambda: site, bench.data / "run")


def an_upload(content: bytes | None = None) -> str:
    """Return the head of a file as a page sends it."""
    return base64.b64encode(meta() + (ds.an_image("1.2.3.4") if content is None else content)).decode("ascii")


def test_a_file_is_judged_as_if_it_had_arrived(bench: Bench) -> None:
    """Which routes apply and why, where it would go and under which title."""
    desk = a_desk(bench, a_route("mr", "archive", when={"modality": ["MR"]}), a_route("all", "archive", priority="stat"))

    (case,) = desk.file(ForetellFileRequest(an_upload(), "CT1", "EDGE", "10.0.0.7")).cases

    assert ("CT1", "EDGE", "CT", "") == (case.source, case.called, case.modality, case.refusal)
    assert [("mr", False, "modality CT is not MR"), ("all", True, "it asks for nothing")] == [
        (route.name, route.applies, route.because) for route in case.routes
    ]
    assert [("archive", "stat", ("all",), "CT1", "unknown", False)] == [
        (one.destination, one.priority, one.routes, one.calling, one.takes, one.awaits_study) for one in case.deliveries
    ]


def test_a_route_that_is_switched_off_says_so(bench: Bench) -> None:
    """It applies to nothing, and nobody looks for the reason in its conditions."""
    (case,) = a_desk(bench, a_route("all", "archive", enabled=False)).file(ForetellFileRequest(an_upload(), "CT1")).cases

    assert [("all", False, "it is switched off")] == [(route.name, route.applies, route.because) for route in case.routes]
    assert () == case.deliveries


@pytest.mark.parametrize("head", ["!!!", base64.b64encode(b"hello").decode(), "ä"], ids=["no-base64", "no-dicom", "no-ascii"])
def test_what_is_no_file_is_refused_in_words(bench: Bench, head: str) -> None:
    """Whatever a browser sends, the answer is one sentence."""
    with pytest.raises(HeadNotDicomError):
        a_desk(bench).file(ForetellFileRequest(head, "CT1"))


def test_a_title_that_is_none_is_refused(bench: Bench) -> None:
    """As it would be at the door."""
    with pytest.raises(AETitleInvalidError):
        a_desk(bench).file(ForetellFileRequest(an_upload(), "A" * 17))


def test_a_study_is_told_by_kinds(bench: Bench) -> None:
    """Objects that are alike are one case with their number, the most frequent first; older versions do not count."""
    for _ in range(3):
        bench.receive()
    bench.receive(sop_class=MR)
    bench.receive(uid="2.25.1", version=2)

    reply = a_desk(bench, a_route("all", "archive")).study(ForetellStudyRequest("1.2.3"))

    assert [(3, "CT Image Storage"), (1, "MR Image Storage")] == [(case.count, case.sop_class) for case in reply.cases]
    assert 0 == reply.left_out


def test_what_was_not_received_cannot_be_told(bench: Bench) -> None:
    """A study that is not there is said to be none."""
    with pytest.raises(StudyNotReceivedError):
        a_desk(bench).study(ForetellStudyRequest("9.9.9"))
