"""What the box has to reach: a multiple of a peer's figure in the same run, or a figure of its own.

Promises: `must` decides whether a goal is reached, `aim` is where the box wants to be.
Failures: none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """Which figure a goal is about: two beside a peer's, and one that stands alone, of which less is better or more."""

    RATE = "rate"
    CPU = "CPU"
    FIGURE = "figure"
    FLOOR = "floor"


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal of a row.

    Beside a peer, `must` and `aim` are multiples of the peer's figure: at least for a rate, at most for CPU. Without one
    they are the most (`Measure.FIGURE`) or the least (`Measure.FLOOR`) that the figure called `of` may be, in its own unit.
    """

    measure: Measure
    of: str
    must: float
    aim: float

    @property
    def stands_alone(self) -> bool:
        """Whether it is about a figure of the box, and not about a peer's beside it."""
        return self.measure in {Measure.FIGURE, Measure.FLOOR}

    @property
    def is_floor(self) -> bool:
        """Whether more is better."""
        return self.measure in {Measure.RATE, Measure.FLOOR}

    def is_reached(self, measured: float, bound: float | None = None) -> bool:
        """Say whether what was measured keeps `must`, or another bound."""
        wanted = self.must if bound is None else bound
        return measured >= wanted if self.is_floor else measured <= wanted


def beside(peer: str, rate: tuple[float, float] | None = None, cpu: tuple[float, float] | None = None) -> tuple[Goal, ...]:
    """Return the goals beside one peer: pairs of what must be and what is aimed at."""
    pairs = ((Measure.RATE, rate), (Measure.CPU, cpu))
    return tuple(Goal(measure, peer, *pair) for measure, pair in pairs if pair is not None)


def at_most(figure: str, must: float, aim: float) -> Goal:
    """Return the goal for a figure that stands alone, and of which less is better."""
    return Goal(Measure.FIGURE, figure, must, aim)


def at_least(figure: str, must: float, aim: float) -> Goal:
    """Return the goal for a figure that stands alone, and of which more is better."""
    return Goal(Measure.FLOOR, figure, must, aim)
