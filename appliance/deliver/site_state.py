"""How a destination can be, and what a verdict does to its lanes. Pure.

Promises: the words are those the ledger keeps (`ledger.destinations.DestinationCondition`).
Failures: none.
Limits: what leads from one to the other is in `destination`.
"""

from __future__ import annotations

from enum import StrEnum


class SiteState(StrEnum):
    """How a destination is."""

    ALIVE = "alive"
    THROTTLED = "throttled"
    DEAD = "dead"
    REFUSING = "refusing"
    PAUSED = "paused"


class Lanes(StrEnum):
    """What a verdict does to the number of lanes a destination may have."""

    AS_THEY_ARE = "as they are"
    HALVE = "halve"
    ONE = "one"
