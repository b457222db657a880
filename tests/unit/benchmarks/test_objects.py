"""The DICOM objects that are sent."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest

from benchmarks import objects
from benchmarks.objects import Kind

_LENGTHS = {
    Kind.CT: 512 * 1024,
    Kind.REPORT: 20 * 1024,
    Kind.PRESENTATION: 20 * 1024,
    Kind.MAMMOGRAM: 32_000_000,
    Kind.SMALL: 4 * 1024,
    Kind.CT_PHANTOM: 512 * 1024,
    Kind.MR_PHANTOM: 128 * 1024,
}


@pytest.mark.parametrize("kind", list(Kind))
def test_an_object_is_as_large_as_it_is_called(kind: Kind) -> None:
    """The size in the name of a kind is the size of its files, to a tenth."""
    assert len(objects.template(kind).content) == pytest.approx(_LENGTHS[kind], rel=0.1)


@pytest.mark.parametrize("kind", [Kind.CT, Kind.REPORT, Kind.PRESENTATION])
def test_instances_differ_in_their_uid_only(kind: Kind) -> None:
    """Each instance is a readable file with a UID of its own, of the study of all."""
    template = objects.template(kind)

    first, second = (pydicom.dcmread(io.BytesIO(template.instance())) for _ in range(2))
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID
    assert len(first.SOPInstanceUID) <= 64
    second.SOPInstanceUID = first.SOPInstanceUID
    assert first == second


def test_a_multiframe_object_has_the_pixels_it_says(tmp_path: Path) -> None:
    """The frames fill the pixel data exactly, and a reader finds them."""
    objects.write_multiframe(tmp_path / "0.dcm", 2)

    ds = pydicom.dcmread(tmp_path / "0.dcm")
    assert ds.NumberOfFrames == 4
    assert len(ds.PixelData) == 2 << 20 == ds.NumberOfFrames * ds.Rows * ds.Columns * 2
