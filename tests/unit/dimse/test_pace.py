"""The pace of requests that store nothing."""

from __future__ import annotations

import pytest

from appliance.dimse.pace import Pace


def _answered(pace: Pace, arrivals: list[float]) -> list[float]:
    """Return when each request is answered, by a server that does one thing at a time."""
    now, answered = 0.0, []
    for arrival in arrivals:
        now = max(now, arrival)
        now += pace.delay(now)
        answered.append(now)
    return answered


def test_a_burst_passes_and_a_flood_waits() -> None:
    """So many requests are answered at once, every later one a step after the one before; none is left out."""
    answered = _answered(Pace(burst=3, per_second=10), [0.0] * 6)

    assert pytest.approx([0.0, 0.0, 0.0, 0.1, 0.2, 0.3]) == answered


def test_who_keeps_to_the_rate_never_waits() -> None:
    """Requests that come no faster than the rate are answered when they come, however many they are."""
    arrivals = [number * 0.1 for number in range(1000)]

    assert pytest.approx(arrivals) == _answered(Pace(burst=1, per_second=10), arrivals)


def test_a_pause_gives_the_burst_back() -> None:
    """After a quiet time a whole burst passes again, and no more than one."""
    pace = Pace(burst=3, per_second=10)
    _answered(pace, [0.0] * 20)

    assert pytest.approx([50.0, 50.0, 50.0, 50.1]) == _answered(pace, [50.0] * 4)
