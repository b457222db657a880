"""An answer that is made no more often than it is worth: pages are looked at by many, and not read off to the second.

Promises: what `get` returns was made at most `OLDEST_S` ago, and less where it costs little; however many ask at once, one of them
makes it.
Failures: those of what makes it; nothing is remembered then.
Limits: remembers the last answer only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from appliance.runtime.clock import Clock

Answer = TypeVar("Answer")

OLDEST_S = 2.0
"""How old an answer may be."""
# Whoever asks without pause keeps us busy for a twentieth of the time at most, until the age above is reached.
_TIMES_ITS_COST = 20.0


class Remembered(Generic[Answer]):
    """The latest answer to one question. Threads may share it."""

    def __init__(self, clock: Clock) -> None:
        """Remember nothing yet."""
        self._clock = clock
        self._lock = threading.Lock()
        self._key: Hashable = None
        self._good_until = 0.0
        self._answer: list[Answer] = []

    def get(self, make: Callable[[], Answer], key: Hashable = None) -> Answer:
        """Return the answer, made anew where it is too old or was made for another `key`."""
        with self._lock:
            began = self._clock.now().boottime
            if self._answer and key == self._key and began < self._good_until:
                return self._answer[0]
            self._answer.clear()
            answer = make()
            ended = self._clock.now().boottime
            self._good_until = ended + min(OLDEST_S, _TIMES_ITS_COST * (ended - began))
            self._key = key
            self._answer.append(answer)
            return answer
