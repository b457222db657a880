"""What waits for an archive's word: which deliveries, what was asked of whom, and the reports that came.

Promises: methods never open a transaction. A Transaction UID is one request's for ever; a report that is recorded here is acted upon,
whatever happens in between. A delivery that is no longer delivered is never asked for.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: what a report means is `deliver.proof`'s matter. After a rebuild from a snapshot, what was lost with the ledger is asked for anew.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from appliance.ledger.database import Ledger
from appliance.ledger.moments import columns
from appliance.runtime.clock import Due, Instant

# Requests of long ago answer nobody any more; their reports are unknown then, and asked for again.
_REQUESTS_KEPT_S = 30 * 86400.0

# A delivery that is sent again keeps how often it was lost.
_EXPECT = """
    INSERT INTO proof (delivery_id, destination_id, study_id, stage, due_wall, due_boottime, due_boot_id, misses, failures, losses)
    SELECT ?1, ?2, study_id, 'fresh', ?4, ?5, ?6, 0, 0, 0 FROM instance WHERE id = ?3
    ON CONFLICT (delivery_id) DO UPDATE SET stage = 'fresh', due_wall = ?4, due_boottime = ?5, due_boot_id = ?6, transaction_uid = NULL,
        misses = 0, failures = 0
"""

# A study is asked for as a whole when nothing of it was delivered for a while; another boot means that the time has come. Each part is a
# range of an index, and only as many rows are joined as are wanted.
_DUE = """
    SELECT p.delivery_id, i.sop_class_uid, i.sop_instance_uid, s.study_instance_uid, i.series_instance_uid
    FROM (
        SELECT delivery_id FROM proof WHERE destination_id = ?1 AND stage = 'fresh' AND study_id IN (
            SELECT study_id FROM proof WHERE destination_id = ?1 AND stage = 'fresh' GROUP BY study_id
            HAVING max(CASE WHEN due_boot_id = ?2 THEN due_boottime ELSE 0 END) <= ?3)
        UNION ALL
        SELECT delivery_id FROM proof
        WHERE destination_id = ?1 AND due_boot_id = ?2 AND due_boottime <= ?3 AND stage IN ('again', 'asked')
        UNION ALL
        SELECT delivery_id FROM proof WHERE destination_id = ?1 AND due_boot_id < ?2 AND stage IN ('again', 'asked')
        UNION ALL
        SELECT delivery_id FROM proof WHERE destination_id = ?1 AND due_boot_id > ?2 AND stage IN ('again', 'asked')
        LIMIT ?4
    ) AS p CROSS JOIN delivery d ON d.id = p.delivery_id CROSS JOIN instance i ON i.id = d.instance_id
        CROSS JOIN study s ON s.id = i.study_id
    WHERE d.state = 'delivered' ORDER BY p.delivery_id
"""

_ROW = """
    SELECT p.delivery_id, p.destination_id, i.sop_instance_uid, p.transaction_uid, p.misses, p.failures, p.losses
    FROM proof p CROSS JOIN delivery d ON d.id = p.delivery_id CROSS JOIN instance i ON i.id = d.instance_id WHERE d.state = 'delivered'
"""
_OF_TRANSACTION = f"{_ROW} AND p.transaction_uid = ? AND p.stage = 'asked' ORDER BY p.delivery_id LIMIT ?"
_OF_DELIVERIES = f"{_ROW} AND p.delivery_id IN (SELECT value FROM json_each(?)) AND p.stage <> 'lost'"  # noqa: S608 (our own words)
# From the instance, of which there are few deliveries.
_OF_INSTANCE = """
    SELECT p.delivery_id, p.destination_id, i.sop_instance_uid, p.transaction_uid, p.misses, p.failures, p.losses
    FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id CROSS JOIN proof p ON p.delivery_id = d.id
    WHERE i.sop_instance_uid = ? AND p.destination_id = ? AND p.stage IN ('asked', 'again') AND +d.state = 'delivered'
"""

# Index proof_lost. What was cancelled is nobody's loss any more.
_LOST = """
    SELECT count(*) FILTER (WHERE d.state <> 'held'), count(*) FILTER (WHERE d.state = 'held')
    FROM proof p CROSS JOIN delivery d ON d.id = p.delivery_id
    WHERE p.destination_id = ? AND p.losses > 0 AND d.state <> 'cancelled'
"""
# Index proof_missed: the third time in a row is when something is lost, or is to be sent again as soon as that helps.
_WITHHELD = "SELECT count(*) FROM proof WHERE destination_id = ? AND misses > 2 AND stage IN ('again', 'asked')"

_ASK = """
    UPDATE proof SET stage = 'asked', transaction_uid = ?, due_wall = ?, due_boottime = ?, due_boot_id = ?
    WHERE delivery_id IN (SELECT value FROM json_each(?))
"""

_PUT = """
    UPDATE proof SET stage = ?, due_wall = coalesce(?, due_wall), due_boottime = coalesce(?, due_boottime),
        due_boot_id = coalesce(?, due_boot_id), misses = ?, failures = ?, losses = ?, transaction_uid = NULL
    WHERE delivery_id = ?
"""

_KEEP = """
    INSERT INTO commitment_report (object_id, transaction_uid, caller, at, results, done) VALUES (?, ?, ?, ?, ?, 0)
    ON CONFLICT (object_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A delivery that is to be asked for."""

    delivery_id: int
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that waits for proof, and what was said of it before (`deliver.proof.History`)."""

    delivery_id: int
    destination_id: str
    sop_instance_uid: str
    transaction_uid: str | None
    misses: int
    failures: int
    losses: int


@dataclass(frozen=True, slots=True)
class Report:
    """A report as it was kept: pairs of instance and failure reason (None: committed), of which `done` were dealt with."""

    number: int
    transaction_uid: str
    caller: str
    results: tuple[tuple[str, int | None], ...]
    done: int


class Proofs:
    """The repository of what waits for proof."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def expect(self, delivery_id: int, destination_id: str, instance_id: int, due: Due) -> None:
        """A delivery was delivered: its proof is asked for from `due` on, when its whole study has waited so long."""
        self._ledger.change(_EXPECT, (delivery_id, destination_id, instance_id, *columns(due)))

    def due(self, destination_id: str, now: Instant, *, limit: int) -> list[Wanted]:
        """Return at most `limit` deliveries to a destination for which it is to be asked now."""
        return [Wanted(*row) for row in self._ledger.rows(_DUE, (destination_id, now.boot_id, now.boottime, limit))]

    def ask(self, transaction_uid: str, destination_id: str, deliveries: Collection[int], now: Instant, answer_due: Due) -> None:
        """Write down that a request for `deliveries` leaves now; without a report it is asked again at `answer_due`."""
        self._ledger.change(
            "INSERT INTO commitment (transaction_uid, destination_id, asked_at) VALUES (?, ?, ?)",
            (transaction_uid, destination_id, now.wall),
        )
        self._ledger.change(_ASK, (transaction_uid, *columns(answer_due), json.dumps(list(deliveries))))
        self._ledger.change("DELETE FROM commitment WHERE asked_at < ?", (now.wall - _REQUESTS_KEPT_S,))

    def asked_of(self, transaction_uid: str) -> str | None:
        """Return the id of the destination that a request went to, None where there is no such request."""
        rows = self._ledger.rows("SELECT destination_id FROM commitment WHERE transaction_uid = ?", (transaction_uid,))
        return str(rows[0][0]) if rows else None

    def open_of(self, transaction_uid: str, *, limit: int) -> list[Waiting]:
        """Return at most `limit` deliveries of a request that nothing was said of."""
        return [Waiting(*row) for row in self._ledger.rows(_OF_TRANSACTION, (transaction_uid, limit))]

    def of_instance(self, destination_id: str, sop_instance_uid: str) -> list[Waiting]:
        """Return the deliveries of an instance to a destination that were asked for since they were last sent."""
        return [Waiting(*row) for row in self._ledger.rows(_OF_INSTANCE, (sop_instance_uid, destination_id))]

    def of_deliveries(self, deliveries: Collection[int]) -> list[Waiting]:
        """Return those of `deliveries` that wait for proof."""
        return [Waiting(*row) for row in self._ledger.rows(_OF_DELIVERIES, (json.dumps(list(deliveries)),))]

    def again(self, waiting: Waiting, due: Due, *, misses: int, failures: int) -> None:
        """Ask for a delivery again at `due`."""
        self._ledger.change(_PUT, ("again", *columns(due), misses, failures, waiting.losses, waiting.delivery_id))

    def lost(self, waiting: Waiting, losses: int) -> None:
        """A delivery is to be sent again, or is held: remember how often, and ask for nothing until it is delivered."""
        self._ledger.change(_PUT, ("lost", None, None, None, 0, 0, losses, waiting.delivery_id))

    def done(self, delivery_id: int) -> None:
        """A delivery waits for proof no longer."""
        self._ledger.change("DELETE FROM proof WHERE delivery_id = ?", (delivery_id,))

    def waiting(self, destination_id: str) -> int:
        """Return how many deliveries to a destination wait for its proof."""
        rows = self._ledger.rows(
            "SELECT count(*) FROM proof WHERE destination_id = ? AND stage IN ('fresh', 'again', 'asked')", (destination_id,)
        )
        return int(rows[0][0])

    def lost_to(self, destination_id: str) -> tuple[int, int]:
        """Return how many deliveries were sent to a destination again without being proved yet, and how many are held for being lost."""
        under_way, held = self._ledger.rows(_LOST, (destination_id,))[0]
        return int(under_way), int(held)

    def withheld(self, destination_id: str) -> int:
        """Return how many deliveries a destination says it lost, and is not sent again now."""
        return int(self._ledger.rows(_WITHHELD, (destination_id,))[0][0])

    def keep(self, transaction_uid: str, caller: str, at: float, results: Sequence[tuple[str, int | None]], object_id: str | None) -> None:
        """Keep a report until it is dealt with; `object_id` is the sealed message's, and a message is kept once."""
        self._ledger.change(_KEEP, (object_id, transaction_uid, caller, at, json.dumps(list(results))))

    def next_report(self) -> Report | None:
        """Return the oldest report that was not dealt with."""
        rows = self._ledger.rows("SELECT id, transaction_uid, caller, results, done FROM commitment_report ORDER BY id LIMIT 1")
        if not rows:
            return None
        number, transaction_uid, caller, results, done = rows[0]
        return Report(number, transaction_uid, caller, tuple((uid, reason) for uid, reason in json.loads(results)), done)

    def progress(self, report: Report, done: int) -> None:
        """Remember that so many results of a report were dealt with."""
        self._ledger.change("UPDATE commitment_report SET done = ? WHERE id = ?", (done, report.number))

    def finish(self, report: Report) -> None:
        """Forget a report that was dealt with."""
        self._ledger.change("DELETE FROM commitment_report WHERE id = ?", (report.number,))
