"""How many lanes: one more while it helps, fewer when it does not, never outside what is configured."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.deliver.lane_count import LaneCount
from appliance.runtime.clock import Instant

_CT_BYTES = 512 << 10
_BACK_OFF = (30.0, 900.0)


class Site:
    """A destination in numbers: how many instances a second it takes from so many lanes."""

    def __init__(self, rate: Callable[[int], float], *, most: int = 8) -> None:
        """Begin at some moment."""
        self.rate = rate
        self.count = LaneCount(most, _BACK_OFF, lambda: 0.0)
        self.at = 1000.0
        self.seen: list[int] = []

    @property
    def now(self) -> Instant:
        """The moment."""
        return Instant(self.at, self.at, "boot-1")

    def run(self, seconds: float) -> int:
        """Send for so long with all the lanes that are allowed; return how many they are then."""
        end = self.at + seconds
        while self.at < end:
            lanes = self.count.lanes(self.now)
            self.at += 1.0 / self.rate(lanes)
            self.count.delivered(self.now, lanes, _CT_BYTES)
            self.seen.append(lanes)
        return self.count.lanes(self.now)


def up_to(helping: int, each: float = 10.0) -> Callable[[int], float]:
    """Return the rate of a destination to which only so many lanes are of use."""
    return lambda lanes: each * min(lanes, helping)


def test_lanes_grow_while_each_helps() -> None:
    """A destination that takes as much from every lane has all of them within seconds."""
    site = Site(up_to(8))

    lanes = site.run(10.0)

    assert (site.seen[0], lanes) == (1, 8)


@pytest.mark.parametrize("helping", [1, 2, 3, 5])
def test_a_lane_that_does_not_help_is_given_up(helping: int) -> None:
    """Beyond what helps, one lane at a time is tried, ever more seldom; meanwhile there are as many as help."""
    site = Site(up_to(helping))

    site.run(4000.0)

    assert max(site.seen) == helping + 1
    assert site.seen.count(helping) > 0.9 * len(site.seen)


def test_a_lane_that_slows_the_others_is_given_up() -> None:
    """Where answers take the longer the more lanes there are, as at a database that is locked, one lane stays."""
    site = Site(lambda lanes: 10.0 / lanes)

    site.run(600.0)

    assert max(site.seen) == 2
    assert site.seen.count(1) > 0.9 * len(site.seen)


def test_answers_that_take_twice_as_long_cost_a_lane() -> None:
    """When the same lanes bring less than half of what they brought, there is one fewer; they come back when they help again."""
    site = Site(up_to(4), most=4)
    assert site.run(60.0) == 4

    site.rate = lambda lanes: 3.0 * min(lanes, 3)
    fewer = site.run(30.0)
    site.rate = up_to(4)
    again = site.run(1000.0)

    assert (fewer, again) == (3, 4)


def test_out_of_resources_halves_the_lanes() -> None:
    """An answer that tells of too much halves the lanes at once; they grow again after the back-off, one by one."""
    site = Site(up_to(8))
    site.run(60.0)

    site.count.congested(site.now)
    halved = site.count.lanes(site.now)
    later = site.run(100.0)

    assert (halved, later) == (4, 8)


def test_congestion_that_lasts_is_tried_ever_more_seldom() -> None:
    """The wait before one more lane doubles up to the longest."""
    site = Site(up_to(2))
    waits, began = [], None

    for _ in range(20_000):
        lanes = site.run(0.5)
        if lanes == 3 and began is not None:
            waits.append(site.at - began)
            began = None
        elif lanes == 2 and began is None and len(site.seen) > 100:
            began = site.at

    assert [round(wait, -1) for wait in waits[1:6]] == [60, 120, 240, 480, 900]


def test_lanes_without_work_say_nothing() -> None:
    """While fewer lanes are busy than may be, nothing is measured, and nothing changes."""
    count, at = LaneCount(4, _BACK_OFF, lambda: 0.0), 0.0

    for _ in range(100):
        at += 0.1
        count.delivered(Instant(at, at, "boot-1"), 0, _CT_BYTES)
        count.interrupted()

    assert count.lanes(Instant(at, at, "boot-1")) == 1


@given(
    most=st.integers(1, 16),
    steps=st.lists(st.tuples(st.sampled_from(["delivered", "interrupted", "congested"]), st.integers(0, 17), st.floats(0, 1e4))),
)
def test_whatever_happens_there_are_one_to_most(most: int, steps: list[tuple[str, int, float]]) -> None:
    """No order of events leads outside the limits, or up by more than one lane at a time."""
    count, at, before = LaneCount(most, _BACK_OFF, lambda: 1.0), 0.0, 1

    for event, busy, seconds in steps:
        at += seconds
        now = Instant(at, at, "boot-1")
        if event == "delivered":
            count.delivered(now, busy, _CT_BYTES)
        elif event == "congested":
            count.congested(now)
        else:
            count.interrupted()
        lanes = count.lanes(now)
        assert 1 <= lanes <= min(most, before + 2)
        before = lanes
