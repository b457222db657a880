"""A router on real folders: keys, spool and ledger under one directory, and what a scanner would have had sealed into it.

Promises: `receive` returns when the object is durable in `incoming/`, as the receiver leaves it; nothing here waits or uses the network.
Failures: `Crash`, where a test asks for one: it is no `Exception`, so that nothing in the appliance can catch it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.keys.derive import Label, derive
from appliance.keys.generations import active_recipients, ensure_keys, unlock
from appliance.keys.root import create_root
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries, DeliveryRow, Moved
from appliance.ledger.instances import Instances, InstanceState, StoredInstance
from appliance.ledger.studies import Studies, StudySummary
from appliance.ledger.vocabulary import DeliveryState
from appliance.route.router import Router
from appliance.runtime.clock import Instant
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader, ObjectKind
from appliance.spool.store import Spool
from tests.unit.route import data_sets as ds

_NOON = 1_709_208_000.0


class Crash(BaseException):
    """The process was killed here."""


class FakeClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        """Begin at noon."""
        self.seconds = 0.0

    def now(self) -> Instant:
        """Return the moment."""
        return Instant(_NOON + self.seconds, 1000.0 + self.seconds, "boot")

    def sleep(self, seconds: float) -> None:
        """Go on."""
        self.seconds += seconds


class Bench:
    """One data directory with everything a router needs."""

    def __init__(
        self, data: Path, site: Site, *, spool: type[Spool] = Spool, ledger: type[Ledger] = Ledger, clock: FakeClock | None = None
    ) -> None:
        """Make keys, spool and ledger; `spool` and `ledger` may be failing ones."""
        self.data = data
        self.site = site
        self.clock = clock or FakeClock()
        data.mkdir(parents=True, exist_ok=True)
        root = create_root(data)
        ensure_keys(data, root)
        recipients = active_recipients(data)
        self._digest_key = derive(root.material, Label.DIGEST)
        self._identities: Mapping[int, bytes] = unlock(data, root)
        self._ledger_key = derive(root.material, Label.LEDGER)
        self.receiver = Spool(data, recipients=lambda: recipients, digest_key=self._digest_key)
        self.receiver.prepare()
        self.woken = 0
        self.received = 0
        self.start(spool=spool, ledger=ledger)

    def start(self, *, spool: type[Spool] = Spool, ledger: type[Ledger] = Ledger) -> None:
        """Begin a new router on the same folders, as after a restart."""
        self.spool = spool(self.data, digest_key=self._digest_key, identities=self._identities)
        self.ledger = ledger.open(self.data, self._ledger_key, migrate=True)
        self.router = Router(self.spool, self.ledger, lambda: self.site, self.clock, self._wake)

    def take_keys(self) -> Mapping[int, bytes]:
        """Take the private keys away from the router, and return them."""
        identities, self.spool._identities = self.spool._identities, {}
        assert identities is not None
        return identities

    def put_keys(self, identities: Mapping[int, bytes]) -> None:
        """Begin a new router that has these keys."""
        self._identities = identities
        self.start()

    def receive(
        self,
        content: bytes,
        uid: str,
        *,
        calling: str = "CT1",
        called: str = "EDGE",
        address: str = "10.0.0.7",
        transfer_syntax: str = ds.EXPLICIT,
        sop_class: str = ds.CT_IMAGE,
        kind: ObjectKind = "instance",
        hops: int = 0,
    ) -> SpoolName:
        """Seal an object into `incoming/`."""
        self.received += 1
        header = ObjectHeader(
            sop_class_uid=Uid(sop_class),
            sop_instance_uid=Uid(uid),
            transfer_syntax_uid=Uid(transfer_syntax),
            calling_title=calling,
            called_title=called,
            peer_address=address,
            reception_id="",
            received_at=_NOON + self.received,
            kind=kind,
            hops=hops,
        )
        with self.receiver.admit(header) as admission:
            admission.write(content)
            name = admission.commit()
        admission.announce()
        return name

    def receive_image(
        self,
        uid: str,
        changes: Mapping[int, bytes | None] | None = None,
        *,
        calling: str = "CT1",
        called: str = "EDGE",
        address: str = "10.0.0.7",
    ) -> SpoolName:
        """Seal a CT image into `incoming/`."""
        return self.receive(ds.an_image(uid, changes), uid, calling=calling, called=called, address=address)

    def route(self) -> None:
        """Step until nothing is left to do."""
        while self.router.step():
            pass

    def latest(self, uid: str) -> StoredInstance | None:
        """Return the newest version of an instance."""
        with self.ledger.read():
            return Instances(self.ledger).latest(uid)

    def counts(self) -> dict[InstanceState, int]:
        """Return how many instances are in each state that is not empty."""
        with self.ledger.read():
            return {state: count for state, count in Instances(self.ledger).counts().items() if count}

    def deliveries(self, uid: str) -> list[DeliveryRow]:
        """Return the deliveries of the newest version of an instance."""
        latest = self.latest(uid)
        if latest is None:
            return []
        with self.ledger.read():
            return list(Deliveries(self.ledger).of_instance(latest.id))

    def delivery_count(self) -> int:
        """Return how many deliveries there are."""
        with self.ledger.read():
            return sum(Deliveries(self.ledger).counts().values())

    def studies(self) -> list[StudySummary]:
        """Return the studies."""
        with self.ledger.read():
            return Studies(self.ledger).find(limit=100)

    def deliver(self, uid: str, *destinations: str) -> None:
        """Record that the deliveries of an instance arrived; at these destinations only, when some are named."""
        rows = self.deliveries(uid)
        with self.ledger.write():
            for row in rows:
                if not destinations or row.destination_id in destinations:
                    Deliveries(self.ledger).settle(row.id, Moved(DeliveryState.DELIVERED))

    def incoming(self) -> list[str]:
        """Return what waits."""
        return sorted(path.name for path in (self.data / "spool" / "incoming").iterdir())

    def stored(self) -> list[str]:
        """Return what is in the store."""
        return sorted(path.name for path in (self.data / "spool" / "store").rglob("*.age"))

    def quarantined(self) -> list[str]:
        """Return what is in quarantine."""
        return sorted(path.name for path in (self.data / "spool" / "quarantine").iterdir())

    def damage(self, name: SpoolName, change: Callable[[bytes], bytes]) -> None:
        """Change an object that waits."""
        path = self.data / "spool" / "incoming" / str(name)
        path.write_bytes(change(path.read_bytes()))

    def _wake(self) -> None:
        self.woken += 1
