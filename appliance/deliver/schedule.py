"""When to try again: the one back-off table (semantics.md 1.4) as functions. Pure: the past and the dice are arguments.

Promises: every delay is within the base and cap it was given, plus or minus the jitter; `jitter` is a number from -1 to 1 that the caller
draws.
Failures: none.
Limits: delays are relative; `runtime/clock` turns them into due times that survive a clock jump.
"""

from __future__ import annotations

# semantics.md 1.4: enough to keep many boxes from knocking together, little enough that a person can foretell the next try.
JITTER = 0.2

# semantics.md 1.1: "3 tries spread over an hour" are two waits of half an hour, three times the default soft cap of 10 min; tied to the cap
# so that a test which shortens the settings shortens this too.
SPREAD_IN_SOFT_CAPS = 3.0

# semantics.md 1.4: a response may take a second for each megabyte that the destination has to store.
STORED_BYTES_PER_SECOND = 1_000_000

# semantics.md 1.4 promises the first image within `dead_hello` of the line's return: the knock itself, the C-ECHO and the association have
# to fit in too.
KNOCK_SHARE = 0.8

# The window of the same-failure site rule, in single-probe intervals: ten minutes with the default of one probe a minute. Failures that are
# further apart than this tell of instances, not of a destination that is out of order now.
SITE_RULE_WINDOW_IN_PROBES = 10.0

# 2 ** 62 seconds is for ever; more doublings only make larger integers.
_DOUBLINGS = 62


def jittered(seconds: float, jitter: float) -> float:
    """Return `seconds` moved by at most 20 % either way."""
    return seconds * (1.0 + JITTER * max(-1.0, min(1.0, jitter)))


def doubled(times: int, base_and_cap: tuple[float, float]) -> float:
    """Return the base doubled `times` times, never more than the cap."""
    base, cap = base_and_cap
    return min(cap, base * 2.0 ** max(0, min(times, _DOUBLINGS)))


def next_throttle(previous_s: float, throttled: tuple[float, float]) -> float:
    """Return the back-off that follows `previous_s` (0 before the first): the base, then doubled up to the cap, without jitter."""
    base, cap = throttled
    return min(cap, base if previous_s <= 0 else previous_s * 2.0)


def soft_delay(tries: int, soft: tuple[float, float], jitter: float) -> float:
    """Return the seconds until the next try of an instance that failed softly `tries` times (1 for the first)."""
    return jittered(doubled(tries - 1, soft), jitter)


def spread_delay(soft: tuple[float, float], jitter: float) -> float:
    """Return the seconds between two of the three tries of an instance that the destination does not understand."""
    return jittered(SPREAD_IN_SOFT_CAPS * soft[1], jitter)


def held_delay(held: float, jitter: float) -> float:
    """Return the seconds after which what is held is tried again: daily, not all in the same minute."""
    return jittered(held, jitter)


def knock_delay(dead_hello: float) -> float:
    """Return the seconds from one knock at a dead destination to the next, for as long as it lasts."""
    return KNOCK_SHARE * dead_hello


def response_deadline(size_bytes: int, floor_s: float) -> float:
    """Return how long a response to `size_bytes` may take after the last PDV: a second a megabyte, and `floor_s` in any case."""
    return max(floor_s, size_bytes / STORED_BYTES_PER_SECOND)


def site_rule_window(probe_s: float) -> float:
    """Return the seconds within which the same failures count together, for one probe every `probe_s`."""
    return SITE_RULE_WINDOW_IN_PROBES * probe_s
