"""What was received: instances, and the studies they belong to.

Promises: methods return frozen dataclasses; they never open a transaction, so that a caller groups several in one `ledger.write()`. `add`
is the only way in; an instance row stays for as long as its tombstone is kept (`retention`), its `state` says what became of the object.
Failures: `InstanceMissingError`; `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: instances whose data set names no study share one, under an empty Study Instance UID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import Uid
from appliance.ledger.database import Ledger, Row, Value
from appliance.ledger.words import study_text


class InstanceState(StrEnum):
    """What became of a received object."""

    STORED = "stored"
    UNROUTED = "unrouted"
    QUARANTINED = "quarantined"
    EVICTED = "evicted"


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the data set says about its patient, study and series; empty where it says nothing.

    `acquired_at` is when the scanner says that it was acquired, by the scanner's clock (wall time, UTC), None where it does not. Every
    field but the two UIDs may identify a patient and is left out of `repr`, so that no log or exception shows one by accident.
    """

    study_instance_uid: str = ""
    series_instance_uid: str = ""
    patient_id: str = field(default="", repr=False)
    patient_name: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)
    study_date: str = field(default="", repr=False)
    study_description: str = field(default="", repr=False)
    modality: str = field(default="", repr=False)
    body_part: str = field(default="", repr=False)
    station_name: str = field(default="", repr=False)
    acquired_at: float | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What is known of a received instance when the router records it. `received_at` is wall time (UTC), `length` counts data set bytes.

    The study and series UIDs are repeated from `attributes`; the fields here are the ones that are stored. `hops` counts the boxes of ours
    that it had passed, at most.
    """

    object_id: str
    sop_instance_uid: Uid
    sop_class_uid: Uid
    transfer_syntax_uid: Uid
    study_instance_uid: str
    series_instance_uid: str
    calling_title: str
    source_address: str
    called_title: str
    spool_name: str
    digest: str
    length: int
    received_at: float
    attributes: Attributes
    hops: int = 0


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """A recorded instance: its number in the ledger, the facts, which version of its SOP instance it is, and what became of it.

    `keep_until` is the wall time (UTC) before which a route wants it kept, None where no route says so.
    """

    id: int
    facts: InstanceFacts
    version: int
    state: InstanceState
    keep_until: float | None = None


@dataclass(frozen=True, slots=True)
class InstanceTotals:
    """How many instances are in each state, every state there, and the bytes of the data sets that the store holds, before sealing."""

    counts: dict[InstanceState, int]
    stored_bytes: int


class InstanceMissingError(ApplianceError):
    """There is no such instance in the ledger."""

    fault = Fault.OPERATOR


# What has its object in the store.
_KEPT = (InstanceState.STORED, InstanceState.UNROUTED)

# A study of more modalities than this is not real; the bound keeps a hostile source from growing a row for ever.
_MAX_MODALITIES = 16

_ADD = """
    INSERT INTO instance (
        object_id, study_id, sop_instance_uid, version, state, sop_class_uid, transfer_syntax_uid, series_instance_uid, calling_title,
        source_address, called_title, spool_name, digest, length, received_at, patient_id, patient_name, birth_date, accession_number,
        study_date, study_description, modality, body_part, station_name, hops, acquired_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
"""

_STORED = """
    SELECT i.id, i.version, i.state, i.keep_until, i.object_id, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid,
        s.study_instance_uid, i.series_instance_uid, i.calling_title, i.source_address, i.called_title, i.spool_name, i.digest, i.length,
        i.received_at, i.hops, i.patient_id, i.patient_name, i.birth_date, i.accession_number, i.study_date, i.study_description,
        i.modality, i.body_part, i.station_name, i.acquired_at
    FROM instance i JOIN study s ON s.id = i.study_id
"""

_RECORDED = "SELECT 1 FROM instance WHERE object_id = ?1 UNION ALL SELECT 1 FROM repeat WHERE object_id = ?1"

# Numbers rise with time, but a clock that stepped back makes times fall: the whole ledger is looked through.
_RECEIVED_BETWEEN = """
    WHERE i.id > ? AND i.received_at >= ? AND i.received_at < ? AND +i.state IN ('stored', 'unrouted')
        AND NOT EXISTS (SELECT 1 FROM instance n WHERE n.sop_instance_uid = i.sop_instance_uid AND n.version > i.version)
    ORDER BY i.id LIMIT ?
"""

_OF_STUDY = """
    WHERE s.study_instance_uid = ?
        AND NOT EXISTS (SELECT 1 FROM instance n WHERE n.sop_instance_uid = i.sop_instance_uid AND n.version > i.version)
    ORDER BY i.id LIMIT ?
"""

_STUDY = """
    SELECT id, modalities, patient_id, patient_name, birth_date, accession_number, study_date, study_description
    FROM study WHERE study_instance_uid = ?
"""

_ADD_STUDY = """
    INSERT INTO study (
        study_instance_uid, modalities, patient_id, patient_name, birth_date, accession_number, study_date, study_description, received_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
"""

_CHANGE_STUDY = """
    UPDATE study
    SET modalities = ?, patient_id = ?, patient_name = ?, birth_date = ?, accession_number = ?, study_date = ?, study_description = ?
    WHERE id = ?
"""

_SEARCHED = "INSERT INTO study_text (study_id, text) VALUES (?, ?) ON CONFLICT (study_id) DO UPDATE SET text = excluded.text"


class Instances:
    """The repository of instances and studies."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def recorded(self, object_id: str) -> bool:
        """Say whether the object of this reception id is in the ledger, as an instance or as a repeat, whatever became of it."""
        return bool(self._ledger.rows(_RECORDED, (object_id,)))

    def latest(self, sop_instance_uid: str) -> StoredInstance | None:
        """Return the newest version of a SOP instance, or None when it was never received."""
        rows = self._ledger.rows(_STORED + "WHERE i.sop_instance_uid = ? ORDER BY i.version DESC LIMIT 1", (sop_instance_uid,))
        return _stored(rows[0]) if rows else None

    def get(self, instance_id: int) -> StoredInstance:
        """Return one instance. Raises `InstanceMissingError`."""
        rows = self._ledger.rows(_STORED + "WHERE i.id = ?", (instance_id,))
        if not rows:
            raise InstanceMissingError(f"there is no instance {instance_id} in the ledger")
        return _stored(rows[0])

    def add(self, facts: InstanceFacts, *, version: int, state: InstanceState) -> int:
        """Record an instance, and its study if it is new or tells more about it; return the instance's number.

        A reception id, and a version of a SOP instance, is recorded once: `LedgerStatementError` (ours) otherwise.
        """
        attributes = facts.attributes
        parameters: Sequence[Value] = (
            *(facts.object_id, self._study(facts), facts.sop_instance_uid, version, state.value, facts.sop_class_uid),
            *(facts.transfer_syntax_uid, facts.series_instance_uid, facts.calling_title, facts.source_address, facts.called_title),
            *(facts.spool_name, facts.digest, facts.length, facts.received_at, attributes.patient_id, attributes.patient_name),
            *(attributes.birth_date, attributes.accession_number, attributes.study_date, attributes.study_description),
            *(attributes.modality, attributes.body_part, attributes.station_name, facts.hops, attributes.acquired_at),
        )
        return int(self._ledger.change(_ADD, parameters)[0][0])

    def has_passed(self, instance_id: int, hops: int) -> None:
        """Say that an instance came again, after so many boxes; the most that was said counts."""
        self._ledger.change("UPDATE instance SET hops = ?2 WHERE id = ?1 AND hops < ?2", (instance_id, hops))

    def quarantine(self, instance_id: int) -> None:
        """Say that the object of an instance is damaged and was put into quarantine. Raises `InstanceMissingError`."""
        changed = self._ledger.change(
            "UPDATE instance SET state = ? WHERE id = ? RETURNING id", (InstanceState.QUARANTINED.value, instance_id)
        )
        if not changed:
            raise InstanceMissingError(f"there is no instance {instance_id} in the ledger")

    def quarantine_object(self, object_id: str) -> None:
        """Say the same of whatever instance the object holds; no fault for an object that the ledger does not know, or said so before."""
        self._ledger.change("UPDATE instance SET state = ? WHERE object_id = ?", (InstanceState.QUARANTINED.value, object_id))

    def routed(self, instance_id: int) -> None:
        """Say that an instance that no route asked for has a route now. One that is not unrouted stays what it is."""
        self._ledger.change(
            "UPDATE instance SET state = ? WHERE id = ? AND state = ?",
            (InstanceState.STORED.value, instance_id, InstanceState.UNROUTED.value),
        )

    def keep(self, instance_id: int, until: float) -> None:
        """Say that a route wants an instance kept until the wall time `until` at least; an earlier time than is known changes nothing."""
        self._ledger.change("UPDATE instance SET keep_until = max(coalesce(keep_until, ?1), ?1) WHERE id = ?2", (until, instance_id))

    def received_between(self, since: float, until: float, *, after: int = 0, limit: int = 50) -> list[StoredInstance]:
        """Return at most `limit` instances by number, after the number `after`, received from `since` until before `until` (wall times).

        Only newest versions whose object is kept. Walks over all instances between two that are found.
        """
        rows = self._ledger.rows(_STORED + _RECEIVED_BETWEEN, (after, since, until, limit))
        return [_stored(row) for row in rows]

    def of_study(self, study_instance_uid: str, *, limit: int) -> list[StoredInstance]:
        """Return at most `limit` instances of a study by number, the newest version of each."""
        return [_stored(row) for row in self._ledger.rows(_STORED + _OF_STUDY, (study_instance_uid, limit))]

    def counts(self) -> dict[InstanceState, int]:
        """Return how many instances are in each state; every state is there."""
        found: dict[str, int] = dict(self._ledger.rows("SELECT state, count(*) FROM instance GROUP BY state"))
        return {state: int(found.get(state.value, 0)) for state in InstanceState}

    def stored_bytes(self) -> int:
        """Return how many bytes of data sets the spool's store holds, before sealing. Walks over an index of all instances."""
        return self.totals().stored_bytes

    def totals(self) -> InstanceTotals:
        """Return how many instances are in each state and how many bytes are kept, in one walk over an index of all instances."""
        rows = self._ledger.rows("SELECT state, count(*), sum(length) FROM instance GROUP BY state")
        found: dict[str, tuple[int, int]] = {state: (count, length) for state, count, length in rows}
        counts = {state: found.get(state.value, (0, 0))[0] for state in InstanceState}
        return InstanceTotals(counts, sum(found.get(state.value, (0, 0))[1] for state in _KEPT))

    def _study(self, facts: InstanceFacts) -> int:
        """Return the number of the instance's study, made or completed from its attributes. What is known already stays."""
        attributes = facts.attributes
        told = (
            *(attributes.patient_id, attributes.patient_name, attributes.birth_date),
            *(attributes.accession_number, attributes.study_date, attributes.study_description),
        )
        rows = self._ledger.rows(_STUDY, (facts.study_instance_uid,))
        if not rows:
            parameters = (facts.study_instance_uid, attributes.modality, *told, facts.received_at)
            added = int(self._ledger.change(_ADD_STUDY, parameters)[0][0])
            self._let_be_found(added, told)
            return added
        study_id, modalities, *known = rows[0]
        known_modalities = modalities.split("\\") if modalities else []
        is_new_modality = attributes.modality and attributes.modality not in known_modalities and len(known_modalities) < _MAX_MODALITIES
        wanted = tuple(old or new for old, new in zip(known, told, strict=True))
        if is_new_modality or wanted != tuple(known):
            known_modalities += [attributes.modality] if is_new_modality else []
            self._ledger.change(_CHANGE_STUDY, ("\\".join(known_modalities), *wanted, study_id))
        if wanted != tuple(known):
            self._let_be_found(study_id, wanted)
        return int(study_id)

    def _let_be_found(self, study_id: int, told: Sequence[str]) -> None:
        patient_id, patient_name, _, accession_number, _, study_description = told
        self._ledger.change(_SEARCHED, (study_id, study_text(patient_name, patient_id, accession_number, study_description)))


def _stored(row: Row) -> StoredInstance:
    number, version, state, keep_until, object_id, sop_instance, sop_class, transfer_syntax, study, series, *rest = row
    calling_title, source_address, called_title, spool_name, digest, length, received_at, hops, *told = rest
    facts = InstanceFacts(
        object_id=object_id,
        sop_instance_uid=sop_instance,
        sop_class_uid=sop_class,
        transfer_syntax_uid=transfer_syntax,
        study_instance_uid=study,
        series_instance_uid=series,
        calling_title=calling_title,
        source_address=source_address,
        called_title=called_title,
        spool_name=spool_name,
        digest=digest,
        length=length,
        received_at=received_at,
        attributes=Attributes(study, series, *told),
        hops=hops,
    )
    return StoredInstance(number, facts, version, InstanceState(state), keep_until)
