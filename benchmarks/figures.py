"""What measuring gives: for each program a value a round, and what it cost.

Promises: nothing is rounded or left out here; `results` makes medians of it.
Failures: none.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

OURS = "ours"
"""The name of this box among the programs."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one program did in one round."""

    rate: float
    cpu_s_per_gib: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a row, called `name` where the row has several: `work` says what was done, `unit` in what it is told.

    `values` and `cpu_s_per_gib` are by program, a value a round; a figure that stands alone has ours only. `parts` are what ours is made of
    or was compared with, in `unit_of_parts`. `synced_files` is how many files of one instance each the storage alone took a second.
    """

    work: str
    unit: str
    values: Mapping[str, Sequence[float]]
    name: str = ""
    cpu_s_per_gib: Mapping[str, Sequence[float]] = field(default_factory=dict)
    synced_files: Sequence[float] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    unit_of_parts: str = ""


def alone(name: str, work: str, unit: str, values: Sequence[float], *, parts: Mapping[str, float] | None = None, of: str = "") -> Figure:
    """Return a figure of this box that no peer has; its parts are in the unit `of`, or in the figure's own."""
    return Figure(work, unit, {OURS: values}, name, parts=parts or {}, unit_of_parts=of or unit)


def lost(work: str, rounds: Sequence[Mapping[str, float]], *, alone_as: str, beside_as: str, unit: str) -> Figure:
    """Return how much of the rate was lost in percent, from the rates of each round without and with what is beside it."""
    losses = [100 * (1 - rates[beside_as] / rates[alone_as]) for rates in rounds]
    parts = {name: statistics.median(rates[name] for rates in rounds) for name in (alone_as, beside_as)}
    return alone("loss", work, "%", losses, parts=parts, of=unit)


def of_turns(work: str, unit: str, turns: Mapping[str, Sequence[Turn]], synced_files: Sequence[float] = ()) -> Figure:
    """Return the figure of programs that took turns."""
    return Figure(
        work,
        unit,
        {name: [turn.rate for turn in taken] for name, taken in turns.items()},
        cpu_s_per_gib={name: [turn.cpu_s_per_gib for turn in taken] for name, taken in turns.items()},
        synced_files=synced_files,
    )
