"""A clock that tests move by hand, on both of its faces.

Promises: time stands still but for `advance`, `sleep`, `reboot` and `jump_wall`; safe to use from several threads.
Failures: none.
Limits: `sleep` returns at once, having moved the clock for everybody.
"""

from __future__ import annotations

import threading
from dataclasses import replace

from appliance.runtime.clock import Instant

# 2024-02-29, noon UTC: a day that exists only sometimes.
_NOON = 1_709_208_000.0


class FakeClock:
    """Tells the time it was told (a `runtime.clock.Clock`)."""

    def __init__(self, wall: float = _NOON, boottime: float = 1000.0) -> None:
        """Begin at this moment of the first boot."""
        self._lock = threading.Lock()
        self._boots = 1
        self._now = Instant(wall, boottime, "boot-1")

    def now(self) -> Instant:
        """Return the moment."""
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        """Move on by `seconds` instead of waiting."""
        self.advance(seconds)

    def advance(self, seconds: float) -> Instant:
        """Let `seconds` pass on both faces; return the new moment."""
        with self._lock:
            self._now = replace(self._now, wall=self._now.wall + seconds, boottime=self._now.boottime + seconds)
            return self._now

    def reboot(self, seconds: float = 30.0) -> Instant:
        """Restart the machine, which takes `seconds`: another boot id, and CLOCK_BOOTTIME near zero. Return the new moment."""
        with self._lock:
            self._boots += 1
            self._now = Instant(self._now.wall + seconds, 1.0, f"boot-{self._boots}")
            return self._now

    def jump_wall(self, seconds: float) -> Instant:
        """Set the wall clock on (or back) by `seconds`, which CLOCK_BOOTTIME does not notice; return the new moment."""
        with self._lock:
            self._now = replace(self._now, wall=self._now.wall + seconds)
            return self._now
