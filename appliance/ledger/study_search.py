"""Studies found by the words that people remember of them, with how far each is at each destination.

Promises: changes nothing. A page costs a walk over the folded text of the studies that it passes over (30,000 in some tens of
milliseconds), and the deliveries of the studies that it shows.
Failures: `StudyMissingError`; `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: a filter by a finished state, or by a destination alone, looks at the studies one by one, the newest first, until the page is full:
where few fit, at all of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from appliance.ledger.database import Ledger, Value
from appliance.ledger.studies import EVERY_STUDY, StudyFilter, StudyMissingError, conditions_of
from appliance.ledger.vocabulary import UNFINISHED, DeliveryState


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """Which studies are wanted: every word (`words.words_in`) is in the patient's name or ID, the accession number or the description.

    With a `destination_id`, a `state` or both: something of the study has a delivery there, in that state; `is_owed` stands for every
    state in which it is to be delivered still.
    """

    words: tuple[str, ...] = field(default=(), repr=False)
    filter: StudyFilter = EVERY_STUDY
    destination_id: str | None = None
    state: DeliveryState | None = None
    is_owed: bool = False


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """One study. Moments are wall times (UTC); `completed`: since when nothing more is expected, None while something is.

    `instances` counts different SOP instances (quarantined objects are not counted), `destinations` deliveries by destination id and state.
    """

    id: int
    study_instance_uid: str
    patient_name: str = field(repr=False)
    patient_id: str = field(repr=False)
    birth_date: str = field(repr=False)
    accession_number: str = field(repr=False)
    description: str = field(repr=False)
    study_date: str = field(repr=False)
    modality: str
    received: float
    completed: float | None
    instances: int = 0
    destinations: dict[str, dict[str, int]] = field(default_factory=dict)


# 2**63 - 1: above every row id.
_ABOVE_ALL = 9223372036854775807

_COLUMNS = """
    SELECT s.id, s.study_instance_uid, s.patient_name, s.patient_id, s.birth_date, s.accession_number, s.study_description, s.study_date,
        s.modalities, s.received_at, c.completed_at
"""
_FROM_STUDY = "FROM study s LEFT JOIN completion c ON c.study_id = s.id"
# The narrow table first: most studies are passed over without their own row being read.
_FROM_TEXT = "FROM study_text t CROSS JOIN study s ON s.id = t.study_id LEFT JOIN completion c ON c.study_id = s.id"

# What is owed is little and found by an index; so is what few have come to. Which study that is of, is asked of a narrow index, because the
# rows themselves lie far apart.
_OF_FEW = """
    s.id IN (SELECT i.study_id FROM ({these}) AS o CROSS JOIN instance i INDEXED BY instance_brief ON i.id = o.instance_id)
"""
# Of what most have come to, the newest studies have some: found one by one until the page is full.
_OF_MOST = "EXISTS (SELECT 1 FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id WHERE i.study_id = s.id{conditions})"

# The conditions of the partial indexes stand in these word for word.
_HELD = "SELECT instance_id FROM delivery INDEXED BY delivery_held WHERE state = 'held'"
_MOVING = """
    SELECT instance_id FROM delivery INDEXED BY {index}
    WHERE state IN ({states}) AND state IN ('queued', 'sending', 'deferred', 'held')
"""
_IN_STATE = "SELECT instance_id FROM delivery INDEXED BY delivery_state WHERE state = '{state}'"

# How many deliveries are few: looked up in some tens of milliseconds.
_FEW = 5000
_IS_FEW = "SELECT count(*) <= ?2 FROM (SELECT 1 FROM delivery WHERE state = ?1 LIMIT ?2 + 1)"

_THESE = "(SELECT value FROM json_each(?))"
_INSTANCES = f"""
    SELECT study_id, count(DISTINCT sop_instance_uid) FROM instance
    WHERE study_id IN {_THESE} AND id NOT IN (SELECT id FROM instance WHERE state = 'quarantined') GROUP BY study_id
"""  # noqa: S608 (our own words)
_DESTINATIONS = f"""
    SELECT i.study_id, d.destination_id, d.state, count(*)
    FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id
    WHERE i.study_id IN {_THESE} GROUP BY i.study_id, d.destination_id, d.state
"""  # noqa: S608


class StudySearch:
    """The repository of searches."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def find(self, wanted: StudyQuery, *, limit: int, after: str | None = None) -> list[FoundStudy]:
        """Return at most `limit` studies that fit, the last to begin first, starting after the one whose UID is `after`.

        Raises `StudyMissingError` for an `after` that is not there.
        """
        before = _ABOVE_ALL if after is None else self._number(after)
        source, number, conditions, parameters = _FROM_STUDY, "s.id", [], list[Value]([before])
        if wanted.words:
            # In the order of the table that is walked over, so that the walk ends when the page is full.
            source, number, conditions = _FROM_TEXT, "t.study_id", ["instr(t.text, ?) > 0" for _ in wanted.words]
            parameters += wanted.words
        filtered, bound = conditions_of(wanted.filter)
        conditions, parameters = [*conditions, *filtered], [*parameters, *bound]
        if wanted.destination_id is not None or wanted.state is not None or wanted.is_owed:
            condition, bound = self._delivered(wanted)
            conditions, parameters = [*conditions, condition], [*parameters, *bound]
        where = " AND ".join((f"{number} < ?", *conditions))
        statement = f"{_COLUMNS} {source} WHERE {where} ORDER BY {number} DESC LIMIT ?"
        return self._summed_up([FoundStudy(*row) for row in self._ledger.rows(statement, (*parameters, limit))])

    def get(self, study_instance_uid: str) -> FoundStudy:
        """Return one study. Raises `StudyMissingError`."""
        rows = self._ledger.rows(f"{_COLUMNS} {_FROM_STUDY} WHERE s.study_instance_uid = ?", (study_instance_uid,))
        if not rows:
            raise StudyMissingError("there is no such study in the ledger")
        return self._summed_up([FoundStudy(*rows[0])])[0]

    def _number(self, study_instance_uid: str) -> int:
        rows = self._ledger.rows("SELECT id FROM study WHERE study_instance_uid = ?", (study_instance_uid,))
        if not rows:
            raise StudyMissingError("there is no such study in the ledger")
        return int(rows[0][0])

    def _delivered(self, wanted: StudyQuery) -> tuple[str, list[Value]]:
        """Return the condition that a study has a delivery somewhere, in some state, and what it binds; states are our own words."""
        sources = self._sources(wanted)
        bound = [] if wanted.destination_id is None else [wanted.destination_id]
        if not sources:
            conditions = "" if wanted.state is None else f" AND +d.state = '{wanted.state.value}'"
            return _OF_MOST.format(conditions=conditions + " AND d.destination_id = ?" * len(bound)), list[Value](bound)
        these = " UNION ALL ".join(source + " AND destination_id = ?" * len(bound) for source in sources)
        return _OF_FEW.format(these=these), list[Value](bound * len(sources))

    def _sources(self, wanted: StudyQuery) -> list[str]:
        """Return the statements that find the instances with such a delivery, none where these are most of all."""
        index = "delivery_state" if wanted.destination_id is None else "delivery_owed"
        if wanted.is_owed:
            return [_HELD, _MOVING.format(index=index, states="'queued', 'sending', 'deferred'")]
        state = wanted.state
        if state is DeliveryState.HELD:
            return [_HELD]
        if state in UNFINISHED:
            return [_MOVING.format(index=index, states=f"'{state.value}'")]
        if state is not None and self._ledger.rows(_IS_FEW, (state.value, _FEW))[0][0]:
            return [_IN_STATE.format(state=state.value)]
        return []

    def _summed_up(self, studies: Sequence[FoundStudy]) -> list[FoundStudy]:
        these = (json.dumps([study.id for study in studies]),)
        instances: dict[int, int] = dict(self._ledger.rows(_INSTANCES, these))
        destinations: dict[int, dict[str, dict[str, int]]] = {}
        for study_id, destination_id, state, count in self._ledger.rows(_DESTINATIONS, these):
            destinations.setdefault(study_id, {}).setdefault(destination_id, {})[state] = count
        return [replace(study, instances=instances.get(study.id, 0), destinations=destinations.get(study.id, {})) for study in studies]
