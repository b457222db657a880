"""Asking destinations for proof: who is asked now, how, and what its answer means.

Promises: each destination is asked from a thread of its own, one at a time, so that a silent one keeps nobody else waiting; an archive in
trouble is asked less and less often, and nothing is concluded from its silence.
Failures: none; what goes wrong is logged and asked again.
Limits: the waits after a failed association are not kept over a restart, which asks at once. A destination that is removed is asked no
more.
Standard: PS3.4 annex J and C.4.1; PS3.18 10.6.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.config.model import Destination, DicomDestination, Site, StowDestination
from appliance.core.errors import ApplianceError
from appliance.deliver.clearing import Queries, SeriesGroup, ask_by
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.plan import Terms
from appliance.deliver.proof import Meaning, back_off
from appliance.deliver.proof_book import ProofBook
from appliance.deliver.recorder import RecorderClosedError
from appliance.deliver.ways import web_queries
from appliance.dimse.commitment import Reference
from appliance.dimse.commitment_scu import CommitmentRequests
from appliance.dimse.failures import TransferBrokenError
from appliance.dimse.query import ImageQueries
from appliance.dimse.service import ServiceNotTakenError, ServicePeer
from appliance.ledger.faults import LedgerError
from appliance.ledger.proofs import Wanted
from appliance.runtime.clock import Clock, Due
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# How often is looked for what is due: nobody waits for it, and each look walks over what was delivered in the last minutes.
_LOOK_S = 5.0
# How long an association stays open for archives that report on the one they were asked on; the others report to the receiver.
_LISTEN_S = 2.0
# Of that time at once: a report that came otherwise is known after it.
_LISTEN_SLICE_S = 0.25
# A silent archive must not delay the end: its thread changes nothing once the recorder is closed, and ends with the process.
_JOIN_S = 5.0
NEVER = frozenset({0x0122, 0x0123, 0x0211})
"""Answers of an archive that will never do it (PS3.7 annex C: class not supported, no such action, unrecognised operation)."""

_NOT_TAKEN = "the archive does not take requests for storage commitment: delivered, and not proved"


def wants_proof(destination: Destination) -> bool:
    """Say whether a destination is asked whether it has what it was sent."""
    return destination.proof != "delivered"


def new_transaction_uid() -> str:
    """Return a Transaction UID that nobody has used (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


@dataclass(slots=True)
class _Round:
    """How a destination is being asked: the thread that does, and how often in a row it could not be."""

    thread: threading.Thread | None = None
    failures: int = 0
    due: Due | None = None


class ProofDesk:
    """Who is asked for proof. `look` and `stop` belong to one thread."""

    def __init__(self, book: ProofBook, tls: OutgoingTls, clock: Clock, look_s: float = _LOOK_S) -> None:
        """Ask nobody yet."""
        self._book = book
        self._tls = tls
        self._clock = clock
        self._look_s = look_s
        self._rounds: dict[str, _Round] = defaultdict(_Round)
        self._due = clock.now().after(0.0)
        self._stopping = threading.Event()

    def look(self, site: Site) -> None:
        """Begin to deal with reports, and to ask who is due. Returns at once; does nothing more often than it is worth."""
        now = self._clock.now()
        is_due = self._due.is_due(now)
        if is_due or not self._book.expected.is_empty:
            # No destination has an empty id.
            self._start("", self._take_reports)
        if not is_due:
            return
        self._due = now.after(min(self._look_s, site.delivery.proof_after))
        for destination in site.destinations:
            if isinstance(destination, DicomDestination | StowDestination) and wants_proof(destination):
                self._begin(destination, site)

    def stop(self) -> None:
        """Ask nobody any more, and return when those who are being asked were let go; a silent one is left waiting in vain."""
        self._stopping.set()
        deadline = time.monotonic() + _JOIN_S
        for one in self._rounds.values():
            if one.thread is not None:
                one.thread.join(max(0.0, deadline - time.monotonic()))

    def _begin(self, destination: DicomDestination | StowDestination, site: Site) -> None:
        one = self._rounds[destination.id]
        if one.due is not None and not one.due.is_due(self._clock.now()):
            return

        def ask(wanted: Sequence[Wanted]) -> None:
            if isinstance(destination, DicomDestination) and destination.proof == "commitment":
                self._commit(destination, site, wanted)
            else:
                self._query(destination, site, wanted)

        self._start(destination.id, lambda: self._run(ask, destination, site, one))

    def _start(self, key: str, work: Callable[[], None]) -> None:
        """Do something in a thread of its own, unless it is being done."""
        one = self._rounds[key]
        if one.thread is None or not one.thread.is_alive():
            one.thread = threading.Thread(target=work, name=f"proof {key or 'reports'}", daemon=True)
            one.thread.start()

    def _take_reports(self) -> None:
        # The recorder says in the log that the ledger cannot be written.
        with contextlib.suppress(LedgerError, RecorderClosedError):
            self._book.take_reports()

    def _run(self, ask: Callable[[Sequence[Wanted]], None], to: Destination, site: Site, one: _Round) -> None:
        """Ask for everything that is due; what goes wrong lets the destination rest for a while."""
        try:
            while not self._stopping.is_set() and (wanted := self._book.due(to.id)):
                ask(wanted)
            one.failures, one.due = 0, None
        except (LedgerError, RecorderClosedError):
            return
        except ApplianceError as error:
            one.failures += 1
            one.due = self._clock.now().after(back_off(one.failures, site.delivery.throttled))
            if one.failures == 1:
                log.warning("proof.not_asked", destination=to.name, error=type(error).__name__, reason=str(error))

    def _commit(self, to: DicomDestination, site: Site, wanted: Sequence[Wanted]) -> None:
        """Send one request. Raises what an association raises."""
        peer = service_peer(to, site, self._tls)
        numbers = [one.delivery_id for one in wanted]
        try:
            requests = CommitmentRequests(peer, lambda report: self._book.keep(report, to.ae_title.text))
        except ServiceNotTakenError as error:
            if not error.is_final:
                raise
            log.warning("proof.not_possible", destination=to.name, deliveries=len(numbers), reason=_NOT_TAKEN)
            self._book.give_up(numbers, _NOT_TAKEN)
            return
        transaction_uid = new_transaction_uid()
        # One reference each, whatever number of deliveries there are of an instance.
        references = list(dict.fromkeys(Reference(one.sop_class_uid, one.sop_instance_uid) for one in wanted))
        try:
            with self._book.expected.expect(transaction_uid) as awaited:
                self._book.ask(transaction_uid, to.id, numbers)
                status = requests.ask(transaction_uid, references)
                log.info("proof.asked", destination=to.name, transaction_uid=transaction_uid, references=len(references), status=status)
                if status == 0:
                    listen_for(requests, awaited.come)
        except TransferBrokenError as error:
            # The report may come all the same; if not, it is asked again.
            log.info("proof.association_ended", destination=to.name, reason=str(error))
            self._book.said(dict.fromkeys(numbers, Meaning.BUSY), "")
            raise
        finally:
            requests.release()
        if status in NEVER:
            self._book.give_up(numbers, f"{_NOT_TAKEN} ({status:04X})")
        elif status != 0:
            self._book.said(dict.fromkeys(numbers, Meaning.BUSY), "")

    def _query(self, to: DicomDestination | StowDestination, site: Site, wanted: Sequence[Wanted]) -> None:
        """Ask which of the instances it lists; what it says nothing about is asked again."""
        series: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one in wanted:
            series[one.study_instance_uid, one.series_instance_uid].append(one.sop_instance_uid)
        groups = [SeriesGroup(study, number, tuple(dict.fromkeys(uids))) for (study, number), uids in series.items()]
        cleared = ask_by(queries_of(to, site, self._tls), groups, destination=to.name, is_wanted=lambda: not self._stopping.is_set())
        meanings = dict.fromkeys(cleared.absent, Meaning.MISSING) | dict.fromkeys(cleared.present, Meaning.THERE)
        why = f"not proved: {cleared.reason}" if cleared.reason else ""
        self._book.said({one.delivery_id: meanings.get(one.sop_instance_uid, Meaning.BUSY) for one in wanted}, "query", why)
        if cleared.reason:
            log.warning("proof.query_incomplete", destination=to.name, unknown=len(cleared.unknown), reason=cleared.reason)


def listen_for(requests: CommitmentRequests, come: threading.Event, seconds: float = _LISTEN_S) -> None:
    """Take reports until the one that is expected has come, by whatever way, or for so long.

    An archive that ends the association reports on one of its own.
    """
    deadline = time.monotonic() + seconds
    with contextlib.suppress(TransferBrokenError):
        while not come.is_set() and (left := deadline - time.monotonic()) > 0:
            requests.listen(min(left, _LISTEN_SLICE_S))


def service_peer(to: DicomDestination, site: Site, tls: OutgoingTls) -> ServicePeer:
    """Return whom to ask for proof, and how."""
    settings = site.delivery
    return ServicePeer(
        host=str(to.host),
        port=to.port,
        calling=site.box.ae_title,
        called=to.ae_title,
        connect_s=settings.connect,
        associate_s=settings.associate,
        progress_s=settings.progress,
        response_s=settings.response,
        tls=tls.request(to, site.tls),
    )


def queries_of(to: DicomDestination | StowDestination, site: Site, tls: OutgoingTls) -> Callable[[], Queries]:
    """Return how to begin to ask a destination what it has."""
    if isinstance(to, StowDestination):
        terms = Terms(to, site.delivery, site.box.ae_title, site.tls)
        return lambda: web_queries(to, terms, tls)
    peer = service_peer(to, site, tls)
    return lambda: ImageQueries(peer)
