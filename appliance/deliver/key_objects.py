"""Key object documents go after what they speak of: a rejection note that comes before the image it rejects rejects nothing. Pure.

Every key object document waits for what was owed of its study before it, whatever its title (113001, 113037-113039 and others reject, the
rest point out): an archive that gets the images first can resolve any of them, and no document has to be opened to tell which it is.

Promises: it waits for as long as something of its study that was never tried moves by itself, and a bounded time for what failed before,
is deferred, held, or behind an earlier version.
Failures: none.
Limits: what it speaks of in other studies is not waited for. Of a trouble of the destination, in which nothing is looked at, no more than
the longest soft back-off is counted; a restart begins anew. Used by one thread.
Standard: PS3.3 C.17.6 and A.35.4, IHE RAD TF-2 4.66 (IOCM).
"""

from __future__ import annotations

from collections import OrderedDict

from appliance.core.identity import Uid
from appliance.deliver.schedule import SPREAD_IN_SOFT_CAPS
from appliance.ledger.claims import Claim, EarlierOfStudy
from appliance.runtime.clock import Instant

KEY_OBJECT_DOCUMENT = Uid("1.2.840.10008.5.1.4.1.1.88.59")

# How many documents are remembered at once: more than wait anywhere; one that is forgotten waits anew.
_MOST = 1000


def bound_s(soft: tuple[float, float]) -> float:
    """Return how long something stuck is waited for: as long as what is not understood takes to be held after its third try (an hour).

    Whatever is stuck longer waits for a person or for tomorrow, and nobody knows whether it ever goes.
    """
    return 2 * SPREAD_IN_SOFT_CAPS * soft[1]


class KeyObjects:
    """The key object documents that wait at one destination."""

    def __init__(self, soft: tuple[float, float]) -> None:
        """Wait for what is stuck for the bound that follows from the soft back-off."""
        self._bound_s = bound_s(soft)
        self._longest_gap_s = soft[1]
        # By delivery: how long it has waited for what is stuck, as of the last look.
        self._waiting: OrderedDict[int, tuple[float, Instant]] = OrderedDict()

    def must_wait(self, claim: Claim, earlier: EarlierOfStudy, now: Instant) -> bool:
        """Say whether a claimed delivery must let what was owed earlier go first."""
        number = claim.delivery_id
        waited_s, looked = self._waiting.pop(number, (0.0, now))
        if claim.sop_class_uid != KEY_OBJECT_DOCUMENT or not (earlier.moving or earlier.stuck):
            return False
        if earlier.moving:
            return True
        # Time in which nobody looks is a trouble's, in which nothing could move: an outage of days must not use the bound up.
        waited_s += min(now.boottime - looked.boottime, self._longest_gap_s)
        if waited_s >= self._bound_s:
            return False
        self._waiting[number] = (waited_s, now)
        if len(self._waiting) > _MOST:
            self._waiting.popitem(last=False)
        return True
