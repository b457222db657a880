"""A box in virtual time: router, sender and keeper loops over a real spool and ledger, in one process.

Promises: `scan` returns when the objects are durable in `incoming/`, as the receiver leaves them, and the router was told; `stop` returns
when every loop has ended in good order.
Failures: what the loops themselves do not survive.
Limits: no receiver and no sockets: reception by DICOM is a matter of the tests with real peers.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.deliver.dispatch import Dispatch
from appliance.deliver.plan import Terms
from appliance.deliver.recorder import Recorder
from appliance.deliver.sender import Sender
from appliance.keys.derive import Label, derive
from appliance.keys.generations import active_recipients, ensure_keys, unlock
from appliance.keys.root import create_root
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries
from appliance.ledger.queue import QueueRow
from appliance.ledger.vocabulary import DeliveryState
from appliance.retain.keeper import Keeper
from appliance.retain.snapshot import Snapshots
from appliance.route.router import Router
from appliance.spool.part10 import ObjectHeader
from appliance.spool.store import Spool
from tests.simulation.archive import Archive
from tests.simulation.world import Hints, VirtualThread, World
from tests.unit.route import data_sets as ds

Result = TypeVar("Result")

ARCHIVE = {"name": "archive", "ae_title": "ARCHIVE", "host": "archive.invalid", "port": 104}


class SimulatedBox:
    """One data directory, its loops, and its only destination. Use it as a context manager: it runs within the block."""

    def __init__(
        self, data: Path, world: World, *, lanes: int = 4, send_s: float = 0.4, tick_s: float = 0.0, keeper_s: float = 900.0
    ) -> None:
        """Prepare; the settings are the defaults of the product. `tick_s`: the least that a tick takes; `keeper_s`: between rounds."""
        self.world = world
        self.site = Site.model_validate(
            {
                "destination": [ARCHIVE | {"lanes": lanes}],
                "route": [{"name": "everything", "to": ["archive"]}],
                "source": [{"name": "CT1", "ae_title": "CT1"}],
            }
        )
        self.run_dir = data / "run"
        self.run_dir.mkdir(parents=True)
        root = create_root(data)
        ensure_keys(data, root)
        recipients, digest_key = active_recipients(data), derive(root.material, Label.DIGEST)
        ledger_key = derive(root.material, Label.LEDGER)
        self.spool = Spool(data, recipients=lambda: recipients, digest_key=digest_key, identities=unlock(data, root))
        self.spool.prepare()
        self.ledger = Ledger.open(data, ledger_key, migrate=True)
        self.archive = Archive(world, self.spool, send_s)
        self.acknowledged: list[str] = []
        self._stopping = threading.Event()
        self._router_hints, self._sender_hints = Hints(world, tick_s=tick_s), Hints(world, tick_s=tick_s)
        self._router = Router(self.spool, self.ledger, lambda: self.site, world, self._sender_hints.hint)
        self._keeper = Keeper(self.ledger, Snapshots(data, ledger_key, world), self.spool, world)
        self._keeper_s = keeper_s
        self._sender = _VirtualSender(
            self.spool, self.ledger, lambda: self.site, world, self.run_dir, random.Random(1), transports=lambda _destination: self.archive
        )
        self._loops: list[VirtualThread] = []

    def __enter__(self) -> Self:
        """Start."""
        self._begin("router", self._route)
        self._begin("sender", self._send)
        self._begin("keeper", self._keep)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop, if the world still turns."""
        if kind is None:
            self.stop()
        self.ledger.close()

    def scan(self, study: str, uids: Iterable[str]) -> None:
        """Receive instances of a study now."""
        for uid in uids:
            header = ObjectHeader(
                sop_class_uid=Uid(ds.CT_IMAGE),
                sop_instance_uid=Uid(uid),
                transfer_syntax_uid=Uid(ds.EXPLICIT),
                calling_title="CT1",
                called_title="EDGE",
                peer_address="10.0.0.7",
                reception_id="",
                received_at=self.world.now().wall,
            )
            with self.spool.admit(header) as admission:
                admission.write(_an_image(study, uid))
                admission.commit()
            self.acknowledged.append(uid)
        self._router_hints.hint()

    def stop(self) -> None:
        """Stop every loop, and wait for the end of each."""
        self._stopping.set()
        self._router_hints.hint()
        self._sender_hints.hint()
        for loop in self._loops:
            loop.join()
        self.world.pass_time(0)

    def counts(self) -> dict[DeliveryState, int]:
        """Return how many deliveries are in each state that is not empty."""
        with self.ledger.read():
            return {state: count for state, count in Deliveries(self.ledger).counts().items() if count}

    def owed(self) -> list[QueueRow]:
        """Return what is still owed, the first thousand."""
        with self.ledger.read():
            return Deliveries(self.ledger).list(limit=1000)

    def _begin(self, name: str, loop: object) -> None:
        thread = self.world.thread(target=loop, name=name)  # type: ignore[arg-type]
        self._loops.append(thread)
        thread.start()

    def _route(self) -> None:
        self._router.recover()
        self._router.run(self._stopping, self._router_hints)  # type: ignore[arg-type]
        self.ledger.close()

    def _send(self) -> None:
        self._sender.recover()
        self._sender.run(self._stopping, self._sender_hints)
        self.ledger.close()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self._keeper.round()
            for _ in range(10):
                if not self._stopping.is_set():
                    self.world.sleep(self._keeper_s / 10)
        self.ledger.close()


def _an_image(study: str, uid: str) -> bytes:
    """Return the least that is an image."""
    elements = {
        ds.SOP_CLASS: ds.CT_IMAGE.encode(),
        ds.SOP_INSTANCE: uid.encode(),
        ds.MODALITY: b"CT",
        ds.STUDY_UID: study.encode(),
        ds.SERIES_UID: f"{study}.1".encode(),
        ds.PIXELS: bytes(2),
    }
    return ds.encoded(elements)


class _VirtualSender(Sender):
    """The sender with coordinators and lanes that live in virtual time."""

    def _dispatch(self, terms: Terms, recorder: Recorder, ending: threading.Event) -> Dispatch:
        world = self._clock
        assert isinstance(world, World)
        dispatch = super()._dispatch(terms, recorder, ending)
        around = replace(dispatch._around, condition=world.condition, thread=world.thread)
        return Dispatch(dispatch._plan, dispatch._transport, dispatch._outbox, around)
