"""Deliveries that drew an answer about the whole destination, A700 say, and may be the only ones that ever will. Pure.

Promises: what drew such an answer, and draws it again although something else was delivered in between, is told from a destination in
trouble; the last few are remembered, so that the next probe takes something else. Memory is bounded.
Failures: none.
Limits: knows its own run of the sender only.
"""

from __future__ import annotations

from collections import OrderedDict

# More than a destination in trouble is probed with in an hour of doubled waits.
_MOST = 16


class Suspects:
    """The suspects of one destination. Not thread-safe."""

    def __init__(self) -> None:
        """Suspect nothing."""
        # How often each was told apart from the destination, the oldest suspect first.
        self._times: OrderedDict[int, int] = OrderedDict()
        self._since_delivered: set[int] = set()

    @property
    def deliveries(self) -> frozenset[int]:
        """What is better not taken as the next probe."""
        return frozenset(self._times)

    @property
    def is_single(self) -> bool:
        """Whether all that speaks against the destination since it last took something is one delivery."""
        return len(self._since_delivered) == 1

    def offended(self, delivery_id: int) -> int:
        """Take note of such an answer; return how often it was this delivery's own trouble by now, 0 when it may be the destination's."""
        is_its_own = delivery_id in self._times and delivery_id not in self._since_delivered
        self._since_delivered.add(delivery_id)
        self._times[delivery_id] = self._times.get(delivery_id, 0) + is_its_own
        self._times.move_to_end(delivery_id)
        while len(self._times) > _MOST:
            self._since_delivered.discard(self._times.popitem(last=False)[0])
        return self._times[delivery_id] if is_its_own else 0

    def delivered(self, delivery_id: int) -> None:
        """Take note that the destination took something."""
        self._times.pop(delivery_id, None)
        self._since_delivered.clear()
