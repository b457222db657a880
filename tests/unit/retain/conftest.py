"""What the tests of snapshots and rebuilding start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.retain.bench import Box


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """Make a box and start it."""
    made = Box(tmp_path / "data")
    made.start()
    yield made
    made.ledger.let_go()
