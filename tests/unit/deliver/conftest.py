"""What most tests of the sender need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.deliver.bench import Books


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """A new ledger."""
    kept = Books(tmp_path)
    yield kept
    kept.ledger.close()
