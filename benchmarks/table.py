"""The figures as a reader sees them: Markdown, between two markers of benchmarks/README.md.

Promises: every goal of every row is shown, also of one that was not measured; `replaced` changes nothing outside the markers.
Failures: `BenchmarkError` when the markers are not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.failures import BenchmarkError
from benchmarks.figures import OURS
from benchmarks.goals import Goal
from benchmarks.programs import everyone
from benchmarks.results import Result
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


def figures(results: Sequence[Result], rows: Sequence[Row]) -> str:
    """Return everything that stands between the markers."""
    peers = [program.name for program in everyone() if any(program.name in result.peers for result in results)]
    lines = [*_conditions(results)]
    lines += [_line(["work", "", "rounds", OURS, *peers]), _line([*["---"] * 2, *["---:"] * (2 + len(peers))])]
    for result in results:
        lines += _figures_of(result, peers)
    lines += ["", _line(["row", "goal", "must", "aim", "measured", ""]), _line(["---", "---", "---:", "---:", "---:", "---"])]
    for row in rows:
        lines += _goals_of(row, [result for result in results if result.key == row.key])
    return "\n".join([*lines, "", *_synced(results)]) + "\n"


def _conditions(results: Sequence[Result]) -> Iterator[str]:
    """Yield a paragraph for all rows that were measured under the same conditions; rounds and peers may differ."""
    together: dict[tuple[str, str, float], tuple[dict[str, str], list[str]]] = {}
    for result in results:
        where = result.conditions
        versions, keys = together.setdefault((where.date, str(where.machine), where.load), ({}, []))
        versions.update(where.versions)
        keys += [result.key] if result.key not in keys else []
    for (date, machine, load), (versions, keys) in together.items():
        programs = ", ".join(f"{name} {version}" for name, version in versions.items())
        which = "" if len(together) == 1 else f" ({', '.join(keys)})"
        yield f"{date}{which}: {machine}, load {load:g} before. {programs}. Figures are medians of the rounds."
        yield ""


def _figures_of(result: Result, peers: Sequence[str]) -> Iterator[str]:
    values = {OURS: result.ours, **result.peers}
    yield _line([result.work, result.unit, f"{result.conditions.rounds}", *_cells(values, [OURS, *peers])])
    if result.parts:
        names, parts = ", ".join(result.parts), ", ".join(f"{value:g}" for value in result.parts.values())
        yield _line(["", f"{result.unit_of_parts}: {names}", "", parts, *[""] * len(peers)])
    if result.ratios:
        yield _line(["", "ours is", "", "", *_cells(result.ratios, peers, " x")])
    if result.cpu_s_per_gib:
        yield _line(["", "CPU s/GiB", "", *_cells(result.cpu_s_per_gib, [OURS, *peers])])
        yield _line(["", "ours is", "", "", *_cells(result.cpu_ratios, peers, " x")])


def _goals_of(row: Row, results: Sequence[Result]) -> Iterator[str]:
    for number, goal in enumerate(row.goals):
        result = next((result for result in results if result.measured(goal) is not None), None)
        value = None if result is None else result.measured(goal)
        unit = "x" if not goal.stands_alone else "" if result is None else result.unit
        bounds = [f"{bound:g} {unit}".strip() for bound in (goal.must, goal.aim)]
        measured = "" if value is None else f"{value:g} {unit}".strip()
        yield _line(["" if number else row.key, _name(goal), *bounds, measured, _verdict(goal, value)])


def _name(goal: Goal) -> str:
    what = goal.of if goal.stands_alone else f"{goal.measure} beside {goal.of}"
    return f"{what}, {'at least' if goal.is_floor else 'at most'}"


def _verdict(goal: Goal, value: float | None) -> str:
    if value is None:
        return "not measured"
    if not goal.is_reached(value):
        return "missed"
    return "reached, the aim too" if goal.is_reached(value, goal.aim) else "reached"


def _synced(results: Sequence[Result]) -> Iterator[str]:
    asked = [f"{result.key} {result.synced_files_per_s:g}" for result in results if result.synced_files_per_s is not None]
    if asked:
        what = "The storage alone, one file of an instance's size after the other, each synced with its directory, a second"
        yield f"{what}: {', '.join(asked)}."


def _cells(values: Mapping[str, float], names: Sequence[str], suffix: str = "") -> list[str]:
    return [f"{values[name]:g}{suffix}" if name in values else "" for name in names]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
