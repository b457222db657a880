"""What every test of the ledger starts from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.ledger.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Make an empty ledger."""
    made = Bench(tmp_path / "data")
    yield made
    made.ledger.close()
