"""What every answer of a STOW-RS server means for a delivery and for the destination, as tables. Pure.

An answer has two parts: a status of HTTP, and with 2xx, 400 and 409 a report that names instances. Where the report names an instance, it
decides; its failure reasons are the statuses of C-STORE (PS3.18 table I.2-2), so `verdict.judge_store` judges them.

Promises: each `judge_…` is total: whatever a server answers has exactly one verdict; delivered is only an instance that a report names as
stored. Texts are operator words and hold nothing a peer sent but numbers.
Failures: none.
Limits: a server that answers 2xx without a report is no STOW-RS server for us (PS3.18 10.5.3 demands one).
Standard: PS3.18 10.5 and I.2; RFC 9110 15 and 10.2.3, RFC 6585, RFC 4918 (507).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from appliance.deliver.site_state import Lanes, SiteState
from appliance.deliver.unreachable import UNREACHABLE
from appliance.deliver.verdict import Break, Verdict, Whose, judge_store
from appliance.ledger.vocabulary import HoldClass

# As for statuses of C-STORE that may have a passing reason (`verdict`).
_THREE_TRIES = 3
# A destination is not left alone for longer by its own word: what is owed is tried again (house.md P3).
LONGEST_RETRY_AFTER_S = 3600.0
# RFC 9110 15.3.
_SUCCESS = 2
_DIGITS = 10


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What a server says of each instance (PS3.18 table 10.5.3-1), by SOP Instance UID.

    `stored` holds the warning reason, 0 where there is none; `failed` the failure reason, None where there is none; `others` the failure
    reasons of what the server could not name.
    """

    stored: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int | None] = field(default_factory=dict)
    others: tuple[int | None, ...] = ()


def _refusing(flag: str, text: str) -> Verdict:
    return Verdict(Whose.SITE, flag, text, site_state=SiteState.REFUSING)


def _throttled(flag: str, text: str) -> Verdict:
    return Verdict(Whose.SITE, flag, text, site_state=SiteState.THROTTLED, lanes=Lanes.ONE)


def _dead(flag: str, text: str) -> Verdict:
    return Verdict(Whose.SITE, flag, text, site_state=SiteState.DEAD)


def _held(flag: str, text: str, hold: HoldClass = HoldClass.VERDICT, tries: int = _THREE_TRIES) -> Verdict:
    return Verdict(Whose.INSTANCE, flag, text, hold=hold, tries_before_hold=tries)


_AWAY = "http_gateway"
UNLISTED = "http_unlisted"
"""The flag of a success that names nothing."""
_UNLISTED = _refusing(UNLISTED, "the destination says yes without saying what it stored (not a STOW-RS service, or the wrong address?)")

HTTP_STATUSES: Mapping[int, Verdict] = MappingProxyType(
    {
        400: _held("http_bad_request", "the destination calls the request malformed"),
        401: _refusing("http_unauthorised", "the destination does not accept the box's token, user or password, or demands one"),
        403: _refusing("http_forbidden", "the destination says that this box may not store"),
        404: _refusing("http_not_found", "the destination has no STOW-RS service at this address"),
        405: _refusing("http_method_not_allowed", "the destination takes nothing at this address"),
        406: _refusing("http_not_acceptable", "the destination cannot report what it stored in DICOM's JSON or XML"),
        407: _refusing("proxy_unauthorised", "the HTTP proxy demands credentials, of which the box has none: it must let the box pass"),
        408: _throttled("http_request_timeout", "the destination finds that the request took too long"),
        409: _held("http_conflict", "the destination stored nothing and does not say why"),
        410: _refusing("http_gone", "the destination has no STOW-RS service at this address any more"),
        411: _refusing("http_length_required", "the destination, or what stands before it, does not see the length of the request"),
        413: _held("http_too_large", "the destination does not take an object of this size", HoldClass.CONFIGURATION, tries=1),
        414: _refusing("http_address_too_long", "the destination calls its own address too long"),
        415: _held(
            "http_unsupported_type", "the destination does not take DICOM objects of this transfer syntax", HoldClass.CONFIGURATION, tries=1
        ),
        421: _refusing("http_misdirected", "what answers at this address is not the destination"),
        422: _held("http_not_processable", "the destination cannot process the instance"),
        425: _throttled("http_too_early", "the destination wants the request later"),
        426: _refusing("http_upgrade_required", "the destination demands another protocol"),
        428: _refusing("http_precondition_required", "the destination demands a condition that STOW-RS does not have"),
        429: _throttled("http_too_many_requests", "the destination gets more requests than it takes"),
        431: _refusing("http_headers_too_large", "the destination finds the headers too large (the token?)"),
        451: _refusing("http_legal", "the destination refuses for legal reasons"),
        # As 0110 of C-STORE: its own trouble with this instance, or with all; then the same-failure rule finds it.
        500: Verdict(Whose.INSTANCE, "http_server_error", "the destination failed to process the instance"),
        501: _refusing("http_not_implemented", "the destination has no STOW-RS service at this address"),
        502: _throttled(_AWAY, "what stands before the destination gets no answer from it"),
        503: _throttled("http_unavailable", "the destination is not available for now"),
        # The destination may have stored it, and only its answer came too late.
        504: Verdict(Whose.UNKNOWN, "http_gateway_timeout", "what stands before the destination waited for its answer in vain"),
        505: _refusing("http_version", "the destination does not speak HTTP/1.1"),
        507: _throttled("http_insufficient_storage", "the destination is out of space"),
        508: _refusing("http_loop", "the destination finds itself in a loop"),
        511: _refusing("http_network_login", "the network demands a login before it lets the box through"),
    }
)
"""Verdicts of single statuses of HTTP where no report names the instance; these win over `HTTP_CLASSES`."""

HTTP_CLASSES: Mapping[int, Verdict] = MappingProxyType(
    {
        _SUCCESS: _UNLISTED,
        3: _refusing("http_elsewhere", "the destination is at another address: it answers with a redirection, which is not followed"),
        4: _held("http_refused", "the destination refuses the request"),
        5: _throttled("http_trouble", "the destination is in trouble"),
    }
)
"""Verdicts by the first digit of a status of HTTP."""

_ENCODED = _refusing("http_encoded", "the destination, or what stands before it, compresses its answers although asked not to")

_UNKNOWN_STATUS = _held("http_unknown", "the destination answers with an unknown status")

# Statuses that may tell of one instance: sent with others, nobody knows of which.
_OF_ONE = frozenset({Whose.INSTANCE, Whose.UNKNOWN})
_IN_COMPANY = Verdict(
    Whose.UNKNOWN,
    "http_in_company",
    "the destination refuses a request of several instances and does not say which one: goes alone next",
    is_ours=True,
)
_FOR_ANOTHER = Verdict(
    Whose.UNKNOWN, "broken_off_for_another", "the request was broken off for another instance in it", is_ours=True, ends_association=True
)
_NOT_NAMED = Verdict(
    Whose.UNKNOWN,
    "not_named",
    "the destination's report does not name the instance (does it change UIDs?)",
    hold=HoldClass.VERDICT,
    tries_before_hold=_THREE_TRIES,
)
_FAILED_UNEXPLAINED = _held("failed_unexplained", "the destination says that it did not store the instance, and not why")

# Not in the standard: what a large cloud archive answers for an instance that it has already, and C-STORE calls 0111.
_ALREADY_STORED, _DUPLICATE = 0xB00E, 0x0111


def judge_http(status: int, *, in_company: bool = False, retry_after_s: float | None = None) -> Verdict:
    """Return the verdict on a status of HTTP where no report names the instance; the text ends with the status.

    `in_company`: the request held several instances. `retry_after_s`: when the server wants to be asked again.
    """
    verdict = HTTP_STATUSES.get(status) or HTTP_CLASSES.get(status // 100, _UNKNOWN_STATUS)
    if in_company and verdict.whose in _OF_ONE:
        verdict = _IN_COMPANY
    return wait_as_told(_with_status(verdict, status), retry_after_s)


def judge_instance(
    uid: str, report: StoreReport, status: int, *, in_company: bool = False, sent_before: bool = False
) -> tuple[Verdict, int | None]:
    """Return the verdict on the instance `uid` and its reason, if any, by a report that came with the HTTP `status`."""
    if uid in report.failed:
        return _judge_failure(report.failed[uid], sent_before=sent_before)
    if uid in report.stored:
        return _judge_stored(report.stored[uid])
    if report.others and not in_company:
        return _judge_failure(report.others[0], sent_before=sent_before)
    if status // 100 != _SUCCESS:
        return judge_http(status, in_company=in_company), None
    if report.others:
        return _with_status(_IN_COMPANY, status), None
    return _NOT_NAMED, None


def judge_proxy(kind: str, status: int | None) -> Verdict:
    """Return the verdict on an HTTP proxy that cannot be reached (`kind`), or answered CONNECT with `status`."""
    match status:
        case 407:
            return HTTP_STATUSES[407]
        case 502 | 503 | 504:
            return _dead("proxy_no_way", f"the HTTP proxy does not reach the destination (HTTP {status})")
        case int():
            return _refusing("proxy_forbidden", f"the HTTP proxy does not let the box through to the destination (HTTP {status})")
        case None:
            phase = "name" if kind == "name" else "connect"
            words = UNREACHABLE.get((phase, kind), "what answers there is no HTTP proxy" if kind == "not_http" else kind)
            return _dead(f"proxy_{kind}", f"the HTTP proxy is not there: {words}")


_SILENCE: Mapping[Break, str] = MappingProxyType(
    {
        Break.TIMEOUT: "the destination takes the connection but does not answer a request",
        Break.PROGRESS: "the destination takes the connection but does not take a request",
        Break.PROTOCOL: "the destination does not speak HTTP at this port",
    }
)


def judge_silent(kind: Break) -> Verdict:
    """Return the verdict on a server that takes a connection and gives no answer to a small request."""
    return _dead(f"http_{kind.value}", _SILENCE.get(kind, "the destination closes the connection instead of answering a request"))


def judge_credentials() -> Verdict:
    """Return the verdict on a token or password of our own that cannot be used: nothing was sent."""
    return _refusing("own_credentials", "the file with the box's own token or password cannot be used")


def judge_encoded(status: int) -> Verdict:
    """Return the verdict on an answer whose report is compressed, although the request asked for it as it is."""
    return _with_status(_ENCODED, status)


def judge_broken_off() -> Verdict:
    """Return the verdict on an instance whose request was cut because another one in it could not be sent."""
    return _FOR_ANOTHER


def wait_as_told(verdict: Verdict, retry_after_s: float | None) -> Verdict:
    """Return a throttle's verdict with the wait that the server asks for, within reason; any other as it is."""
    if retry_after_s is None or verdict.site_state is not SiteState.THROTTLED:
        return verdict
    return replace(verdict, wait_s=max(0.0, min(retry_after_s, LONGEST_RETRY_AFTER_S)))


def retry_after_s(value: str, date: str) -> float | None:
    """Return the seconds of a Retry-After header, None where it says nothing; a moment is measured from the server's own Date header."""
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        return float(text)
    moment, now = _moment(text), _moment(date)
    return None if moment is None or now is None else (moment - now).total_seconds()


def _with_status(verdict: Verdict, status: int) -> Verdict:
    return replace(verdict, text=f"{verdict.text} (HTTP {status})")


def _judge_stored(warning: int) -> tuple[Verdict, int]:
    verdict = judge_store(warning)
    # A warning that C-STORE does not have is a warning all the same: the report says that the instance is stored.
    is_known = verdict.whose is Whose.DELIVERED
    return verdict if is_known else Verdict(Whose.DELIVERED, "stored_with_warning", "stored; the destination has a warning"), warning


def _judge_failure(reason: int | None, *, sent_before: bool) -> tuple[Verdict, int | None]:
    if reason is None:
        return _FAILED_UNEXPLAINED, None
    verdict = judge_store(_DUPLICATE if reason == _ALREADY_STORED else reason, sent_before=sent_before)
    if verdict.whose is Whose.DELIVERED and verdict.flag != "duplicate_of_ours":
        # A success among the failures.
        return _FAILED_UNEXPLAINED, reason
    return replace(verdict, ends_association=False), reason


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # "-0000" gives a moment without zone, which cannot be compared with one that has it.
    return moment if moment.tzinfo is not None else None
