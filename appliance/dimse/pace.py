"""How often one association may ask for what stores nothing: a burst at once, then a steady rate. Pure.

A request that is too early is not refused: whoever asks waits for its answer, and its next requests wait in TCP meanwhile. So a flood
costs a little work a second, and nobody is answered less.

Promises: `delay` never asks to wait longer than one step of the rate for each request that came too early.
Failures: none.
Limits: counts one association; how many a source may have is admission's.
"""

from __future__ import annotations

# A technician's test is one, a scanner's whole rejected study a few hundred; this lets a burst through that no person notices.
BURST = 100
# Fifty answers of a tenth of a millisecond are half a percent of a core (hostile-inputs.md row 57).
PER_SECOND = 50.0


class Pace:
    """The requests of one association."""

    def __init__(self, *, burst: int = BURST, per_second: float = PER_SECOND) -> None:
        """Let `burst` requests pass at once, and `per_second` of them from then on."""
        self._step_s = 1 / per_second
        self._ahead_s = (burst - 1) * self._step_s
        self._due = float("-inf")

    def delay(self, now: float) -> float:
        """Count a request that came at `now` (a monotonic clock, seconds) and return how long its answer has to wait."""
        due = max(self._due, now)
        self._due = due + self._step_s
        return max(0.0, due - self._ahead_s - now)
