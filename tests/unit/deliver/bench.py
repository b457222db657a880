"""A sender on a real ledger with scripted destinations: what is owed to them, what they answer, and what became of it.

Promises: `owe` returns when the deliveries are durable; `Engine` is stopped and joined at the end of its block; a scripted destination
writes down every association and every instance in it.
Failures: `AssertionError` from a sender thread that does not end.
Limits: no sockets; a scripted destination answers at once unless its gate is closed.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.config.model import Delivery, Destination, DicomDestination, Site
from appliance.core.identity import AETitle, Uid
from appliance.deliver.sender import Sender
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Context, Outcome, Wanted
from appliance.deliver.verdict import Verdict, judge_context, judge_store, judge_unreachable
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import AttemptRecord, Deliveries, DeliveryRow
from appliance.ledger.destinations import DestinationState, DestinationStates
from appliance.ledger.instances import Attributes, InstanceFacts, Instances, InstanceState
from appliance.ledger.vocabulary import Cause, DeliveryState, Priority
from appliance.runtime.clock import SystemClock
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.support.eventually import eventually

KEY = bytes(range(32))
CT = Uid("1.2.840.10008.5.1.4.1.1.2")
MR = Uid("1.2.840.10008.5.1.4.1.1.4")
SR = Uid("1.2.840.10008.5.1.4.1.1.88.11")
EXPLICIT = Uid("1.2.840.10008.1.2.1")

SHORT = Delivery(
    dead_hello=0.05, throttled=(0.05, 0.4), refusing=0.2, soft=(0.05, 0.2), held=3600.0, site_rule=(5, 2, 0.2), connect=1.0, associate=1.0
)
"""Back-off short enough for a test, in the proportions of the real one."""


def a_destination(name: str = "archive", *, calling_ae: str = "box", lanes: int = 1) -> DicomDestination:
    """Return a destination that nothing is sent to over a network."""
    return DicomDestination(name=name, ae_title=AETitle("ARCHIVE"), host="archive.invalid", port=104, calling_ae=calling_ae, lanes=lanes)


def a_site(*destinations: DicomDestination, delivery: Delivery = SHORT) -> Site:
    """Return a site with these destinations and short waits."""
    return Site(destinations=destinations or (a_destination(),), delivery=delivery)


@dataclass(slots=True)
class Visit:
    """One association as a scripted destination saw it."""

    calling: str
    contexts: tuple[Context, ...]
    small_pdus: bool
    hurried: bool
    instances: list[str] = field(default_factory=list)
    ended: str = ""


def success(_task: Task) -> Outcome:
    """Store it."""
    return Outcome(judge_store(0), 0)


def status(code: int | None) -> Callable[[Task], Outcome]:
    """Return what answers every instance with this status."""
    return lambda task: Outcome(judge_store(code, sent_before=task.sent_before), code)


def broken(verdict: Verdict) -> Callable[[Task], Outcome]:
    """Return what breaks every transfer like this."""
    return lambda _task: Outcome(verdict)


class FakeDestination:
    """A scripted destination (a `Transport`). Its attributes may be changed while it runs."""

    def __init__(self) -> None:
        """Be there, accept everything and store everything."""
        self.is_there = True
        self.answer: Callable[[Task], Outcome] = success
        self.let_in: Callable[[Wanted, int], Verdict | None] = lambda _wanted, _open: None
        self.refused_contexts: dict[Context, int] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.visits: list[Visit] = []
        self.knocks = 0
        self.echoes = 0
        self.sending = 0
        self.most_sending = 0
        self.on_send: Callable[[Task], None] = lambda _task: None
        self._lock = threading.Lock()
        self._open = 0

    @property
    def received(self) -> list[str]:
        """Every instance that was offered, association by association."""
        with self._lock:
            return [uid for visit in self.visits for uid in visit.instances]

    def hello(self) -> None:
        """Be there or not."""
        self.knocks += 1
        if not self.is_there:
            raise AssociationFailedError(judge_unreachable("connect", "refused"))

    def echo(self) -> None:
        """Answer."""
        self.echoes += 1

    def open(self, wanted: Wanted) -> FakeChannel:
        """Let in whom the script lets in."""
        if not self.is_there:
            raise AssociationFailedError(judge_unreachable("connect", "refused"))
        with self._lock:
            verdict = self.let_in(wanted, self._open)
            if verdict is None:
                self._open += 1
                visit = Visit(str(wanted.calling), tuple(wanted.contexts), wanted.small_pdus, wanted.hurried)
                self.visits.append(visit)
                return FakeChannel(self, visit)
        raise AssociationFailedError(verdict)

    def take(self, visit: Visit, task: Task) -> Outcome:
        """Receive one instance."""
        with self._lock:
            visit.instances.append(str(task.claim.sop_instance_uid))
            self.sending += 1
            self.most_sending = max(self.most_sending, self.sending)
        self.on_send(task)
        self.gate.wait()
        with self._lock:
            self.sending -= 1
        return self.answer(task)

    def leave(self, visit: Visit, how: str) -> None:
        """See an association end."""
        with self._lock:
            visit.ended = how
            self._open -= 1


class FakeChannel:
    """One association with a scripted destination."""

    def __init__(self, destination: FakeDestination, visit: Visit) -> None:
        """Open."""
        self._destination = destination
        self._visit = visit
        self.is_open = True

    @property
    def answers(self) -> dict[Context, int]:
        """Tell what the script refuses."""
        return {context: self._destination.refused_contexts.get(context, 0) for context in self._visit.contexts}

    def proposed(self, context: Context) -> bool:
        """Say whether it was proposed."""
        return context in self._visit.contexts

    def refusal(self, context: Context) -> Verdict | None:
        """Refuse what the script refuses."""
        result = self._destination.refused_contexts.get(context)
        return None if result is None else judge_context(result, *context)

    def send(self, task: Task) -> Outcome:
        """Hand over one instance."""
        assert self.is_open, "an association that had ended was used again"
        assert task.context in self._visit.contexts, "a context that was not proposed was used"
        return self._destination.take(self._visit, task)

    def release(self) -> None:
        """End in good order."""
        self._end("release")

    def abort(self) -> None:
        """End at once."""
        self._end("abort")

    def _end(self, how: str) -> None:
        if self.is_open:
            self.is_open = False
            self._destination.leave(self._visit, how)


class Hints:
    """Wakes the sender as `HintListener` does."""

    def __init__(self) -> None:
        """Have no hint."""
        self._hint = threading.Event()

    def hint(self) -> None:
        """Wake it."""
        self._hint.set()

    def wait(self, timeout_s: float) -> bool:
        """Return True for a hint, False after a while that is shorter than the real one."""
        came = self._hint.wait(min(timeout_s, 0.05))
        self._hint.clear()
        return came


class Books:
    """The ledger of a test, and how to put something into it and look at what became of it."""

    def __init__(self, data: Path) -> None:
        """Make an empty ledger."""
        self.data = data
        self.ledger = Ledger.open(data, KEY, migrate=True)
        self._count = 0

    def owe(
        self,
        destination: str = "archive",
        *,
        count: int = 1,
        study: str = "1.2.3",
        source: str = "CT1",
        sop_class: Uid = CT,
        transfer_syntax: Uid = EXPLICIT,
        priority: Priority = Priority.ROUTINE,
        cause: Cause = Cause.ROUTE,
        name: SpoolName | None = None,
        length: int = 100,
    ) -> list[str]:
        """Owe new instances to a destination; return their SOP Instance UIDs."""
        uids = []
        with self.ledger.write():
            for _ in range(count):
                self._count += 1
                uid = f"1.2.826.0.9.{self._count}"
                digest = f"{self._count:032x}"
                facts = InstanceFacts(
                    object_id=f"{self._count:032x}",
                    sop_instance_uid=Uid(uid),
                    sop_class_uid=sop_class,
                    transfer_syntax_uid=transfer_syntax,
                    study_instance_uid=study,
                    series_instance_uid=f"{study}.1",
                    calling_title=source,
                    source_address="10.0.0.7",
                    called_title="EDGE",
                    spool_name=str(name or SpoolName(f"{self._count:032x}", 1, digest, 100, "i")),
                    digest=digest,
                    length=length,
                    received_at=1.0,
                    attributes=Attributes(study_instance_uid=study, series_instance_uid=f"{study}.1"),
                )
                number = Instances(self.ledger).add(facts, version=1, state=InstanceState.STORED)
                Deliveries(self.ledger).add(number, destination, cause=cause, cause_ref="r", priority=priority, now=SystemClock().now())
                uids.append(uid)
        return uids

    def row(self, uid: str) -> DeliveryRow:
        """Return the delivery of an instance that has one."""
        with self.ledger.read():
            stored = Instances(self.ledger).latest(uid)
            assert stored is not None
            (row,) = Deliveries(self.ledger).of_instance(stored.id)
            return row

    def attempts(self, uid: str) -> list[AttemptRecord]:
        """Return the attempts of the delivery of an instance."""
        number = self.row(uid).id
        with self.ledger.read():
            return list(Deliveries(self.ledger).attempts(number))

    def states(self, uids: Sequence[str]) -> list[DeliveryState]:
        """Return the states of the deliveries of these instances."""
        return [self.row(uid).state for uid in uids]

    def count(self, state: DeliveryState) -> int:
        """Return how many deliveries are in a state."""
        with self.ledger.read():
            return Deliveries(self.ledger).counts()[state]

    def destination(self, name: str = "archive") -> DestinationState | None:
        """Return what the ledger knows of a destination."""
        with self.ledger.read():
            return DestinationStates(self.ledger).get(name)

    def instance_state(self, uid: str) -> InstanceState:
        """Return what became of an instance."""
        with self.ledger.read():
            stored = Instances(self.ledger).latest(uid)
            assert stored is not None
            return stored.state


def settled(books: Books, uids: list[str], state: DeliveryState = DeliveryState.DELIVERED) -> Callable[[], bool]:
    """Return the question whether all these deliveries are in this state."""
    return lambda: books.states(uids) == [state] * len(uids)


class Engine:
    """A sender in a thread, for the length of a block."""

    def __init__(
        self, books: Books, site: Site, destinations: dict[str, FakeDestination] | None = None, *, spool: Spool | None = None
    ) -> None:
        """Prepare a sender for `site`, which may be changed; without scripted `destinations` it goes over the network."""
        self.site = site
        self.stopping = threading.Event()
        self.hints = Hints()
        self.engaged: list[str] = []
        """Every destination that a service was begun for, by name."""

        def way(destination: Destination) -> FakeDestination:
            assert destinations is not None
            self.engaged.append(destination.name)
            return destinations[destination.name]

        self.sender = Sender(
            spool or Spool(books.data),
            books.ledger,
            lambda: self.site,
            SystemClock(),
            books.data / "run",
            random.Random(1),
            transports=None if destinations is None else way,
        )
        self._thread = threading.Thread(target=self.sender.run, args=(self.stopping, self.hints), name="sender", daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop, and see that it ended."""
        self.stop()

    def ask_to_stop(self) -> None:
        """Ask the sender to stop, and return when it has told every service."""
        self.stopping.set()
        self.hints.hint()
        eventually(lambda: self.sender._roster is not None and not self.sender._roster._wanted)
        roster = self.sender._roster
        assert roster is not None
        eventually(lambda: all(service.stopping.is_set() for service in roster._served.values()))

    def stop(self) -> None:
        """Stop, and see that it ended; doing it again does no harm."""
        self.stopping.set()
        self.hints.hint()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the sender did not end"
