"""Who calls whom: titles as the field writes them, sources that stay apart, strangers that stay out."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import dcmtk, part10, samples, wire
from tests.support.box import Box, BoxMaker
from tests.support.dcmtk import ArchiveMaker
from tests.support.eventually import eventually
from tests.support.site import a_site, a_source, an_archive

_CALLING_NOT_RECOGNISED = (1, 1, 3)
_CALLED_NOT_RECOGNISED = (1, 1, 7)


def test_sources_reach_the_archive_under_their_own_titles_and_are_never_mixed(
    make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path
) -> None:
    """With calling_ae = "source" the archive hears each scanner's own title, and no association carries two scanners' images."""
    archive = make_archive().start()
    box = make_box(a_site(sources=[a_source("CT1"), a_source("MR1")], destinations=[an_archive(archive.port, calling_ae="source")])).start()
    files = {title: samples.ct(64).write(tmp_path / title, 25) for title in ("CT1", "MR1")}

    scanners = [threading.Thread(target=dcmtk.storescu, args=(box.port, files[title]), kwargs={"calling": title}) for title in files]
    for scanner in scanners:
        scanner.start()
    for scanner in scanners:
        scanner.join()
    box.wait_until_delivered()

    # storescp writes the calling title of the association into each file that came in it: one wrong title would be one mixed association.
    arrived = {(instance.sop_instance_uid, instance.calling_title) for instance in archive.arrivals()}
    assert arrived == {(part10.read(path).sop_instance_uid, title) for title in files for path in files[title]}
    # The archive's processes share one log and now and then write into each other's lines: a title ends where small letters begin.
    assert set(re.findall(r"Calling Application Name: +([A-Z0-9]+)(?![a-z])", archive.log())) == {"CT1", "MR1"}


def test_the_box_calls_as_itself_where_the_destination_says_so(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """With calling_ae = "box" the archive hears the box's title, whoever sent the image."""
    archive = make_archive().start()
    box = make_box(a_site(sources=[a_source("CT1")], destinations=[an_archive(archive.port)])).start()

    dcmtk.storescu(box.port, samples.ct(64).write(tmp_path / "scanner"), calling="CT1")
    box.wait_until_delivered()

    assert [instance.calling_title for instance in archive.arrivals()] == ["EDGE"]


@pytest.fixture(scope="module")
def box_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """One box for the tests that only ask for associations."""
    sources = [a_source("CT1"), a_source("FAR1", address="127.0.0.9")]
    with Box(tmp_path_factory.mktemp("titles"), a_site(sources=sources, local_ae=[{"ae_title": "PACS1"}])) as box:
        yield box.port


@pytest.mark.parametrize(
    "called",
    [b"PACS1", b"pacs1", b"  PACS1", b"PACS1\0\0\0\0\0\0\0\0\0\0\0", b"Pacs1 \0", b"EDGE", b"edge"],
    ids=["as configured", "lower case", "spaces before", "NUL padding", "mixed", "the box", "the box in lower case"],
)
def test_the_archives_title_is_answered_however_it_is_written(box_port: int, called: bytes) -> None:
    """The box answers to the archive's title and its own in any case and with any padding."""
    answer = wire.associate(box_port, called=called, calling=b"CT1", abstract_syntaxes=[wire.VERIFICATION, wire.CT_STORAGE])

    assert answer == wire.AssociateAnswer(wire.ACCEPTED, None)


@pytest.mark.parametrize(
    "calling",
    [b"STRANGER", b"FAR1", b"CT1\x07", b"CT\xc91"],
    ids=["an unknown title", "a known title from another address", "a control character", "a byte beyond ASCII"],
)
def test_who_is_not_a_source_gets_calling_title_not_recognised(box_port: int, calling: bytes) -> None:
    """A caller that is not a configured source gets 1/1/3, whatever the reason."""
    answer = wire.associate(box_port, called=b"EDGE", calling=calling)

    assert answer == wire.AssociateAnswer(wire.REJECTED, _CALLING_NOT_RECOGNISED)


def test_a_title_that_is_not_ours_gets_called_title_not_recognised(box_port: int) -> None:
    """A source that calls a title we do not have gets 1/1/7."""
    answer = wire.associate(box_port, called=b"NOTUS", calling=b"CT1")

    assert answer == wire.AssociateAnswer(wire.REJECTED, _CALLED_NOT_RECOGNISED)


def test_an_image_for_the_archives_title_goes_to_the_archive(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """A scanner that still calls the archive by its old title, in lower case, has its image delivered there."""
    archive = make_archive(ae_title="PACS1").start()
    destination = an_archive(archive.port, ae_title="PACS1", calling_ae="source")
    box = make_box(a_site(sources=[a_source("CT1")], local_ae=[{"ae_title": "PACS1"}], destinations=[destination])).start()

    dcmtk.storescu(box.port, samples.ct(64).write(tmp_path / "scanner"), calling="CT1", called="pacs1")
    box.wait_until_delivered()

    assert [instance.calling_title for instance in archive.arrivals()] == ["CT1"]


def test_a_refusal_says_its_reason_in_the_log(make_box: BoxMaker) -> None:
    """Each refused association leaves one log event, with the title escaped."""
    box = make_box(a_site(sources=[a_source("CT1")])).start()

    wire.associate(box.port, called=b"EDGE", calling=b"STRANGER")

    lines = eventually(lambda: [line for line in box.output().splitlines() if "association.refused" in line], message="the log event")
    assert len(lines) == 1
    assert "STRANGER" in lines[0]
