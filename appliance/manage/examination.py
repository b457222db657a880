"""`destinations test` and `sources test`: the connection doctor sent to a destination, and what he finds told to the sender.

Promises: asks for what is in use there now, under the titles in use; what the destination answers is known to the sender before the reply
is given, so that what waited for a refusal to pass goes on by itself.
Failures: `DestinationUnknownError` (operator); what the ledger raises. A destination's own faults are the reply.
Limits: takes as long as the destination does, in the thread of the one who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from appliance.config.model import AnyDestination, DicomDestination, Site
from appliance.core.errors import ApplianceError, Fault
from appliance.deliver.diagnosis import Diagnosis, Step
from appliance.deliver.doctor import InUse, examine
from appliance.deliver.in_use import in_use
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
from appliance.route.possible import possible_destinations
from appliance.runtime.callers import LastCall, last_calls
from appliance.runtime.control import Handler
from appliance.runtime.questions import DestinationTestReply, DestinationTestRequest, DoctorStep, SourceTestReply, SourceTestRequest
from appliance.spool.names import SpoolName
from appliance.spool.store import SealedObject, SpoolObjectMissingError

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
    ) -> None:
        """Keep what is needed; `site` gives the configuration in force, `tls` calls over TLS as the sender does.

        In `run_dir` is what receivers wrote about who called them; who waits in `expected` hears of the reports that they took.
        """
        self._run_dir = run_dir
        self._expected = expected or ExpectedReports()
        self._tls = tls or OutgoingTls()
        self._ledger = ledger
        self._site = site
        self._told = told

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {DestinationTestRequest: self.examine, SourceTestRequest: self.examine_source}

    def examine(self, request: DestinationTestRequest) -> DestinationTestReply:
        """Examine the way to a destination, by its name. Raises `DestinationUnknownError`, and what the ledger raises."""
        site = self._site()
        destination = _find(site, request.destination)
        if isinstance(destination, DicomDestination):
            diagnosis = examine(
                destination,
                self._in_use(site, destination),
                box=site.box.ae_title,
                settings=site.delivery,
                tls=self._tls.request(destination, site.tls),
                sends=request.send,
                proves=proof_of(destination, site, self._tls, Post(self._expected, self._keep, self._calls)),
            )
        elif request.send:
            raise TestImageRefusedError(f"a test image can be sent to DICOM destinations only, and {destination.name} is none")
        else:
            way = way_to(Terms(destination, site.delivery, site.box.ae_title, site.tls), _nothing, self._tls)
            diagnosis = examine_way(destination, way, site.box.ae_title)
        self._told(destination.id, diagnosis)
        return DestinationTestReply(destination.name, diagnosis.ok, _steps(diagnosis.steps))

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
    return tuple(DoctorStep(step.phase.value, step.ok, step.detail, step.advice, step.ms) for step in steps)


def _nothing(name: SpoolName) -> SealedObject:
    """Open no object: an examination sends none."""
    raise SpoolObjectMissingError(f"object {name.object_id} is not asked for")


def _find(site: Site, name: str) -> AnyDestination:
    for destination in site.destinations:
        if destination.name == name:
            return destination
    names = ", ".join(destination.name for destination in site.destinations)
    raise DestinationUnknownError(f"there is no destination {name!r}", advice=f"Destinations are: {names}.")
