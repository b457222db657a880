"""The instances that are sent."""

from __future__ import annotations

from pathlib import Path

import pydicom

from benchmarks import batches
from benchmarks.batches import Batch


def test_a_batch_is_shared_among_its_associations(tmp_path: Path) -> None:
    """Every association has a directory, and together they hold all instances, each once."""
    written = batches.write(Batch(count=5, associations=2, rows=8, columns=8), tmp_path / "work")

    files = [sorted(directory.iterdir()) for directory in written.directories]
    data_sets = [pydicom.dcmread(file) for group in files for file in group]
    assert [len(group) for group in files] == [3, 2]
    assert written.count == 5
    assert written.length == sum(file.stat().st_size for group in files for file in group)
    assert len({ds.SOPInstanceUID for ds in data_sets}) == 5
    assert all(ds.SOPInstanceUID == ds.file_meta.MediaStorageSOPInstanceUID for ds in data_sets)
    assert all(len(ds.SOPInstanceUID) <= 64 for ds in data_sets)


def test_a_batch_replaces_the_one_before(tmp_path: Path) -> None:
    """Nothing of an earlier batch is sent again."""
    batches.write(Batch(count=5, rows=8, columns=8), tmp_path / "work")
    written = batches.write(Batch(count=1, rows=8, columns=8), tmp_path / "work")

    assert len(list((tmp_path / "work").rglob("*.dcm"))) == written.count == 1
