"""How many boxes an object has passed, told from box to box in the ids of our C-STORE messages. Pure.

An association carries objects of many origins, so that nothing of the association can say it; the data set is not ours to change; a
message's id is ours to choose, and means nothing but to its answer (PS3.7 9.1.1.1.1). The upper four bits of a C-STORE's id count the boxes
that its object passed before it left the sender, who is known for one of ours by the implementation class UID of its request.

Promises: `hops_of(ids.next(hops)) == hops` up to `MOST`, and `MOST` above; 4095 ids in a row differ, whatever the hops.
Failures: none.
Limits: a router of another make between two boxes forgets the count.
"""

from __future__ import annotations

MOST = 15
"""The highest count there is room for."""

_COUNT_BITS = 12
# PS3.7 E.1: message ids are 16 bits; 0 is left out because some peers take it for "none".
_COUNTS = (1 << _COUNT_BITS) - 1


class MessageIds:
    """The message ids of one association of ours."""

    def __init__(self) -> None:
        """Begin at 1."""
        self._last = 0

    def next(self, hops: int = 0) -> int:
        """Return the next id, that of a C-STORE whose object has passed `hops` boxes, this one included."""
        self._last = self._last % _COUNTS + 1
        return min(hops, MOST) << _COUNT_BITS | self._last


def hops_of(message_id: int) -> int:
    """Return how many boxes the object of a C-STORE of ours has passed."""
    return message_id >> _COUNT_BITS & MOST
