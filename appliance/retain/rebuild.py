"""Rebuilding the ledger from the newest good snapshot, the sealed orders since, and the objects in the spool.

With a snapshot: it is restored, what the store holds beyond it is routed afresh, and the orders given since are followed. Without one:
every object of the store is recorded, what it is owed is held (class rebuilt), and all orders are followed. What waits in `incoming/` is
the router's, as always.

Promises: the new ledger is made beside its place and takes it whole; until then the old one is where it was, afterwards it is beside it,
never removed. Cut off anywhere, a rebuild begins again and comes to the same end. Nothing that is owed is lost, nothing cancelled comes
back, and nothing that a snapshot knows to be delivered is sent again. Receivers are not affected.
Failures: `LedgerKeyError` when this box's keys open nothing of what is here; `LedgerInUseError`, `LedgerNewerError`, `LedgerStorageError`.
Limits: what was delivered after the snapshot is sent once more. Without a snapshot the numbers of deliveries begin again at 1, and where
the clock stepped back an order may miss what the same bytes, sent again before it, asked for: that is held as everything is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Protocol

from appliance.core.errors import ApplianceError
from appliance.ledger import cipher_file
from appliance.ledger.access import alone, clear_request
from appliance.ledger.database import Ledger, draft_path, ledger_path
from appliance.ledger.deliveries import Deliveries
from appliance.ledger.faults import LedgerKeyError, storage_fault
from appliance.ledger.instances import Instances
from appliance.ledger.orders import Order
from appliance.ledger.requests import Requests
from appliance.ledger.retention import Retention
from appliance.retain.assessment import is_proven
from appliance.retain.snapshot import Snapshots
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.spool.files import sync_directory
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from appliance.spool.stored import Place, StoredObjects

log = get_logger(__name__)

# Objects looked up, opened and recorded together; also how often a long rebuild says how far it is (house.md section 10: long work shows).
_PAGE = 500
# More instances and deliveries than a box records between two snapshots (house.md section 6: a number is never given again).
_NUMBERS_SKIPPED = 1_000_000


class Recording(Protocol):
    """The router's part (`route.rerecording`)."""

    def record(self, ledger: Ledger, names: Sequence[SpoolName], *, anew: bool) -> list[SpoolName]:
        """Record objects; return those that the ledger does not point to afterwards."""


class Book(Protocol):
    """The sender's part (`deliver.order_book`)."""

    def read(self, name: SpoolName) -> Order | None:
        """Return the order in a message object, None when it is none."""

    def follow(self, ledger: Ledger, name: SpoolName, order: Order) -> int:
        """Do and record an order inside `write()`; return how many deliveries it moved."""

    def replay(self, ledger: Ledger, name: SpoolName, order: Order) -> int:
        """The same in a ledger that was made anew."""

    def object_gone(self, ledger: Ledger, instance_id: int, at: float) -> int:
        """Hold what is owed of an instance without an object."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild found and did; `snapshot` is the name of the one restored, `kept` where the old ledger is now, by name."""

    snapshot: str | None
    kept: str | None
    recorded: int
    returned: int
    gone: int
    orders: int


class Rebuild:
    """Rebuilds the ledger under one data directory."""

    def __init__(self, data: Path, key: bytes, spool: Spool, snapshots: Snapshots, recording: Recording, book: Book, clock: Clock) -> None:
        """Take what is needed; `key` is the ledger's, `spool` has the private keys."""
        self._data = data
        self._key = key
        self._spool = spool
        self._stored = StoredObjects(data)
        self._snapshots = snapshots
        self._recording = recording
        self._book = book
        self._clock = clock
        self._draft = draft_path(data)

    def run(self, stopping: threading.Event | None = None) -> Rebuilt:
        """Rebuild the ledger, take the mark away, and say what was done.

        With `stopping`, waits for others to leave the ledger until it is set; without, raises `LedgerInUseError` where there are any.
        """
        with alone(self._data, stopping):
            try:
                if is_proven(self._spool, self._data, self._snapshots) is False:
                    raise LedgerKeyError("this box's keys open nothing of what is in its spool")
                snapshot = self._begin()
                ledger = Ledger.open_draft(self._data, self._key, self._draft)
                try:
                    rebuilt = self._fill(ledger, snapshot)
                finally:
                    ledger.let_go()
                return self._publish(ledger, rebuilt)
            except OSError as error:
                raise storage_fault(error) from error

    def _begin(self) -> Path | None:
        """Put the newest good snapshot into the draft's place, or nothing; return it."""
        cipher_file.remove(self._draft)
        snapshot = self._snapshots.newest_good()
        if snapshot is not None:
            # Not a link: the draft changes, the snapshot must not.
            cipher_file.duplicate(snapshot, self._draft)
        log.warning("ledger.rebuilding", snapshot=snapshot.name if snapshot else None)
        return snapshot

    def _fill(self, ledger: Ledger, snapshot: Path | None) -> Rebuilt:
        anew, gone = snapshot is None, 0
        if not anew:
            self._doubt(ledger)
            gone = self._mark_gone(ledger)
        orders = self._orders(ledger)
        # What waits is the router's, except where an order speaks of it: then it was recorded once, and killed before it was moved.
        named = {part for _, order in orders for key in order.keys for part in (key.object_id, key.cause_ref)}
        waiting = (name for name in self._spool.incoming() if name.kind == "i" and name.object_id in named)
        recorded = returned = 0
        for names in (self._stored.in_order(), waiting):
            for page in self._unrecorded(ledger, names):
                left = self._recording.record(ledger, page, anew=anew)
                self._stored.send_back(left)
                recorded, returned = recorded + len(page) - len(self._not_recorded(ledger, page)), returned + len(left)
                log.info("ledger.rebuilding.progress", recorded=recorded, returned=returned)
        self._follow(ledger, orders, anew=anew)
        return Rebuilt(snapshot.name if snapshot else None, None, recorded, returned, gone, len(orders))

    def _doubt(self, ledger: Ledger) -> None:
        """Note that the snapshot is older than what happened: nothing is being sent, outcomes may be unknown, numbers may be given."""
        with ledger.write():
            Deliveries(ledger).free_dead_claims(())
            Retention(ledger).doubt_outcomes()
            Retention(ledger).skip_numbers(_NUMBERS_SKIPPED)

    def _mark_gone(self, ledger: Ledger) -> int:
        """Mark the instances whose objects are in the spool no longer; return how many."""
        gone = after = 0
        while True:
            with ledger.read():
                page = Retention(ledger).in_spool(after=after, limit=_PAGE)
            for kept in page:
                name = SpoolName.parse(kept.spool_name)
                place = None if name is None else self._stored.place(name)
                if place not in {Place.STORE, Place.INCOMING}:
                    self._mark(ledger, kept.id, place)
                    gone += 1
            if len(page) < _PAGE:
                return gone
            after = page[-1].id

    def _mark(self, ledger: Ledger, instance_id: int, place: Place | None) -> None:
        now = self._clock.now().wall
        with ledger.write():
            if place is None and not Deliveries(ledger).unfinished(instance_id):
                # Nothing owed is ever evicted (P4), and this one is owed nothing: it was evicted after the snapshot.
                Retention(ledger).evict(instance_id, now)
                return
            Instances(ledger).quarantine(instance_id)
            self._book.object_gone(ledger, instance_id, now)

    def _orders(self, ledger: Ledger) -> list[tuple[SpoolName, Order]]:
        """Return the sealed orders that the draft does not know, in the order in which they were given."""
        messages = [name for name in (*self._stored.in_order(), *self._spool.incoming()) if name.kind == "m"]
        found: dict[str, tuple[SpoolName, Order]] = {}
        for page in _pages(messages):
            with ledger.read():
                known = Requests(ledger).recorded([name.object_id for name in page])
            for name in page:
                order = None if name.object_id in known else self._read(name)
                if order is not None:
                    found[name.object_id] = name, order
        return sorted(found.values(), key=lambda one: (one[1].sequence, one[0]))

    def _read(self, name: SpoolName) -> Order | None:
        try:
            return self._book.read(name)
        except (ApplianceError, OSError) as error:
            # One that cannot be read must not keep a hospital's ledger from coming back; it stays where it is.
            log.error("order.unreadable", object_id=name.object_id, error=type(error).__name__)  # noqa: TRY400 (where says nothing)
            return None

    def _unrecorded(self, ledger: Ledger, names: Iterable[SpoolName]) -> Iterator[list[SpoolName]]:
        """Yield, a page at a time, the instances' objects that the draft does not know."""
        for page in _pages(name for name in names if name.kind == "i"):
            unrecorded = self._not_recorded(ledger, page)
            if unrecorded:
                yield unrecorded

    def _not_recorded(self, ledger: Ledger, names: Sequence[SpoolName]) -> list[SpoolName]:
        instances = Instances(ledger)
        with ledger.read():
            return [name for name in names if not instances.recorded(name.object_id)]

    def _follow(self, ledger: Ledger, orders: Sequence[tuple[SpoolName, Order]], *, anew: bool) -> None:
        follow = self._book.replay if anew else self._book.follow
        for name, order in orders:
            with ledger.write():
                moved = follow(ledger, name, order)
            log.info("order.replayed", verb=order.verb, object_id=name.object_id, deliveries=moved)

    def _publish(self, ledger: Ledger, rebuilt: Rebuilt) -> Rebuilt:
        """Let the draft take the ledger's place, which keeps what was there beside it."""
        ledger.finish()
        path = ledger_path(self._data)
        kept = self._put_aside(path)
        self._draft.rename(path)
        sync_directory(path.parent)
        clear_request(self._data)
        done = replace(rebuilt, kept=kept)
        log.warning(
            "ledger.rebuilt",
            snapshot=done.snapshot,
            kept=done.kept,
            recorded=done.recorded,
            returned=done.returned,
            gone=done.gone,
            orders=done.orders,
        )
        return done

    def _put_aside(self, path: Path) -> str | None:
        """Rename the old ledger and what belongs to it; return its new name, None when there was none."""
        stamp = datetime.fromtimestamp(int(self._clock.now().wall), UTC).strftime("%Y%m%dT%H%M%SZ")
        number, aside = 0, path.with_name(f"damaged-{stamp}.db")
        while aside.exists():
            number += 1
            aside = path.with_name(f"damaged-{stamp}-{number}.db")
        was_there = path.exists()
        # The database first: without it there is no ledger, which is begun again. One without its write-ahead log would look whole.
        for ending in ("", *cipher_file.COMPANIONS):
            companion = path.with_name(path.name + ending)
            if companion.exists():
                companion.rename(aside.with_name(aside.name + ending))
        return aside.name if was_there else None


def _pages(names: Iterable[SpoolName]) -> Iterator[list[SpoolName]]:
    left = iter(names)
    while page := list(islice(left, _PAGE)):
        yield page
