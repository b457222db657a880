"""The corpus: every kind of object that a hospital sends, compared byte for byte with what arrives without a box between."""

from __future__ import annotations

import warnings
from pathlib import Path

import pydicom

from tests.support import dcmtk, part10, samples, senders
from tests.support.box import BoxMaker
from tests.support.dcmtk import ArchiveMaker
from tests.support.site import a_site, an_archive

# pydicom 3.0 bundles 175 samples with a SOP class; DCMTK can send 162 of them to its own archive. Many fewer, and this test went blind.
_SAMPLES_AT_LEAST = 150
_CT_IMAGES = 500
# Implicit VR under the name of an explicit transfer syntax: its UIDs cannot be read as labelled, and the box never guesses.
_MISLABELLED = {"SC_rgb_jpeg.dcm": 0xC000}


def _send_bundled(port: int) -> None:
    dcmtk.storescu_by_syntax(port, samples.bundled())


def test_every_bundled_sample_arrives_as_if_sent_straight(make_box: BoxMaker, make_archive: ArchiveMaker) -> None:
    """Every bundled sample that DCMTK can send to an archive arrives there through the box with the same bytes, and nothing else does."""
    straight = make_archive("straight").start()
    archive = make_archive().start()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()

    _send_bundled(straight.port)
    _send_bundled(box.port)
    box.wait_until_delivered(within=60)

    assert len(straight.arrivals()) >= _SAMPLES_AT_LEAST
    assert archive.identities() == straight.identities()


def test_samples_whose_bytes_no_toolkit_would_write_pass_untouched(make_box: BoxMaker, make_archive: ArchiveMaker) -> None:
    """Samples sent as raw bytes, broken and truncated ones included, arrive exactly as they stand in their files."""
    archive = make_archive().start()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()
    files = [path for path, _ in samples.bundled() if _is_sendable(path)]

    statuses = senders.send_once(box.port, files)
    box.wait_until_delivered(within=60)

    taken = {part10.read(path).identity for path, status in statuses.items() if status == 0}
    assert {path.name: status for path, status in statuses.items() if status != 0} == _MISLABELLED
    held = {row["sop_instance_uid"] for row in box.cli("queue", "list", "--limit", "1000") if row["state"] == "held"}
    assert archive.identities() == {(uid, digest) for uid, digest in taken if uid not in held}
    # The palettes that pydicom bundles: storescp takes no object that belongs to no patient.
    assert {path.parent.name for path in files if part10.read(path).sop_instance_uid in held} <= {"palettes"}


def test_five_hundred_ct_images_arrive_byte_for_byte(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """A study of 500 CT images of 512 x 512 arrives through the box with every byte."""
    archive = make_archive().start()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()
    files = samples.ct().write(tmp_path / "scanner", _CT_IMAGES)

    output = dcmtk.dcmsend(box.port, files)
    box.wait_until_delivered(within=90)

    assert dcmtk.successes(output) == _CT_IMAGES
    assert archive.identities() == {part10.read(path).identity for path in files}


def test_a_mammogram_reports_documents_and_compressed_images_arrive(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """A 33 MB mammogram, a report, a document, and one image each of RLE, JPEG, JPEG-LS and JPEG 2000 arrive as if sent straight."""
    straight = make_archive("straight").start()
    archive = make_archive().start()
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()
    templates = [samples.mammogram(), samples.structured_report(), samples.encapsulated_pdf(), *samples.compressed()]
    files = [path for template in templates for path in template.write(tmp_path / "scanner")]
    pairs = [(path, part10.read(path).transfer_syntax_uid) for path in files]

    dcmtk.storescu_by_syntax(straight.port, pairs)
    dcmtk.storescu_by_syntax(box.port, pairs)
    box.wait_until_delivered(within=60)

    assert len(archive.arrivals()) == len(files)
    assert archive.identities() == straight.identities()
    assert {arrival.transfer_syntax_uid for arrival in archive.arrivals()} == {syntax for _, syntax in pairs}


def _is_sendable(path: Path) -> bool:
    """Say whether a scanner could send the file as it is: a whole header with the UIDs of its data set, and bytes of an even number."""
    try:
        meta = part10.read(path)
    except ValueError:
        return False
    if meta.length % 2:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        return (str(ds.SOPClassUID), str(ds.get("SOPInstanceUID", ""))) == (meta.sop_class_uid, meta.sop_instance_uid)
