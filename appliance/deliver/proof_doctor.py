"""The last phase of the connection doctor: whether the archive says that it has the test image, and whether its word comes back here.

Promises: asks once, as the box asks for what it delivers: one request for storage commitment, or one query. The report is heard whichever
way it comes; one on another request that comes on the same association is answered 0000 only when it is durable.
Failures: what keeping such a report raises; whatever the archive does is what it is looking for.
Limits: takes up to half a minute longer than the archive does; a report that comes later is a line in the log. An archive that has the test
image may lose others.
Standard: PS3.4 annex J and C.4.1; PS3.3 C.14.1.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from appliance.config.model import DicomDestination, Site, StowDestination
from appliance.deliver.clearing import SeriesGroup, ask_by
from appliance.deliver.diagnosis import Senses, refusal
from appliance.deliver.doctor import Proves
from appliance.deliver.outgoing_tls import OutgoingTls
from appliance.deliver.proof import Meaning, meaning_of
from appliance.deliver.proof_desk import NEVER, listen_for, new_transaction_uid, queries_of, service_peer
from appliance.deliver.proof_reports import Awaited, ExpectedReports
from appliance.deliver.remedies import Call, Remark
from appliance.deliver.synthetic import SECONDARY_CAPTURE, SERIES_UID, STUDY_UID, TestImage
from appliance.dimse.association import AssociationAbortedError, AssociationRejectedError, PeerUnreachableError, TransferBrokenError
from appliance.dimse.commitment import CommitmentReport, Reference
from appliance.dimse.commitment_scu import CommitmentRequests
from appliance.dimse.service import ServiceNotTakenError
from appliance.runtime.callers import LastCall

# An archive with nothing else to do reports within seconds, and somebody sits in front of this and waits.
REPORT_S = 30.0
# As the sender does (`proof_desk`): for archives that report on the association on which they were asked.
_SAME_ASSOCIATION_S = 2.0
# Who else was refused meanwhile is of no interest: a department's scanners may be among them.
_MOST_CALLERS = 3

_NOT_TAKEN_ADVICE = (
    "Switch storage commitment on in the archive and allow it to this box, or set the destination's proof to what the archive can do: "
    '"query", or "delivered".'
)
_LOST_ADVICE = (
    "It may not have filed the image yet: try again in some minutes. If that stays so, the archive answers success and does not keep what "
    "it takes: its log may say why."
)
_SAID: Mapping[Meaning, tuple[str, str]] = MappingProxyType(
    {
        Meaning.MISSING: ("it does not have the test image", _LOST_ADVICE),
        Meaning.BUSY: ("it cannot say now whether it has the test image", "Try again in some minutes; its log may say what it waits for."),
        Meaning.CONFLICT: ("it has another object under the test image's UID", "Its log may say which."),
        Meaning.CANNOT: (
            "it commits itself to no image of the test image's class",
            "Allow storage commitment for Secondary Capture Image Storage; for other classes it may say otherwise.",
        ),
    }
)
"""What an archive's report says that is not good news, and what to try."""


@dataclass(frozen=True, slots=True)
class Post:
    """How an archive's word comes back: who hears of reports, what keeps those on other requests durably, and who called the box last.

    `keep` takes the report, under which title it came, and when (wall time).
    """

    expected: ExpectedReports
    keep: Callable[[CommitmentReport, str, float], None]
    calls: Callable[[], Sequence[LastCall]]


def proof_of(
    to: DicomDestination | StowDestination,
    site: Site,
    tls: OutgoingTls,
    post: Post,
    senses: Senses | None = None,
    report_s: float = REPORT_S,
) -> Proves | None:
    """Return how a destination proves that it has a test image, None for one that need not. A report is waited for `report_s`."""
    if to.proof == "delivered":
        return None
    if isinstance(to, StowDestination) or to.proof == "query":
        return lambda image: _listed(to, site, tls, image)
    return _Commitment(to, site, tls, post, senses or Senses(), report_s).proves


def _listed(to: DicomDestination | StowDestination, site: Site, tls: OutgoingTls, image: TestImage) -> tuple[bool, Remark]:
    """Ask by one query for the image."""
    group = SeriesGroup(STUDY_UID, SERIES_UID, (image.sop_instance_uid,))
    cleared = ask_by(queries_of(to, site, tls), [group], destination=to.name)
    if cleared.present:
        return True, Remark("asked by a query, the archive lists the test image: it can prove what it was sent")
    if cleared.absent:
        return False, Remark("the archive took the test image, and does not list it when it is asked by a query", _LOST_ADVICE)
    who = "this box (QIDO-RS at the same url)" if isinstance(to, StowDestination) else site.box.ae_title
    advice = f"Allow queries to {who}, or set the destination's proof to what the archive can do."
    return False, Remark(f"the archive does not say by a query whether it has the test image: {cleared.reason}", advice)


class _Commitment:
    """One request for storage commitment, and the wait for what comes."""

    def __init__(self, to: DicomDestination, site: Site, tls: OutgoingTls, post: Post, senses: Senses, report_s: float) -> None:
        self._to = to
        self._site = site
        self._tls = tls
        self._post = post
        self._senses = senses
        self._report_s = report_s
        self._transaction_uid = new_transaction_uid()

    def proves(self, image: TestImage) -> tuple[bool, Remark]:
        """Ask, wait, and return whether the archive has the image, and what to say."""
        began = self._senses.wall()
        with self._post.expected.expect(self._transaction_uid) as awaited:
            fault = self._ask(image, awaited)
            if awaited.come.is_set():
                return _reported(awaited, image.sop_instance_uid)
        return fault or (False, self._for_silence(began))

    def _ask(self, image: TestImage, awaited: Awaited) -> tuple[bool, Remark] | None:
        """Ask, and wait until a report is there or the time has passed; return what came of asking where no report will come, or None."""
        try:
            requests = CommitmentRequests(service_peer(self._to, self._site, self._tls), self._heard)
        except (PeerUnreachableError, AssociationRejectedError, AssociationAbortedError) as error:
            remark = refusal(error, self._call())
            return False, Remark(f"storage commitment cannot be asked for: {remark.detail}", remark.advice)
        except ServiceNotTakenError:
            return True, _unproved(f"the archive does not take requests for storage commitment from {self._call().calling}")
        try:
            status = requests.ask(self._transaction_uid, [Reference(SECONDARY_CAPTURE, image.sop_instance_uid)])
            if status != 0:
                return _for_status(status)
            began = self._senses.monotonic()
            listen_for(requests, awaited.come, min(_SAME_ASSOCIATION_S, self._report_s))
        except TransferBrokenError as error:
            # The listening raises none.
            return False, Remark(f"the request for storage commitment was not answered: {error.detail}", "The archive's log says why.")
        finally:
            requests.release()
        awaited.come.wait(max(0.0, self._report_s - (self._senses.monotonic() - began)))
        return None

    def _heard(self, report: CommitmentReport) -> None:
        """Take a report that came on the association of the request."""
        if report.transaction_uid != self._transaction_uid:
            self._post.keep(report, self._to.ae_title.text, self._senses.wall())
            return
        self._post.expected.heard(report.transaction_uid, [*((uid, None) for uid in report.committed), *report.failed])

    def _call(self) -> Call:
        host, port = str(self._to.host), self._to.port
        return Call(host, port, self._site.box.ae_title, self._to.ae_title, self._senses.own_address(host, port))

    def _for_silence(self, began: float) -> Remark:
        """Return what to say when nothing came; `began` is when the first report could have (wall time)."""
        box = self._call()
        refused = [call for call in self._post.calls() if call.answer and call.at >= began][:_MOST_CALLERS]
        detail = f"the archive took the request for storage commitment, and no report came within {self._report_s:g} s"
        advice = (
            f"The archive calls this box for its reports: it must know {box.us} and {_ports(self._site)}. Does a firewall stand between?"
        )
        if refused:
            detail += "; meanwhile this box refused " + " and ".join(f"{call.calling} from {call.address} ({call.why})" for call in refused)
            advice = (
                f"If one that was refused is the archive: it must call this box {box.calling}, and under {self._to.ae_title} from "
                f"{self._to.host}, or as the destination's also_calls_from says."
            )
        later = "Some archives report only every few minutes: one that comes later is in the log as proof.transaction_unknown."
        return Remark(detail, f"{advice} {later}")


def _for_status(status: int | None) -> tuple[bool, Remark]:
    """Return what to say about a request that was answered with a failure."""
    if status in NEVER:
        return True, _unproved(f"the archive answers that it does not do storage commitment ({status:04X})")
    shown = "without a status" if status is None else f"with {status:04X} instead of success"
    return False, Remark(f"the request for storage commitment is answered {shown}", "Look into the archive's log for the reason.")


def _unproved(detail: str) -> Remark:
    """Return what to say of an archive without storage commitment, which is no fault: the box asks all, and does with what they can."""
    return Remark(f"{detail}: what it takes counts as delivered, without proof", _NOT_TAKEN_ADVICE)


def _reported(awaited: Awaited, sop_instance_uid: str) -> tuple[bool, Remark]:
    """Return whether a report says that the image is there, and what to say about it."""
    way = f"on an association of its own, as {awaited.caller}" if awaited.caller else "on the association of the request"
    if sop_instance_uid not in awaited.results:
        return False, Remark(f"the archive reported {way}, and its report says nothing of the test image", _LOST_ADVICE)
    reason = awaited.results[sop_instance_uid]
    meaning = meaning_of(reason)
    if reason is None or meaning is Meaning.THERE:
        return True, Remark(f"the archive has the test image: it reported {way}")
    said, advice = _SAID[meaning]
    return False, Remark(f"the archive says that {said} ({reason:04X}); it reported {way}", advice)


def _ports(site: Site) -> str:
    """Return where the box listens, as it has to be entered in an archive's list; 0 is a port that nobody has chosen."""
    plain = [f"{address.port}" for address in site.listen.dicom if address.port]
    secured = [f"{address.port} (TLS)" for address in site.listen.dicom_tls if address.port]
    ports = list(dict.fromkeys([*plain, *secured]))
    return f"its port {' or '.join(ports)}" if ports else "its port (listen.dicom)"
