"""What can be wrong with a line: the toxics of the fault proxy, as values, and the arithmetic of those that ration. Pure.

Promises: `piece_size` never returns more than every toxic at work allows.
Failures: none.
Limits: a toxic that needs a number it was not given (a rate, a size) does not work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.support.unit_stream import Stage

# How finely a narrow line is metered.
_TACT_S = 0.05


class Kind(StrEnum):
    """What a toxic does; the names are those of toxiproxy."""

    LATENCY = "latency"
    """Every piece, at most 64 KiB, waits `seconds`."""
    BANDWIDTH = "bandwidth"
    """At most `bytes_per_s`."""
    SLOW_CLOSE = "slow_close"
    """A close is passed on `seconds` late."""
    TIMEOUT = "timeout"
    """A black hole: everything is swallowed; after `seconds`, if given, the connection is closed."""
    RESET_PEER = "reset_peer"
    """RST to both sides; what the target has not read by then is destroyed by it."""
    SLICER = "slicer"
    """Pieces of `size` bytes, `seconds` apart."""
    LIMIT_DATA = "limit_data"
    """After `size` more bytes the connection is closed."""
    DOWN = "down"
    """Nobody listens any more and every connection is closed, for `seconds`, if given, else until `clear` or `up`."""


class Direction(StrEnum):
    """Which way the spoilt bytes flow."""

    UP = "to the target"
    DOWN = "from the target"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Toxic:
    """One fault. `times` is how many connections it strikes before it wears off; None is no limit."""

    kind: Kind
    stage: Stage = Stage.CONNECT
    direction: Direction = Direction.BOTH
    seconds: float = 0.0
    bytes_per_s: int = 0
    size: int = 0
    times: int | None = None


@dataclass(eq=False, slots=True)
class Active:
    """A toxic at work on one connection; `left` is what it still lets pass."""

    toxic: Toxic
    left: int


def piece_size(toxics: Sequence[Active], size: int) -> int:
    """Return how many of `size` bytes go next, 0 where the limit is reached; what passes is counted."""
    limits = [active for active in toxics if active.toxic.kind is Kind.LIMIT_DATA]
    for active in toxics:
        if active.toxic.kind is Kind.SLICER:
            size = min(size, active.toxic.size)
        elif active.toxic.kind is Kind.BANDWIDTH:
            size = min(size, max(1, int(active.toxic.bytes_per_s * _TACT_S)))
    size = min([size, *(active.left for active in limits)])
    for active in limits:
        active.left -= size
    return size


def wait_after(toxics: Sequence[Active], size: int) -> float:
    """Return how long nothing follows behind `size` bytes."""
    wait = 0.0
    for active in toxics:
        if active.toxic.kind is Kind.SLICER:
            wait += active.toxic.seconds
        elif active.toxic.kind is Kind.BANDWIDTH:
            wait += size / active.toxic.bytes_per_s
    return wait
