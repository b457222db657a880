"""`destinations test --send` goes the whole way: a test image, the request for its proof, and the archive's word back to the box."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from appliance.config.model import DicomDestination, Site
from appliance.core.identity import AETitle
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.proof_doctor import Post, proof_of
from appliance.deliver.proof_reports import ExpectedReports
from appliance.deliver.synthetic import TestImage
from appliance.dimse.contexts import EXPLICIT_LITTLE_ENDIAN
from appliance.runtime.callers import last_calls
from tests.support.box import Box
from tests.support.commitment_archive import CommitmentArchive
from tests.support.orthanc import Orthanc
from tests.support.site import a_site, a_source, an_archive

# Longer than a call and the line about it in the run directory take; not the half minute that a person waits.
_REPORT_S = 2.5


@dataclass(frozen=True)
class Field:
    """A box, an archive that follows a script, and one that nobody here wrote."""

    box: Box
    archive: CommitmentArchive
    orthanc: Orthanc

    def proof(self, destination: str = "archive", *, ok: bool = True) -> str:
        """Return what `destinations test --send` says of the proof; everything before it goes well."""
        result = self.box.command("destinations", "test", destination, "--send", "--json")
        assert result.returncode == (0 if ok else 1), result.stdout + result.stderr
        *before, last = json.loads(result.stdout)["steps"]
        assert all(step["ok"] for step in before)
        assert ("proof", ok) == (last["phase"], last["ok"])
        return str(last["detail"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """Run one box and both archives for all tests of this file."""
    orthanc = Orthanc(tmp_path_factory.mktemp("orthanc"))
    with CommitmentArchive() as archive:
        site = a_site(
            sources=[a_source("CT1")],
            destinations=[
                an_archive(archive.port),
                an_archive(orthanc.port, name="orthanc"),
                an_archive(orthanc.port, name="asked", proof="query"),
                an_archive(orthanc.port, name="believed", proof="delivered"),
            ],
        )
        with Box(tmp_path_factory.mktemp("box"), site) as box:
            orthanc.know({"edge": ("EDGE", box.port)})
            with orthanc:
                yield Field(box, archive, orthanc)


@pytest.fixture
def field(running: Field) -> Field:
    """Give the scripted archive back its usual manners."""
    running.archive.forget()
    running.archive.box_port = running.box.port
    return running


def test_a_report_on_a_new_association(field: Field) -> None:
    """The report that the receiver takes reaches the doctor, under whose title it came, and is nobody's unknown transaction."""
    said = field.proof()

    assert "the archive has the test image: it reported on an association of its own, as ARCHIVE" == said
    assert [0] == field.archive.reported
    assert "proof.transaction_unknown" not in field.box.output()


def test_a_report_on_the_same_association(field: Field) -> None:
    """The report that comes where it was asked for is heard there."""
    field.archive.way = "same"

    said = field.proof()

    assert "the archive has the test image: it reported on the association of the request" == said
    assert [0] == field.archive.reported


def test_an_archive_that_keeps_nothing(field: Field) -> None:
    """An archive that took the image and reports that it does not have it fails the test, with its reason."""
    field.archive.answer = lambda asked: dict.fromkeys(asked.uids, 0x0112)

    said = field.proof(ok=False)

    assert "the archive says that it does not have the test image (0112); it reported on an association of its own, as ARCHIVE" == said
    assert 1 == len(field.archive.stored)


def test_a_report_that_the_box_does_not_let_in(field: Field) -> None:
    """Where no report comes, the caller that the running box refused meanwhile is named, with the reason and what to do."""
    field.archive.reports_as = "WHOISIT"
    to = DicomDestination(name="archive", ae_title=AETitle("ARCHIVE"), host="127.0.0.1", port=field.archive.port)
    post = Post(ExpectedReports(), lambda *_: None, lambda: last_calls(field.box.data / "run"))
    proves = proof_of(to, Site(destinations=(to,)), OutgoingTls(), post, report_s=_REPORT_S)

    assert proves is not None
    ok, remark = proves(TestImage(EXPLICIT_LITTLE_ENDIAN, 0.0))

    assert not ok
    assert (
        "no report came within 2.5 s; meanwhile this box refused WHOISIT from 127.0.0.1 (unknown calling title; looks like" in remark.detail
    )
    assert "also_calls_from" in remark.advice


def test_orthanc_goes_the_whole_way(field: Field) -> None:
    """Orthanc reports that it has the test image, lists it when it is asked, and is asked nothing where its answer is proof enough."""
    assert "the archive has the test image: it reported on an association of its own, as ARCHIVE" == field.proof("orthanc")
    assert "asked by a query, the archive lists the test image: it can prove what it was sent" == field.proof("asked")

    believed = field.box.cli("destinations", "test", "believed", "--send")
    plain = field.box.cli("destinations", "test", "orthanc")

    assert "send" == believed["steps"][-1]["phase"]
    assert "echo" == plain["steps"][-1]["phase"]
    assert 3 == field.orthanc.count()
