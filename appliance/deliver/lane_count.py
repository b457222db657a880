"""How many lanes a destination is given: one more while each makes it faster, fewer when it does not or when the destination is crowded.

What counts is what all lanes together bring across in a second. While lanes help, that grows with each; where it does not, an answer just
takes longer than with fewer lanes, and where it falls to half at the same number of lanes, answers take twice as long.

Promises: from 1 to the most that is configured. A lane is added as soon as the present ones were all busy for a moment and the newest of
them was worth it; one that was not is given up, and tried again after the back-off. The answer "out of resources" halves the lanes.
Failures: none.
Limits: measured only while exactly the allowed lanes are busy; what it knows lives as long as the sender. Not thread-safe: the owner holds
a lock.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.deliver.schedule import jittered, next_throttle
from appliance.runtime.clock import Due, Instant

# An instance costs a peer about as much as so many bytes more (a response, a file, a row), so that large and small ones can be compared.
FIXED_BYTES = 256 << 10
# Enough to see a lane help: three images a lane and the time of a few round trips.
QUICK_S = 0.3
QUICK_EACH = 3
# Enough to believe that it does not help.
FULL_S = 2.0
FULL_EACH = 8
# The newest of n lanes brings 1 / (n - 1) more at best. A quarter of that is worth an association.
WORTH = 0.25
# A line that gives less for a while is no crowd; half of what the same lanes brought is.
SLOWER = 0.5


class LaneCount:
    """The lanes that one destination may have."""

    def __init__(self, most: int, back_off: tuple[float, float], dice: Callable[[], float]) -> None:
        """Begin with one; `back_off` is the first and the longest wait in seconds, `dice` returns a number from -1 to 1."""
        self._most = most
        self._back_off = back_off
        self._dice = dice
        self._allowed = 1
        self._is_growing = True
        self._wait_s = 0.0
        self._retry: Due | None = None
        # What so many lanes brought a second; only of those that were measured under conditions like the present ones.
        self._rates: dict[int, float] = {}
        self._since: float | None = None
        self._count = self._work = 0

    def lanes(self, now: Instant) -> int:
        """Return how many lanes there may be now."""
        if self._retry is not None and self._retry.is_due(now):
            self._retry = None
            self._is_growing = True
            self._allowed = min(self._most, self._allowed + 1)
            self.interrupted()
        return self._allowed

    def interrupted(self) -> None:
        """Note that a lane has nothing to do, or that something else makes the present measurement say nothing."""
        self._since = None

    def delivered(self, now: Instant, busy: int, size_bytes: int) -> None:
        """Note that one of the `busy` lanes has delivered an instance."""
        if busy != self._allowed or self._since is None:
            self._since = now.boottime if busy == self._allowed else None
            self._count = self._work = 0
            return
        self._count += 1
        self._work += size_bytes + FIXED_BYTES
        took_s = now.boottime - self._since
        if took_s < QUICK_S or self._count < QUICK_EACH * busy:
            return
        self._judge(self._work / took_s, now, is_full=took_s >= FULL_S and self._count >= FULL_EACH * busy)

    def congested(self, now: Instant) -> None:
        """Note that the destination said that it is given too much."""
        self._rates.clear()
        self._fall_back(self._allowed // 2, now)

    def _judge(self, rate: float, now: Instant, *, is_full: bool) -> None:
        before = self._rates.get(self._allowed, rate)
        if self._is_growing and self._is_worth_it(rate):
            self._grow(rate)
        elif is_full and self._is_growing:
            self._fall_back(self._allowed - 1, now)
        elif is_full and self._allowed > 1 and rate < SLOWER * before:
            self._rates.clear()
            self._fall_back(self._allowed - 1, now)
        elif is_full:
            self._rates[self._allowed] = max(rate, (before + rate) / 2)
            self.interrupted()

    def _is_worth_it(self, rate: float) -> bool:
        fewer = self._allowed - 1
        return fewer == 0 or rate >= self._rates.get(fewer, 0.0) * (1.0 + WORTH / fewer)

    def _grow(self, rate: float) -> None:
        self._rates[self._allowed] = rate
        self._is_growing = self._allowed < self._most
        if self._allowed > 1:
            self._wait_s = 0.0
        self._allowed = min(self._most, self._allowed + 1)
        self.interrupted()

    def _fall_back(self, lanes: int, now: Instant) -> None:
        self._allowed = max(1, lanes)
        self._is_growing = False
        self._wait_s = next_throttle(self._wait_s, self._back_off)
        self._retry = now.after(jittered(self._wait_s, self._dice()))
        self.interrupted()
