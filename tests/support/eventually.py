"""The one way a test waits: look again until it holds, or fail saying for how long it looked.

Promises: returns the first truthy value of the condition; the time allowed is measured on the monotonic clock.
Failures: `AssertionError` with the message and the last value seen when the time is over.
Limits: an exception from the condition is the condition's own and ends the wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

# Short enough that a test does not feel it, long enough to leave the two cores to what is waited for.
_PAUSE_S = 0.02


def eventually(condition: Callable[[], Seen | None], within: float = 5.0, message: str = "") -> Seen:
    """Return the condition's first truthy value, asked again and again for `within` seconds.

    Raises `AssertionError` when it never came.
    """
    deadline = time.monotonic() + within
    while True:
        seen = condition()
        if seen:
            return seen
        if time.monotonic() >= deadline:
            raise AssertionError(f"{message or 'what was waited for'}: not within {within:g} s (last seen: {seen!r})")
        time.sleep(_PAUSE_S)
