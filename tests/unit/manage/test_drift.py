"""A scanner's clock, told from its images: only what they leave no doubt about."""

from __future__ import annotations

import random

import pytest

from appliance.manage.drift import drift_of

HOUR = 3600.0


@pytest.mark.parametrize(
    ("lags", "expected"),
    [
        # Nothing is known.
        ([], None),
        # It sends at once, and its clock is right, or a little off in either direction.
        ([3.0, 40.0, 900.0], 0.0),
        ([-2.0, 4.0], 0.0),
        # Ahead: nothing arrives before it is made.
        ([-90.0], 90.0),
        ([-60.0, -90.0, -120.0, -100.0], 90.0),
        # One object with a mistyped date is no clock, with or without others.
        ([-9e8, 3.0, 4.0, 5.0], 0.0),
        ([-9e8, 20.0], 0.0),
        # Put right since: the older signs are fewer than three.
        ([2.0, 3.0, 2.0, -90.0, -90.0], 0.0),
        # Behind by seven hours (a time zone that nobody set), study after study.
        ([7 * HOUR + late for late in (5.0, 60.0, 9.0, 30.0, 100.0, 4.0)], -(7 * HOUR + 4.0)),
        # A workstation that sends what is days old, now this and now that.
        ([30 * HOUR, 50 * HOUR, 80 * HOUR, 26 * HOUR, 400 * HOUR, 31 * HOUR], None),
        # Too few to be sure.
        ([7 * HOUR, 7 * HOUR + 10, 7 * HOUR + 20], None),
        # Minutes late may be how it works.
        ([400.0] * 12, None),
    ],
)
def test_drift(lags: list[float], expected: float | None) -> None:
    """Ahead is told at once, behind when it is always the same, and else nothing."""
    assert expected == drift_of(lags)


def test_only_the_latest_signs_count() -> None:
    """A clock that was put right is right after twelve quarters of an hour, whatever it was before."""
    assert 0.0 == drift_of([2.0] * 12 + [-900.0] * 100)


def test_random_delays_are_never_taken_for_a_clock() -> None:
    """Of a thousand sources that send at any time of the day, none is said to be behind."""
    random.seed(7)

    told = [drift_of([random.uniform(700.0, 86_400.0) for _ in range(12)]) for _ in range(1000)]

    assert {None} == set(told)
