"""What every tier shares: how a box and an archive come into a test, and that nothing of them outlives it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.box import Box, BoxMaker
from tests.support.dcmtk import ArchiveMaker, StoreScp


@pytest.fixture
def make_box(tmp_path: Path) -> Iterator[BoxMaker]:
    """Make boxes; every one is gone when the test ends, however it ends."""
    boxes: list[Box] = []

    def make(site: str, *, name: str = "box", data: Path | None = None) -> Box:
        box = Box(tmp_path / name, site, data=data)
        boxes.append(box)
        return box

    yield make
    for box in boxes:
        box.close()


@pytest.fixture
def make_archive(tmp_path: Path) -> Iterator[ArchiveMaker]:
    """Make DCMTK archives, not started; every one is gone when the test ends."""
    archives: list[StoreScp] = []

    def make(name: str = "archive", *, ae_title: str = "ARCHIVE", fork: bool = True, options: Sequence[str] = ()) -> StoreScp:
        archive = StoreScp(tmp_path / name, ae_title=ae_title, fork=fork, options=options)
        archives.append(archive)
        return archive

    yield make
    for archive in archives:
        archive.stop()
