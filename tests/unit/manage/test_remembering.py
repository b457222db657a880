"""An answer is made no more often than it is worth."""

from __future__ import annotations

import pytest

from appliance.manage.remembering import OLDEST_S, Remembered
from tests.fakes.clock import FakeClock


class Counting:
    """Makes answers that take their time, and counts them."""

    def __init__(self, clock: FakeClock, cost_s: float) -> None:
        """Take `cost_s` each."""
        self.made = 0
        self._clock = clock
        self._cost_s = cost_s

    def make(self) -> int:
        """Make one."""
        self._clock.advance(self._cost_s)
        self.made += 1
        return self.made


def test_what_costs_much_is_kept_for_two_seconds() -> None:
    """Within them everybody gets the same, after them it is made anew."""
    clock = FakeClock()
    counting, known = Counting(clock, 0.2), Remembered[int](clock)

    seen = []
    for wait_s in (0.0, OLDEST_S - 0.1, 0.2):
        clock.advance(wait_s)
        seen.append(known.get(counting.make))

    assert [1, 1, 2] == seen


def test_what_costs_nothing_is_made_each_time() -> None:
    """Nobody is told anything old for no gain."""
    counting = Counting(FakeClock(), 0.0)
    known = Remembered[int](FakeClock())

    assert [1, 2] == [known.get(counting.make), known.get(counting.make)]


def test_another_question_gets_an_answer_of_its_own() -> None:
    """What was made for one key is not for another."""
    clock = FakeClock()
    counting, known = Counting(clock, 0.2), Remembered[int](clock)

    assert [1, 2, 3] == [known.get(counting.make, key) for key in ("a", "b", "a")]


def test_a_failure_is_not_remembered() -> None:
    """Who comes after a failure is answered, or fails by himself."""
    clock = FakeClock()
    counting, known = Counting(clock, 0.2), Remembered[int](clock)

    def fail() -> int:
        clock.advance(1.0)
        raise LookupError

    with pytest.raises(LookupError):
        known.get(fail)

    assert 1 == known.get(counting.make)
