"""The outbox against a model: whatever senders, kills, archives' moods and persons do, in whatever order (house.md P3, P4, P7).

The real spool, ledger, router, orders and delivery engine work in this thread, one step at a time; what a kill leaves is what they had made
durable. The model knows what was sent, what was acknowledged, what each archive keeps, and what a person gave up; content stands for the
instance everywhere, because an archive that has other bytes under the right UID does not have it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

from blake3 import blake3
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.config.model import Site
from appliance.core.identity import Uid
from appliance.deliver.dispatch import Dispatch
from appliance.deliver.orders import Orders, Wanted
from appliance.deliver.plan import Terms
from appliance.deliver.recorder import Recorder
from appliance.deliver.sender import Sender
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Context, Outcome
from appliance.deliver.transport import Wanted as WantedChannel
from appliance.deliver.verdict import Break, Verdict, judge_break, judge_reject, judge_store, judge_unreachable
from appliance.keys.derive import Label, derive
from appliance.keys.generations import active_recipients, ensure_keys, unlock
from appliance.keys.root import create_root
from appliance.ledger.database import Ledger
from appliance.ledger.orders import OrderVerb
from appliance.ledger.selection import Selection
from appliance.ledger.studies import StudyMissingError
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.manage.resending import ResendDesk
from appliance.route.router import Router
from appliance.runtime.page_requests import ResendRequest
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from appliance.spool.store import Spool
from tests.fakes.clock import FakeClock
from tests.unit.route import data_sets as ds

_Result = TypeVar("_Result")

_LONG = os.environ.get("LONG") == "1"
_MEMORY = Path("/dev/shm")
_DESTINATIONS = ("archive", "second")
_STUDIES = 3
_UIDS = 6
# Longer than everything that is waited for by itself: what is held is tried again after a day and a fifth.
_ROUNDS, _ROUND_S = 12, 110_000.0
# A lane that offers more than this in one step goes in circles.
_MOST_OFFERS = 500

_DELIVERED = (DeliveryState.DELIVERED, DeliveryState.PROVED)
_YEAR_S = 365.25 * 86_400.0


class Crash(BaseException):
    """The process was killed here: no `Exception`, so that nothing in the appliance can catch it."""


class Fuse:
    """Counts the points at which a kill makes a difference, and kills at one of them."""

    def __init__(self) -> None:
        """Never kill."""
        self.left: int | None = None

    def point(self) -> None:
        """Pass a point."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Crash


@dataclass(frozen=True, slots=True)
class Mood:
    """How an archive is: what it answers, or why it lets nobody in, or how it breaks off; and whether it keeps what it breaks off at."""

    status: int | None = 0x0000
    refuses: Verdict | None = None
    breaks: Break | None = None
    keeps: bool = True


_WELL = Mood()
_SICK = (
    *(Mood(status=status) for status in (0xA700, 0xA900, 0xC000, 0xC122, 0x0110, 0x0117, 0x0122, 0x0124, 0x0210, 0xB000, 0x1234, None)),
    *(Mood(breaks=kind, keeps=keeps) for kind in Break for keeps in (True, False)),
    *(Mood(refuses=judge_reject(*reject)) for reject in ((1, 1, 3), (1, 1, 7), (2, 3, 1), (2, 3, 2))),
    Mood(refuses=judge_unreachable("connect", "refused")),
    # An archive that says 0111 for what it has.
    Mood(status=0x0111),
)
_MOODS = st.just(_WELL) | st.sampled_from(_SICK)
_STORED = (0x0000, 0xB000, 0xB006, 0xB007)


@dataclass(slots=True)
class Archive:
    """A destination (a `Transport`): keeps contents."""

    fuse: Fuse
    open_object: Callable[[SpoolName], Any]
    kept: set[bytes] = field(default_factory=set)
    mood: Mood = _WELL
    offers: int = 0

    def hello(self) -> None:
        """Listen, or not."""
        if self.mood.refuses is not None and self.mood.refuses.flag.startswith("unreachable"):
            raise AssociationFailedError(self.mood.refuses)

    echo = hello

    def open(self, wanted: WantedChannel) -> Channel:
        """Let in, or not."""
        if self.mood.refuses is not None:
            raise AssociationFailedError(self.mood.refuses)
        return Channel(self, frozenset(wanted.contexts))

    def take(self, task: Task) -> Outcome:
        """Be offered one instance."""
        self.offers += 1
        assert self.offers < _MOST_OFFERS, "the same is offered again and again"
        name = SpoolName.parse(task.claim.spool_name)
        assert name is not None
        with self.open_object(name) as sealed:
            content = sealed.read(sealed.length)
        self.fuse.point()
        mood = self.mood
        if mood.breaks is not None:
            self.kept |= {content} if mood.keeps else set()
            return Outcome(judge_break(mood.breaks, after_first_pdv=True, association_proved=False))
        status = mood.status if mood.status != 0x0111 or content in self.kept else 0x0000
        self.kept |= {content} if status in _STORED else set()
        self.fuse.point()
        return Outcome(judge_store(status, sent_before=task.sent_before), status)


class Channel:
    """An association with it."""

    def __init__(self, archive: Archive, contexts: frozenset[Context]) -> None:
        """Be open."""
        self._archive = archive
        self._contexts = contexts
        self.is_open = True

    @property
    def answers(self) -> dict[Context, int]:
        """Take everything."""
        return dict.fromkeys(self._contexts, 0)

    def proposed(self, context: Context) -> bool:
        """Say whether it was proposed."""
        return context in self._contexts

    def refusal(self, _context: Context) -> Verdict | None:
        """Refuse nothing."""
        return None

    def send(self, task: Task) -> Outcome:
        """Hand over one instance."""
        assert self.is_open
        return self._archive.take(task)

    def release(self) -> None:
        """End."""
        self.is_open = False

    abort = release


class Here(threading.Thread):
    """A thread that does its work at once, in the thread that starts it."""

    def __init__(self, *, target: Callable[[], object], name: str, daemon: bool = True) -> None:
        """Take the work."""
        super().__init__(name=name, daemon=daemon)
        self._work = target

    def start(self) -> None:
        """Do it."""
        self._work()


class AtOnce(threading.Condition):
    """A condition at which nobody waits: who is alone waits for nobody."""

    def wait_for(self, predicate: Callable[[], _Result], timeout: float | None = None) -> _Result:
        """Return what the predicate says."""
        assert timeout is None or timeout >= 0
        return predicate()


class InlineRecorder(Recorder):
    """The sender's recorder without its thread: a transaction a job, and a kill before or after its commit."""

    def __init__(self, ledger: Ledger) -> None:
        """Record in `ledger`."""
        super().__init__(ledger)

    def record(self, work: Callable[[], _Result]) -> _Result:
        """Run the work in a transaction."""
        with self._ledger.write():
            return work()


class FusedLedger(Ledger):
    """A ledger whose user may be killed before and after each commit."""

    fuse = Fuse()

    @contextlib.contextmanager
    def write(self) -> Iterator[None]:
        """Change the ledger, if nobody is killed."""
        with super().write():
            yield
            self.fuse.point()
        self.fuse.point()


class FusedSpool(Spool):
    """A spool whose user may be killed around what changes it."""

    fuse = Fuse()

    def move_to_store(self, names: Any) -> None:
        """Move, if nobody is killed."""
        self.fuse.point()
        # A kill in the middle leaves some moved.
        for name in names:
            super().move_to_store([name])
            self.fuse.point()

    def remove(self, name: SpoolName) -> None:
        """Remove, if nobody is killed."""
        self.fuse.point()
        super().remove(name)
        self.fuse.point()


class SteppedSender(Sender):
    """The sender with coordinators and lanes that work in the thread which steps them."""

    def _dispatch(self, terms: Terms, recorder: Recorder, ending: threading.Event) -> Dispatch:
        dispatch = super()._dispatch(terms, recorder, ending)
        around = replace(dispatch._around, condition=AtOnce, thread=Here)
        return Dispatch(dispatch._plan, dispatch._transport, dispatch._outbox, around)


class Row(NamedTuple):
    """A delivery as the ledger has it."""

    id: int
    spool_name: str
    digest: str
    destination: str
    state: DeliveryState


Job: TypeAlias = "Callable[[OutboxMachine], object]"
"""Something that the box does."""

# One rule for all of them: whatever else an example leaves out, images come in, are routed and are sent.
_JOBS: st.SearchStrategy[Job] = st.one_of(
    st.builds(partial, st.just(lambda number, change, box: box.receive(number, change)), st.integers(1, _UIDS), st.integers(0, 1)),
    st.just(lambda box: box.route()),
    st.builds(partial, st.just(lambda name, mood, box: box.deliver(name, mood)), st.sampled_from(_DESTINATIONS), _MOODS),
    st.builds(partial, st.just(lambda seconds, box: box.wait(seconds)), st.sampled_from((6.0, 70.0, 1000.0, 2200.0, _ROUND_S))),
)


class OutboxMachine(RuleBasedStateMachine):
    """A box, its senders, its archives, and the model of what must be true of them."""

    def __init__(self) -> None:
        """Make keys and folders; the first life begins with `start`."""
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="outbox-", dir=_MEMORY if _MEMORY.is_dir() else None))
        self.data = self.home / "data"
        self.data.mkdir()
        root = create_root(self.data)
        ensure_keys(self.data, root)
        recipients = active_recipients(self.data)
        self.digest_key, self.ledger_key = derive(root.material, Label.DIGEST), derive(root.material, Label.LEDGER)
        self.fuse = Fuse()
        self.clock = FakeClock()
        self.spool = FusedSpool(self.data, recipients=lambda: recipients, digest_key=self.digest_key, identities=unlock(self.data, root))
        self.spool.fuse = self.fuse
        self.spool.prepare()
        self.archives = {name: Archive(self.fuse, self.spool.open) for name in _DESTINATIONS}
        self.site = Site.model_validate(
            {
                "destination": [{"name": name, "ae_title": name.upper(), "host": "archive.invalid", "lanes": 2} for name in _DESTINATIONS],
                "route": [{"name": "everything", "to": list(_DESTINATIONS)}],
                "source": [{"name": "CT1", "ae_title": "CT1"}],
            }
        )
        self.lives = 0
        # The model.
        self.sent: dict[bytes, str] = {}
        """Every content that a sender began to send, and its UID."""
        self.acknowledged: set[bytes] = set()
        self.given_up: set[tuple[str, str]] = set()
        """(spool name, destination) of what a person wanted cancelled."""
        self.finished: dict[int, DeliveryState] = {}
        """Deliveries that were over when last looked at."""

    # --- lives ------------------------------------------------------------------------------------------------------------------------

    @initialize()
    def start(self) -> None:
        """Begin a life: everything in memory is new, and recovery runs before any work."""
        self.lives += 1
        self.ledger = FusedLedger.open(self.data, self.ledger_key, migrate=self.lives == 1)
        self.ledger.fuse = self.fuse
        self.router = Router(self.spool, self.ledger, lambda: self.site, self.clock, lambda: None)
        self.orders = Orders(self.spool, self.ledger, self.clock, lambda: None)
        self.resends = ResendDesk(self.spool, self.ledger, lambda: self.site, self.clock, lambda: None)
        self.sender = SteppedSender(
            self.spool,
            self.ledger,
            lambda: self.site,
            self.clock,
            self.data / "run",
            random.Random(self.lives),
            f"run-{self.lives}",
            transports=lambda destination: self.archives[destination.name],
        )
        self.sender.recover()
        self.orders.recover()
        self.resends.recover()
        self.router.recover()
        # Cancelled is cancelled, also when the word was sealed in the last moment of a life (house.md section 6).
        assert [name for name in self.spool.incoming() if name.kind == "m"] == [], "an order was not followed"
        recorder = InlineRecorder(self.ledger)
        self.dispatches = {}
        for destination in self.site.destinations:
            terms = Terms(destination, self.site.delivery, self.site.box.ae_title)
            self.dispatches[destination.name] = self.sender._dispatch(terms, recorder, threading.Event())
            self.dispatches[destination.name]._recall()

    def die(self) -> None:
        """Lose everything in memory, and what locks the kernel takes back."""
        run, self.sender._run = self.sender._run, None
        if run is not None and run._descriptor >= 0:
            os.close(run._descriptor)
        self.ledger.let_go()

    @contextlib.contextmanager
    def surviving(self) -> Iterator[None]:
        """Let the block be killed; whoever is killed is started again, and perhaps killed again while it recovers."""
        try:
            yield
        except Crash:
            self.die()
            self.start()

    # --- what happens -----------------------------------------------------------------------------------------------------------------

    @rule(jobs=st.lists(_JOBS, min_size=1, max_size=10), kill_at=st.none() | st.integers(0, 25))
    def work(self, jobs: list[Job], kill_at: int | None) -> None:
        """The box does one thing after the other, and somewhere on the way, perhaps only later, everything is killed."""
        self.fuse.left = kill_at
        for job in jobs:
            with self.surviving():
                job(self)

    @rule(seconds=st.sampled_from((3600.0, -3600.0, 10 * _YEAR_S, -10 * _YEAR_S)))
    def set_the_clock(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.clock.jump_wall(seconds)

    @rule(verb=st.sampled_from(OrderVerb), study=st.integers(0, _STUDIES - 1), kill_at=st.none() | st.integers(0, 3))
    def order(self, verb: OrderVerb, study: int, kill_at: int | None) -> None:
        """A person holds, releases or retries what is owed of a study, gives it up or sends it again; perhaps all is killed over it."""
        self.fuse.left = kill_at
        if verb is OrderVerb.CANCEL:
            digests = {self._digest(content) for content, uid in self.sent.items() if _study(uid) == study}
            owed = [row for row in self._rows() if row.digest in digests and not row.state.is_finished]
            self.given_up |= {(row.spool_name, row.destination) for row in owed}
        with self.surviving():
            self._order(verb, study)

    @rule(reboots=st.booleans())
    def kill(self, *, reboots: bool) -> None:
        """Everything is killed while nothing is under way; with a reboot CLOCK_BOOTTIME begins anew."""
        self.die()
        if reboots:
            self.clock.reboot()
        with self.surviving():
            self.start()

    def receive(self, number: int, change: int) -> None:
        """A scanner sends an instance, for the first time or again, unchanged or corrected."""
        uid = f"1.2.3.{number}"
        changes = {ds.STUDY_UID: f"1.2.{_study(uid)}".encode(), ds.BODY_PART: b"HEAD" if change else None}
        content = ds.an_image(uid, changes, pixels=2)
        self.sent[content] = uid
        self._admit(content, uid)
        # Killed between the commit and the answer, the sender is not told.
        self.fuse.point()
        self.acknowledged.add(content)

    def route(self) -> None:
        """The router takes a batch."""
        self.router.step()

    def deliver(self, name: str, mood: Mood = _WELL) -> None:
        """The sender looks after one destination, which is in some mood, and its lanes send for as long as they may."""
        self.archives[name].mood, self.archives[name].offers = mood, 0
        dispatch = self.dispatches[name]
        dispatch.look()
        dispatch._step()
        # What a look promoted is opened a lane for in the next step, as the coordinator's loop does.
        dispatch._step()

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.advance(seconds)

    # --- what is always true ----------------------------------------------------------------------------------------------------------

    @invariant()
    def what_was_acknowledged_is_accounted_for(self) -> None:
        """It waits to be recorded, or has for each destination a delivery: open, held, done, or cancelled by a person."""
        waiting = {name.digest for name in self.spool.incoming() if name.kind == "i"}
        recorded = {(row.digest, row.destination) for row in self._rows()}
        for content in self.acknowledged:
            digest = self._digest(content)
            missing = [name for name in _DESTINATIONS if (digest, name) not in recorded]
            assert not missing or digest in waiting, f"{self.sent[content]} is owed to nobody: {missing}"

    @invariant()
    def nothing_is_given_up_by_itself(self) -> None:
        """P3: a delivery ends delivered, where the archive has these very bytes, or cancelled, where a person said so."""
        contents = {self._digest(content): content for content in self.sent}
        for row in self._rows():
            if row.state in _DELIVERED:
                assert contents[row.digest] in self.archives[row.destination].kept, "delivered, and the archive does not have it"
            elif row.state.is_finished:
                assert row.state is DeliveryState.CANCELLED
                assert (row.spool_name, row.destination) in self.given_up, "cancelled by nobody"
        finished = {row.id: row.state for row in self._rows() if row.state.is_finished}
        assert self.finished.items() <= finished.items(), "what was over came back, or vanished"
        self.finished = finished

    @invariant()
    def nothing_that_is_owed_is_removed(self) -> None:
        """P4: what is owed can be opened, whole."""
        for spool_name in {row.spool_name for row in self._rows() if not row.state.is_finished}:
            name = SpoolName.parse(spool_name)
            assert name is not None
            with self.spool.open(name) as sealed:
                assert sealed.read(sealed.length) in self.sent

    @invariant()
    def no_archive_has_what_nobody_sent(self) -> None:
        """P7: at the archive ⊆ sent."""
        for archive in self.archives.values():
            assert archive.kept <= self.sent.keys()

    def teardown(self) -> None:
        """P7: at the end, with everybody well and every sender told, the archives have everything that was sent and not given up."""
        try:
            self.fuse.left = None
            if self.lives:
                self._settle_everything()
        finally:
            self.ledger.let_go()
            shutil.rmtree(self.home)

    def _settle_everything(self) -> None:
        for archive in self.archives.values():
            archive.mood = _WELL
        self.die()
        self.start()
        for content, uid in self.sent.items():
            if content not in self.acknowledged:
                self._admit(content, uid)
                self.acknowledged.add(content)
        # Only what a person holds needs a person.
        self.orders.execute(Wanted(OrderVerb.RELEASE, Selection(hold_class=HoldClass.PERSON), "somebody"))
        for _ in range(_ROUNDS):
            while self.router.step():
                pass
            for name in _DESTINATIONS:
                self.deliver(name)
            self.clock.advance(_ROUND_S)
        left = [row for row in self._rows() if not row.state.is_finished]
        assert left == [], "owed for ever"
        given_up = {(row.digest, row.destination) for row in self._rows() if row.state is DeliveryState.CANCELLED}
        for name, archive in self.archives.items():
            missing = {content for content in self.sent if content not in archive.kept and (self._digest(content), name) not in given_up}
            assert missing == set(), "lost"
        assert [name for name in self.spool.incoming() if name.kind == "i"] == []
        assert self.spool.quarantined() == 0
        for check in (
            self.what_was_acknowledged_is_accounted_for,
            self.nothing_is_given_up_by_itself,
            self.no_archive_has_what_nobody_sent,
        ):
            check()

    # --- how --------------------------------------------------------------------------------------------------------------------------

    def _admit(self, content: bytes, uid: str) -> None:
        header = ObjectHeader(
            sop_class_uid=Uid(ds.CT_IMAGE),
            sop_instance_uid=Uid(uid),
            transfer_syntax_uid=Uid(ds.EXPLICIT),
            calling_title="CT1",
            called_title="EDGE",
            peer_address="10.0.0.7",
            reception_id="",
            received_at=max(0.0, self.clock.now().wall),
        )
        with self.spool.admit(header) as admission:
            admission.write(content)
            self.fuse.point()
            admission.commit()

    def _order(self, verb: OrderVerb, study: int) -> None:
        if verb is OrderVerb.RESEND:
            # Of a study that never came there is nothing to send.
            with contextlib.suppress(StudyMissingError):
                self.resends.take(ResendRequest(_DESTINATIONS, "somebody", "", f"1.2.{study}"))
            return
        self.orders.execute(Wanted(verb, Selection(study_instance_uid=f"1.2.{study}"), "somebody"))

    def _digest(self, content: bytes) -> str:
        return blake3(content, key=self.digest_key).hexdigest(length=16)

    def _rows(self) -> list[Row]:
        with self.ledger.read():
            rows = self.ledger.rows(
                "SELECT d.id, i.spool_name, i.digest, d.destination_id, d.state FROM delivery d JOIN instance i ON i.id = d.instance_id"
            )
        return [Row(number, name, digest, destination, DeliveryState(state)) for number, name, digest, destination, state in rows]


def _study(uid: str) -> int:
    """Return the number of the study that an instance belongs to."""
    return int(uid.rpartition(".")[2]) % _STUDIES


OutboxMachine.TestCase.settings = settings(
    max_examples=2000 if _LONG else 60,
    stateful_step_count=40 if _LONG else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class TestOutbox(OutboxMachine.TestCase):  # type: ignore[misc, valid-type]
    """The machine, as a test."""
