"""Choosing deliveries: by what a person says (a study, a destination, …), or by the key that outlives the ledger.

Promises: only deliveries that are still owed are chosen; a page costs no more when more deliveries are finished.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: a study's deliveries are sorted at each page, which a study of thousands of instances bears.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.ledger.database import Ledger, Row, Value
from appliance.ledger.orders import DeliveryKey
from appliance.ledger.vocabulary import UNFINISHED, Cause, DeliveryState, HoldClass


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries: those that meet every condition given. `destination_id` is an id, not a name; `ids` are delivery numbers."""

    ids: tuple[int, ...] | None = None
    study_instance_uid: str | None = None
    destination_id: str | None = None
    hold_class: HoldClass | None = None
    state: DeliveryState | None = None
    sop_class_uid: str | None = None

    @property
    def is_everything(self) -> bool:
        """Say whether no condition is given."""
        conditions = (self.ids, self.study_instance_uid, self.destination_id, self.hold_class, self.state, self.sop_class_uid)
        return all(condition is None for condition in conditions)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A delivery that was chosen: its number, where it stands, and its key."""

    id: int
    state: DeliveryState
    hold_class: HoldClass | None
    unknown_outcomes: int
    key: DeliveryKey


_COLUMNS = "SELECT d.id, d.state, d.hold_class, d.unknown_outcomes, i.object_id, d.destination_id, d.cause, d.cause_ref"
_FROM_DELIVERY = "FROM delivery d CROSS JOIN instance i ON i.id = d.instance_id"
_FROM_STUDY = "FROM study s CROSS JOIN instance i ON i.study_id = s.id CROSS JOIN delivery d ON d.instance_id = i.id"
_BY_KEY = """
    FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id
    WHERE i.id IN (SELECT id FROM instance WHERE object_id = ?1 UNION ALL SELECT instance_id FROM repeat WHERE object_id = ?1)
        AND d.destination_id = ?2
"""


class Selections:
    """The reading side of orders."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def page(self, selection: Selection, *, after: int, upto: int, limit: int) -> list[Chosen]:
        """Return at most `limit` chosen deliveries by number, beginning after the number `after` and ending with `upto`."""
        states = UNFINISHED if selection.state is None else {selection.state} & UNFINISHED
        found: list[Chosen] = []
        # A page of each state, then the first of them all: each is one walk along an index.
        for state in sorted(states):
            rows = self._ledger.rows(*_page(selection, state, after, upto, limit))
            found += [_chosen(row) for row in rows]
        return sorted(found, key=lambda chosen: chosen.id)[:limit]

    def last(self) -> int:
        """Return the highest number of a delivery, 0 when there is none."""
        return int(self._ledger.rows("SELECT coalesce(max(id), 0) FROM delivery")[0][0])

    def find(self, key: DeliveryKey, *, made_before: str | None = None) -> list[Chosen]:
        """Return the delivery of this key, finished or not, in a list; empty when there is none.

        With `made_before`, an object id, also all others of the same bytes to the same destination, except those that a later reception
        asked for: a ledger that was made anew does not know which of them there were.
        """
        rows = [_chosen(row) for row in self._ledger.rows(f"{_COLUMNS} {_BY_KEY}", (key.object_id, key.destination_id))]
        # Object ids rise with time, and the reference of a cause that has none comes before all of them.
        return [chosen for chosen in rows if chosen.key == key or (made_before is not None and chosen.key.cause_ref < made_before)]


def _page(selection: Selection, state: DeliveryState, after: int, upto: int, limit: int) -> tuple[str, Sequence[Value]]:
    """Return the statement for a page of one state. Columns and the state are our own words; what a person said is bound."""
    is_narrow = selection.ids is not None or selection.study_instance_uid is not None
    # The plus keeps SQLite from walking over everything that is owed where numbers or a study lead to a few rows. The state is written
    # out, and the condition of the partial index `delivery_owed` word for word, because SQLite chooses before it knows what is bound.
    source, in_state = _FROM_DELIVERY, f"+d.state = '{state}'" if is_narrow else f"d.state = '{state}'"
    conditions: list[tuple[str, Value]] = [("d.id > ?", after), ("d.id <= ?", upto)]
    if selection.ids is not None:
        conditions.append(("d.id IN (SELECT value FROM json_each(?))", json.dumps(list(selection.ids))))
        if selection.study_instance_uid is not None:
            conditions.append(("i.study_id = (SELECT id FROM study WHERE study_instance_uid = ?)", selection.study_instance_uid))
    elif selection.study_instance_uid is not None:
        source = _FROM_STUDY
        conditions = [("+d.id > ?", after), ("+d.id <= ?", upto), ("s.study_instance_uid = ?", selection.study_instance_uid)]
    if selection.destination_id is not None:
        conditions.append(("+d.destination_id = ?" if is_narrow else "d.destination_id = ?", selection.destination_id))
        in_state += "" if is_narrow else " AND d.state IN ('queued', 'sending', 'deferred', 'held')"
    if selection.hold_class is not None:
        conditions.append(("+d.hold_class = ?", selection.hold_class.value))
    if selection.sop_class_uid is not None:
        conditions.append(("+i.sop_class_uid = ?", selection.sop_class_uid))
    where = " AND ".join([in_state, *(condition for condition, _ in conditions)])
    return f"{_COLUMNS} {source} WHERE {where} ORDER BY d.id LIMIT ?", (*(value for _, value in conditions), limit)


def _chosen(row: Row) -> Chosen:
    number, state, hold_class, unknown_outcomes, object_id, destination_id, cause, cause_ref = row
    return Chosen(
        number,
        DeliveryState(state),
        HoldClass(hold_class) if hold_class else None,
        unknown_outcomes,
        DeliveryKey(object_id, destination_id, Cause(cause), cause_ref),
    )
