"""Deliveries over DICOM: an association for what is queued, and one C-STORE a delivery, streamed from the sealed object.

Promises: delivered is only what the peer answered for exactly this message and instance; the last piece of an object leaves only when the
object is known to be whole, so a damaged one is never completed at the peer; nothing runs against a fixed time, only against a standstill
and, after the last piece, against the response deadline. An object goes as it was received wherever the peer takes that; else an
uncompressed one is converted while it is sent (house.md P5), and stays in the spool as it was.
Failures: `AssociationFailedError`; everything else is an outcome.
Limits: C-ECHO calls as the box, whatever title deliveries are sent under (house.md section 8).
Standard: PS3.4 B, PS3.7 9.1.1 and 9.1.5, PS3.8 9.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from appliance.core.identity import AETitle
from appliance.deliver.bandwidth import ShapedSource
from appliance.deliver.own_faults import SPOOL_ERRORS, judge_damaged, judge_missing, judge_spool, judge_unconvertible
from appliance.deliver.schedule import response_deadline
from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Context, Outcome, Wanted
from appliance.deliver.verdict import (
    Break,
    Verdict,
    judge_association_abort,
    judge_break,
    judge_context,
    judge_reject,
    judge_response_mismatch,
    judge_store,
    judge_unreachable,
)
from appliance.dimse.acse import MAX_CONTEXTS
from appliance.dimse.association import (
    AssociationAbortedError,
    AssociationRejectedError,
    AssociationRequest,
    Broken,
    OutgoingAssociation,
    PeerUnreachableError,
    StoreResponse,
    TransferBrokenError,
    VerificationNotAcceptedError,
    associate,
    tcp_hello,
)
from appliance.dimse.contexts import ABSTRACT_SYNTAX_NOT_SUPPORTED, ACCEPTANCE, TRANSFER_SYNTAXES_NOT_SUPPORTED, VERIFICATION
from appliance.dimse.conversion import EXPLICIT_LITTLE, IMPLICIT_LITTLE, ConversionError, ConvertedSource, convertible
from appliance.dimse.stream import OutgoingSource
from appliance.dimse.tls import TlsRequest
from appliance.ledger.vocabulary import Priority
from appliance.spool.names import SpoolName
from appliance.spool.store import SealedObject

# PS3.8 D.1: the size every implementation has met; what a peer chokes on at 128 KiB is tried once more with this.
_SMALL_PDU = 16_384
# How long a peer may take to answer a release before the line is cut: nothing depends on the answer.
_RELEASE_S = 5.0

# What a person can only understand byte by byte.
_ODD = frozenset({"no_status", "unknown_status", "pending_answer", "cancel_answer"})

# PS3.18 I.2-2: an answer after the fact, where the context itself was accepted.
_SYNTAX_NOT_SUPPORTED = 0xC122

# PS3.7 9.1.1.1: 0000,0700 MEDIUM 0, HIGH 1, LOW 2.
_DIMSE_PRIORITY = {Priority.STAT: 1, Priority.ROUTINE: 0, Priority.BULK: 2}


@dataclass(frozen=True, slots=True)
class DicomPeer:
    """Where a destination is and how long it may take, in seconds; `box` is the title for everything but C-STORE; `tls` None is plain."""

    host: str
    port: int
    called: AETitle
    box: AETitle
    connect_s: float
    associate_s: float
    progress_s: float
    response_s: float
    hello_s: float
    tls: TlsRequest | None = None


class DicomTransport:
    """The way to one DICOM destination. Threads may share it."""

    def __init__(self, peer: DicomPeer, open_object: Callable[[SpoolName], SealedObject]) -> None:
        """Send to `peer` what `open_object` opens."""
        self._peer = peer
        self._open_object = open_object

    def hello(self) -> None:
        """Return when somebody listens at the peer's address. Raises `AssociationFailedError`."""
        try:
            tcp_hello(self._peer.host, self._peer.port, self._peer.hello_s)
        except PeerUnreachableError as error:
            raise AssociationFailedError(judge_unreachable(error.phase, error.kind)) from error

    def echo(self) -> None:
        """Return when the peer answers a C-ECHO, or refuses in DICOM's words: either way it is back. Raises `AssociationFailedError`."""
        request = self._request(self._peer.box, [(VERIFICATION, IMPLICIT_LITTLE)], self._peer.associate_s)
        try:
            association = associate(request)
        except PeerUnreachableError as error:
            raise AssociationFailedError(judge_unreachable(error.phase, error.kind)) from error
        except (AssociationRejectedError, AssociationAbortedError):
            return
        try:
            association.echo(self._peer.associate_s)
        except VerificationNotAcceptedError:
            pass
        except TransferBrokenError as error:
            raise AssociationFailedError(judge_unreachable("echo", error.kind)) from error
        association.release(_RELEASE_S)

    def open(self, wanted: Wanted) -> DicomChannel:
        """Return an association for `wanted`. Raises `AssociationFailedError`."""
        # A peer that serves another lane of ours now answers soon or, if it serves one association at a time, not at all.
        associate_s = min(self._peer.associate_s, self._peer.connect_s) if wanted.hurried else self._peer.associate_s
        proposals = _proposals(wanted.contexts)
        request = self._request(wanted.calling, proposals, associate_s, small_pdus=wanted.small_pdus)
        try:
            return DicomChannel(associate(request), proposals, self._open_object, self._peer.response_s)
        except PeerUnreachableError as error:
            verdict = judge_unreachable(error.phase, error.kind)
            raise AssociationFailedError(verdict) from error
        except AssociationRejectedError as error:
            calling, called = str(wanted.calling), str(self._peer.called)
            verdict = judge_reject(error.result, error.source, error.reason, calling=calling, called=called)
            raise AssociationFailedError(verdict) from error
        except AssociationAbortedError as error:
            raise AssociationFailedError(judge_association_abort(error.source)) from error

    def _request(
        self, calling: AETitle, contexts: Sequence[Context], associate_s: float, *, small_pdus: bool = False
    ) -> AssociationRequest:
        peer = self._peer
        request = AssociationRequest(
            host=peer.host,
            port=peer.port,
            calling=calling,
            called=peer.called,
            # One transfer syntax a context: the peer says of each whether it takes it, and not only which one it likes best.
            contexts=tuple((abstract_syntax, (transfer_syntax,)) for abstract_syntax, transfer_syntax in contexts),
            connect_s=peer.connect_s,
            associate_s=associate_s,
            progress_s=peer.progress_s,
            tls=peer.tls,
        )
        return replace(request, max_pdu=_SMALL_PDU) if small_pdus else request


class DicomChannel:
    """One association."""

    def __init__(
        self,
        association: OutgoingAssociation,
        contexts: Sequence[Context],
        open_object: Callable[[SpoolName], SealedObject],
        response_s: float,
    ) -> None:
        """Own the association, for which `contexts` were proposed; an answer may take `response_s`, or longer for a large object."""
        self._association = association
        self._proposed = frozenset(contexts)
        self._open_object = open_object
        self._response_s = response_s
        self._has_served = False
        # Accepted as contexts, and refused in answers nevertheless.
        self._unsupported: set[Context] = set()

    @property
    def is_open(self) -> bool:
        """Whether the association can still be used; a peer that left in the meantime is noticed."""
        return self._association.is_open

    @property
    def answers(self) -> Mapping[Context, int]:
        """What the peer said to each context that it was asked for."""
        return {**dict.fromkeys(self._association.accepted, ACCEPTANCE), **self._association.rejected}

    def proposed(self, context: Context) -> bool:
        """Say whether the context was asked for and, unless it was accepted, everything that an object of it can be converted into."""
        if context in self._association.accepted:
            return True
        return self._proposed.issuperset((context, *_conversions(context)))

    def refusal(self, context: Context) -> Verdict | None:
        """Return what it means that neither a proposed context nor what it can be converted into was accepted, or None when one was."""
        return None if self._ways(context) else _judge_refusal(context, self._association.rejected)

    def send(self, task: Task) -> Outcome:
        """Send the object and return how it ended."""
        name = SpoolName.parse(task.claim.spool_name)
        if name is None:
            return Outcome(judge_missing())
        *others, last = self._ways(task.context)
        for way in others:
            outcome = self._send_as(way, task, name)
            if outcome.status != _SYNTAX_NOT_SUPPORTED:
                return outcome
            self._unsupported.add(way)
        return self._send_as(last, task, name)

    def _ways(self, context: Context) -> list[Context]:
        """Return the accepted contexts in which an object of `context` may go, the best first: its own, if nothing speaks against it."""
        accepted = [way for way in (context, *_conversions(context)) if way in self._association.accepted]
        return sorted(accepted, key=self._unsupported.__contains__)

    def _send_as(self, way: Context, task: Task, name: SpoolName) -> Outcome:
        try:
            with self._open_object(name) as sealed:
                return self._store(way, task, sealed)
        except SPOOL_ERRORS as error:
            # The network's own errors come as TransferBrokenError: an OSError is the disk's.
            return Outcome(judge_spool(error))

    def release(self) -> None:
        """End in good order, or cut the line of a peer that does not answer."""
        self._association.release(_RELEASE_S)

    def abort(self) -> None:
        """End at once."""
        if self._association.is_open:
            self._association.abort()

    def _store(self, way: Context, task: Task, sealed: SealedObject) -> Outcome:
        claim = task.claim
        source: OutgoingSource = sealed
        if way != task.context:
            source = ShapedSource(ConvertedSource(sealed.read, from_syntax=claim.transfer_syntax_uid, to_syntax=way[1]), sealed)
        try:
            response = self._association.store(
                sop_class_uid=claim.sop_class_uid,
                sop_instance_uid=claim.sop_instance_uid,
                context_id=self._association.accepted[way],
                source=source,
                response_s=response_deadline(sealed.length, self._response_s),
                priority=_DIMSE_PRIORITY[claim.priority],
                hops=claim.hops + 1,
            )
        except TransferBrokenError as error:
            return Outcome(self._judge_break(error))
        except ConversionError as error:
            return Outcome(judge_unconvertible(str(error)))
        self._has_served = True
        if not response.matches:
            return Outcome(judge_response_mismatch(), response.status, _words(response, odd=True))
        verdict = judge_store(response.status, sent_before=task.sent_before)
        return Outcome(verdict, response.status, _words(response, odd=verdict.flag in _ODD))

    def _judge_break(self, error: TransferBrokenError) -> Verdict:
        if error.kind is Broken.SOURCE:
            return judge_damaged()
        return judge_break(Break(error.kind.value), after_first_pdv=error.after_first_pdv, association_proved=self._has_served)


def _conversions(context: Context) -> list[Context]:
    """Return the contexts of what an object of `context` can be converted into, the one that keeps most first."""
    sop_class, syntax = context
    return [(sop_class, target) for target in (EXPLICIT_LITTLE, IMPLICIT_LITTLE) if convertible(syntax, target)]


def _proposals(wanted: Sequence[Context]) -> tuple[Context, ...]:
    """Return what to ask for: what is wanted, then what it can be converted into; for what is needed now there is room in any case."""
    now = _conversions(wanted[0])
    converted = [way for context in wanted for way in _conversions(context)]
    return tuple(dict.fromkeys([*wanted[: MAX_CONTEXTS - len(now)], *now, *converted]))[:MAX_CONTEXTS]


def _judge_refusal(context: Context, results: Mapping[Context, int]) -> Verdict:
    """Return the verdict on a context that was not accepted, not even converted: that of the first answer that may pass, else its own."""
    conversions = _conversions(context)
    firm = (ABSTRACT_SYNTAX_NOT_SUPPORTED, TRANSFER_SYNTAXES_NOT_SUPPORTED)
    deciding = next((way for way in (context, *conversions) if results.get(way) not in firm), context)
    verdict = judge_context(results.get(deciding), *context)
    if not conversions or verdict.flag == "class_rejected":
        return verdict
    return replace(verdict, text=f"{verdict.text}, nor converted into {' or '.join(syntax for _, syntax in conversions)}")


def _words(response: StoreResponse, *, odd: bool) -> str:
    """Return what the peer said besides the status: Error Comment and Offending Element; of an odd answer all of its bytes too."""
    tags = " ".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in response.offending)
    parts = (response.comment, f"offending {tags}" if tags else "", f"raw {response.raw}" if odd else "")
    return " ".join(part for part in parts if part)
