"""Which goals are reached."""

from __future__ import annotations

from benchmarks.goals import at_least, at_most, beside
from benchmarks.rows import ROWS


def test_a_rate_has_to_be_at_least_its_goal_and_everything_else_at_most() -> None:
    """Twice Orthanc's rate is reached by more, half its CPU by less, 100 ms by less, but 85 % of a line by more."""
    rate, cpu = beside("orthanc", (2.0, 3.0), (0.5, 0.35))
    latency = at_most("p50", 100.0, 30.0)
    line = at_least("line used", 85.0, 95.0)

    assert [False, True, True] == [rate.is_reached(value) for value in (1.9, 2.0, 2.1)]
    assert [True, True, False] == [cpu.is_reached(value) for value in (0.4, 0.5, 0.6)]
    assert [True, True, False] == [latency.is_reached(value) for value in (99.0, 100.0, 101.0)]
    assert [False, True, True] == [line.is_reached(value) for value in (84.0, 85.0, 86.0)]


def test_the_aim_is_a_bound_of_its_own() -> None:
    """What keeps the must has not yet reached the aim."""
    (rate,) = beside("orthanc", (2.0, 3.0))

    assert rate.is_reached(2.5)
    assert not rate.is_reached(2.5, rate.aim)


def test_rows_have_keys_of_their_own() -> None:
    """No two rows share a key, by which the command line and the history know them."""
    assert len({row.key for row in ROWS}) == len(ROWS)


def test_goals_are_beside_programs_that_the_row_compares() -> None:
    """No row has a goal that it could never measure."""
    for row in ROWS:
        peers = {goal.of for goal in row.goals if not goal.stands_alone}
        assert peers <= set(row.work.programs), row.key


def test_aims_are_beyond_musts() -> None:
    """Whatever reaches the aim of a goal reaches its must."""
    assert [goal for row in ROWS for goal in row.goals if not goal.is_reached(goal.aim)] == []
