"""The long line, and what is made of what crossed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import line, wan
from benchmarks.failures import RunInvalidError
from benchmarks.line import Line
from benchmarks.line_process import Way
from benchmarks.wan import Crossing

_LINE = Line(100, 100)


def test_bytes_take_their_length_and_half_a_round_trip() -> None:
    """What enters an empty line arrives when its last bit has left and come across; what enters behind it waits for it."""
    way = Way(1000.0, 0.05)

    assert way.enter(10.0, 100) == pytest.approx(10.15)
    assert way.enter(10.0, 100) == pytest.approx(10.25)
    assert way.enter(20.0, 100) == pytest.approx(20.15)


def test_as_much_waits_before_the_line_as_is_on_it() -> None:
    """There is room while less than a round trip of bytes waits, and otherwise when it does."""
    way = Way(1000.0, 0.05)
    way.enter(10.0, 100)

    assert way.wait_s(10.0) == pytest.approx(0.0)
    way.enter(10.0, 400)
    assert way.wait_s(10.0) == pytest.approx(0.4)
    assert way.wait_s(10.4) == pytest.approx(0.0)


@pytest.mark.parametrize(("round_trip_s", "bytes_per_s"), [(0.2, 12.5e6), (0.05, 12.5e6), (0.1, 11e6), (0.1, 14e6)])
def test_a_line_that_is_not_what_it_says_measures_nothing(round_trip_s: float, bytes_per_s: float) -> None:
    """A machine that makes another line of it is told so."""
    line.judge(_LINE, 0.103, 12.4e6)

    with pytest.raises(RunInvalidError, match="cannot make a line of 100 ms x 100 Mbit/s"):
        line.judge(_LINE, round_trip_s, bytes_per_s)


def test_a_line_carries_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process passes on every byte, and each connection ends where its sender ends it."""
    monkeypatch.setattr(line, "_TRIAL_S", 0.1)
    # How exactly is for the rows to ask, on a quiet machine.
    monkeypatch.setattr(line, "judge", lambda *_: None)

    line.require_carries(Line(20, 80), tmp_path)


def test_the_line_used_is_the_boxs_own() -> None:
    """Rates are of every program; the share of the line, with the associations that were seen on it, is ours."""
    crossings = {"dcmsend": [Crossing(6.0, 3.1e6, (1, 1))], "ours": [Crossing(20.0, 10e6, (0, 2, 4, 4)), Crossing(22.0, 11e6, (3,))]}

    rates, used = wan.figures("work", _LINE, crossings)

    assert rates.values == {"dcmsend": [6.0], "ours": [20.0, 22.0]}
    assert (used.name, used.unit, used.values) == ("line used", "%", {"ours": [80.0, 88.0]})
    assert used.parts == {"median": 3.5, "most": 4.0}
