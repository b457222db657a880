"""The figures as others read them: `results/latest.json`, and `results/history.jsonl` with one line for each row that was measured.

Promises: `latest.json` is a list of objects with the keys work, unit, ours, peers, ratios and cpu_s_per_gib, and further ones that may be
added; none of these is removed or renamed. A ratio is ours divided by the peer's: more is better for a rate, less for CPU. A row that is
measured anew takes the place of its old figures and leaves those of other rows alone.
Failures: `BenchmarkError` for a `latest.json` that is not of this form; a peer whose figure is 0 has no ratio.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.failures import BenchmarkError
from benchmarks.figures import OURS, Figure
from benchmarks.goals import Goal, Measure
from benchmarks.machine import Machine

# Figures of a machine that differ in the fourth digit do not differ.
_DIGITS = 3
_LATEST, _HISTORY = "latest.json", "history.jsonl"


@dataclass(frozen=True, slots=True)
class Conditions:
    """When, where and with what a row was measured; `load` is the machine's before the run began."""

    date: str
    machine: Machine
    load: float
    rounds: int
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """One figure of the row `key`, called `figure` where the row has several; medians of the rounds.

    `cpu_s_per_gib` has ours under "ours"; `turns` are the values whose medians stand in `ours` and `peers`; `parts` are what ours is made
    of or was compared with. `synced_files_per_s` is None where the storage alone was not asked.
    """

    key: str
    figure: str
    work: str
    unit: str
    ours: float
    peers: Mapping[str, float]
    ratios: Mapping[str, float]
    cpu_s_per_gib: Mapping[str, float]
    cpu_ratios: Mapping[str, float]
    turns: Mapping[str, Sequence[float]]
    parts: Mapping[str, float]
    unit_of_parts: str
    synced_files_per_s: float | None
    conditions: Conditions

    def measured(self, goal: Goal) -> float | None:
        """Return what a goal is about, or None where it is about another figure or a peer that was not measured."""
        if goal.stands_alone:
            return self.ours if goal.of == self.figure else None
        return (self.ratios if goal.measure is Measure.RATE else self.cpu_ratios).get(goal.of)


def conclude(key: str, figure: Figure, conditions: Conditions) -> Result:
    """Return the medians of what was measured and how the box stands beside each peer."""
    values = _medians(figure.values)
    cpu = _medians(figure.cpu_s_per_gib)
    return Result(
        key=key,
        figure=figure.name,
        work=figure.work,
        unit=figure.unit,
        ours=values[OURS],
        peers={name: value for name, value in values.items() if name != OURS},
        ratios=ratios(values),
        cpu_s_per_gib=cpu,
        cpu_ratios=ratios(cpu),
        turns={name: [significant(value) for value in turns] for name, turns in figure.values.items()},
        parts={name: significant(value) for name, value in figure.parts.items()},
        unit_of_parts=figure.unit_of_parts,
        synced_files_per_s=significant(statistics.median(figure.synced_files)) if figure.synced_files else None,
        conditions=conditions,
    )


def ratios(figures: Mapping[str, float]) -> dict[str, float]:
    """Return ours divided by each peer's."""
    return {name: significant(figures[OURS] / figure) for name, figure in figures.items() if name != OURS and figure > 0}


def significant(value: float) -> float:
    """Return the value with as many digits as it deserves."""
    return float(f"{value:.{_DIGITS}g}")


def merged(old: Sequence[Result], new: Sequence[Result], keys: Sequence[str]) -> list[Result]:
    """Return the new results and the old ones of other rows, in the order of `keys`; rows that are not among these have gone."""
    measured = {result.key for result in new}
    every = [*(result for result in old if result.key not in measured), *new]
    return sorted((result for result in every if result.key in keys), key=lambda result: keys.index(result.key))


def read(directory: Path) -> list[Result]:
    """Return the results of `latest.json`, none where there is no such file."""
    path = directory / _LATEST
    if not path.exists():
        return []
    try:
        return [_result(row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError, KeyError) as error:
        raise BenchmarkError(f"{path.name} is not of this version's form: {error}") from error


def write(results: Sequence[Result], directory: Path) -> None:
    """Replace `latest.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = [asdict(result) for result in results]
    (directory / _LATEST).write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def remember(results: Sequence[Result], conditions: Conditions, directory: Path) -> None:
    """Add a line to `history.jsonl`: results of one row, and their conditions once."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = [{name: value for name, value in asdict(result).items() if name != "conditions"} for result in results]
    with (directory / _HISTORY).open("a", encoding="utf-8") as history:
        history.write(json.dumps({**asdict(conditions), "results": rows}) + "\n")


def _medians(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: significant(statistics.median(turns)) for name, turns in values.items()}


def _result(row: Mapping[str, object]) -> Result:
    fields = dict(row)
    conditions = fields.pop("conditions")
    if not isinstance(conditions, dict):
        raise TypeError("a row has no conditions")
    where = Conditions(**{**conditions, "machine": Machine(**conditions["machine"])})
    return Result(**fields, conditions=where)  # type: ignore[arg-type]
