"""When studies are complete: how long each is still waited for, and what waits with it.

A study is complete when nothing of it has come for its quiet time, and is open again when something does. What a route wants only of
complete studies is owed at once, as deferred without a due time, so that it is seen, kept and cancelled like everything that is owed.

Promises: methods never open a transaction; `complete` lets everything go that waited for the study, or says that there is more. A study
that is not in this table is complete: it was recorded before there was one.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: how long a study is waited for is the caller's to say (`route.completion`).
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.ledger.database import Ledger
from appliance.ledger.moments import columns
from appliance.runtime.clock import Due, Instant

AWAITS_STUDY = "its study is not complete yet"
"""Why a delivery is deferred that has no due time."""

# So that no other writer waits long (house.md section 6 says 20 ms).
_AT_ONCE = 500

_COLUMNS = "SELECT s.id, s.study_instance_uid, s.modalities, c.study_id IS NOT NULL, c.study_id IS NULL OR c.completed_at IS NOT NULL"
_OF_STUDY = f"{_COLUMNS} FROM study s LEFT JOIN completion c ON c.study_id = s.id WHERE s.study_instance_uid = ?"
_WAITED_FOR = f"{_COLUMNS} FROM completion c CROSS JOIN study s ON s.id = c.study_id WHERE"
# Ranges of the index, also for other boots: "is not" would be a walk over all of it.
_DUE = f"{_WAITED_FOR} c.due_boot_id = ? AND c.due_boottime <= ? ORDER BY c.due_boottime LIMIT ?"
_BEFORE_BOOT = f"{_WAITED_FOR} c.due_boot_id < ? LIMIT ?"
_AFTER_BOOT = f"{_WAITED_FOR} c.due_boot_id > ? LIMIT ?"

_WAIT = """
    INSERT INTO completion (study_id, due_wall, due_boottime, due_boot_id, round) VALUES (?, ?, ?, ?, 0)
    ON CONFLICT (study_id) DO UPDATE SET due_wall = excluded.due_wall, due_boottime = excluded.due_boottime,
        due_boot_id = excluded.due_boot_id, completed_at = NULL
"""

_DEFER = """
    UPDATE delivery SET state = 'deferred', reason = ? WHERE id = ? AND state = 'queued'
"""

# Only what waits for its study is deferred without a due time. The plus keeps SQLite from walking over everything that is deferred.
_LET_GO = """
    UPDATE delivery SET state = 'queued', reason = ''
    WHERE id IN (
        SELECT d.id FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id
        WHERE i.study_id = ? AND +d.state = 'deferred' AND d.due_boot_id IS NULL LIMIT ?
    )
    RETURNING id
"""

_COMPLETE = """
    UPDATE completion SET due_wall = NULL, due_boottime = NULL, due_boot_id = NULL, completed_at = ?, round = round + 1
    WHERE study_id = ? AND completed_at IS NULL RETURNING round
"""

_EXPECT_ARRIVALS = """
    INSERT OR IGNORE INTO study_arrival (study_id, destination_id)
    SELECT DISTINCT ?1, d.destination_id FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id WHERE i.study_id = ?1
"""


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """A study as completion sees it; `is_known`: it has been waited for before."""

    id: int
    study_instance_uid: str
    modalities: tuple[str, ...]
    is_known: bool
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Completed:
    """What `complete` did: deliveries that it let go, how often the study has been complete now, None while there is more to let go."""

    let_go: int
    round: int | None


class Completions:
    """The repository of studies that are waited for."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def find(self, study_instance_uid: str) -> StudyProgress | None:
        """Return how a study stands, None where there is no such study."""
        return next(iter(self._progress(_OF_STUDY, study_instance_uid)), None)

    def wait(self, study_id: int, due: Due) -> None:
        """Wait for a study until `due`; one that was complete is open again."""
        self._ledger.change(_WAIT, (study_id, *columns(due)))

    def defer(self, delivery_id: int) -> None:
        """Let a delivery that was just made wait for its study."""
        self._ledger.change(_DEFER, (AWAITS_STUDY, delivery_id))

    def due(self, now: Instant, *, limit: int) -> list[StudyProgress]:
        """Return at most `limit` studies for which nothing has come for long enough, the longest first."""
        return self._progress(_DUE, now.boot_id, now.boottime, limit)

    def of_other_boots(self, now: Instant, *, limit: int) -> list[StudyProgress]:
        """Return some open studies, at most `limit`, whose time was counted before the machine was restarted."""
        return self._progress(_BEFORE_BOOT, now.boot_id, limit) or self._progress(_AFTER_BOOT, now.boot_id, limit)

    def complete(self, study_id: int, at: float, *, limit: int = _AT_ONCE) -> Completed:
        """Let go at most `limit` deliveries that wait for a study; when that was all, the study is complete at the wall time `at`."""
        let_go = len(self._ledger.change(_LET_GO, (study_id, limit)))
        if let_go == limit:
            return Completed(let_go, None)
        rows = self._ledger.change(_COMPLETE, (at, study_id))
        self._ledger.change(_EXPECT_ARRIVALS, (study_id,))
        return Completed(let_go, rows[0][0] if rows else 0)

    def _progress(self, statement: str, *parameters: str | float) -> list[StudyProgress]:
        return [
            StudyProgress(number, uid, tuple(modalities.split("\\")) if modalities else (), bool(is_known), bool(is_complete))
            for number, uid, modalities, is_known, is_complete in self._ledger.rows(statement, parameters)
        ]
