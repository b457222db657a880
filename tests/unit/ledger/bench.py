"""A real ledger in a directory, and generated instances to put into it.

Promises: nothing here waits; every identifier is generated.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.core.identity import Uid
from appliance.ledger.claims import Choice, Claim
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries, DeliveryRow, Moved
from appliance.ledger.destinations import DestinationStates
from appliance.ledger.instances import Attributes, InstanceFacts, Instances, InstanceState
from appliance.ledger.studies import Studies
from appliance.ledger.vocabulary import Cause, DeliveryState, Priority
from tests.fakes.clock import FakeClock

KEY = bytes(range(32))
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
J2K = "1.2.840.10008.1.2.4.90"


def facts(number: int, *, uid: str | None = None, study: str = "1.2.3", calling: str = "CT1", sop_class: str = CT) -> InstanceFacts:
    """Return what is known of the reception `number`; its SOP instance is its own unless `uid` says another."""
    return InstanceFacts(
        object_id=f"{number:032x}",
        sop_instance_uid=Uid(uid or f"2.25.{number}"),
        sop_class_uid=Uid(sop_class),
        transfer_syntax_uid=Uid(EXPLICIT),
        study_instance_uid=study,
        series_instance_uid=f"{study}.1",
        calling_title=calling,
        source_address="10.0.0.7",
        called_title="EDGE",
        spool_name=f"{number:032x}-g1-{number:032x}-1000.i.age",
        digest=f"{number:032x}",
        length=1000,
        received_at=1_709_208_000.0 + number,
        attributes=Attributes(
            study, f"{study}.1", "ID-1", "Generated^Name", "19700101", "ACC-1", "20240229", "Head", "CT", "HEAD", "CT-ROOM"
        ),
    )


class Bench:
    """One ledger with its repositories and a clock; each verb is one transaction."""

    def __init__(self, data: Path) -> None:
        """Make the ledger, or open it again."""
        self.data = data
        self.clock = FakeClock()
        self.ledger = Ledger.open(data, KEY, migrate=True)
        self.instances = Instances(self.ledger)
        self.deliveries = Deliveries(self.ledger)
        self.states = DestinationStates(self.ledger)
        self.studies = Studies(self.ledger)
        self._received = 0

    def receive(self, *, uid: str | None = None, version: int = 1, study: str = "1.2.3", calling: str = "CT1", sop_class: str = CT) -> int:
        """Record one more instance; return its number."""
        self._received += 1
        with self.ledger.write():
            return self.instances.add(
                facts(self._received, uid=uid, study=study, calling=calling, sop_class=sop_class),
                version=version,
                state=InstanceState.STORED,
            )

    def owe(
        self,
        instance_id: int,
        destination: str = "archive",
        *,
        priority: Priority = Priority.ROUTINE,
        cause: Cause = Cause.ROUTE,
        cause_ref: str = "",
    ) -> int:
        """Owe an instance to a destination; return the delivery's number."""
        with self.ledger.write():
            added = self.deliveries.add(instance_id, destination, cause=cause, cause_ref=cause_ref, priority=priority, now=self.clock.now())
        assert added is not None
        return added

    def receive_and_owe(self, *, calling: str = "CT1", sop_class: str = CT, priority: Priority = Priority.ROUTINE) -> int:
        """Record one more instance that is owed to the archive; return the delivery's number."""
        return self.owe(self.receive(calling=calling, sop_class=sop_class), priority=priority)

    def claim(self, destination: str = "archive", *, owner: str = "run-1", calling: str | None = None) -> Claim | None:
        """Claim the next delivery."""
        with self.ledger.write():
            return self.deliveries.claim(destination, owner=owner, choice=Choice(calling))

    def settle(self, delivery_id: int, move: Moved | DeliveryState) -> None:
        """Write down what becomes of a delivery."""
        with self.ledger.write():
            self.deliveries.settle(delivery_id, move if isinstance(move, Moved) else Moved(move))

    def row(self, delivery_id: int) -> DeliveryRow:
        """Return a delivery."""
        with self.ledger.read():
            return self.deliveries.get(delivery_id)

    def promote(self, destination: str = "archive") -> int:
        """Queue what is due now."""
        with self.ledger.write():
            return self.deliveries.promote_due(destination, self.clock.now())


def with_attributes(plain: InstanceFacts, **changes: Any) -> InstanceFacts:
    """Return the facts with some attributes changed."""
    return replace(plain, attributes=replace(plain.attributes, **changes))
