"""Claims: who sends what next. The order of a destination's queue is decided here and nowhere else.

Promises: a delivery is claimed by one owner at a time. What is most urgent is next for everybody who asks; a claim costs the same however
much waits. Methods never open a transaction.
Failures: `LedgerScopeError` outside `write()`; what `database` lists.
Limits: what a claim passes over (`Choice.exclude`) is a handful.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from appliance.core.identity import Uid
from appliance.ledger.database import Row, Value
from appliance.ledger.holding import Holding
from appliance.ledger.vocabulary import Cause, Priority

# Sent by a slow line such an object takes minutes: half an hour at 256 kbit/s. CT, MR and most of US stay below, cines and tomosyntheses
# do not.
LARGE_BYTES = 64 << 20

# Deliveries made between the oldest that waits and the newest, from which on the newest may go first: two studies of a CT. Numbers, because
# order is the ledger's sequence and never a time (house.md section 3).
BACKLOG = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that its owner now sends, with everything needed to send it.

    `attempts` counts every try, `soft_attempts` the tries since the last that was not of the same class, `unknown_outcomes` those of which
    nobody knows how they ended; the sender carries the last two forward in `Moved`. `hops`: how many boxes its instance had passed.
    """

    delivery_id: int
    instance_id: int
    destination_id: str
    owner: str
    sop_class_uid: Uid
    sop_instance_uid: Uid
    transfer_syntax_uid: Uid
    study_instance_uid: str
    calling_title: str
    called_title: str
    spool_name: str
    length: int
    version: int
    priority: Priority
    cause: Cause
    attempts: int
    soft_attempts: int
    unknown_outcomes: int
    hops: int = 0

    @property
    def is_large(self) -> bool:
        """Whether it keeps a lane busy for long."""
        return self.length > LARGE_BYTES


@dataclass(frozen=True, slots=True)
class Choice:
    """Which deliveries a claim is about. Next is the most urgent priority, in it what came from `calling` (when given), in that the oldest.

    A lane that goes on preferring its title can keep other titles of the same priority waiting; it must let go now and then. `exclude`
    names deliveries that are not to be claimed; with `small` large ones are not, with `urgent` only STAT ones are. With `newest` the newest
    is next instead of the oldest where there is a backlog: who asks for it every other time serves today's studies while last week's are
    made good.
    """

    calling: str | None = None
    exclude: frozenset[int] = frozenset()
    newest: bool = False
    small: bool = False
    urgent: bool = False


ANY = Choice()
"""Whatever is next."""


@dataclass(frozen=True, slots=True)
class EarlierOfStudy:
    """What is owed of a study that was owed before one of its deliveries: some that goes by itself, some that waits for something else."""

    moving: bool
    stuck: bool


# The state is written out, not bound, so that SQLite may use the partial indexes.
_NEXT = """
    SELECT d.id, d.instance_id, d.destination_id, i.sop_class_uid, i.sop_instance_uid, i.transfer_syntax_uid, s.study_instance_uid,
        i.calling_title, i.called_title, i.spool_name, i.length, i.version, d.priority, d.cause, d.attempts, d.soft_attempts,
        d.unknown_outcomes, i.hops
    FROM delivery d {index} CROSS JOIN instance i ON i.id = d.instance_id CROSS JOIN study s ON s.id = i.study_id
    WHERE d.destination_id = ? AND d.state = 'queued' AND d.blocked_by IS NULL
"""
_NEXT_OF_ALL = _NEXT.format(index="")
# SQLite would as soon walk over the large ones in the index of all.
_NEXT_SMALL = _NEXT.format(index="INDEXED BY delivery_ready_small") + " AND d.large = 0"
_NOT_EXCLUDED = " AND d.id NOT IN (SELECT value FROM json_each(?))"
_OF_TITLE = " AND d.calling_title = ? AND d.priority = ?"
_AS_URGENT = " AND d.priority = ?"
_MOST_URGENT = " ORDER BY d.priority, d.id LIMIT 1"
_NEWEST = " ORDER BY d.id DESC LIMIT 1"

_CLAIM = "UPDATE delivery SET state = 'sending', owner = ? WHERE id = ?"

# What was tried and failed moves by itself, but may do so for ever. The plus keeps SQLite from walking over everything that is owed to the
# destination; a study has some thousand instances at most.
_EARLIER_OF_STUDY = """
    SELECT coalesce(max(d.blocked_by IS NULL AND d.attempts = 0 AND d.state IN ('queued', 'sending')), 0), count(*)
    FROM instance own CROSS JOIN instance i ON i.study_id = own.study_id
        CROSS JOIN delivery d ON d.instance_id = i.id AND d.destination_id = ?
    WHERE own.id = ? AND d.id < ? AND +d.state IN ('queued', 'sending', 'deferred', 'held')
"""


class Claims(Holding):
    """What senders ask of the deliveries."""

    def claim(self, destination_id: str, *, owner: str, choice: Choice = ANY) -> Claim | None:
        """Make `owner` the sender of the next delivery to a destination, and return it; None when nothing of the choice is ready."""
        best = self._next(destination_id, owner, choice)
        if best is not None:
            self._ledger.change(_CLAIM, (owner, best.delivery_id))
        return best

    def earlier_of_study(self, claim: Claim) -> EarlierOfStudy:
        """Return what was owed to the same destination of the same study before what was claimed, and still is."""
        parameters = (claim.destination_id, claim.instance_id, claim.delivery_id)
        ((moving, count),) = self._ledger.rows(_EARLIER_OF_STUDY, parameters)
        return EarlierOfStudy(bool(moving), bool(count) and not moving)

    def _next(self, destination_id: str, owner: str, choice: Choice) -> Claim | None:
        excluded = (_NOT_EXCLUDED, (json.dumps(sorted(choice.exclude)),)) if choice.exclude else ("", ())

        def first(wanted: str, rest: str, *parameters: Value) -> Claim | None:
            rows = self._ledger.rows(wanted + excluded[0] + rest, (destination_id, *excluded[1], *parameters))
            return _claim(rows[0], owner) if rows else None

        wanted = _NEXT_SMALL if choice.small else _NEXT_OF_ALL
        best = first(wanted, _AS_URGENT + _MOST_URGENT, Priority.STAT) if choice.urgent else first(wanted, _MOST_URGENT)
        if best is None:
            return None
        alike: tuple[str, str, tuple[Value, ...]] = (wanted, _AS_URGENT, (best.priority,))
        if choice.calling is not None:
            of_title = (_NEXT_OF_ALL, _OF_TITLE, (choice.calling, best.priority))
            is_of_title = best.calling_title.upper() == choice.calling.upper()
            preferred = best if is_of_title else first(_NEXT_OF_ALL, _OF_TITLE + _MOST_URGENT, choice.calling, best.priority)
            if preferred is not None and not (choice.small and preferred.is_large):
                best, alike = preferred, of_title
        last = first(alike[0], alike[1] + _NEWEST, *alike[2]) if choice.newest else None
        if last is None or last.delivery_id - best.delivery_id < BACKLOG or (choice.small and last.is_large):
            return best
        return last


def _claim(row: Row, owner: str) -> Claim:
    number, instance, destination, sop_class, sop_instance, syntax, study, calling, called, spool_name, length, version, *delivery = row
    priority, cause, attempts, soft_attempts, unknown_outcomes, hops = delivery
    return Claim(
        delivery_id=number,
        instance_id=instance,
        destination_id=destination,
        owner=owner,
        sop_class_uid=sop_class,
        sop_instance_uid=sop_instance,
        transfer_syntax_uid=syntax,
        study_instance_uid=study,
        calling_title=calling,
        called_title=called,
        spool_name=spool_name,
        length=length,
        version=version,
        priority=Priority(priority),
        cause=Cause(cause),
        attempts=attempts,
        soft_attempts=soft_attempts,
        unknown_outcomes=unknown_outcomes,
        hops=hops,
    )
