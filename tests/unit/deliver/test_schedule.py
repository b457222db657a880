"""The back-off table of semantics.md 1.4, line by line."""

from __future__ import annotations

import pytest

from appliance.deliver import schedule

THROTTLED = (30.0, 900.0)
SOFT = (5.0, 600.0)


def test_throttle_doubles_from_30_s_to_15_min() -> None:
    """A throttled site waits 30 s, doubled to 15 min and no longer."""
    seen, previous = [], 0.0
    for _ in range(7):
        previous = schedule.next_throttle(previous, THROTTLED)
        seen.append(previous)

    assert seen == [30, 60, 120, 240, 480, 900, 900]


def test_throttle_base_above_cap_is_the_cap() -> None:
    """A base that is larger than the cap never exceeds the cap."""
    assert schedule.next_throttle(0.0, (30.0, 10.0)) == 10.0


def test_soft_doubles_from_5_s_to_10_min() -> None:
    """An instance that fails softly waits 5 s, doubled to 10 min, for ever."""
    seen = [schedule.soft_delay(tries, SOFT, 0.0) for tries in (1, 2, 3, 7, 8, 9, 10_000)]

    assert seen == [5, 10, 20, 320, 600, 600, 600]


def test_no_tries_count_as_the_first() -> None:
    """A count below one waits the base, not less."""
    assert schedule.soft_delay(0, SOFT, 0.0) == 5.0


def test_three_tries_are_spread_over_an_hour() -> None:
    """Two waits of half an hour lie between the three tries."""
    assert 2 * schedule.spread_delay(SOFT, 0.0) == 3600.0


def test_held_is_tried_daily() -> None:
    """What is held waits a day."""
    assert schedule.held_delay(86400.0, 0.0) == 86400.0


@pytest.mark.parametrize(("jitter", "expected"), [(-1.0, 80.0), (0.0, 100.0), (1.0, 120.0), (-7.0, 80.0), (7.0, 120.0)])
def test_jitter_is_20_percent(jitter: float, expected: float) -> None:
    """Jitter moves a delay by at most a fifth either way, whatever dice are thrown."""
    assert schedule.jittered(100.0, jitter) == pytest.approx(expected)


@pytest.mark.parametrize(("size", "expected"), [(0, 60.0), (60_000_000, 60.0), (500_000_000, 500.0)])
def test_response_deadline_grows_with_the_size(size: int, expected: float) -> None:
    """A response may take 60 s, or a second for each megabyte sent."""
    assert schedule.response_deadline(size, 60.0) == expected


def test_site_rule_counts_within_ten_probes() -> None:
    """The same failures count together within ten probe intervals."""
    assert schedule.site_rule_window(60.0) == 600.0


def test_a_dead_destination_is_knocked_at_within_its_promise() -> None:
    """Knock, C-ECHO and association fit into the 5 s within which the first image moves."""
    assert schedule.knock_delay(5.0) == 4.0
