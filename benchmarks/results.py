"""The figures as others read them: `results/latest.json`, and `results/history.jsonl` with one line a run.

Promises: `latest.json` is a list of objects with the keys work, unit, ours, peers, ratios and cpu_s_per_gib, and further ones that may be
added; none of these is removed or renamed. A ratio is ours divided by the peer's: more is better for a rate, less for CPU.
Failures: none; a peer whose figure is 0 has no ratio.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.machine import Machine
from benchmarks.measuring import Measured
from benchmarks.receivers import OURS
from benchmarks.rows import Goal, Measure

# Figures of a machine that differ in the fourth digit do not differ.
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Result:
    """One row of figures. `cpu_s_per_gib` has ours under "ours"; `turns` are the rates whose medians stand in `ours` and `peers`."""

    key: str
    work: str
    unit: str
    ours: float
    peers: Mapping[str, float]
    ratios: Mapping[str, float]
    cpu_s_per_gib: Mapping[str, float]
    cpu_ratios: Mapping[str, float]
    turns: Mapping[str, Sequence[float]]
    synced_files_per_s: float

    def ratio(self, goal: Goal) -> float | None:
        """Return how the box stands beside the peer of a goal, or None where that peer was not measured."""
        return (self.ratios if goal.measure is Measure.RATE else self.cpu_ratios).get(goal.peer)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmark: when, where, with what, and the figures; `load` is the machine's before it began."""

    date: str
    machine: Machine
    load: float
    rounds: int
    versions: Mapping[str, str]
    results: Sequence[Result]


def conclude(key: str, work: str, unit: str, measured: Measured) -> Result:
    """Return the medians of what was measured and how the box stands beside each peer."""
    rates = {name: significant(statistics.median(turn.rate for turn in turns)) for name, turns in measured.turns.items()}
    cpu = {name: significant(statistics.median(turn.cpu_s_per_gib for turn in turns)) for name, turns in measured.turns.items()}
    return Result(
        key=key,
        work=work,
        unit=unit,
        ours=rates[OURS],
        peers={name: rate for name, rate in rates.items() if name != OURS},
        ratios=ratios(rates),
        cpu_s_per_gib=cpu,
        cpu_ratios=ratios(cpu),
        turns={name: [significant(turn.rate) for turn in turns] for name, turns in measured.turns.items()},
        synced_files_per_s=significant(statistics.median(measured.synced_files)),
    )


def ratios(figures: Mapping[str, float]) -> dict[str, float]:
    """Return ours divided by each peer's."""
    return {name: significant(figures[OURS] / figure) for name, figure in figures.items() if name != OURS and figure > 0}


def significant(value: float) -> float:
    """Return the value with as many digits as it deserves."""
    return float(f"{value:.{_DIGITS}g}")


def write(run: Run, directory: Path) -> None:
    """Replace `latest.json` and add a line to `history.jsonl`."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = [asdict(result) for result in run.results]
    (directory / "latest.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    with (directory / "history.jsonl").open("a", encoding="utf-8") as history:
        history.write(json.dumps(asdict(run)) + "\n")
