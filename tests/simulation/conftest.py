"""What the simulations share: a place that is fast to write to, and an ear for what the box calls an error."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

# A memory file system: what is simulated is time, not a disk's.
_MEMORY = Path("/dev/shm")
# What the longest simulation writes: 400,000 sealed objects in pages of 4 KiB, the ledger, and its snapshots.
_NEEDED_BYTES = {"0": 1 << 30, "1": 8 << 30}[os.environ.get("LONG", "0")]


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """Return an empty directory, in memory where there is room; it is gone when the test ends."""
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _NEEDED_BYTES:
        yield tmp_path / "data"
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="simulation-") as directory:
        yield Path(directory) / "data"


@pytest.fixture(autouse=True)
def errors() -> Iterator[list[object]]:
    """Keep the log to what the box calls an error, and fail when there was one: nothing that happens here is a fault of ours."""
    heard = LogCapture()
    structlog.configure(processors=[heard], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield heard.entries  # type: ignore[misc]
    structlog.reset_defaults()
    assert heard.entries == []
