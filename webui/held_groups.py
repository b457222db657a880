"""What is held, group by group, as people decide about it: which deliveries belong to a group, and which order moves exactly those.

Promises: an order moves what its page showed, no matter how many groups a destination has: where conditions alone do not tell a group from
the next, its deliveries are named one by one.
Failures: what asking the daemons raises.
Limits: what becomes held between looking and ordering is not moved; it is on the next page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.manage.control import Control
from appliance.runtime.page_requests import BacklogReply, HeldGroup
from appliance.runtime.requests import OrderReply, OrderRequest, QueueRow

# Reasons are a peer's words and long: in an address of a page they are told apart by this.
_MARK_DIGITS = 16
# As many rows as the daemon answers within a second.
_PAGE = 1000
# Deliveries named in one order: a message of 16 MiB bears far more, an order's transaction does not gain by it.
_AT_ONCE = 5000

VERBS = ("retry", "release", "cancel")
"""What can be ordered for what is held."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which group: its destination, why it is held, and the mark of its reason; with the destination alone, everything held there."""

    destination: str
    hold_class: str
    code: str
    mark: str

    @classmethod
    def of(cls, group: HeldGroup | QueueRow) -> Key:
        """Return the key of a group, or of the group that a row belongs to."""
        return cls(group.destination, group.hold_class or "", group.code, mark_of(group.reason))

    @property
    def is_everything(self) -> bool:
        """Say whether it is everything that is held at the destination."""
        return not (self.hold_class or self.code or self.mark)

    @property
    def fields(self) -> dict[str, str]:
        """The key as fields of a form, or of an address."""
        return {"destination": self.destination, "hold_class": self.hold_class, "code": self.code, "mark": self.mark}


def mark_of(reason: str) -> str:
    """Return what tells a reason from others, short enough for an address, and without its words."""
    return hashlib.sha256(reason.encode()).hexdigest()[:_MARK_DIGITS]


def group_of(backlog: BacklogReply, key: Key) -> HeldGroup | None:
    """Return the group of this key as it is now, None where nothing of it is held any more.

    Of everything at a destination it is not known of how many studies it is: some may be in several groups.
    """
    if not key.is_everything:
        return next((group for group in backlog.held if Key.of(group) == key), None)
    count = sum(row.held for row in backlog.rows if row.destination == key.destination)
    return HeldGroup(key.destination, "", "", "", count, 0, None) if count else None


def rows_of(control: Control, key: Key, *, after: int = 0) -> Iterator[QueueRow]:
    """Yield the deliveries of a group by number, beginning after the number `after`."""
    while True:
        page = control.queue(destination=key.destination, state="held", limit=_PAGE, after=after).rows
        yield from (row for row in page if Key.of(row) == key)
        if len(page) < _PAGE:
            return
        after = page[-1].id


def order_group(control: Control, backlog: BacklogReply, key: Key, verb: str, who: str, reason: str) -> OrderReply:
    """Move everything of a group, and say what became of it."""
    if key.is_everything:
        return control.order(OrderRequest(verb, who, reason, destination=key.destination, state="held"))
    there = [group for group in backlog.held if group.destination == key.destination]
    listed = sum(group.count for group in there) >= sum(row.held for row in backlog.rows if row.destination == key.destination)
    if listed and sum(group.hold_class == key.hold_class for group in there) == 1:
        # Alone in its kind: its conditions say it, and nobody has to list twenty thousand numbers.
        return control.order(
            OrderRequest(verb, who, reason, destination=key.destination, hold_class=key.hold_class or None, state="held"),
        )
    ids = [row.id for row in rows_of(control, key)]
    done = OrderReply(0, 0, 0)
    for start in range(0, len(ids), _AT_ONCE):
        part = control.order(OrderRequest(verb, who, reason, ids=tuple(ids[start : start + _AT_ONCE]), state="held"))
        done = OrderReply(done.moved + part.moved, done.busy + part.busy, done.unchanged + part.unchanged)
    return done
