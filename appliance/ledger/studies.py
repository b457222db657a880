"""The studies in the ledger as people ask about them: found by what is known of them, summed up by how far they came, and what they hold.

Promises: methods return frozen dataclasses, change nothing and never open a transaction. A page costs its own rows and the studies that it
passes over to find them; how much is finished costs nothing.
Failures: `StudyMissingError`; `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: a filter that fits few studies looks at all of them (0.1 s for 100,000); Study Dates that are not written as PS3.5 asks are
compared as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import Uid
from appliance.ledger.database import Ledger, Value


class StudyMissingError(ApplianceError):
    """There is no such study in the ledger."""

    fault = Fault.OPERATOR


@dataclass(frozen=True, slots=True)
class StudySummary:
    """One study as `studies` shows it.

    `received` is the wall time of its first instance. `instances` counts different SOP instances (quarantined objects are not counted);
    `delivered` and `proved` count those of them that are owed somewhere and whose every delivery (cancelled and expired ones left aside)
    has come that far. `destinations` counts deliveries by destination id and state. `completed` is the wall time since when nothing more is
    expected, None while something is, and of studies that an older version recorded.
    """

    study_instance_uid: str
    accession_number: str = field(repr=False)
    modality: str
    received: float
    instances: int
    delivered: int
    proved: int
    destinations: dict[str, dict[str, int]]
    completed: float | None = None


@dataclass(frozen=True, slots=True)
class DayEdge:
    """Where a range of days begins or ends: `day` as a Study Date (YYYYMMDD, included), `wall` as the moment of its edge (UTC).

    `wall` is the first moment of a range's first day, and the first one after its last day, in the time zone of whoever asks.
    """

    day: str
    wall: float


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Which studies are wanted; what is None is not asked. Accession number and modality are compared whole, without regard to case.

    A study belongs to the day of its Study Date; one without to the day when its first instance came.
    """

    accession_number: str | None = field(default=None, repr=False)
    modality: str | None = None
    since: DayEdge | None = None
    until: DayEdge | None = None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that the store should hold: which version of which SOP instance, and the name of its sealed file."""

    sop_instance_uid: Uid
    version: int
    spool_name: str


EVERY_STUDY = StudyFilter()

# 2**63 - 1: above every row id.
_ABOVE_ALL = 9223372036854775807

# Inner: one row a SOP instance, with its deliveries by how far they came. Outer: how many SOP instances came how far.
_PROGRESS = """
    SELECT count(*), sum(owed > 0 AND delivered = owed), sum(owed > 0 AND proved = owed)
    FROM (
        SELECT count(d.id) FILTER (WHERE d.state NOT IN ('cancelled', 'expired')) AS owed,
            count(d.id) FILTER (WHERE d.state IN ('delivered', 'proved')) AS delivered,
            count(d.id) FILTER (WHERE d.state = 'proved') AS proved
        FROM instance i LEFT JOIN delivery d ON d.instance_id = i.id
        WHERE i.study_id = ? AND i.state <> 'quarantined'
        GROUP BY i.sop_instance_uid
    )
"""

_BY_DESTINATION = """
    SELECT d.destination_id, d.state, count(*)
    FROM instance i JOIN delivery d ON d.instance_id = i.id
    WHERE i.study_id = ?
    GROUP BY d.destination_id, d.state
"""

_OBJECTS_OF_INSTANCE = """
    SELECT sop_instance_uid, version, spool_name FROM instance
    WHERE sop_instance_uid = ? AND state IN ('stored', 'unrouted') ORDER BY version
"""

_OBJECTS_OF_STUDY = """
    SELECT i.sop_instance_uid, i.version, i.spool_name FROM study s JOIN instance i ON i.study_id = s.id
    WHERE s.study_instance_uid = ? AND i.state IN ('stored', 'unrouted') ORDER BY i.sop_instance_uid, i.version
"""

_OBJECTS_OF_SERIES = """
    SELECT i.sop_instance_uid, i.version, i.spool_name FROM study s JOIN instance i ON i.study_id = s.id
    WHERE s.study_instance_uid = ? AND i.series_instance_uid = ? AND i.state IN ('stored', 'unrouted')
    ORDER BY i.sop_instance_uid, i.version
"""


class Studies:
    """The repository of questions about studies."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def find(self, wanted: StudyFilter = EVERY_STUDY, *, limit: int, after: str | None = None) -> list[StudySummary]:
        """Return at most `limit` studies that fit, the last to begin first, starting after the one whose UID is `after`.

        Raises `StudyMissingError` for an `after` that is not there.
        """
        before = _ABOVE_ALL
        if after is not None:
            found = self._ledger.rows("SELECT id FROM study WHERE study_instance_uid = ?", (after,))
            if not found:
                raise StudyMissingError("there is no such study in the ledger")
            before = found[0][0]
        conditions, parameters = conditions_of(wanted)
        statement = f"""
            SELECT id, study_instance_uid, accession_number, modalities, received_at, completed_at
            FROM study LEFT JOIN completion ON study_id = id
            WHERE {" AND ".join(("id < ?", *conditions))} ORDER BY id DESC LIMIT ?
        """  # noqa: S608 (our own words; what was asked for is bound)
        return [self._summary(*row) for row in self._ledger.rows(statement, (before, *parameters, limit))]

    def objects(self, uid: str, *, series: str | None = None) -> list[StoredObject]:
        """Return what the store should hold of the SOP instance `uid`, or else of the study `uid`: each version, the oldest first.

        With `series` only that series of the study. Empty where nothing has that UID, and where all that had it was evicted or
        quarantined.
        """
        if series is not None:
            return [StoredObject(*row) for row in self._ledger.rows(_OBJECTS_OF_SERIES, (uid, series))]
        rows = self._ledger.rows(_OBJECTS_OF_INSTANCE, (uid,)) or self._ledger.rows(_OBJECTS_OF_STUDY, (uid,))
        return [StoredObject(*row) for row in rows]

    def _summary(
        self, study_id: int, uid: str, accession_number: str, modalities: str, received: float, completed: float | None
    ) -> StudySummary:
        instances, delivered, proved = self._ledger.rows(_PROGRESS, (study_id,))[0]
        destinations: dict[str, dict[str, int]] = {}
        for destination_id, state, count in self._ledger.rows(_BY_DESTINATION, (study_id,)):
            destinations.setdefault(destination_id, {})[state] = count
        return StudySummary(uid, accession_number, modalities, received, instances, delivered or 0, proved or 0, destinations, completed)


def conditions_of(wanted: StudyFilter) -> tuple[list[str], list[Value]]:
    """Return the SQL conditions on rows of `study` that a filter means, and what they bind. For this package."""
    conditions: list[str] = []
    parameters: list[Value] = []
    if wanted.accession_number is not None:
        conditions.append("accession_number = ? COLLATE NOCASE")
        parameters.append(wanted.accession_number)
    if wanted.modality is not None:
        # A study of several modalities has them in one value, as DICOM writes several values.
        conditions.append(r"instr('\' || upper(modalities) || '\', '\' || ? || '\') > 0")
        parameters.append(wanted.modality.upper())
    if wanted.since is not None:
        conditions.append("(study_date >= ? OR study_date = '' AND received_at >= ?)")
        parameters += [wanted.since.day, wanted.since.wall]
    if wanted.until is not None:
        conditions.append("(study_date BETWEEN '0' AND ? OR study_date = '' AND received_at < ?)")
        parameters += [wanted.until.day, wanted.until.wall]
    return conditions, parameters
