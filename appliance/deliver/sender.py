"""The sender: every delivery that leaves the box.

Promises: a claim belongs to this run for as long as its lock is held; what dead runs had claimed is queued again before anything is sent.
A change of the configuration is followed within a tick; a destination that it leaves alone does not notice (`roster`). When `run` returns,
every lane has finished its instance, every outcome is durable, and no thread of the sender is left.
Failures: what `SenderRun` and the ledger raise at the start; later faults are a destination's own.
Limits: a hint that is lost costs at most a tick.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from appliance.config.model import Destination, Site
from appliance.deliver.bandwidth import Bandwidth, shaped
from appliance.deliver.derived import OpenerDesk, with_derived
from appliance.deliver.dispatch import Dispatch
from appliance.deliver.doctor import Diagnosis
from appliance.deliver.outbox import Outbox
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.plan import Surroundings, Terms, plan_for
from appliance.deliver.proof_book import ProofBook
from appliance.deliver.proof_desk import ProofDesk, wants_proof
from appliance.deliver.proof_reports import ExpectedReports
from appliance.deliver.publication import AcceptancePublication
from appliance.deliver.recorder import Recorder
from appliance.deliver.removal import hold_removed
from appliance.deliver.roster import Roster
from appliance.deliver.runs import SenderRun
from appliance.deliver.transport import Transport
from appliance.deliver.ways import way_to
from appliance.ledger.claims import Claim
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries
from appliance.ledger.destinations import DestinationStates
from appliance.ledger.faults import LedgerError
from appliance.ledger.proofs import Proofs
from appliance.runtime.clock import Clock, Due
from appliance.runtime.logging import get_logger
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool, SpoolObjectMissingError

log = get_logger(__name__)

# Every loop also ticks (house.md section 3): a lost hint costs a second, and an idle box one small transaction a destination and second.
TICK_S = 1.0
# How often is looked for deliveries to destinations that nobody serves: a router may have made some by the configuration before.
_REMOVED_S = 60.0
# What was derived for a delivery that was cancelled meanwhile is removed when it is as old as this, which nothing that is being sent is.
_DERIVED_KEPT_S = 86_400.0
_SWEEP_S = 3600.0


class Listener(Protocol):
    """What wakes the sender (`runtime.wakeup.HintListener`)."""

    def wait(self, timeout_s: float) -> bool:
        """Return True for a hint, False after the time."""


class Sender:
    """The outbox engine of one box."""

    def __init__(
        self,
        spool: Spool,
        ledger: Ledger,
        site: Callable[[], Site],
        clock: Clock,
        run_dir: Path,
        rng: random.Random | None = None,
        run_id: str | None = None,
        *,
        transports: Callable[[Destination], Transport] | None = None,
    ) -> None:
        """Prepare; `site` returns the configuration in force, the same object until another one is.

        `transports` makes the way to each destination (tests pass their own). Who waits in `expected_reports` hears of commitment reports,
        whichever way they come, while `run` does.
        """
        self._spool = spool
        self._ledger = ledger
        self._site = site
        self._clock = clock
        self._run_dir = run_dir
        self._rng = rng or random.Random()  # noqa: S311 (jitter, no secret)
        self._run_id = run_id or uuid.uuid4().hex
        self._transports = transports
        self._tls = OutgoingTls()
        self.expected_reports = ExpectedReports()
        self._publication = AcceptancePublication(run_dir)
        self._run: SenderRun | None = None
        self._roster: Roster | None = None
        self._followed: Site | None = None
        self._is_published = False
        self._removed_due: Due | None = None
        self._sweep_due: Due | None = None

    def secure_with(self, tls: OutgoingTls) -> None:
        """Call destinations over TLS as `tls` says; to be said before `run`. Without it the box has no certificate to show."""
        self._tls = tls

    def recover(self) -> None:
        """Take this run's lock and queue again what dead runs had claimed. `run` does it where nobody did."""
        if self._run is None:
            self._run = SenderRun(self._run_dir, self._run_id)
            self._run.take()
            with self._ledger.write():
                freed = Deliveries(self._ledger).free_dead_claims(self._run.living())
            if freed:
                log.info("sender.claims_freed", deliveries=freed)

    def run(self, stopping: threading.Event, listener: Listener) -> None:
        """Deliver until `stopping` is set, then let every lane finish its instance."""
        self.recover()
        recorder = Recorder(self._ledger)
        recorder.start()
        book = ProofBook(self._ledger, recorder, self._clock, lambda: self._site().delivery, self.expected_reports)
        proof = ProofDesk(book, self._tls, self._clock)
        self._roster = roster = Roster(lambda terms, ending: self._dispatch(terms, recorder, ending))
        try:
            self._follow(roster)
            while not stopping.is_set():
                listener.wait(TICK_S)
                proof.look(self._site())
                self._follow(roster)
        finally:
            roster.stop()
            proof.stop()
            recorder.close()
            self._end_run()
            log.info("sender.stopped")

    def examined(self, destination_id: str, diagnosis: Diagnosis) -> None:
        """Take note of what the doctor found at a destination. Any thread may call it; without service there is nobody to learn from it."""
        roster = self._roster
        dispatch = None if roster is None else roster.find(destination_id)
        if dispatch is not None:
            dispatch.examined(diagnosis)

    def _follow(self, roster: Roster) -> None:
        """Serve whom the configuration in force wants served, and have all look for what there is to do."""
        site = self._site()
        if site is not self._followed:
            roster.follow(site)
            self._followed, self._is_published, self._removed_due = site, False, None
        if roster.look():
            self._is_published, self._removed_due = False, None
        if not self._is_published:
            self._is_published = self._publish(site)
        now = self._clock.now()
        if self._removed_due is None or self._removed_due.is_due(now):
            self._removed_due = now.after(0 if self._hold_removed(site, roster) else _REMOVED_S)
        if self._sweep_due is None or self._sweep_due.is_due(now):
            self._spool.sweep_derived(now.wall - _DERIVED_KEPT_S)
            self._sweep_due = now.after(_SWEEP_S)

    def _hold_removed(self, site: Site, roster: Roster) -> bool:
        """Hold some of what waits for destinations that nobody serves any more; return whether there is, or may be, more to do soon."""
        try:
            served = {destination.id for destination in site.destinations} | roster.ending
            return hold_removed(self._ledger, served, self._clock.now().wall)
        except LedgerError:
            return True

    def _publish(self, site: Site) -> bool:
        """Publish what is known of exactly the destinations that are served; return False while the ledger cannot be read."""
        try:
            with self._ledger.read():
                kept = {state.id: state.learned for state in DestinationStates(self._ledger).all()}
        except LedgerError:
            # The recorder, which works in the ledger all the time, says it in the log.
            return False
        self._publication.begin({destination.id: kept.get(destination.id, "{}") for destination in site.destinations})
        return True

    def _end_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.let_go()

    def _dispatch(self, terms: Terms, recorder: Recorder, ending: threading.Event) -> Dispatch:
        outbox = Outbox(self._ledger, recorder, self._publication, terms.destination.id, self._run_id, terms.mark)
        if wants_proof(terms.destination):
            outbox.expect_proof(self._expect_proof(terms))
        outbox.never_send(terms.destination.never, lambda: self._clock.now().wall)
        transport = self._way(terms, ending) if self._transports is None else self._transports(terms.destination)
        around = Surroundings(self._clock, lambda: self._rng.uniform(-1.0, 1.0), ending, self._set_apart)
        return Dispatch(plan_for(terms), transport, outbox, around)

    def _way(self, terms: Terms, ending: threading.Event) -> Transport:
        opener = OpenerDesk(self._run_dir, ending)
        bits_per_s = terms.destination.bandwidth
        bandwidth = None if bits_per_s is None else Bandwidth(bits_per_s / 8, self._clock)
        return with_derived(terms, self._spool, opener, lambda open_object: way_to(terms, shaped(open_object, bandwidth), self._tls))

    def _expect_proof(self, terms: Terms) -> Callable[[Claim], None]:
        proofs, wait_s = Proofs(self._ledger), terms.delivery.proof_after

        def expect(claim: Claim) -> None:
            proofs.expect(claim.delivery_id, claim.destination_id, claim.instance_id, self._clock.now().after(wait_s))

        return expect

    def _set_apart(self, claim: Claim) -> None:
        """Move a damaged object out of everybody's way; where that fails it stays, and fails the same way for whoever opens it."""
        name = SpoolName.parse(claim.spool_name)
        if name is None:
            return
        try:
            self._spool.quarantine(name, "damaged")
        except (SpoolObjectMissingError, OSError) as error:
            log.error("spool.quarantine_failed", object_id=name.object_id, error=type(error).__name__)  # noqa: TRY400 (as in journal.where)
