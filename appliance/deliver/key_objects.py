"""Key object documents go after what they speak of: a rejection note that comes before the image it rejects rejects nothing. Pure.

Every key object document waits for what was owed of its study before it, whatever its title (113001, 113037-113039 and others reject, the
rest point out): an archive that gets the images first can resolve any of them, and no document has to be opened to tell which it is.

Promises: it waits for as long as something of its study that was never tried moves by itself, and a bounded time for what failed before,
is deferred, held, or behind an earlier version.
Failures: none.
Limits: what it speaks of in other studies is not waited for. The bound is counted anew after a trouble of the destination and after a
restart. Used by one thread.
Standard: PS3.3 C.17.6 and A.35.4, IHE RAD TF-2 4.66 (IOCM).
"""

from __future__ import annotations

from collections import OrderedDict

from appliance.core.identity import Uid
from appliance.deliver.schedule import SPREAD_IN_SOFT_CAPS
from appliance.ledger.claims import Claim, EarlierOfStudy
from appliance.runtime.clock import Due, Instant

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
        self._waiting: OrderedDict[int, tuple[int, Due]] = OrderedDict()

    def must_wait(self, claim: Claim, earlier: EarlierOfStudy, now: Instant, epoch: int) -> bool:
        """Say whether a claimed delivery must let what was owed earlier go first; `epoch` changes with the destination's condition."""
        number = claim.delivery_id
        if claim.sop_class_uid != KEY_OBJECT_DOCUMENT or not (earlier.moving or earlier.stuck):
            self._waiting.pop(number, None)
            return False
        began, due = self._waiting.get(number, (epoch, now.after(self._bound_s)))
        if earlier.moving or began != epoch:
            began, due = epoch, now.after(self._bound_s)
        if due.is_due(now):
            del self._waiting[number]
            return False
        self._waiting[number] = (began, due)
        if len(self._waiting) > _MOST:
            self._waiting.popitem(last=False)
        return True
