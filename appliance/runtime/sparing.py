"""Lines that peers can cause as often as they like: the first few a minute of each kind and peer are written, the rest are counted.

Promises: what a technician meets in daily work is told in full; a flood costs a few lines a minute for each address that takes part, and
the next line says how many were left out. Memory is bounded, however many addresses take part. Thread-safe.
Failures: none.
Limits: what was left out at the end of a flood is told with the next line of its kind and peer, if one ever comes.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_S = 60.0
# A scanner that is refused tries again every few seconds: all of that is told.
_LINES_A_WINDOW = 20
# Addresses and kinds that are remembered; the one that was heard of longest ago makes room.
_REMEMBERED = 2048


@dataclass(slots=True)
class _Account:
    began_at: float
    written: int = 0
    left_out: int = 0


class Sparing:
    """Decides which lines are written."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Count from now on; `now` is in seconds."""
        self._now = now
        self._lock = threading.Lock()
        self._accounts: OrderedDict[tuple[str, str], _Account] = OrderedDict()

    def fields(self, event: str, peer: str) -> dict[str, int] | None:
        """Return the fields to add to a line of this kind about this peer, or None when the line is to be left out."""
        now = self._now()
        with self._lock:
            account = self._accounts.setdefault((event, peer), _Account(now))
            self._accounts.move_to_end((event, peer))
            if len(self._accounts) > _REMEMBERED:
                self._accounts.popitem(last=False)
            if now - account.began_at >= _WINDOW_S:
                account.began_at, account.written = now, 0
            if account.written >= _LINES_A_WINDOW:
                account.left_out += 1
                return None
            account.written += 1
            left_out, account.left_out = account.left_out, 0
            return {"left_out": left_out} if left_out else {}
