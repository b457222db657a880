"""The only source of time. A due time survives clock jumps because it is kept on two clocks.

Promises: `Clock.now` never blocks; `Due.is_due` is true at once when the machine was restarted since the due time was made, and otherwise
follows CLOCK_BOOTTIME, which no administrator or time server can move.
Failures: none.
Limits: CLOCK_BOOTTIME counts suspended time too, as a due time should.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment on both clocks: `wall` in seconds since the epoch (UTC), `boottime` in seconds since boot `boot_id`."""

    wall: float
    boottime: float
    boot_id: str

    def after(self, seconds: float) -> Due:
        """Return the due time `seconds` from this moment."""
        return Due(self.wall + seconds, self.boottime + seconds, self.boot_id)


@dataclass(frozen=True, slots=True)
class Due:
    """When something may happen, on both clocks."""

    wall: float
    boottime: float
    boot_id: str

    def is_due(self, now: Instant) -> bool:
        """Say whether the moment has come; another boot means it has."""
        return self.boot_id != now.boot_id or self.boottime <= now.boottime

    def remaining_s(self, now: Instant) -> float:
        """Return the seconds still to wait, 0 when due."""
        return 0.0 if self.is_due(now) else self.boottime - now.boottime


class Clock(Protocol):
    """What tells the time and lets it pass; tests inject their own."""

    def now(self) -> Instant:
        """Return the present moment on both clocks."""

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        """Read the boot id once; it cannot change while this process lives."""
        self._boot_id = _BOOT_ID.read_text(encoding="ascii").strip()

    def now(self) -> Instant:
        """Return the present moment."""
        return Instant(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), self._boot_id)

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)
