"""What happened to whole studies: that one was delivered to a destination, said once, with counts, for whoever has to pass it on.

Promises: an event is written when a study is complete and a destination is owed nothing of it any more, once for each time that more of it
was delivered there; it stays for 400 days, whatever becomes of the study. Numbers rise and are never given again: who reads remembers the
last that it saw. Methods never open a transaction.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: after a rebuild of the ledger what was told since its snapshot is told again, under new numbers; without a snapshot numbers begin
again at 1. Who passes events on must bear a repetition.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.ledger.database import Ledger

# The plus keeps SQLite from walking over everything that is owed; a study's instances have few deliveries each.
_OWED = """
    SELECT 1 FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id
    WHERE i.study_id = ? AND +d.destination_id = ? AND +d.state IN ('queued', 'sending', 'deferred', 'held') LIMIT 1
"""

# In one statement, for what a dead destination is owed is looked through again and again.
_EXPECTED = f"""
    SELECT a.study_id, a.destination_id, EXISTS ({_OWED.replace("?", "a.study_id", 1).replace("?", "a.destination_id", 1)})
    FROM study_arrival a CROSS JOIN completion c ON c.study_id = a.study_id
    WHERE (a.study_id, a.destination_id) > (?, ?) AND c.completed_at IS NOT NULL ORDER BY a.study_id, a.destination_id LIMIT ?
"""  # noqa: S608 (our own words)

# An instance of which one version or one cause was delivered is delivered; the study counts each of its instances once.
_COUNTS = """
    SELECT count(*), coalesce(sum(there), 0), coalesce(sum(proved), 0)
    FROM (
        SELECT max(d.state IN ('delivered', 'proved')) AS there, max(d.state = 'proved') AS proved
        FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id
        WHERE i.study_id = ? AND +d.destination_id = ? GROUP BY i.sop_instance_uid
    )
"""

_RECEIVED = "SELECT count(DISTINCT sop_instance_uid) FROM instance WHERE study_id = ? AND +state <> 'quarantined'"

_STUDY = "SELECT s.study_instance_uid, c.round FROM study s JOIN completion c ON c.study_id = s.id WHERE s.id = ?"

_LAST = "SELECT delivered FROM study_event WHERE study_instance_uid = ? AND destination_id = ? ORDER BY id DESC LIMIT 1"

_COLUMNS = "id, study_instance_uid, destination_id, round, at, received, delivered, proved, given_up"

_ADD = f"""
    INSERT INTO study_event (study_instance_uid, destination_id, round, at, received, delivered, proved, given_up)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}
"""  # noqa: S608 (our own words)


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """A complete study that a destination may still be owed something of."""

    study_id: int
    destination_id: str


@dataclass(frozen=True, slots=True)
class StudyDelivered:
    """A study was delivered to a destination (by id) at the wall time `at` (UTC).

    `round` counts how often the study has been complete. Of SOP instances: `received` is how many the box has of the study; `delivered` how
    many of them this destination has, `proved` those of which it gave proof, and `given_up` those that are owed to it no longer (cancelled
    or expired).
    """

    number: int
    study_instance_uid: str
    destination_id: str
    round: int
    at: float
    received: int
    delivered: int
    proved: int
    given_up: int


class StudyEvents:
    """The repository of events."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def expected(self, after: Arrival, *, limit: int) -> list[tuple[Arrival, bool]]:
        """Return at most `limit` arrivals that nobody was told of yet, in order, beginning after `after`; those of open studies wait.

        With each: whether the destination is still owed something of the study.
        """
        rows = self._ledger.rows(_EXPECTED, (after.study_id, after.destination_id, limit))
        return [(Arrival(study, destination), bool(owed)) for study, destination, owed in rows]

    def is_owed(self, arrival: Arrival) -> bool:
        """Say whether the destination is still owed something of the study."""
        return bool(self._ledger.rows(_OWED, (arrival.study_id, arrival.destination_id)))

    def tell(self, arrival: Arrival, at: float) -> StudyDelivered | None:
        """Write that a study was delivered, and expect it no longer; return the event, None where there is nothing new to tell.

        Nothing is new where nothing more was delivered than was told before. Only for what is not owed.
        """
        key = (arrival.study_id, arrival.destination_id)
        self._ledger.change("DELETE FROM study_arrival WHERE study_id = ? AND destination_id = ?", key)
        wanted, delivered, proved = self._ledger.rows(_COUNTS, key)[0]
        studies = self._ledger.rows(_STUDY, (arrival.study_id,))
        if not studies:
            # Forgotten with the last of its tombstones since it was looked at.
            return None
        uid, number = studies[0]
        last = self._ledger.rows(_LAST, (uid, arrival.destination_id))
        if delivered <= (last[0][0] if last else 0):
            return None
        received = self._ledger.rows(_RECEIVED, (arrival.study_id,))[0][0]
        told = (uid, arrival.destination_id, number, at, received, delivered, proved, wanted - delivered)
        return StudyDelivered(*self._ledger.change(_ADD, told)[0])

    def after(self, number: int, *, limit: int) -> list[StudyDelivered]:
        """Return at most `limit` events by number, beginning after `number`."""
        rows = self._ledger.rows(f"SELECT {_COLUMNS} FROM study_event WHERE id > ? ORDER BY id LIMIT ?", (number, limit))  # noqa: S608
        return [StudyDelivered(*row) for row in rows]

    def prune(self, told_before: float, *, limit: int = 50) -> int:
        """Forget at most `limit` events from before the wall time; return how many."""
        statement = "DELETE FROM study_event WHERE id IN (SELECT id FROM study_event WHERE at < ? ORDER BY id LIMIT ?) RETURNING id"
        return len(self._ledger.change(statement, (told_before, limit)))
