"""What the ledger knows of proof, and how an archive's word changes it: single transactions through the recorder.

Promises: a request is durable before it leaves, a report before it is answered; what a report says is written down with the move of the
delivery that follows from it, in one transaction, and a report is dealt with to its end whatever happens in between. Only what a request
asked for is moved; failures count only while their request is the latest, "it is there" whenever it comes. What a destination lost is
sent again only as `proof.Resends` allows.
Failures: what `Recorder.record` raises.
Limits: one archive under two destination ids is asked for each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from appliance.config.model import Delivery
from appliance.deliver.proof import (
    AskAgain,
    FallBack,
    History,
    Hold,
    Meaning,
    ProofWaits,
    Prove,
    Resends,
    SendAgain,
    Step,
    meaning_of,
    next_step,
    withheld,
)
from appliance.deliver.proof_reports import ExpectedReports
from appliance.deliver.recorder import Recorder
from appliance.deliver.states import Event, move
from appliance.dimse.commitment import CommitmentReport
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries, Moved
from appliance.ledger.proofs import Proofs, Report, Waiting, Wanted
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.runtime.clock import Clock, Instant
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

MOST_REFERENCES = 500
"""A request's references (semantics.md 2.1)."""

# Results dealt with in one transaction (house.md section 6: at most 50 rows).
_AT_ONCE = 25

WITHHELD = "the archive took it and says that it does not have it; it is sent a few of its lost images at a time, and asked for the others"
"""What a delivery says that was lost and is not sent again yet."""

NOT_PROVABLE = "not provable: "
"""What the proof of a delivery begins with that counts as settled when it is delivered, because it can never be proved."""

_DELIVERED = DeliveryState.DELIVERED


def waits_of(settings: Delivery) -> ProofWaits:
    """Return the waits that the configuration says."""
    return ProofWaits(settings.proof_after, settings.proof_again, settings.throttled, settings.proof_silence)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the archive's word came from, as the proof of a delivery says it, and how long things wait.

    `why` is what a delivery says that is asked again, "" for nothing new.
    """

    text: str
    waits: ProofWaits
    held_s: float
    why: str = ""


class ProofBook:
    """The ledger as proof sees it. Threads may share it."""

    def __init__(
        self,
        ledger: Ledger,
        recorder: Recorder,
        clock: Clock,
        settings: Callable[[], Delivery],
        expected: ExpectedReports | None = None,
    ) -> None:
        """Work in `ledger` through `recorder`; `settings` returns the waits in force. Who waits in `expected` hears of what came."""
        self.expected = expected or ExpectedReports()
        # Written in the recorder's transactions only, one at a time.
        self._resends: dict[str, Resends] = defaultdict(Resends)
        self._recorder = recorder
        self._clock = clock
        self._settings = settings
        self._proofs = Proofs(ledger)
        self._deliveries = Deliveries(ledger)

    def due(self, destination_id: str) -> list[Wanted]:
        """Return what is to be asked of a destination now, at most one request of it."""
        return self._recorder.record(lambda: self._proofs.due(destination_id, self._clock.now(), limit=MOST_REFERENCES))

    def ask(self, transaction_uid: str, destination_id: str, deliveries: Collection[int]) -> None:
        """Return when it is durable that a request for `deliveries` leaves now."""
        now = self._clock.now()
        answer_due = now.after(self._settings().proof_silence)
        self._recorder.record(lambda: self._proofs.ask(transaction_uid, destination_id, deliveries, now, answer_due))

    def keep(self, report: CommitmentReport, caller: str) -> None:
        """Return when a report is durable."""
        results = [*((uid, None) for uid in report.committed), *report.failed]
        at = self._clock.now().wall
        self._recorder.record(lambda: self._proofs.keep(report.transaction_uid, caller, at, results, None))
        self.expected.heard(report.transaction_uid, results)

    def take_reports(self) -> int:
        """Deal with the reports that were kept, some results a transaction; return how many deliveries moved."""
        moved = 0
        while (done := self._recorder.record(self._take_some)) is not None:
            moved += done
        return moved

    def said(self, results: Mapping[int, Meaning], text: str, why: str = "") -> None:
        """Act on what was said of deliveries otherwise than by a report: by a query's answer, or a request's refusal.

        `why` is why nothing was said of some, in words for people.
        """
        source = self._source(text, why)
        left = list(results)
        while left:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]

            def work(some: list[int] = some) -> None:
                for waiting in self._proofs.of_deliveries(some):
                    self._act(waiting, results[waiting.delivery_id], source, self._clock.now())

            self._recorder.record(work)

    def give_up(self, deliveries: Collection[int], reason: str) -> None:
        """Deliveries that a destination can never prove count as settled when they are delivered, and say why."""
        left = list(deliveries)
        while left:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]

            def work(some: list[int] = some) -> None:
                for waiting in self._proofs.of_deliveries(some):
                    self._follow(waiting, FallBack(reason), self._source(""), self._clock.now())

            self._recorder.record(work)

    def _source(self, text: str, why: str = "") -> _Source:
        settings = self._settings()
        return _Source(text, waits_of(settings), settings.held, why)

    def _take_some(self) -> int | None:
        """Deal with the next results of the oldest report; return how many deliveries moved, None when there is no report."""
        report = self._proofs.next_report()
        if report is None:
            return None
        destination_id = self._proofs.asked_of(report.transaction_uid)
        is_expected = self.expected.heard(report.transaction_uid, report.results, report.caller)
        if destination_id is None:
            # The request for a test image is in no ledger, only waited for.
            if not is_expected:
                log.warning("proof.transaction_unknown", caller=report.caller, instances=len(report.results))
            self._proofs.finish(report)
            return 0
        now, source = self._clock.now(), self._source(f"commitment {report.transaction_uid}")
        some = report.results[report.done : report.done + _AT_ONCE]
        moved = 0
        for uid, reason in some:
            for waiting in self._proofs.of_instance(destination_id, uid):
                # A later request may have been answered otherwise meanwhile; that it is there stays true.
                if reason is None or waiting.transaction_uid == report.transaction_uid:
                    self._act(waiting, meaning_of(reason), source, now)
                    moved += 1
        if some:
            self._proofs.progress(report, report.done + len(some))
            return moved
        return moved + self._missing(report, destination_id, source, now)

    def _missing(self, report: Report, destination_id: str, source: _Source, now: Instant) -> int:
        """Take what a report leaves out for what the archive does not have; the report is done when nothing is left."""
        left_out = self._proofs.open_of(report.transaction_uid, limit=_AT_ONCE)
        for waiting in left_out:
            self._act(waiting, Meaning.MISSING, source, now)
        if not left_out:
            failed = sum(reason is not None for _, reason in report.results)
            log.info("proof.reported", destination=destination_id, caller=report.caller, instances=len(report.results), failed=failed)
            self._proofs.finish(report)
        return len(left_out)

    def _act(self, waiting: Waiting, meaning: Meaning, source: _Source, now: Instant) -> None:
        history = History(waiting.misses, waiting.failures, waiting.losses)
        step = next_step(meaning, history, source.waits)
        if isinstance(step, SendAgain) and not self._may_go_again(waiting):
            step, source = withheld(history, source.waits), replace(source, why=WITHHELD)
        self._follow(waiting, step, source, now)

    def _may_go_again(self, waiting: Waiting) -> bool:
        """Say whether what was lost may be sent again now; what was sent again before has its place among what is under way."""
        under_way, held = self._proofs.lost_to(waiting.destination_id)
        return self._resends[waiting.destination_id].allow(under_way - (waiting.losses > 0), held)

    def _follow(self, waiting: Waiting, step: Step, source: _Source, now: Instant) -> None:
        """Write down a step, in the ledger's `write()`."""
        number = waiting.delivery_id
        match step:
            case Prove():
                self._deliveries.settle(number, Moved(move(_DELIVERED, Event.PROVED), proof=source.text, reason="", at=now.wall))
                self._proofs.done(number)
                self._resends[waiting.destination_id].proved(waiting.losses)
            case AskAgain(wait_s, history):
                if source.why:
                    self._deliveries.settle(number, Moved(_DELIVERED, reason=source.why))
                self._proofs.again(waiting, now.after(wait_s), misses=history.misses, failures=history.failures)
            case SendAgain(history):
                reason = f"the archive lost it ({history.losses}): sent again"
                log.warning("delivery.lost", delivery_id=number, sop_instance_uid=waiting.sop_instance_uid, losses=history.losses)
                self._deliveries.settle(number, Moved(move(_DELIVERED, Event.LOST), reason=reason, at=now.wall))
                self._proofs.lost(waiting, history.losses)
            case Hold(reason, history):
                log.warning("delivery.disputed", delivery_id=number, sop_instance_uid=waiting.sop_instance_uid, reason=reason)
                held = Moved(
                    move(_DELIVERED, Event.DISPUTED), hold_class=HoldClass.VERDICT, due=now.after(source.held_s), reason=reason, at=now.wall
                )
                self._deliveries.settle(number, held)
                self._proofs.lost(waiting, history.losses)
                self._resends[waiting.destination_id].held()
            case FallBack(reason):
                self._deliveries.settle(number, Moved(_DELIVERED, proof=NOT_PROVABLE + reason, reason=reason))
                self._proofs.done(number)
