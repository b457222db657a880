"""The words in which the ledger speaks of a delivery: its state, why it is held, how urgent it is, and what caused it.

Promises: the values are what the database, the command line and the web store and print; none is ever renamed without a migration.
Failures: none.
Limits: which move from state to state is legal is deliver/states' matter.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class DeliveryState(StrEnum):
    """Where a delivery stands (house.md section 7)."""

    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    PROVED = "proved"
    DEFERRED = "deferred"
    HELD = "held"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_finished(self) -> bool:
        """Say whether nothing is owed any more, so that a later version of the instance may follow."""
        return self in FINISHED


FINISHED = frozenset({DeliveryState.DELIVERED, DeliveryState.PROVED, DeliveryState.CANCELLED, DeliveryState.EXPIRED})
"""The states in which a destination has the instance, or will never be owed it."""

UNFINISHED = frozenset(DeliveryState) - FINISHED
"""The states in which the instance is still owed."""


class HoldClass(StrEnum):
    """Why a delivery is held, which decides what releases it."""

    VERDICT = "verdict"
    """The destination refuses this instance; tried again daily and on change."""
    CONFIGURATION = "configuration"
    """A setting must change; tried again daily and on change."""
    PERSON = "person"
    """A person said so; only a person releases it."""
    REBUILT = "rebuilt"
    """The ledger was rebuilt without knowing whether it was delivered."""


TRIED_AGAIN = frozenset({HoldClass.VERDICT, HoldClass.CONFIGURATION})
"""What is tried again in time and on change; what a person or a rebuild holds never is by itself (house.md section 7)."""


class Priority(IntEnum):
    """How urgent a delivery is; the smaller number goes first."""

    STAT = 0
    ROUTINE = 1
    BULK = 2


class Cause(StrEnum):
    """What made the delivery."""

    ROUTE = "route"
    RESEND = "resend"
    MOVE = "move"
    PROBE = "probe"
