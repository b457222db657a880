"""A whole box without network in one directory: keys, spool, ledger, router, orders, keeper and rebuild, each verb done at once.

Promises: every identifier is generated; nothing here waits; `Crash` is no `Exception`, so that nothing in the appliance can catch it.
Limits: what a destination answers is written into the ledger as the sender would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.deliver.order_book import OrderBook
from appliance.deliver.orders import Done, Orders, Wanted
from appliance.keys.derive import Label, derive
from appliance.keys.generations import RememberedRecipients, ensure_keys, unlock
from appliance.keys.root import RootKeyMissingError, create_root, load_root
from appliance.ledger.access import RebuildCause
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import AttemptRecord, Deliveries, DeliveryRow, Moved
from appliance.ledger.instances import Instances, InstanceState, StoredInstance
from appliance.ledger.orders import OrderVerb
from appliance.ledger.selection import Selection
from appliance.ledger.vocabulary import DeliveryState
from appliance.retain.assessment import assess
from appliance.retain.keeper import Keeper
from appliance.retain.rebuild import Rebuild, Rebuilt
from appliance.retain.snapshot import Snapshots
from appliance.route.rerecording import Rerecording
from appliance.route.router import Router
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from appliance.spool.store import Spool
from tests.fakes.clock import FakeClock
from tests.unit.route import data_sets as ds
from tests.unit.route.sites import a_route, a_site

EVERYTHING = a_site(routes=[a_route("everything", "archive")])


class Crash(BaseException):
    """The process was killed here."""


class Box:
    """One box. `start` it before use, `die` to lose what is in memory."""

    def __init__(self, data: Path, site: Site = EVERYTHING) -> None:
        """Make or find the keys of `data`."""
        self.data = data
        self.site = site
        self.clock = FakeClock()
        self.woken = 0
        data.mkdir(parents=True, exist_ok=True)
        try:
            root = load_root(data, None)
        except RootKeyMissingError:
            root = create_root(data)
        ensure_keys(data, root)
        self.key = derive(root.material, Label.LEDGER)
        self.spool = Spool(
            data, recipients=RememberedRecipients(data), digest_key=derive(root.material, Label.DIGEST), identities=unlock(data, root)
        )
        self.spool.prepare()
        self.snapshots = Snapshots(data, self.key, self.clock)
        self.ledger: Ledger

    def start(self) -> Rebuilt | None:
        """Do what a start of the box does about its ledger, and return what a rebuild did."""
        rebuilt = None
        if assess(self.data, self.key, self.spool, self.snapshots) is not None:
            rebuilt = self.rebuild().run()
        self.open()
        self.router.recover()
        return rebuilt

    def open(self) -> None:
        """Open the ledger, and make what works in it."""
        self.ledger = Ledger.open(self.data, self.key, migrate=False)
        self.router = Router(self.spool, self.ledger, lambda: self.site, self.clock, self._wake)
        self.orders = Orders(self.spool, self.ledger, self.clock, self._wake)
        self.keeper = Keeper(self.ledger, self.snapshots, self.spool, self.clock)

    def rebuild(self) -> Rebuild:
        """Return a rebuild that is ready to run."""
        return Rebuild(
            self.data,
            self.key,
            self.spool,
            self.snapshots,
            Rerecording(self.spool, self.site, self.clock),
            OrderBook(self.spool),
            self.clock,
        )

    def die(self) -> None:
        """End every hold on the ledger, as the end of the process does."""
        self.ledger.let_go()

    def lose(self) -> None:
        """End, and lose the ledger."""
        self.die()
        for path in self.ledger_file.parent.glob("ledger.db*"):
            path.unlink()

    @property
    def ledger_file(self) -> Path:
        """Where the ledger is."""
        return self.data / "ledger" / "ledger.db"

    def marked(self) -> RebuildCause | None:
        """Return what `assess` finds."""
        return assess(self.data, self.key, self.spool, self.snapshots)

    def receive(self, uid: str, *, pixels: int = 32, calling: str = "CT1", called: str = "EDGE") -> SpoolName:
        """Seal a CT image into `incoming/`, a second after the one before."""
        now = self.clock.advance(1.0)
        header = ObjectHeader(
            sop_class_uid=Uid(ds.CT_IMAGE),
            sop_instance_uid=Uid(uid),
            transfer_syntax_uid=Uid(ds.EXPLICIT),
            calling_title=calling,
            called_title=called,
            peer_address="10.0.0.7",
            reception_id="",
            received_at=now.wall,
        )
        with self.spool.admit(header) as admission:
            admission.write(ds.an_image(uid, pixels=pixels))
            return admission.commit()

    def receive_and_route(self, *uids: str) -> None:
        """Receive images and record them."""
        for uid in uids:
            self.receive(uid)
        self.route()

    def route(self) -> None:
        """Record everything that waits."""
        while self.router.step():
            pass

    def deliver(self, *uids: str, destination: str = "archive") -> None:
        """Let a destination answer 0000 for these instances, a second after what was before."""
        attempt = AttemptRecord(self.clock.advance(1.0).wall, "success", 0)
        for uid in uids:
            for row in self.rows(uid):
                if row.destination_id == destination:
                    with self.ledger.write():
                        Deliveries(self.ledger).settle(row.id, Moved(DeliveryState.DELIVERED, attempt=attempt))

    def move(self, uid: str, moved: Moved) -> None:
        """Write down what becomes of the deliveries of an instance."""
        for row in self.rows(uid):
            with self.ledger.write():
                Deliveries(self.ledger).settle(row.id, moved)

    def order(self, verb: OrderVerb, *uids: str, selection: Selection | None = None, reason: str = "") -> Done:
        """Order something about the deliveries of these instances, a second after what was before."""
        self.clock.advance(1.0)
        ids = tuple(row.id for uid in uids for row in self.rows(uid))
        return self.orders.execute(Wanted(verb, selection or Selection(ids=ids), "anna", reason))

    def latest(self, uid: str) -> StoredInstance:
        """Return the newest version of an instance."""
        with self.ledger.read():
            found = Instances(self.ledger).latest(uid)
        assert found is not None
        return found

    def rows(self, uid: str) -> list[DeliveryRow]:
        """Return the deliveries of the newest version of an instance."""
        number = self.latest(uid).id
        with self.ledger.read():
            return list(Deliveries(self.ledger).of_instance(number))

    def row(self, uid: str) -> DeliveryRow:
        """Return the only delivery of an instance."""
        (row,) = self.rows(uid)
        return row

    def stands(self, uid: str) -> str:
        """Return where the only delivery of an instance stands, with its hold class."""
        row = self.row(uid)
        return f"{row.state} {row.hold_class}" if row.hold_class else str(row.state)

    def counts(self) -> dict[DeliveryState, int]:
        """Return how many deliveries are in each state that is not empty."""
        with self.ledger.read():
            return {state: count for state, count in Deliveries(self.ledger).counts().items() if count}

    def instances(self) -> dict[InstanceState, int]:
        """Return how many instances are in each state that is not empty."""
        with self.ledger.read():
            return {state: count for state, count in Instances(self.ledger).counts().items() if count}

    def send_all(self) -> Counter[str]:
        """Deliver everything that may be sent now, as a sender would; return how often each instance was sent."""
        sent: Counter[str] = Counter()
        while True:
            with self.ledger.write():
                claim = Deliveries(self.ledger).claim("archive", owner="run-1")
                if claim is None:
                    return sent
                Deliveries(self.ledger).settle(claim.delivery_id, Moved(DeliveryState.DELIVERED), owner="run-1")
            sent[claim.sop_instance_uid] += 1

    def incoming(self, kind: str = "i") -> list[SpoolName]:
        """Return what waits."""
        return [name for name in self.spool.incoming() if name.kind == kind]

    def stored(self, kind: str = "i") -> list[str]:
        """Return what is in the store."""
        return sorted(path.name for path in (self.data / "spool" / "store").rglob(f"*.{kind}.age"))

    def path(self, uid: str) -> Path:
        """Return the file of an instance in the store."""
        name = SpoolName.parse(self.latest(uid).facts.spool_name)
        assert name is not None
        return self.data / "spool" / "store" / name.store_directory() / str(name)

    def change_file(self, path: Path, change: Callable[[bytes], bytes]) -> None:
        """Change a file in place."""
        path.write_bytes(change(path.read_bytes()))

    def _wake(self) -> None:
        self.woken += 1
