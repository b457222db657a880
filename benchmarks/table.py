"""The figures as a reader sees them: Markdown, between two markers of benchmarks/README.md.

Promises: `replaced` changes nothing outside the markers.
Failures: `BenchmarkError` when the markers are not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.failures import BenchmarkError
from benchmarks.receivers import OURS
from benchmarks.results import Result, Run
from benchmarks.rows import Row

BEGIN = "<!-- figures: written by `make bench` -->"
END = "<!-- end of figures -->"


def replaced(text: str, figures: str) -> str:
    """Return the text with the figures between its markers."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError("README.md has lost the markers between which the figures stand")
    return f"{head}{BEGIN}\n\n{figures}\n{END}{tail}"


def figures(run: Run, rows: Sequence[Row]) -> str:
    """Return everything that stands between the markers."""
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    peers = list(dict.fromkeys(name for result in run.results for name in result.peers))
    columns = ["work", "", OURS, *peers]
    rounds = "1 round" if run.rounds == 1 else f"{run.rounds} rounds"
    lines = [f"{run.date}: {run.machine}, load {run.load:g} before. Median of {rounds}. {versions}.", ""]
    lines += [_line(columns), _line(["---"] * 2 + ["---:"] * (1 + len(peers)))]
    for result in run.results:
        lines += _figures_of(result, peers)
    lines += ["", _line(["work", "goal", "must", "aim", "measured", ""]), _line(["---", "---", "---:", "---:", "---:", "---"])]
    by_key = {row.key: row for row in rows}
    for result in run.results:
        lines += _goals_of(result, by_key[result.key])
    lines += ["", *(_synced(result) for result in run.results)]
    return "\n".join(lines) + "\n"


def _figures_of(result: Result, peers: Sequence[str]) -> Iterator[str]:
    rates = {OURS: result.ours, **result.peers}
    yield _line([result.work, result.unit, *_cells(rates, [OURS, *peers])])
    yield _line(["", "ours is", "", *_cells(result.ratios, peers, " x")])
    yield _line(["", "CPU s/GiB", *_cells(result.cpu_s_per_gib, [OURS, *peers])])
    yield _line(["", "ours is", "", *_cells(result.cpu_ratios, peers, " x")])


def _goals_of(result: Result, row: Row) -> Iterator[str]:
    for number, goal in enumerate(row.goals):
        ratio = result.ratio(goal)
        verdict = "not measured" if ratio is None else "reached" if goal.is_reached(ratio) else "missed"
        measured = "" if ratio is None else f"{ratio:g} x"
        what = f"{goal.measure} beside {goal.peer}"
        yield _line(["" if number else result.work, what, f"{goal.must:g} x", f"{goal.aim:g} x", measured, verdict])


def _synced(result: Result) -> str:
    return (
        f"The storage alone, one file of that size after the other, each synced with its directory: {result.synced_files_per_s:g} a second."
    )


def _cells(values: Mapping[str, float], names: Sequence[str], suffix: str = "") -> list[str]:
    return [f"{values[name]:g}{suffix}" if name in values else "" for name in names]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
