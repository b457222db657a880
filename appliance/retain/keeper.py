"""The keeper's round: a snapshot of the ledger, and what keeps ledger and spool from growing for ever.

Promises: each part of a round is done whether or not another failed; each transaction is short. Doing a round again does no harm. A repeat
is removed only when the snapshot just taken knows that its instance is owed nowhere any more: the object first, then its row.
Failures: `round` raises the first error of its parts after all were tried. A repeat that the disk does not let go waits for the next round.
Limits: eviction and scrubbing are not part of it yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from appliance.core.errors import ApplianceError
from appliance.ledger.database import Ledger
from appliance.ledger.repeats import Repeat, Repeats
from appliance.ledger.retention import Retention
from appliance.ledger.study_events import StudyEvents
from appliance.ledger.traffic import Traffic
from appliance.retain.snapshot import Snapshots
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool

log = get_logger(__name__)

Result = TypeVar("Result")

_DAY_S = 86_400.0
# house.md section 6: attempts are of interest while somebody may ask why; the count stays.
ATTEMPTS_KEPT_S = 30 * _DAY_S
# house.md section 6: longer than a year, so that a scanner's late commitment request finds the proof.
TOMBSTONES_KEPT_S = 400 * _DAY_S

# What is shown by the minute: the last hour, and the last ten minutes. What is shown by the month: two years and the one that is now.
TRAFFIC_WHOLE_S = 2 * 3600.0
TRAFFIC_KEPT_S = 800 * _DAY_S

# house.md section 6: at most 50 rows or 20 ms a transaction. An attempt is one small row, a tombstone is several.
_ATTEMPTS_AT_ONCE = 200
_TOMBSTONES_AT_ONCE = 10
_REPEATS_AT_ONCE = 50
_EVENTS_AT_ONCE = 50
# Ten seconds of a small disk, and more than scanners send again in the quarter of an hour between two rounds.
_REPEATS_A_ROUND = 2_000


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did: the name of the snapshot, repeats removed, attempts folded into their counts, tombstones forgotten."""

    snapshot: str
    repeats: int
    folded: int
    pruned: int


class Keeper:
    """Keeps one ledger, and what it remembers of one spool."""

    def __init__(self, ledger: Ledger, snapshots: Snapshots, spool: Spool, clock: Clock) -> None:
        """Take what a round needs; `spool` needs no keys."""
        self._ledger = ledger
        self._snapshots = snapshots
        self._spool = spool
        self._clock = clock

    def round(self) -> Round:
        """Do everything once."""
        failed: list[ApplianceError] = []
        # Asked before, so that the snapshot knows of each of them that it is finished, whatever the clock says.
        finished: Sequence[Repeat] = _tried(self._finished_repeats, (), failed)
        snapshot = _tried(lambda: self._snapshots.take(self._ledger).name, "", failed)
        repeats = _tried(lambda: self._remove_repeats(finished), 0, failed) if snapshot else 0
        folded = _tried(self._fold, 0, failed)
        _tried(self._sum_up_traffic, None, failed)
        pruned = _tried(self._prune, 0, failed)
        log.info("keeper.round", snapshot=snapshot, repeats=repeats, folded=folded, pruned=pruned, failed=len(failed))
        if failed:
            raise failed[0]
        return Round(snapshot, repeats, folded, pruned)

    def _finished_repeats(self) -> Sequence[Repeat]:
        with self._ledger.read():
            return Repeats(self._ledger).finished(limit=_REPEATS_A_ROUND)

    def _remove_repeats(self, finished: Sequence[Repeat]) -> int:
        removed = 0
        for start in range(0, len(finished), _REPEATS_AT_ONCE):
            gone = [repeat.object_id for repeat in finished[start : start + _REPEATS_AT_ONCE] if self._is_removed(repeat)]
            with self._ledger.write():
                removed += Repeats(self._ledger).forget(gone)
        return removed

    def _is_removed(self, repeat: Repeat) -> bool:
        name = SpoolName.parse(repeat.spool_name)
        try:
            if name is not None:
                self._spool.remove(name)
        except OSError as error:
            log.error("repeat.not_removed", object_id=repeat.object_id, number=error.errno)  # noqa: TRY400 (where says nothing)
            return False
        return True

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

    def _sum_up_traffic(self) -> None:
        now, traffic = self._clock.now().wall, Traffic(self._ledger)
        with self._ledger.write():
            traffic.fold(now - TRAFFIC_WHOLE_S)
            traffic.prune(now - TRAFFIC_KEPT_S)

    def _prune(self) -> int:
        before = self._clock.now().wall - TOMBSTONES_KEPT_S
        self._prune_events(before)
        pruned = 0
        while True:
            with self._ledger.write():
                count = Retention(self._ledger).prune_tombstones(before, limit=_TOMBSTONES_AT_ONCE)
            pruned += count
            if count < _TOMBSTONES_AT_ONCE:
                return pruned

    def _prune_events(self, before: float) -> None:
        while True:
            with self._ledger.write():
                if StudyEvents(self._ledger).prune(before, limit=_EVENTS_AT_ONCE) < _EVENTS_AT_ONCE:
                    return


def _tried(part: Callable[[], Result], otherwise: Result, failed: list[ApplianceError]) -> Result:
    try:
        return part()
    except ApplianceError as error:
        log.error("keeper.failed", error=type(error).__name__)  # noqa: TRY400 (the first is raised at the end)
        failed.append(error)
        return otherwise
