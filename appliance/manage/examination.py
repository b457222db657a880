"""`destinations test` and `sources test`: the connection doctor sent to a destination, and what he finds told to the sender.

Promises: asks for what is in use there now, under the titles in use; what the destination answers is known to the sender before the reply
is given, so that what waited for a refusal to pass goes on by itself. A destination that is only proposed is held to `target_guard`,
whoever asks, and what it answers changes nothing.
Failures: `DestinationUnknownError`, `TestImageRefusedError`, what `proposals` and `running_tests` list (operator); what the ledger raises.
A destination's own faults are the reply.
Limits: takes as long as the destination does, in the thread of the one who asks; with a ticket, in one of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from appliance.config.model import AnyDestination, DicomDestination, Site, StowDestination
from appliance.core.errors import ApplianceError, Fault
from appliance.deliver.diagnosis import Diagnosis, Senses, Step, walk
from appliance.deliver.doctor import InUse, Phase, examine
from appliance.deliver.in_use import calling_titles, in_use
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.plan import Terms
from appliance.deliver.proof_doctor import Post, proof_of
from appliance.deliver.proof_reports import ExpectedReports
from appliance.deliver.source_doctor import examine_source
from appliance.deliver.way_doctor import examine_way
from appliance.deliver.ways import way_to
from appliance.dimse.commitment import CommitmentReport
from appliance.ledger.database import Ledger
from appliance.ledger.proofs import Proofs
from appliance.manage.overview import DestinationUnknownError
from appliance.manage.proposals import Proposals
from appliance.manage.running_tests import RunningTests
from appliance.route.possible import possible_destinations
from appliance.runtime.callers import LastCall, last_calls
from appliance.runtime.clock import Clock, SystemClock
from appliance.runtime.control import Handler
from appliance.runtime.logging import get_logger
from appliance.runtime.questions import (
    DestinationTestProgressReply,
    DestinationTestProgressRequest,
    DestinationTestReply,
    DestinationTestRequest,
    DoctorStep,
    LastTest,
    LastTestsReply,
    LastTestsRequest,
    SourceTestReply,
    SourceTestRequest,
)
from appliance.spool.names import SpoolName
from appliance.spool.store import SealedObject, SpoolObjectMissingError

log = get_logger(__name__)

Told = Callable[[str, Diagnosis], None]
"""Takes note of what was found at the destination of this id (`Sender.examined`)."""


class SourceUnknownError(ApplianceError):
    """A source that is not configured was asked for."""

    fault = Fault.OPERATOR


class TestImageRefusedError(ApplianceError):
    """A test image was asked for where there is none."""

    # Not a class of tests, whatever its name says to a collector of those.
    __test__ = False

    fault = Fault.OPERATOR
    advice = "Leave out --send."


class Examinations:
    """Answers from the threads of a control server."""

    def __init__(
        self,
        ledger: Ledger,
        site: Callable[[], Site],
        told: Told,
        tls: OutgoingTls | None = None,
        run_dir: Path | None = None,
        expected: ExpectedReports | None = None,
        clock: Clock | None = None,
        senses: Senses | None = None,
    ) -> None:
        """Keep what is needed; `site` gives the configuration in force, `tls` calls over TLS as the sender does.

        In `run_dir` is what receivers wrote about who called them, and where the box listens; who waits in `expected` hears of the
        reports that they took.
        """
        self._clock = clock or SystemClock()
        self._senses = senses or Senses()
        self._proposals = Proposals(run_dir, self._clock)
        self._running = RunningTests(self._clock)
        self._last: dict[str, LastTest] = {}
        self._run_dir = run_dir
        self._expected = expected or ExpectedReports()
        self._tls = tls or OutgoingTls()
        self._ledger = ledger
        self._site = site
        self._told = told

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {
            DestinationTestRequest: self.examine,
            DestinationTestProgressRequest: self.progress,
            LastTestsRequest: self.last_tests,
            SourceTestRequest: self.examine_source,
        }

    def examine(self, request: DestinationTestRequest) -> DestinationTestReply:
        """Examine the way to a destination, by its name or as it is proposed. Raises what the module lists, and what the ledger raises."""
        site = self._site()
        destination = self._proposals.read(request.proposal, site) if request.proposal else _find(site, request.destination)
        if request.send and not isinstance(destination, DicomDestination | StowDestination):
            raise TestImageRefusedError(f"a test image can be sent over DICOM and STOW-RS only, and {destination.name} takes neither")
        if not request.ticket:
            return self._examined(destination, site, request, self._senses)
        self._running.begin(request.ticket, destination.name, request.proposal)
        threading.Thread(target=self._examine_aside, args=(destination, site, request), name="examination", daemon=True).start()
        return DestinationTestReply(destination.name, ok=False, steps=())

    def progress(self, request: DestinationTestProgressRequest) -> DestinationTestProgressReply:
        """Return how far a test is. Raises `TestForgottenError`."""
        return self._running.progress(request.ticket)

    def last_tests(self, _: LastTestsRequest) -> LastTestsReply:
        """Return the last test of each destination that is in force."""
        known = {destination.id: destination.name for destination in self._site().destinations}
        last = dict(self._last)
        return LastTestsReply(tuple(replace(last[key], destination=name) for key, name in known.items() if key in last))

    def _examine_aside(self, destination: AnyDestination, site: Site, request: DestinationTestRequest) -> None:
        """Examine, and tell each step to whoever has the ticket."""
        running, ticket = self._running, request.ticket
        senses = replace(
            self._senses,
            begins=lambda phase: running.begins(ticket, phase),
            found=lambda step: running.found(ticket, _told(step)),
        )
        try:
            running.ended(ticket, ok=self._examined(destination, site, request, senses).ok)
        except ApplianceError as error:
            running.failed(ticket, str(error), error.advice)
        except Exception as error:  # boundary: whoever waits for a test must be told that it failed
            log.exception("examination.failed")
            running.failed(ticket, f"the test itself failed ({type(error).__name__})", "The sender's log says more.")

    def _examined(self, destination: AnyDestination, site: Site, request: DestinationTestRequest, senses: Senses) -> DestinationTestReply:
        if request.proposal:
            return self._proposal_examined(destination, site, request, senses)
        diagnosis = self._diagnosis(destination, site, self._in_use(site, destination), request, senses)
        self._told(destination.id, diagnosis)
        failed = next((step for step in diagnosis.steps if not step.ok), None)
        at = datetime.fromtimestamp(self._clock.now().wall, UTC).isoformat(timespec="seconds")
        said = (failed.detail, failed.advice) if failed is not None else ()
        self._last[destination.id] = LastTest(destination.name, at, diagnosis.ok, *said)
        return DestinationTestReply(destination.name, diagnosis.ok, _steps(diagnosis.steps))

    def _proposal_examined(
        self, proposed: AnyDestination, site: Site, request: DestinationTestRequest, senses: Senses
    ) -> DestinationTestReply:
        """Look the name up once, and go the rest of the way at the address that was found to be allowed."""
        destination, said = self._proposals.looked_up(proposed, site, senses)
        named = walk([(Phase.NAME, lambda: said)], senses)
        if not said[0]:
            return DestinationTestReply(proposed.name, ok=False, steps=_steps(named))
        is_known = any(known.id == proposed.id for known in site.destinations)
        # Nothing is routed to a new one yet: whoever may send to the box may be routed there.
        use = self._in_use(site, proposed) if is_known else InUse(calling_titles(site, proposed, lambda *_: frozenset({proposed.id})))
        further = replace(
            senses,
            begins=lambda phase: None if phase == Phase.NAME else senses.begins(phase),
            found=lambda step: None if step.phase == Phase.NAME else senses.found(step),
        )
        diagnosis = self._diagnosis(destination, site, use, request, further)
        steps = (*named, *(step for step in diagnosis.steps if step.phase != Phase.NAME))
        return DestinationTestReply(proposed.name, diagnosis.ok, _steps(steps))

    def _diagnosis(self, destination: AnyDestination, site: Site, use: InUse, request: DestinationTestRequest, senses: Senses) -> Diagnosis:
        post = Post(self._expected, self._keep, self._calls)
        if isinstance(destination, DicomDestination):
            return examine(
                destination,
                use,
                box=site.box.ae_title,
                settings=site.delivery,
                senses=senses,
                tls=self._tls.request(destination, site.tls),
                sends=request.send,
                proves=proof_of(destination, site, self._tls, post),
            )
        way = way_to(Terms(destination, site.delivery, site.box.ae_title, site.tls), _nothing, self._tls)
        proves = proof_of(destination, site, self._tls, post) if isinstance(destination, StowDestination) else None
        return examine_way(destination, way, site.box.ae_title, senses, sends=request.send, proves=proves)

    def examine_source(self, request: SourceTestRequest) -> SourceTestReply:
        """Examine a source, by its name. Raises `SourceUnknownError`."""
        site = self._site()
        for source in site.sources:
            if source.name == request.source:
                found = examine_source(source, self._calls(), box=site.box.ae_title, settings=site.delivery)
                return SourceTestReply(found.source, found.ok, _steps(found.steps))
        names = ", ".join(source.name for source in site.sources) or "none"
        raise SourceUnknownError(f"there is no source {request.source!r}", advice=f"Sources are: {names}.")

    def _calls(self) -> list[LastCall]:
        return last_calls(self._run_dir) if self._run_dir is not None else []

    def _keep(self, report: CommitmentReport, caller: str, at: float) -> None:
        """Return when a report on what was delivered is durable; the sender looks for such every few seconds."""
        results = [*((uid, None) for uid in report.committed), *report.failed]
        try:
            with self._ledger.write():
                Proofs(self._ledger).keep(report.transaction_uid, caller, at, results, None)
        finally:
            self._ledger.close()

    def _in_use(self, site: Site, destination: AnyDestination) -> InUse:
        try:
            return in_use(self._ledger, site, destination, possible_destinations)
        finally:
            # The thread ends with its answer; its connection must not outlive it.
            self._ledger.close()


def _steps(steps: Iterable[Step]) -> tuple[DoctorStep, ...]:
    return tuple(map(_told, steps))


def _told(step: Step) -> DoctorStep:
    return DoctorStep(step.phase.value, step.ok, step.detail, step.advice, step.ms)


def _nothing(name: SpoolName) -> SealedObject:
    """Open no object: an examination sends none."""
    raise SpoolObjectMissingError(f"object {name.object_id} is not asked for")


def _find(site: Site, name: str) -> AnyDestination:
    for destination in site.destinations:
        if destination.name == name:
            return destination
    names = ", ".join(destination.name for destination in site.destinations)
    raise DestinationUnknownError(f"there is no destination {name!r}", advice=f"Destinations are: {names}.")
