"""How long each destination's queue is, when it will be empty, and what is held, by reason.

Promises: costs what is owed, however much is finished. Every destination is there, those that were removed and are still owed something
last.
Failures: those of the ledger.
Limits: as old as `remembering` allows. When a queue is empty is told from the last ten minutes; what will come is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from appliance.deliver.held_codes import code_of
from appliance.ledger.backlog import Backlog, HeldTogether
from appliance.ledger.queue import Queue
from appliance.ledger.traffic import MINUTE_S, Traffic, minute_of
from appliance.ledger.vocabulary import DeliveryState
from appliance.manage.answering import Desk
from appliance.manage.box_time import iso
from appliance.manage.remembering import Remembered
from appliance.runtime.control import Handler
from appliance.runtime.page_requests import BacklogReply, BacklogRequest, BacklogRow, HeldGroup

# What a person scrolls through; the biggest are first.
_MOST_GROUPS = 200
_MINUTES_OF_RATE = 10
REMOVED = "removed"
"""The state of a destination that is owed something and no longer configured."""


class Backlogs:
    """Answers what waits."""

    def __init__(self, desk: Desk, conditions: Callable[[], Mapping[str, str]]) -> None:
        """Answer at `desk`; `conditions` says how each configured destination is, by its id."""
        self._desk = desk
        self._conditions = conditions
        self._backlog = Backlog(desk.ledger)
        self._traffic = Traffic(desk.ledger)
        self._queue = Queue(desk.ledger)
        self._known = Remembered[BacklogReply](desk.clock)

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {BacklogRequest: self._desk.answering(self.backlog)}

    def backlog(self, _request: BacklogRequest) -> BacklogReply:
        """Return every destination's queue, and what is held."""
        return self._known.get(self._look)

    def _look(self) -> BacklogReply:
        conditions, names = self._conditions(), self._desk.names()
        now = self._desk.clock.now().wall
        with self._desk.ledger.read():
            removed = [one for one in self._backlog.destination_ids() if one not in conditions]
            rates = self._rates(now)
            states = {**conditions, **dict.fromkeys(removed, REMOVED)}
            rows = [self._row(one, names.get(one, one), state, rates.get(one, 0.0), now) for one, state in states.items()]
            held = self._backlog.held(limit=_MOST_GROUPS)
        return BacklogReply(tuple(rows), held_groups(held, names))

    def _rates(self, now: float) -> dict[str, float]:
        """Return how many instances a second each destination (id) took in the last ten minutes, the one that is now included."""
        since = (minute_of(now) + 1 - _MINUTES_OF_RATE) * float(MINUTE_S)
        return {one: count / max(now - since, 1.0) for one, count in self._traffic.delivered(since, now + MINUTE_S).items()}

    def _row(self, destination_id: str, name: str, state: str, rate: float, now: float) -> BacklogRow:
        waiting = self._queue.waiting(destination_id)
        oldest_s = None if waiting.oldest is None else round(max(0.0, now - waiting.oldest), 1)
        empty_in_s = 0.0 if not waiting.deliveries else round(waiting.deliveries / rate, 1) if rate else None
        held = self._queue.held(destination_id)
        return BacklogRow(name, state, waiting.deliveries, held, oldest_s, round(rate, 3), empty_in_s)


def held_groups(held: Iterable[HeldTogether], names: Mapping[str, str]) -> tuple[HeldGroup, ...]:
    """Return what is held as a person is told of it; `names` has the destinations' by id."""
    return tuple(_group(one, names) for one in held)


def _group(one: HeldTogether, names: Mapping[str, str]) -> HeldGroup:
    return HeldGroup(
        destination=names.get(one.destination_id, one.destination_id),
        hold_class=one.hold_class.value,
        code=code_of(DeliveryState.HELD, one.hold_class, one.reason, one.last_outcome),
        reason=one.reason,
        count=one.count,
        studies=one.studies,
        since=iso(one.since),
        sop_class=one.sop_class_uid,
    )
