"""How far a scanner's clock is off, told from when it says that it acquired what it sends. Pure.

An image cannot arrive before it is made: one that is acquired after it was received comes from a clock that is ahead, by that much at
least.
That a clock is behind looks like images that were made long ago; only where they are always the same time old, in one study after the
other, it is the clock: what people and workstations wait for varies.

Promises: says nothing where the images allow more than one explanation.
Failures: none.
Limits: what is told of a clock that is behind includes the time in which the scanner sends (minutes at most). A clock that is put right is
told so when it has sent for some hours.
"""

from __future__ import annotations

from collections.abc import Sequence

LOOKED_BACK_S = 7 * 86_400.0
"""How old a sign may be."""

# The quarters of an hour, in which something came, that are looked at.
_LATEST = 12
# Times in data sets are often whole seconds, and a scanner's first byte comes as fast.
_AHEAD_S = 5.0
# One object with a mistyped date tells nothing of a clock; three times is no accident.
_SIGNS = 3
# A scanner that sends at once does within this: its clock is right as far as anybody can tell.
_AT_ONCE_S = 60.0
# A delay is taken for a clock that is behind where it is more than this, and in most of at least so many quarters the same to within that.
_BEHIND_S = 600.0
_ALIKE_S = 300.0
_LEAST_ALIKE = 5


def drift_of(lags_s: Sequence[float]) -> float | None:
    """Return how far a clock is ahead of the box's (behind: negative), None where nobody can tell.

    `lags_s` has the least time from acquisition to reception in each quarter of an hour in which something came, the latest first.
    """
    lags = sorted(lags_s[:_LATEST])
    if not lags:
        return None
    sure = lags[min(_SIGNS, len(lags)) - 1]
    if sure < -_AHEAD_S:
        return -sure
    least = next(lag for lag in lags if lag >= -_AHEAD_S)
    if least <= _AT_ONCE_S:
        return 0.0
    alike = [lag for lag in lags if lag <= least + _ALIKE_S]
    is_behind = least > _BEHIND_S and len(alike) >= _LEAST_ALIKE and 2 * len(alike) > len(lags)
    return -least if is_behind else None
