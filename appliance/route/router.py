"""The router: takes `incoming/` in order, records each object with what it is owed, and moves it into the store.

Promises: what is recorded was durable first (P1, P2); the ledger is written before the object moves, so that a crash at any point is made
good by doing the same again. An object is recorded once, by its reception id. One object that cannot be opened or recorded never stops the
next (P6): damaged ones go to quarantine, those that may be readable later stay where they are and are tried again.
Failures: `step` raises what concerns all objects (a locked, full or damaged ledger, a disk that does not list); `run` outlasts what can
pass, and raises the rest.
Limits: an object that is tried again later is recorded after others that came after it, also of the same UID. A batch is routed by the
configuration that is in force when it is opened.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from appliance.config.model import Site
from appliance.core.errors import ApplianceError
from appliance.ledger.database import Ledger
from appliance.ledger.faults import LedgerError, LedgerLockedError, LedgerStatementError, LedgerStorageError
from appliance.route.duplicates import Arrival
from appliance.route.reception import Reception, read_reception
from appliance.route.recorder import Recorded, Recorder
from appliance.route.reports import ReportRecords
from appliance.route.study_watch import StudyWatch
from appliance.runtime.clock import Clock, Due
from appliance.runtime.logging import get_logger
from appliance.runtime.wakeup import HintListener
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError
from appliance.spool.heads import HeadListener
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeaderError
from appliance.spool.store import Spool, SpoolObjectMissingError

log = get_logger(__name__)

# Objects opened before the next transaction: enough to fill one, few enough that a stop is heeded within a second.
_BATCH = 50
# A lost hint costs this much; looking at an empty folder costs nothing.
_TICK_S = 1.0
# Objects that arrive one after the other are recorded together when they came within this time; nobody notices so late a delivery.
_GATHER_S = 0.05
# How long an object that could not be read or recorded is left alone: a disk or a person needs time, and 1,440 tries a day are enough.
_ASIDE_S = 60.0

# What no second try changes.
_DAMAGED = (SealDamagedError, SealFormatError, ObjectHeaderError)
# What concerns every object and may pass by itself.
_PASSING = (LedgerLockedError, LedgerStorageError, OSError)


class Router:
    """Takes objects from one spool into one ledger. There is one router a box, in one thread."""

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        site: Callable[[], Site],
        clock: Clock,
        wake_sender: Callable[[], None],
        heads: HeadListener | None = None,
    ) -> None:
        """Route by what `site` says then; `wake_sender` is called after each commit that made deliveries.

        What `heads` has of an object is not read from the disk again.
        """
        self._spool = spool
        self._site = site
        self._clock = clock
        self._wake_sender = wake_sender
        self._recorder = Recorder(ledger, clock, completion=lambda: site().completion)
        self._reports = ReportRecords(spool, ledger, clock, wake_sender)
        self._studies = StudyWatch(ledger, site, clock, wake_sender)
        self._studies_due = clock.now().after(0.0)
        self._heads = heads
        self._pending: list[SpoolName] = []
        self._aside: dict[str, Due] = {}
        self._generations_read: set[int] = set()

    def recover(self) -> int:
        """Finish what a predecessor recorded and did not move; return how many objects that were. Raises what `step` raises."""
        waiting = self._spool.incoming()
        moved = self._move_orders(waiting)
        names = [name for name in waiting if name.kind == "i"]
        for start in range(0, len(names), _BATCH):
            moved += self._move(self._recorded(names[start : start + _BATCH]))
        if moved:
            log.info("router.recovered", moved=moved)
        return moved

    def run(self, stopping: threading.Event, hints: HintListener) -> None:
        """Work until `stopping` is set; the batch under way is finished."""
        while not stopping.is_set():
            began = self._clock.now().boottime
            try:
                taken = self.step()
                self.look_at_studies()
            except _PASSING as error:
                # Reception goes on meanwhile, and nothing was recorded by halves: look again at the next tick.
                log.warning("router.waits", error=type(error).__name__, number=getattr(error, "errno", None))
                taken = 0
            if not taken:
                hints.wait(_TICK_S)
            elif not self._pending:
                # The first object after an idle moment is recorded at once; in a burst a transaction for each would be most of the cost.
                stopping.wait(max(0.0, began + _GATHER_S - self._clock.now().boottime))

    def step(self) -> int:
        """Deal with the next objects of `incoming/`, at most a batch, and return how many that were; 0 when there is nothing to do now.

        Raises the ledger's errors and `OSError` where they concern all objects.
        """
        pending = self._pending or self._look()
        # Whatever is raised below, the next step looks again and takes everything in order.
        self._pending = []
        names = pending[:_BATCH]
        recorded = self._recorded(names)
        fresh = [name for name in names if name not in recorded]
        moved = self._move(recorded)
        # After the names: who let these objects in knew no newer configuration.
        site = self._site()
        opened = [self._open(name, site) for name in fresh]
        self._record([reception for reception in opened if reception is not None])
        self._pending = pending[_BATCH:]
        return moved + len(fresh)

    def look_at_studies(self) -> None:
        """See which studies are complete, once a second and when nothing is known to wait. Raises the ledger's errors."""
        now = self._clock.now()
        if self._pending or not self._studies_due.is_due(now):
            return
        self._studies_due = now.after(_TICK_S)
        self._studies.look()

    def _look(self) -> list[SpoolName]:
        """Return what waits, durable before anything is recorded from it (house.md section 3); what was set aside is left its time."""
        names = self._spool.incoming()
        self._spool.sync_incoming()
        now = self._clock.now()
        self._aside = {name.object_id: self._aside[name.object_id] for name in names if name.object_id in self._aside}
        resting = {object_id for object_id, due in self._aside.items() if not due.is_due(now)}
        self._move_orders(names)
        return [name for name in names if name.kind == "i" and name.object_id not in resting]

    def _move_orders(self, names: Sequence[SpoolName]) -> int:
        """Move the orders that the sender followed into the store, and record reports; return how many messages that was."""
        messages = [name for name in names if name.kind == "m"]
        followed = self._recorder.followed([name.object_id for name in messages]) if messages else set()
        moved = self._move([name for name in messages if name.object_id in followed])
        return moved + self._reports.take([name for name in messages if name.object_id not in followed])

    def _recorded(self, names: Sequence[SpoolName]) -> list[SpoolName]:
        known = self._recorder.recorded([name.object_id for name in names]) if names else set()
        return [name for name in names if name.object_id in known]

    def _open(self, name: SpoolName, site: Site) -> Reception | None:
        """Return the object understood, or None when it was put into quarantine, set aside or is gone."""
        try:
            reception = read_reception(self._spool, site, name, self._heads)
        except _DAMAGED as error:
            self._quarantine(name, error)
        except SealForeignError as error:
            # Where this generation's key opened others, it is this object that is damaged; else the key may be put back.
            if name.generation in self._generations_read:
                self._quarantine(name, error)
            else:
                self._set_aside(name, error)
        except SpoolObjectMissingError:
            log.warning("object.gone", object_id=name.object_id)
        except Exception as error:  # noqa: BLE001 # boundary: P6, whatever one object provokes the next ones go on
            self._set_aside(name, error)
        else:
            self._generations_read.add(name.generation)
            return reception
        return None

    def _quarantine(self, name: SpoolName, error: ApplianceError) -> None:
        try:
            self._spool.quarantine(name, type(error).__name__)
        except (OSError, SpoolObjectMissingError) as refused:
            self._set_aside(name, refused)

    def _set_aside(self, name: SpoolName, error: Exception) -> None:
        """Leave the object where it is for a while. Its error's text is not logged: it may come from what the object holds."""
        if name.object_id not in self._aside:
            log.error("object.set_aside", object_id=name.object_id, error=type(error).__name__, number=getattr(error, "errno", None))
        self._aside[name.object_id] = self._clock.now().after(_ASIDE_S)

    def _record(self, receptions: Sequence[Reception]) -> None:
        """Record the receptions in as many transactions as it takes, and settle each after its commit."""
        left = list(receptions)
        while left:
            try:
                done = self._recorder.record(left)
            except Exception as error:  # noqa: BLE001 # boundary: P6, an instance that the ledger does not take must not stop the others
                _raise_if_for_all(error)
                self._record_apart(left)
                return
            self._settle(done)
            left = left[len(done) :]

    def _record_apart(self, receptions: Sequence[Reception]) -> None:
        """Record each reception in a transaction of its own, so that only those are set aside that the ledger does not take."""
        for reception in receptions:
            try:
                done = self._recorder.record([reception])
            except Exception as error:  # noqa: BLE001 # boundary: as in `_record`
                _raise_if_for_all(error)
                self._set_aside(reception.name, error)
            else:
                self._settle(done)

    def _settle(self, done: Sequence[Recorded]) -> None:
        """Do what a commit allows: wake the sender, move what is kept, remove repeats that asked for nothing, say what happened."""
        if any(recorded.deliveries for recorded in done):
            self._wake_sender()
        for recorded in done:
            _tell(recorded)
        self._move([recorded.reception.name for recorded in done if recorded.is_kept])
        for recorded in done:
            if not recorded.is_kept:
                self._remove(recorded.reception.name)

    def _move(self, names: Sequence[SpoolName]) -> int:
        """Move recorded objects into the store and return how many; what does not move now is found again at the next look."""
        if not names:
            return 0
        try:
            self._spool.move_to_store(names)
        except OSError as error:
            log.warning("router.move_failed", objects=len(names), number=error.errno)
            return 0
        except SpoolObjectMissingError as error:
            log.error("object.lost", problem=str(error))  # noqa: TRY400 (where it was noticed says nothing)
        return len(names)

    def _remove(self, name: SpoolName) -> None:
        try:
            self._spool.remove(name)
        except OSError as error:
            # It is found again later, and repeats then what it repeated now.
            self._set_aside(name, error)


def _raise_if_for_all(error: Exception) -> None:
    """Raise again what is not about one instance: whatever the ledger says except that it refuses a statement, and the disk's errors."""
    if isinstance(error, OSError) or (isinstance(error, LedgerError) and not isinstance(error, LedgerStatementError)):
        raise error


def _tell(recorded: Recorded) -> None:
    facts, decision = recorded.reception.facts, recorded.decision
    fields = {
        "object_id": facts.object_id,
        "sop_instance_uid": facts.sop_instance_uid,
        "calling_title": facts.calling_title,
        "deliveries": recorded.deliveries,
    }
    for one in recorded.reception.plan.withheld:
        log.warning("delivery.withheld", destination=one.destination_id, reason=one.reason, **fields)
    match decision.arrival:
        case Arrival.FIRST if recorded.reception.plan.is_unrouted:
            log.warning("instance.unrouted", called_title=facts.called_title, sop_class_uid=facts.sop_class_uid, **fields)
        case Arrival.FIRST:
            log.info("instance.recorded", **fields)
        case Arrival.REPEATED:
            log.info("instance.repeated", **fields)
        case Arrival.REGAINED:
            log.info("instance.regained", version=decision.version, **fields)
        case Arrival.CHANGED if decision.is_security:
            log.error("instance.changed.security", version=decision.version, differs=decision.differs, **fields)
        case Arrival.CHANGED:
            log.warning("instance.changed", version=decision.version, differs=decision.differs, **fields)
