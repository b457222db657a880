"""The instances that are sent."""

from __future__ import annotations

from pathlib import Path

import pydicom

from benchmarks import batches
from benchmarks.batches import Batch
from benchmarks.objects import Kind

_SMALL = (Kind.REPORT, Kind.PRESENTATION)


def test_a_batch_is_shared_among_its_associations(tmp_path: Path) -> None:
    """Every association has a directory, and together they hold all instances, each once."""
    written = batches.write(Batch(count=5, associations=2, kinds=_SMALL), tmp_path / "work")

    files = [sorted(directory.iterdir()) for directory in written.directories]
    data_sets = [pydicom.dcmread(file) for group in files for file in group]
    assert [len(group) for group in files] == [3, 2]
    assert written.count == 5
    assert written.length == sum(file.stat().st_size for group in files for file in group)
    assert len({ds.SOPInstanceUID for ds in data_sets}) == 5


def test_every_association_gets_every_kind(tmp_path: Path) -> None:
    """With as many associations as kinds, none gets one kind only."""
    written = batches.write(Batch(count=8, associations=2, kinds=_SMALL), tmp_path / "work")

    for directory in written.directories:
        modalities = sorted(pydicom.dcmread(file).Modality for file in directory.iterdir())
        assert ["PR", "PR", "SR", "SR"] == modalities


def test_the_parts_of_a_batch_are_the_batch(tmp_path: Path) -> None:
    """What each association sends, as a batch of its own, has the files of its directory."""
    written = batches.write(Batch(count=5, associations=2, kinds=_SMALL), tmp_path / "work")

    parts = written.apart()
    assert [part.directories for part in parts] == [(directory,) for directory in written.directories]
    assert [part.count for part in parts] == [len(list(directory.iterdir())) for directory in written.directories]


def test_the_length_of_a_batch_is_known_before(tmp_path: Path) -> None:
    """The space that a batch needs is asked for before it is written."""
    batch = Batch(count=6, kinds=_SMALL)

    assert batches.length(batch) == batches.write(batch, tmp_path / "work").length


def test_a_batch_replaces_the_one_before(tmp_path: Path) -> None:
    """Nothing of an earlier batch is sent again."""
    batches.write(Batch(count=5, kinds=_SMALL), tmp_path / "work")
    written = batches.write(Batch(count=1, kinds=_SMALL), tmp_path / "work")

    assert len(list((tmp_path / "work").rglob("*.dcm"))) == written.count == 1
