"""What tests of the connection doctor begin with: an empty ledger beside a run directory, and an archive that takes everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.scripted_archive import ScriptedArchive
from tests.unit.ledger.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Make an empty ledger."""
    bench = Bench(tmp_path)
    (tmp_path / "run").mkdir()
    yield bench
    bench.ledger.close()


@pytest.fixture
def archive() -> Iterator[ScriptedArchive]:
    """An archive that accepts everything."""
    with ScriptedArchive() as running:
        yield running
