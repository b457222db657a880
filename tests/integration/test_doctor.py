"""The connection doctor against archives that nobody here wrote: DCMTK's storescp and dcmqrscp."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import pytest

from appliance.config.model import Delivery, DicomDestination
from appliance.core.identity import AETitle, Uid
from appliance.deliver.doctor import Diagnosis, InUse, Phase, examine
from appliance.deliver.transport import Context
from tests.support.dcmtk import ArchiveMaker, free_port
from tests.support.query_archive import QueryArchive

BOX = AETitle("EDGE")
CT, PRIVATE = Uid("1.2.840.10008.5.1.4.1.1.2"), Uid("1.2.840.113619.4.30")
EXPLICIT, IMPLICIT, J2K = Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2"), Uid("1.2.840.10008.1.2.4.90")


def visit(port: int, *, called: str = "ARCHIVE", waiting: tuple[Context, ...] = ()) -> Diagnosis:
    """Examine what listens at a port of this machine."""
    destination = DicomDestination.model_validate({"name": "archive", "ae_title": called, "host": "localhost", "port": port})
    return examine(destination, InUse((BOX,), waiting), box=BOX, settings=Delivery(connect=3.0, associate=3.0, progress=3.0))


def outcome(diagnosis: Diagnosis) -> list[tuple[StrEnum, bool]]:
    """Return how far it came."""
    return [(step.phase, step.ok) for step in diagnosis.steps if step.detail != "not reached"]


def test_a_running_archive_is_well(make_archive: ArchiveMaker) -> None:
    """Storescp as it is installed: every phase goes well, and an archive that may store says so."""
    diagnosis = visit(make_archive().start().port)

    assert outcome(diagnosis) == [(phase, True) for phase in Phase if phase not in (Phase.TLS, Phase.SEND, Phase.PROOF)]
    assert (diagnosis.ok, diagnosis.ends_refusal) == (True, True)
    assert all(result == 0 for result in diagnosis.answers.values())


def test_an_archive_that_takes_implicit_only(make_archive: ArchiveMaker) -> None:
    """What waits in explicit little endian can be converted; what waits compressed cannot, and is named."""
    archive = make_archive(options=["--implicit"]).start()

    uncompressed = visit(archive.port, waiting=((CT, EXPLICIT),))
    compressed = visit(archive.port, waiting=((CT, EXPLICIT), (CT, J2K)))

    assert uncompressed.ok
    assert outcome(compressed)[-1] == (Phase.CONTEXTS, False)
    assert (compressed.answers[CT, IMPLICIT], compressed.answers[CT, J2K]) == (0, 4)
    assert "JPEG 2000 Image Compression (Lossless Only) for CT Image Storage" in compressed.steps[4].advice


def test_an_archive_that_was_stopped(make_archive: ArchiveMaker) -> None:
    """The port is closed: nobody listens."""
    archive = make_archive().start()
    archive.stop()

    diagnosis = visit(archive.port)

    assert outcome(diagnosis)[-1] == (Phase.TCP, False)
    assert diagnosis.steps[2].detail == f"nobody listens at localhost:{archive.port}"


def test_an_archive_by_another_name(tmp_path: Path) -> None:
    """Dcmqrscp does not answer to a title that is not in its table."""
    with QueryArchive(tmp_path / "archive") as archive:
        diagnosis = visit(archive.port, called="PACS1")

    assert outcome(diagnosis)[-1] == (Phase.ASSOCIATION, False)
    assert diagnosis.steps[3].detail == "the archive does not know itself as PACS1"
    assert not diagnosis.ends_refusal


def test_an_archive_that_does_not_know_the_box(tmp_path: Path) -> None:
    """Dcmqrscp refuses an unknown caller as if it were not called by its name: the advice names both remedies."""
    with QueryArchive(tmp_path / "archive", knows="OTHER") as archive:
        diagnosis = visit(archive.port)

    step = diagnosis.steps[3]
    assert (step.phase, step.ok) == (Phase.ASSOCIATION, False)
    assert step.detail == "the archive does not know itself as ARCHIVE"
    assert "Compare the destination's ae_title with the archive's own" in step.advice
    assert "enter EDGE with the address " in step.advice


def test_an_archive_that_does_not_know_a_class(tmp_path: Path) -> None:
    """A private SOP class that waits is named with what to allow; the common ones are taken."""
    with QueryArchive(tmp_path / "archive") as archive:
        diagnosis = visit(archive.port, waiting=((CT, EXPLICIT), (PRIVATE, EXPLICIT)))

    assert outcome(diagnosis)[-1] == (Phase.CONTEXTS, False)
    assert diagnosis.answers[PRIVATE, EXPLICIT] == 3
    assert diagnosis.answers[CT, EXPLICIT] == 0
    assert str(PRIVATE) in diagnosis.steps[4].advice
    assert diagnosis.ends_refusal


@pytest.mark.parametrize("calling", ["EDGE", "CT1"])
def test_a_box_that_the_archive_knows(tmp_path: Path, calling: str) -> None:
    """With the title in its table the archive lets the box in; as a scanner alone it does not let the box prove anything."""
    destination = {"name": "archive", "ae_title": "ARCHIVE", "host": "127.0.0.1"}
    with QueryArchive(tmp_path / "archive", knows=calling) as archive:
        diagnosis = examine(
            DicomDestination.model_validate(destination | {"port": archive.port}), InUse((AETitle(calling),)), box=BOX, settings=Delivery()
        )

    assert diagnosis.ends_refusal
    assert diagnosis.ok is (calling == "EDGE")


def test_a_port_without_an_archive() -> None:
    """A free port of this machine: refused at once, not after the deadline."""
    diagnosis = visit(free_port())

    assert outcome(diagnosis)[-1] == (Phase.TCP, False)
    assert diagnosis.steps[2].ms < 1000
