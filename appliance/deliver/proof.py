"""What an archive's word about an instance means for its delivery (semantics.md 2.1, as a table). Pure.

Promises: every failure reason there is has a meaning, and one that nobody knows is asked again. An instance is sent again only after the
archive said three times that it does not have it, and at most twice; after that it is held. However much an archive says it has lost, it is
sent no more than a sample of it until it proves something (`Resends`). Nothing is given up, nothing is decided on silence.
Failures: none.
Limits: says what to do and how long to wait, not when it was last done; `proof_book` keeps the history.
Standard: PS3.3 C.14.1.1 (Failure Reason).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

MOST_RESENDS = 2
"""How often what an archive lost is sent again before a person has to look (semantics.md 2.1)."""

SAMPLE = 5
"""How many lost images are sent again at one time to an archive that proves nothing: enough to see whether it keeps them."""
MOST_AT_ONCE = 50
"""How many to an archive that proves others: it keeps what it is sent, so that it is worth it."""


class Meaning(Enum):
    """What an archive said about one instance."""

    THERE = "it has it"
    MISSING = "it does not have it"
    BUSY = "it cannot say now"
    CONFLICT = "it has another object under this UID"
    CANNOT = "it commits itself to no object of this class"


FAILURE_REASONS: Mapping[int, Meaning] = MappingProxyType(
    {
        0x0110: Meaning.BUSY,
        0x0112: Meaning.MISSING,
        0x0119: Meaning.CONFLICT,
        0x0122: Meaning.CANNOT,
        # Every request has a new Transaction UID, so that asking again is the answer to "duplicate" too.
        0x0131: Meaning.BUSY,
        0x0213: Meaning.BUSY,
    }
)
"""PS3.3 C.14.1.1, by code."""


def meaning_of(reason: int | None) -> Meaning:
    """Return what a failure reason means; None is no failure."""
    return Meaning.THERE if reason is None else FAILURE_REASONS.get(reason, Meaning.BUSY)


@dataclass(frozen=True, slots=True)
class History:
    """What was said of a delivery before.

    `misses`: how often in a row the archive did not have it since it was last sent; `failures`: how often in a row it could not say;
    `losses`: how often it was sent again, or held, because the archive lost it.
    """

    misses: int = 0
    failures: int = 0
    losses: int = 0


@dataclass(frozen=True, slots=True)
class ProofWaits:
    """Seconds: after a study's last delivery; after the first and the second 0112; first and longest back-off; until silence is broken."""

    after: float
    again: tuple[float, float]
    back_off: tuple[float, float]
    silence: float


@dataclass(frozen=True, slots=True)
class Prove:
    """It is there: proved."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Ask again in `wait_s`."""

    wait_s: float
    history: History


@dataclass(frozen=True, slots=True)
class SendAgain:
    """The archive lost it: the same delivery is queued again."""

    history: History


@dataclass(frozen=True, slots=True)
class Hold:
    """Somebody must look."""

    reason: str
    history: History


@dataclass(frozen=True, slots=True)
class FallBack:
    """It can never be proved there: it counts as settled when it is delivered, and says why."""

    reason: str


Step: TypeAlias = Prove | AskAgain | SendAgain | Hold | FallBack


def next_step(meaning: Meaning, history: History, waits: ProofWaits) -> Step:
    """Return what follows from what the archive said."""
    match meaning:
        case Meaning.THERE:
            return Prove()
        case Meaning.BUSY:
            failures = history.failures + 1
            return AskAgain(back_off(failures, waits.back_off), replace(history, failures=failures))
        case Meaning.CANNOT:
            return FallBack("the archive commits itself to no object of this class (0122): delivered, and not proved")
        case Meaning.CONFLICT:
            return Hold("the archive has another object under this UID (0119)", replace(history, losses=history.losses + 1))
        case Meaning.MISSING:
            return _missed(History(history.misses + 1, 0, history.losses), waits)


def _missed(history: History, waits: ProofWaits) -> Step:
    if history.misses <= len(waits.again):
        # It may be in the archive's inbox still.
        return AskAgain(waits.again[history.misses - 1], history)
    history = History(losses=history.losses + 1)
    if history.losses > MOST_RESENDS:
        return Hold(f"the archive loses images: it took this one {MOST_RESENDS + 1} times and does not have it (0112)", history)
    return SendAgain(history)


@dataclass(slots=True)
class Resends:
    """How much of what a destination lost may be under way to it again.

    One that proves nothing is sent a sample, and what was held after its last try counts for as long as that stays so: an archive that
    answers success and keeps nothing is sent the same few images again, and no others. Each image of the sample that is proved makes room
    for one more. Knows its own run of the sender; begins with distrust.
    """

    proves: bool = False
    kept: int = 0

    def proved(self, losses: int) -> None:
        """Take note that something was proved that had been lost so often."""
        self.proves = True
        self.kept += losses > 0

    def held(self) -> None:
        """Take note that something was lost once too often."""
        self.proves, self.kept = False, 0

    def allow(self, under_way: int, held: int) -> bool:
        """Say whether one more may go when so many were sent again without being proved yet, and so many are held for being lost."""
        if self.proves:
            return under_way < MOST_AT_ONCE + self.kept
        return under_way + held < SAMPLE + self.kept


def withheld(history: History, waits: ProofWaits) -> AskAgain:
    """Return what follows for an instance that was lost and may not be sent again yet: it is asked again as seldom as a lost one is."""
    return AskAgain(waits.again[-1], History(history.misses + 1, 0, history.losses))


def back_off(failures: int, bounds: tuple[float, float]) -> float:
    """Return how long to wait after so many failures in a row: the first bound, doubled up to the second."""
    first, longest = bounds
    # Beyond twenty doublings everything is longer than the longest.
    return min(longest, first * 2.0 ** min(failures - 1, 20))
