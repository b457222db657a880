"""What every answer of a destination means for a delivery and for the destination: semantics.md section 1 as tables. Pure.

Promises: each `judge_…` is total: whatever a peer answers has exactly one verdict; only 0000, B000, B006, B007 (and 0111 for bytes that
went there before) are ever judged delivered. Texts are operator words and hold nothing a peer sent but numbers, titles and UIDs.
Failures: none.
Limits: a lossless transcode instead of a refused syntax (C122, context result 4) is not there yet; such a delivery is held and said.
Standard: PS3.4 B.2.3, PS3.7 9.1.1.1.9 and Annex C, PS3.2 N.7, PS3.18 I.2 (statuses; PS3.2 spells 0122 as 0112 and 0124 as 0214);
PS3.8 9.3.4 (rejects), 9.3.3.2 (context results), 9.3.8 (aborts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from appliance.core.identity import Uid
from appliance.deliver.site_state import Lanes, SiteState
from appliance.deliver.unreachable import NOT_ANSWERED, NOT_TRUSTED, UNREACHABLE
from appliance.ledger.vocabulary import HoldClass


class Whose(StrEnum):
    """Whose the outcome is, which decides what is charged."""

    DELIVERED = "delivered"
    SITE = "site"
    """The destination's trouble: the delivery is charged nothing."""
    INSTANCE = "instance"
    """This delivery's trouble."""
    UNKNOWN = "unknown"
    """Nobody can say whether the destination has it: the same bytes are sent again, which is idempotent by UID."""


class Pace(StrEnum):
    """How the tries of one delivery are spread."""

    SOFT = "soft"
    SPREAD = "spread"
    """Three tries over an hour."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one answer means.

    `hold` is the class in which the delivery is held once it was tried `tries_before_hold` times (1: at once); without `hold` it is tried
    for ever. `flag` is a constant word for logs and counters and names the failure; `text` is for people. `ends_association`: the
    association cannot be used again and is aborted. After `isolate_after` of these the instance goes alone and last. `is_ours`: the box met
    it by itself, so that it says nothing about the destination (`own_faults`). `outlives_echo`: an answered C-ECHO does not disprove it.
    `wait_s`: how long the destination asks to be left alone; a throttle waits at least so long.
    """

    whose: Whose
    flag: str
    text: str
    site_state: SiteState | None = None
    lanes: Lanes = Lanes.AS_THEY_ARE
    hold: HoldClass | None = None
    tries_before_hold: int | None = None
    pace: Pace = Pace.SOFT
    ends_association: bool = False
    isolate_after: int | None = None
    smaller_pdu: bool = False
    is_ours: bool = False
    outlives_echo: bool = False
    wait_s: float = 0.0

    def holds_after(self, tries: int) -> bool:
        """Say whether a delivery that was tried `tries` times with this outcome is held now."""
        return self.hold is not None and tries >= (self.tries_before_hold or 1)

    @property
    def is_site_rule_evidence(self) -> bool:
        """Say whether many of these at once are the destination's trouble: failures and unknown outcomes that no setting explains."""
        return self.whose in _TRIED and self.hold is not HoldClass.CONFIGURATION and not self.is_ours

    @property
    def likeness(self) -> str:
        """Return what "the same failure" is the same of; whichever way a transfer ends without a usable answer is the same."""
        return self.whose.value if self.whose is Whose.UNKNOWN else self.flag

    @property
    def refuses_class(self) -> bool:
        """Say whether the SOP class is refused in whatever transfer syntax."""
        return self.flag in _CLASS_REFUSALS


_TRIED = frozenset({Whose.INSTANCE, Whose.UNKNOWN})


# PS3.4 B.2.3 lets an implementation define what follows a failure; semantics.md 1.1: three tries, because archives say A9xx and Cxxx for
# trouble of their own that passes.
_THREE_TRIES = 3
# semantics.md 1.3: three aborts in company, then one try alone and last; if that one aborts too, the instance is the reason.
_ABORTS_IN_COMPANY = 3


def _delivered(flag: str, text: str) -> Verdict:
    return Verdict(Whose.DELIVERED, flag, text)


def _held(flag: str, text: str, hold: HoldClass = HoldClass.VERDICT, tries: int = 1, pace: Pace = Pace.SOFT) -> Verdict:
    return Verdict(Whose.INSTANCE, flag, text, hold=hold, tries_before_hold=tries, pace=pace)


def _throttled(flag: str, text: str, lanes: Lanes = Lanes.ONE) -> Verdict:
    return Verdict(Whose.SITE, flag, text, site_state=SiteState.THROTTLED, lanes=lanes)


def _refusing(flag: str, text: str) -> Verdict:
    return Verdict(Whose.SITE, flag, text, site_state=SiteState.REFUSING)


def _dead(flag: str, text: str) -> Verdict:
    return Verdict(Whose.SITE, flag, text, site_state=SiteState.DEAD)


def _unknown(flag: str, text: str) -> Verdict:
    return Verdict(Whose.UNKNOWN, flag, text, ends_association=True)


_UNSUPPORTED, _REJECTED = "class_not_supported", "class_rejected"
_CLASS_REFUSALS = frozenset({_UNSUPPORTED, _REJECTED})

_CLASS_UNSUPPORTED = _held(_UNSUPPORTED, "the destination does not take this SOP class", HoldClass.CONFIGURATION)
_NOT_AUTHORISED = _refusing("not_authorised", "the destination says that this box may not store")
_OUT_OF_RESOURCES = _throttled("out_of_resources", "the destination is out of resources")
_DATA_SET_MISMATCH = _held(
    "data_set_mismatch", "the destination says that the data set does not match its SOP class", tries=_THREE_TRIES, pace=Pace.SPREAD
)
_NOT_UNDERSTOOD = _held("not_understood", "the destination cannot understand the instance", tries=_THREE_TRIES, pace=Pace.SPREAD)

STATUSES: Mapping[int, Verdict] = MappingProxyType(
    {
        0x0000: _delivered("success", "stored"),
        0xB000: _delivered("coerced", "stored; the destination changed elements"),
        0xB006: _delivered("elements_discarded", "stored; the destination discarded elements (the archive is not Level 2)"),
        0xB007: _delivered("class_mismatch_warning", "stored; the destination finds that the data set does not match its SOP class"),
        0xA800: _CLASS_UNSUPPORTED,
        0x0122: _CLASS_UNSUPPORTED,
        0x0112: _CLASS_UNSUPPORTED,
        0xC122: _held("syntax_not_supported", "the destination does not support the transfer syntax", HoldClass.CONFIGURATION),
        0x0110: Verdict(Whose.INSTANCE, "processing_failure", "the destination failed to process the instance"),
        0x0117: _held("invalid_instance", "the destination calls the SOP Instance UID invalid"),
        0x0118: _held("no_such_class", "the destination knows no such SOP class"),
        0x0119: _held("class_instance_conflict", "the destination says that SOP class and instance conflict"),
        0x0124: _NOT_AUTHORISED,
        0x0214: _NOT_AUTHORISED,
        # Our fault: an id that was in use. A new association starts a new count.
        0x0210: Verdict(
            Whose.UNKNOWN, "duplicate_invocation", "the destination says that the message id was in use (our fault)", ends_association=True
        ),
        0x0211: _held("unrecognised_operation", "the destination does not recognise C-STORE"),
        0x0212: _held("mistyped_argument", "the destination calls an argument of the C-STORE mistyped"),
        0x0213: _OUT_OF_RESOURCES,
        0xFE00: _unknown("cancel_answer", "the destination answered C-STORE with FE00, which means nothing there"),
        0xFF00: _unknown("pending_answer", "the destination answered C-STORE with FF00, which means nothing there"),
    }
)
"""Verdicts of single C-STORE statuses; these win over `STATUS_RANGES`."""

STATUS_RANGES: tuple[tuple[int, int, Verdict], ...] = (
    (0xA700, 0xA7FF, _OUT_OF_RESOURCES),
    (0xA900, 0xA9FF, _DATA_SET_MISMATCH),
    (0xC000, 0xCFFF, _NOT_UNDERSTOOD),
)
"""Verdicts of ranges of C-STORE statuses, both ends included."""

_DUPLICATE, _ELEMENTS_DISCARDED = 0x0111, 0xB006


def judge_store(status: int | None, *, sent_before: bool = False, hold_discarded: bool = False) -> Verdict:
    """Return the verdict on a C-STORE response (semantics.md 1.1).

    `status` is None where the response had none. `sent_before`: the same bytes went to this destination before (answered or not), so that a
    duplicate is what we sent ourselves. `hold_discarded`: the site wants B006 held.
    """
    if status is None:
        return _unknown("no_status", "the destination answered without a status")
    if status == _DUPLICATE:
        if sent_before:
            return _delivered("duplicate_of_ours", "the destination has it already, from us")
        return _held("duplicate_instance", "the destination has another instance with this UID")
    if status == _ELEMENTS_DISCARDED and hold_discarded:
        return _held("elements_discarded", "the destination discarded elements (the archive is not Level 2)")
    verdict = STATUSES.get(status)
    if verdict is not None:
        return verdict
    for first, last, ranged in STATUS_RANGES:
        if first <= status <= last:
            return ranged
    return _held("unknown_status", f"the destination answered with the unknown status {status:04X}", tries=_THREE_TRIES)


def judge_response_mismatch() -> Verdict:
    """Return the verdict on a response for another message id or another UID: it says nothing about ours."""
    return _unknown("response_mismatch", "the destination answered for another message")


REJECTS: Mapping[tuple[int, int, int], Verdict] = MappingProxyType(
    {
        (1, 1, 1): _refusing("rejected", "the destination refuses associations and gives no reason"),
        (1, 1, 2): _refusing(
            "application_context_rejected", "the destination refuses DICOM's application context (not DICOM, or the wrong port?)"
        ),
        (1, 1, 3): _refusing("calling_title_rejected", "the destination does not know this box"),
        (1, 1, 7): _refusing("called_title_rejected", "the destination does not answer to the AE title configured for it"),
        (1, 2, 1): _refusing("acse_rejected", "the destination's association control refuses, without a reason"),
        (1, 2, 2): _refusing("protocol_version_rejected", "the destination does not support the protocol version"),
        (2, 2, 1): _throttled("rejected_for_now", "the destination refuses associations for now and gives no reason"),
        (2, 3, 1): _throttled("congestion", "the destination is congested"),
        (2, 3, 2): _throttled("local_limit", "the destination's limit of associations is reached", Lanes.HALVE),
    }
)
"""Verdicts of A-ASSOCIATE-RJ by (result, source, reason)."""

_REJECTED_PERMANENT = 1


def judge_reject(result: int, source: int, reason: int, *, calling: str = "", called: str = "") -> Verdict:
    """Return the verdict on an A-ASSOCIATE-RJ (semantics.md 1.2); with the titles given, the text names the one that was refused.

    A "permanent" result never discards: it means an unfinished configuration.
    """
    verdict = REJECTS.get((result, source, reason))
    if verdict is None:
        text = f"the destination refuses associations with {result}/{source}/{reason}"
        return _refusing("rejected", text) if result == _REJECTED_PERMANENT else _throttled("rejected_for_now", text)
    if verdict.flag == "calling_title_rejected" and calling:
        return _refusing(verdict.flag, f"the destination does not know this box as {calling}")
    if verdict.flag == "called_title_rejected" and called:
        return _refusing(verdict.flag, f"the destination does not answer to the AE title {called}")
    return verdict


_SYNTAX_RESULT = 4
_CLASS_RESULT = 3
# PS3.8 9.3.3.2: 1 user rejection, 2 no reason (provider). Both may pass.
_MAY_PASS = (1, 2)


def judge_context(result: int | None, sop_class: Uid | str, transfer_syntax: Uid | str) -> Verdict:
    """Return the verdict on a proposed context that was not accepted (semantics.md 1.3); None where the peer left it out of its answer.

    The text names the class and the syntax. There is no verdict that proposes the same context again without a back-off.
    """
    if result == _CLASS_RESULT:
        return _held(_REJECTED, f"the destination does not take SOP class {sop_class}", HoldClass.CONFIGURATION)
    if result == _SYNTAX_RESULT:
        text = f"the destination does not take SOP class {sop_class} in transfer syntax {transfer_syntax}"
        return _held("syntax_rejected", text, HoldClass.CONFIGURATION)
    text = f"the destination refuses the context of SOP class {sop_class} in transfer syntax {transfer_syntax}"
    flag = "context_rejected" if result in _MAY_PASS else "context_unanswered"
    return _held(flag, text, HoldClass.CONFIGURATION, tries=_THREE_TRIES)


class Break(StrEnum):
    """How a transfer or an association can end other than by an answer."""

    ABORT_USER = "abort0"
    ABORT_PROVIDER = "abort2"
    CLOSED = "closed"
    """Reset, FIN, or a release in mid-transfer."""
    TIMEOUT = "timeout"
    """No response within the response deadline."""
    PROGRESS = "progress"
    """No byte moved for the progress deadline."""
    PROTOCOL = "protocol"
    """The peer sent what the protocol does not allow, and we aborted (hostile-inputs.md rows 68 and 72)."""


BREAKS: Mapping[Break, Verdict] = MappingProxyType(
    {
        Break.ABORT_USER: Verdict(
            Whose.UNKNOWN,
            "aborted",
            "the destination aborted the association during the instance",
            hold=HoldClass.VERDICT,
            tries_before_hold=_ABORTS_IN_COMPANY + 1,
            ends_association=True,
            isolate_after=_ABORTS_IN_COMPANY,
        ),
        Break.ABORT_PROVIDER: Verdict(
            Whose.UNKNOWN,
            "aborted_by_provider",
            "the destination's protocol machine aborted the association during the instance",
            hold=HoldClass.VERDICT,
            tries_before_hold=2,
            ends_association=True,
            smaller_pdu=True,
        ),
        Break.CLOSED: _unknown("connection_lost", "the connection was lost during the instance"),
        Break.TIMEOUT: _unknown("no_response", "the destination did not answer in time"),
        Break.PROGRESS: _unknown("no_progress", "the destination stopped taking data"),
        Break.PROTOCOL: _unknown("protocol_broken", "the destination broke the protocol during the instance"),
    }
)
"""Verdicts of what breaks a transfer after its first PDV."""


def judge_break(kind: Break, *, after_first_pdv: bool, association_proved: bool) -> Verdict:
    """Return the verdict on a transfer that ended without an answer (semantics.md 1.3).

    Before the first PDV nothing is charged to the instance: an association that served before has simply ended (the lane associates anew);
    one that never did is the destination's trouble, which waits for the throttle's back-off so that nobody loops.
    """
    if after_first_pdv:
        return BREAKS[kind]
    if association_proved:
        return Verdict(Whose.SITE, "association_ended", "the destination ended the association", ends_association=True)
    text = "the destination accepts an association and ends it before the first instance"
    return Verdict(Whose.SITE, "association_useless", text, site_state=SiteState.THROTTLED, lanes=Lanes.ONE, ends_association=True)


def judge_unreachable(phase: str, kind: str) -> Verdict:
    """Return the verdict on a destination that could not be reached (semantics.md 1.3): dead, or not to be trusted, each in its own words.

    Who leaves the request of an association for storage unanswered may answer that of one for C-ECHO all the same.
    """
    if phase == "tls" and kind in NOT_TRUSTED:
        # A setting, on one side or the other: nothing was sent, and a knock every few seconds would not change it (row 81).
        return _refusing(f"tls_{kind}", NOT_TRUSTED[kind])
    if phase == "associate" and kind in NOT_ANSWERED:
        return replace(_dead(f"unreachable_{phase}_{kind}", NOT_ANSWERED[kind]), outlives_echo=True)
    words = UNREACHABLE.get((phase, kind), f"it cannot be reached ({phase}: {kind})")
    return _dead(f"unreachable_{phase}_{kind}", f"the destination is not there: {words}")


def judge_association_abort(source: int) -> Verdict:
    """Return the verdict on an A-ABORT in answer to the association request."""
    return _throttled("association_aborted", f"the destination answers an association request with an abort (source {source})")
