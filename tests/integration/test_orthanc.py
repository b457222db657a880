"""Orthanc, written by others, behind the box and before it: what a hospital's day brings arrives as it was sent, told by Orthanc itself."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import FileDataset

from tests.support import dcmtk, part10, samples
from tests.support.box import Box
from tests.support.dcmtk import StoreScp, free_port
from tests.support.orthanc import Orthanc
from tests.support.site import a_route, a_site, a_source, an_archive

_CT_IMAGES = 500
_FRAMES = 600
# Half the usual side: 500 images of 131 KB are as much work for the box as a real study, and leave the minute to the other tests.
_PIXELS = 256
_ALL_WITHIN_S = 120.0


@dataclass
class Day:
    """What was sent, and the archive that has it."""

    archive: Orthanc
    box: Box
    ct: list[Path]
    enhanced: Path
    mammogram: Path
    compressed: list[Path]
    acknowledged: int

    @property
    def files(self) -> list[Path]:
        """Everything."""
        return [*self.ct, self.enhanced, self.mammogram, *self.compressed]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Send a CT study, a 315 MB enhanced CT, a mammogram and one image of each compressed syntax through a box to Orthanc."""
    work = tmp_path_factory.mktemp("orthanc")
    scanner = work / "scanner"
    ct, mammogram = samples.ct(_PIXELS).write(scanner, _CT_IMAGES), samples.mammogram().write(scanner)[0]
    enhanced, compressed = samples.write_enhanced_ct(scanner, _FRAMES), _one_of_each(scanner)
    with Orthanc(work / "archive") as archive, Box(work / "box", a_site(destinations=[an_archive(archive.port)])) as box:
        began = time.monotonic()
        output = dcmtk.dcmsend(box.port, ct)
        # storescu, because dcmsend would read the large one as a whole before it sends anything.
        output += dcmtk.storescu_by_syntax(box.port, [(path, _syntax(path)) for path in (enhanced, mammogram, *compressed)])
        box.wait_until_delivered(_ALL_WITHIN_S)
        print(f"{_CT_IMAGES} CT, a 300 MiB enhanced CT and {1 + len(compressed)} more in {time.monotonic() - began:.1f} s")
        yield Day(archive, box, ct, enhanced, mammogram, compressed, dcmtk.successes(output))


def test_orthanc_has_exactly_what_was_sent(day: Day) -> None:
    """Orthanc counts every instance that was acknowledged, each once, and knows each by its UID."""
    sent = {path.stem for path in day.files}

    assert day.acknowledged == len(day.files)
    assert day.archive.instances().keys() == sent
    assert day.archive.count() == len(sent)
    assert (day.box.count("delivered"), day.box.count("held")) == (len(sent), 0)


def test_the_studies_are_whole(day: Day) -> None:
    """The CT study is one study and one series of 500 there, under the names that the box shows."""
    sent = pydicom.dcmread(day.ct[0], stop_before_pixels=True)

    study = day.archive.studies()[sent.StudyInstanceUID]
    series = [day.archive.get(f"/series/{identifier}") for identifier in study["Series"]]
    shown = next(row for row in day.box.cli("studies") if row["study_instance_uid"] == sent.StudyInstanceUID)

    assert [len(one["Instances"]) for one in series] == [_CT_IMAGES]
    assert study["MainDicomTags"]["AccessionNumber"] == sent.AccessionNumber
    assert study["PatientMainDicomTags"]["PatientID"] == sent.PatientID
    assert (shown["instances"], shown["delivered"]) == (_CT_IMAGES, _CT_IMAGES)


@pytest.mark.parametrize("number", [0, _CT_IMAGES // 2, _CT_IMAGES - 1])
def test_an_image_has_every_attribute(day: Day, number: int) -> None:
    """First, middle and last CT image are, element by element and pixel by pixel, what the scanner sent."""
    path = day.ct[number]

    assert _kept(day, path) == pydicom.dcmread(path)


def test_the_enhanced_image_has_every_frame(day: Day) -> None:
    """The 315 MB enhanced CT is there with its 600 frames, every byte of them."""
    identifier = day.archive.instances()[day.enhanced.stem]

    attributes = day.archive.attributes(identifier)
    _, kept = part10.split(day.archive.file(identifier))
    _, sent = part10.split(day.enhanced.read_bytes())

    assert (attributes["NumberOfFrames"], attributes["Modality"]) == (str(_FRAMES), "CT")
    assert _digest(_pixels(kept)) == _digest(_pixels(sent))
    assert day.archive.frame(identifier, _FRAMES - 1)[:4] == (_FRAMES - 1).to_bytes(4, "little")


def test_the_mammogram_has_every_pixel(day: Day) -> None:
    """The 33 MB mammogram is what was sent."""
    assert _kept(day, day.mammogram) == pydicom.dcmread(day.mammogram)


@pytest.mark.parametrize("number", range(len(samples.COMPRESSED)), ids=samples.COMPRESSED)
def test_a_compressed_image_stays_compressed(day: Day, number: int) -> None:
    """RLE, JPEG, JPEG-LS and JPEG 2000 arrive in their own transfer syntax, fragment for fragment."""
    path = day.compressed[number]

    kept, sent = _kept(day, path), pydicom.dcmread(path)

    assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert kept.PixelData == sent.PixelData
    assert _attributes(kept) == _attributes(sent)


def test_orthanc_as_a_client_sends_through_the_box(tmp_path: Path) -> None:
    """What Orthanc itself sends to the box, with its own way of proposing contexts, is delivered to another archive."""
    orthanc = Orthanc(tmp_path / "orthanc", ae_title="ORTHANC")
    port = free_port()
    files = [*samples.ct(64).write(tmp_path / "files", 3), *_one_of_each(tmp_path / "files")]
    with StoreScp(tmp_path / "archive") as archive:
        site = a_site(
            sources=[a_source("ORTHANC")],
            destinations=[an_archive(archive.port)],
            routes=[a_route("archive", when={"source": ["ORTHANC"]})],
            listen={"dicom": [f"127.0.0.1:{port}"]},
        )
        orthanc.know({"box": ("EDGE", port)})
        with Box(tmp_path / "box", site) as box, orthanc:
            orthanc.echo("box")
            identifiers = [orthanc.upload(path) for path in files]
            answer = orthanc.store("box", identifiers)
            box.wait_until_delivered()
        arrived = {one.sop_instance_uid: one for one in archive.arrivals()}

    assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (len(files), 0)
    assert arrived.keys() == {path.stem for path in files}
    assert {one.transfer_syntax_uid for one in arrived.values()} == {_syntax(path) for path in files}
    assert all(pydicom.dcmread(arrived[path.stem].path).PixelData == pydicom.dcmread(path).PixelData for path in files)


def test_the_doctor_finds_orthanc_well(day: Day) -> None:
    """`destinations test` goes the whole way to Orthanc, C-ECHO included."""
    result = day.box.cli("destinations", "test", "archive")

    assert result["ok"] is True
    assert [step["phase"] for step in result["steps"]] == ["name", "route", "tcp", "association", "contexts", "echo"]


def _one_of_each(directory: Path) -> list[Path]:
    return [path for template in samples.compressed() for path in template.write(directory)]


def _kept(day: Day, path: Path) -> FileDataset:
    return day.archive.data_set(day.archive.instances()[path.stem])


def _syntax(path: Path) -> str:
    with path.open("rb") as file:
        return part10.split(file.read(4096))[0][part10.TRANSFER_SYNTAX]


def _pixels(data_set: bytes) -> memoryview:
    return memoryview(data_set)[-_FRAMES * 2 * 512 * 512 :]


def _digest(data: memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _attributes(ds: FileDataset) -> FileDataset:
    # Orthanc's toolkit drops padding behind the last attribute, which means nothing (PS3.10 7.2); samples have some.
    for keyword in ("PixelData", "DataSetTrailingPadding"):
        if keyword in ds:
            delattr(ds, keyword)
    return ds
