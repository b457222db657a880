"""The figures as a reader sees them in benchmarks/README.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.batches import Batch
from benchmarks.failures import BenchmarkError
from benchmarks.goals import at_most, beside
from benchmarks.latency import Latency
from benchmarks.measuring import Reception
from benchmarks.rows import Row
from benchmarks.scene import Storage
from tests.unit.benchmarks.examples import CONDITIONS, lone_result, result

README = Path(__file__).resolve().parents[3] / "benchmarks" / "README.md"
_RECEPTION = Row(
    "receive-1-disk",
    Reception(Batch(1000), Storage.DISK, ("storescp", "orthanc")),
    (*beside("orthanc", (2.0, 3.0), (0.5, 0.35)), *beside("storescp", (0.3, 0.6))),
)
_LATENCY = Row("latency", Latency(100), (at_most("p50", 100, 30), at_most("p95", 250, 80)), rounds=1)


def test_the_table_shows_figures_and_ratios() -> None:
    """Every program has a column with its figure, and below it how the box stands beside it."""
    figures = table.figures([result(ours=(300.0,), orthanc=(100.0,))], [_RECEPTION])

    assert "2024-02-29: 2 cores, 8 GiB of memory, Linux 6.1, ext4, load 0.1 before." in figures
    assert "| receive, 1 association | instances/s | 3 | 300 | 100 |" in figures
    assert "|  | ours is |  |  | 3 x |" in figures
    assert "|  | CPU s/GiB |  | 3 | 1 |" in figures


def test_the_table_says_which_goals_are_reached() -> None:
    """A rate has to be at least, CPU at most its goal; a peer that was not measured decides nothing."""
    figures = table.figures([result(ours=(300.0,), orthanc=(100.0,))], [_RECEPTION])

    assert "| receive-1-disk | rate beside orthanc, at least | 2 x | 3 x | 3 x | reached, the aim too |" in figures
    assert "|  | CPU beside orthanc, at most | 0.5 x | 0.35 x | 3 x | missed |" in figures
    assert "|  | rate beside storescp, at least | 0.3 x | 0.6 x |  | not measured |" in figures


def test_figures_that_stand_alone_have_goals_in_their_unit() -> None:
    """Each figure of a row meets its own goal, and its parts are shown below it."""
    figures = table.figures([lone_result("p50", 120.0), lone_result("p95", 200.0)], [_LATENCY])

    assert "| idle box | ms | 3 | 120 |" in figures
    assert "|  | ms: worst |  | 99 |" in figures
    assert "| latency | p50, at most | 100 ms | 30 ms | 120 ms | missed |" in figures
    assert "|  | p95, at most | 250 ms | 80 ms | 200 ms | reached |" in figures


def test_a_row_that_was_not_measured_is_shown() -> None:
    """Nobody takes a goal that was never looked at for one that is reached."""
    figures = table.figures([result(ours=(300.0,))], [_RECEPTION, _LATENCY])

    assert "| latency | p50, at most | 100 | 30 |  | not measured |" in figures


def test_rows_of_different_days_say_so() -> None:
    """Rows that were measured under other conditions are named beside theirs."""
    later = replace(CONDITIONS, date="2024-03-01", rounds=5)

    figures = table.figures([result(ours=(300.0,)), result("receive-4-disk", later, ours=(300.0,))], [_RECEPTION])

    assert "2024-02-29 (receive-1-disk): 2 cores" in figures
    assert "2024-03-01 (receive-4-disk): 2 cores" in figures


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    """A peer that one row lacks leaves an empty cell and moves no other."""
    measured = [result(ours=(300.0,), orthanc=(100.0,)), result(ours=(300.0,), storescp=(900.0,)), lone_result()]

    figures = table.figures(measured, [_RECEPTION, _LATENCY])

    first, second = figures.split("| row | goal |")
    assert {line.count("|") for line in first.splitlines() if line.startswith("|")} == {7}
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
