"""The keeper's round: a snapshot of the ledger, and what keeps the ledger from growing for ever.

Promises: each part of a round is done whether or not another failed; each transaction is short. Doing a round again does no harm.
Failures: `round` raises the first error of its parts after all were tried.
Limits: eviction and scrubbing are not part of it yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from appliance.core.errors import ApplianceError
from appliance.ledger.database import Ledger
from appliance.ledger.retention import Retention
from appliance.retain.snapshot import Snapshots
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

Result = TypeVar("Result")

_DAY_S = 86_400.0
# house.md section 6: attempts are of interest while somebody may ask why; the count stays.
ATTEMPTS_KEPT_S = 30 * _DAY_S
# house.md section 6: longer than a year, so that a scanner's late commitment request finds the proof.
TOMBSTONES_KEPT_S = 400 * _DAY_S

# house.md section 6: at most 50 rows or 20 ms a transaction. An attempt is one small row, a tombstone is several.
_ATTEMPTS_AT_ONCE = 200
_TOMBSTONES_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did: the name of the snapshot, attempts folded into their counts, tombstones forgotten."""

    snapshot: str
    folded: int
    pruned: int


class Keeper:
    """Keeps one ledger."""

    def __init__(self, ledger: Ledger, snapshots: Snapshots, clock: Clock) -> None:
        """Take what a round needs."""
        self._ledger = ledger
        self._snapshots = snapshots
        self._clock = clock

    def round(self) -> Round:
        """Do everything once."""
        failed: list[ApplianceError] = []
        snapshot = _tried(lambda: self._snapshots.take(self._ledger).name, "", failed)
        folded = _tried(self._fold, 0, failed)
        pruned = _tried(self._prune, 0, failed)
        log.info("keeper.round", snapshot=snapshot, folded=folded, pruned=pruned, failed=len(failed))
        if failed:
            raise failed[0]
        return Round(snapshot, folded, pruned)

    def _fold(self) -> int:
        before = self._clock.now().wall - ATTEMPTS_KEPT_S
        folded, after = 0, 0
        while True:
            with self._ledger.write():
                walk = Retention(self._ledger).fold_attempts(before, after=after, limit=_ATTEMPTS_AT_ONCE)
            folded += walk.dropped
            if walk.after is None:
                return folded
            after = walk.after

    def _prune(self) -> int:
        before = self._clock.now().wall - TOMBSTONES_KEPT_S
        pruned = 0
        while True:
            with self._ledger.write():
                count = Retention(self._ledger).prune_tombstones(before, limit=_TOMBSTONES_AT_ONCE)
            pruned += count
            if count < _TOMBSTONES_AT_ONCE:
                return pruned


def _tried(part: Callable[[], Result], otherwise: Result, failed: list[ApplianceError]) -> Result:
    try:
        return part()
    except ApplianceError as error:
        log.error("keeper.failed", error=type(error).__name__)  # noqa: TRY400 (the first is raised at the end)
        failed.append(error)
        return otherwise
