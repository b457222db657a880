"""The figures as a reader sees them in benchmarks/README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.batches import Batch
from benchmarks.failures import BenchmarkError
from benchmarks.rows import ROWS, Goal, Measure, Row, Storage
from tests.unit.benchmarks.examples import result, run

README = Path(__file__).resolve().parents[3] / "benchmarks" / "README.md"
_ROW = Row(
    "receive-1-disk",
    Batch(1000),
    Storage.DISK,
    (Goal(Measure.RATE, "orthanc", 2.0, 3.0), Goal(Measure.CPU, "orthanc", 0.5, 0.35), Goal(Measure.RATE, "storescp", 0.3, 0.6)),
)


def test_the_table_shows_figures_and_ratios() -> None:
    """Every program has a column with its figure, and below it how the box stands beside it."""
    figures = table.figures(run(result(ours=(300.0,), orthanc=(100.0,))), [_ROW])

    assert "2024-02-29: 2 cores, 8 GiB of memory, Linux 6.1, ext4, load 0.1 before. Median of 3 rounds." in figures
    assert "| receive, 1 association | instances/s | 300 | 100 |" in figures
    assert "|  | ours is |  | 3 x |" in figures
    assert "|  | CPU s/GiB | 3 | 1 |" in figures


def test_the_table_says_which_goals_are_reached() -> None:
    """A rate has to be at least, CPU at most its goal; a peer that was not measured decides nothing."""
    figures = table.figures(run(result(ours=(300.0,), orthanc=(100.0,))), [_ROW])

    assert "| receive, 1 association | rate beside orthanc | 2 x | 3 x | 3 x | reached |" in figures
    assert "|  | CPU beside orthanc | 0.5 x | 0.35 x | 3 x | missed |" in figures
    assert "|  | rate beside storescp | 0.3 x | 0.6 x |  | not measured |" in figures


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    """A peer that one row lacks leaves an empty cell and moves no other."""
    figures = table.figures(run(result(ours=(300.0,), orthanc=(100.0,)), result(ours=(300.0,), storescp=(900.0,))), [_ROW])

    first, second = figures.split("| work | goal |")
    assert {line.count("|") for line in first.splitlines() if line.startswith("|")} == {6}
    assert {line.count("|") for line in second.splitlines()[1:] if line.startswith("|")} == {7}


def test_only_what_stands_between_the_markers_changes() -> None:
    """New figures replace old ones and leave the text around them alone, however often."""
    text = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"

    once = table.replaced(text, "new\n")
    twice = table.replaced(once, "new\n")

    assert once == f"before\n{table.BEGIN}\n\nnew\n\n{table.END}\nafter\n"
    assert twice == once


def test_the_readme_has_its_markers() -> None:
    """The page that a run rewrites has the place for the figures."""
    assert "figures" in table.replaced(README.read_text(encoding="utf-8"), "figures\n")


def test_a_text_without_markers_is_refused() -> None:
    """A page that lost its markers is not overwritten."""
    with pytest.raises(BenchmarkError):
        table.replaced("no markers", "figures")


def test_rows_have_keys_of_their_own() -> None:
    """No two rows share a key, by which the command line and the history know them."""
    assert len({row.key for row in ROWS}) == len(ROWS)
