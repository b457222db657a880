"""Which held deliveries are tried once more, because what they were held for has changed (house.md section 7). Pure.

Promises: a delivered instance (or the doctor) sets others free only if its SOP class (in its transfer syntax, where only that was refused)
was refused before, and then once a refusal; what was held on the way to a pause is set free once, when the pause is over. Ordinary
successes set nothing free. Memory is bounded.
Failures: none.
Limits: of the time before this run of the sender it knows the refusals that the ledger keeps as learned.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.core.identity import Uid
from appliance.deliver.transport import Context
from appliance.deliver.verdict import Verdict
from appliance.dimse.learned import Learned
from appliance.ledger.vocabulary import HoldClass

# All storage classes of the standard times the syntaxes in use are a few thousand; no destination refuses a tenth of that.
_MOST_REFUSALS = 1000
_MOST_PARDONED = 1000


@dataclass(frozen=True, slots=True)
class Release:
    """Which held deliveries of a destination to release: of a SOP class (None: of any), of hold classes, of instances (None: of any)."""

    classes: frozenset[HoldClass]
    sop_class: Uid | None = None
    instances: frozenset[int] | None = None


EVERYTHING_REFUSED = Release(frozenset({HoldClass.VERDICT, HoldClass.CONFIGURATION}))
"""What new settings of a destination set free: all but what a person holds, and what nobody knows about."""


class SecondChances:
    """The second chances of one destination. Not thread-safe."""

    def __init__(self, learned: Learned | None = None) -> None:
        """Know the refusals of earlier runs."""
        known = learned or Learned()
        # A SOP class with None: refused in whatever transfer syntax.
        self._refused: OrderedDict[tuple[Uid, Uid | None], None] = OrderedDict()
        self._refused.update(dict.fromkeys((sop_class, None) for sop_class in sorted(known.refused_classes)))
        self._refused.update(dict.fromkeys(sorted(known.refused)))
        self._pardoned: OrderedDict[int, None] = OrderedDict()

    def refused(self, context: Context, verdict: Verdict) -> None:
        """Take note of an outcome; it counts if it says that a setting must change before `context` is accepted."""
        if verdict.hold is HoldClass.CONFIGURATION and not verdict.is_ours:
            sop_class, syntax = context
            self._refused[sop_class, None if verdict.refuses_class else syntax] = None
            _forget_oldest(self._refused, _MOST_REFUSALS)

    def accepted(self, context: Context) -> Release | None:
        """Return what is set free when an instance of `context` was delivered, or the doctor found the context accepted."""
        sop_class, syntax = context
        keys = [key for key in ((sop_class, None), (sop_class, syntax)) if key in self._refused]
        for key in keys:
            del self._refused[key]
        return Release(frozenset({HoldClass.CONFIGURATION}), sop_class) if keys else None

    def pause_ended(self, accused: Iterable[int]) -> Release | None:
        """Return what the end of a pause sets free; `accused` are the instances whose failures led to it."""
        innocent = frozenset(accused) - self._pardoned.keys()
        if not innocent:
            return None
        self._pardoned.update(dict.fromkeys(innocent))
        _forget_oldest(self._pardoned, _MOST_PARDONED)
        return Release(frozenset({HoldClass.VERDICT}), instances=innocent)


def _forget_oldest(known: OrderedDict[tuple[Uid, Uid | None], None] | OrderedDict[int, None], most: int) -> None:
    while len(known) > most:
        known.popitem(last=False)
