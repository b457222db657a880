"""The tables of STOW-RS: a row for every status of HTTP and every reason in a report."""

from __future__ import annotations

import pytest

from appliance.deliver import stow_verdicts
from appliance.deliver.site_state import SiteState
from appliance.deliver.stow_verdicts import (
    LONGEST_RETRY_AFTER_S,
    StoreReport,
    judge_broken_off,
    judge_credentials,
    judge_http,
    judge_instance,
    judge_proxy,
    judge_silent,
    retry_after_s,
)
from appliance.deliver.verdict import Break, Whose
from tests.unit.deliver.test_verdict import (
    CONFIGURATION,
    DEAD_ROW,
    DELIVERED_ROW,
    REFUSING_ROW,
    SOFT_ROW,
    STORE_ROWS,
    THROTTLED_ROW,
    UNKNOWN_ROW,
    VERDICT,
    facts,
    held_row,
)

UID, OTHER = "1.2.3", "1.2.4"
DATE = "Tue, 24 Nov 2026 12:00:00 GMT"

HTTP_ROWS = [
    (200, REFUSING_ROW, "http_unlisted"),
    (202, REFUSING_ROW, "http_unlisted"),
    (204, REFUSING_ROW, "http_unlisted"),
    (299, REFUSING_ROW, "http_unlisted"),
    (301, REFUSING_ROW, "http_elsewhere"),
    (307, REFUSING_ROW, "http_elsewhere"),
    (399, REFUSING_ROW, "http_elsewhere"),
    (400, held_row(VERDICT, 3), "http_bad_request"),
    (401, REFUSING_ROW, "http_unauthorised"),
    (403, REFUSING_ROW, "http_forbidden"),
    (404, REFUSING_ROW, "http_not_found"),
    (405, REFUSING_ROW, "http_method_not_allowed"),
    (406, REFUSING_ROW, "http_not_acceptable"),
    (407, REFUSING_ROW, "proxy_unauthorised"),
    (408, THROTTLED_ROW, "http_request_timeout"),
    (409, held_row(VERDICT, 3), "http_conflict"),
    (410, REFUSING_ROW, "http_gone"),
    (411, REFUSING_ROW, "http_length_required"),
    (413, held_row(CONFIGURATION, 1), "http_too_large"),
    (414, REFUSING_ROW, "http_address_too_long"),
    (415, held_row(CONFIGURATION, 1), "http_unsupported_type"),
    (421, REFUSING_ROW, "http_misdirected"),
    (422, held_row(VERDICT, 3), "http_not_processable"),
    (425, THROTTLED_ROW, "http_too_early"),
    (426, REFUSING_ROW, "http_upgrade_required"),
    (428, REFUSING_ROW, "http_precondition_required"),
    (429, THROTTLED_ROW, "http_too_many_requests"),
    (431, REFUSING_ROW, "http_headers_too_large"),
    (451, REFUSING_ROW, "http_legal"),
    (418, held_row(VERDICT, 3), "http_refused"),
    (499, held_row(VERDICT, 3), "http_refused"),
    (500, SOFT_ROW, "http_server_error"),
    (501, REFUSING_ROW, "http_not_implemented"),
    (502, THROTTLED_ROW, "http_gateway"),
    (503, THROTTLED_ROW, "http_unavailable"),
    (504, UNKNOWN_ROW, "http_gateway_timeout"),
    (505, REFUSING_ROW, "http_version"),
    (507, THROTTLED_ROW, "http_insufficient_storage"),
    (508, REFUSING_ROW, "http_loop"),
    (511, REFUSING_ROW, "http_network_login"),
    (529, THROTTLED_ROW, "http_trouble"),
    (599, THROTTLED_ROW, "http_trouble"),
    (100, held_row(VERDICT, 3), "http_unknown"),
    (600, held_row(VERDICT, 3), "http_unknown"),
    (999, held_row(VERDICT, 3), "http_unknown"),
]


@pytest.mark.parametrize(("status", "row", "flag"), HTTP_ROWS)
def test_every_http_status(status: int, row: tuple[object, ...], flag: str) -> None:
    """A status of HTTP without a report has the verdict of its row, and its number is in the words."""
    verdict = judge_http(status)

    assert facts(verdict) == row
    assert verdict.flag == flag
    assert verdict.text.endswith(f"(HTTP {status})")


def test_every_row_of_the_table_is_tested() -> None:
    """No status can be added to the table without a row here."""
    assert stow_verdicts.HTTP_STATUSES.keys() <= {status for status, _, _ in HTTP_ROWS}


def test_a_status_alone_never_delivers() -> None:
    """Whatever the status, without a report that names the instance nothing is delivered."""
    assert [status for status in range(1000) if judge_http(status).whose is Whose.DELIVERED] == []


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422, 500, 504])
def test_in_company_nobody_knows_whose_it_was(status: int) -> None:
    """A status that may tell of one instance charges none of several, which go alone next."""
    verdict = judge_http(status, in_company=True)

    assert (verdict.whose, verdict.flag, verdict.is_site_rule_evidence) == (Whose.UNKNOWN, "http_in_company", False)


@pytest.mark.parametrize("status", [200, 301, 401, 403, 404, 429, 503])
def test_the_sites_trouble_is_the_sites_in_any_company(status: int) -> None:
    """A status that tells of the destination means the same for one instance and for several."""
    assert judge_http(status, in_company=True) == judge_http(status)


@pytest.mark.parametrize(
    ("reason", "row", "flag"),
    [row for row in STORE_ROWS if row[0] not in {None, 0x0000, 0xB000, 0xB006, 0xB007}],
    ids=lambda value: f"{value:04X}" if isinstance(value, int) else None,
)
def test_a_failure_reason_is_judged_as_a_status_of_c_store(reason: int, row: tuple[object, ...], flag: str) -> None:
    """What a report gives as the reason of a failure means what C-STORE means by it (PS3.18 I.2-2), and never ends the connection."""
    verdict, status = judge_instance(UID, StoreReport(failed={UID: reason}), 202)

    assert (facts(verdict), verdict.flag, status) == (row, flag, reason)
    assert not verdict.ends_association


@pytest.mark.parametrize("reason", [None, 0x0000, 0xB000, 0xB006, 0xB007])
def test_a_failure_without_a_failures_reason_is_a_failure(reason: int | None) -> None:
    """No reason, or one that means success elsewhere, makes no success of what the report calls failed."""
    verdict, status = judge_instance(UID, StoreReport(failed={UID: reason}), 200)

    assert (facts(verdict), verdict.flag, status) == (held_row(VERDICT, 3), "failed_unexplained", reason)


@pytest.mark.parametrize("reason", [0x0111, 0xB00E])
def test_a_duplicate_is_ours_or_not(reason: int) -> None:
    """Something that is there already is delivered where these bytes went there before, and held where they did not."""
    report = StoreReport(failed={UID: reason})

    assert judge_instance(UID, report, 409, sent_before=True)[0].flag == "duplicate_of_ours"
    assert facts(judge_instance(UID, report, 409)[0]) == held_row(VERDICT, 1)


@pytest.mark.parametrize(
    ("warning", "flag"),
    [
        (0, "success"),
        (0xB000, "coerced"),
        (0xB006, "elements_discarded"),
        (0xB007, "class_mismatch_warning"),
        (0xB001, "stored_with_warning"),
        (0xC000, "stored_with_warning"),
    ],
)
@pytest.mark.parametrize("status", [200, 202, 400, 409])
def test_what_is_named_as_stored_is_delivered(warning: int, flag: str, status: int) -> None:
    """An instance that the report names as stored is delivered, whatever the warning and whatever became of the others."""
    verdict, reason = judge_instance(UID, StoreReport(stored={UID: warning}, failed={OTHER: 0xA700}), status)

    assert (facts(verdict), verdict.flag, reason) == (DELIVERED_ROW, flag, warning)


def test_who_is_named_on_both_sides_has_failed() -> None:
    """A report that names an instance as stored and as failed does not deliver it."""
    verdict, _ = judge_instance(UID, StoreReport(stored={UID: 0}, failed={UID: 0x0110}), 202)

    assert facts(verdict) == SOFT_ROW


def test_a_report_about_others_says_nothing_of_this_one() -> None:
    """A success that names another instance is tried three times and then shown to a person, never believed."""
    verdict, reason = judge_instance(UID, StoreReport(stored={OTHER: 0}), 200)

    assert (facts(verdict), reason) == ((Whose.UNKNOWN, None, VERDICT, 3), None)


def test_a_failure_without_a_name_is_that_of_the_only_instance() -> None:
    """Alone in its request, an instance gets the reason of what the server could not name; in company nobody knows."""
    report = StoreReport(stored={OTHER: 0}, others=(0xC000,))

    assert judge_instance(UID, report, 202)[1] == 0xC000
    assert judge_instance(UID, report, 202, in_company=True)[0].flag == "http_in_company"
    assert judge_instance(UID, StoreReport(failed={OTHER: 0xC000}), 409)[0].flag == "http_conflict"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9999999999", 9_999_999_999.0),
        ("Tue, 24 Nov 2026 12:02:00 GMT", 120.0),
        ("Tue, 24 Nov 2026 11:59:00 GMT", -60.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("99999999999", None),
        ("soon", None),
        ("Tue, 99 Nov 2026 12:02:00 GMT", None),
        ("Tue, 24 Nov 2026 12:02:00 -0000", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    """Retry-After is a number of seconds or a moment by the server's own clock; anything else says nothing."""
    assert retry_after_s(value, DATE) == seconds


def test_a_moment_without_the_servers_clock_says_nothing() -> None:
    """Without a Date header nobody knows how far away a moment is."""
    assert retry_after_s("Tue, 24 Nov 2026 12:02:00 GMT", "") is None


@pytest.mark.parametrize(("asked", "waits"), [(120.0, 120.0), (-60.0, 0.0), (1e9, LONGEST_RETRY_AFTER_S), (None, 0.0)])
def test_a_throttle_waits_as_it_is_told_within_reason(asked: float | None, waits: float) -> None:
    """The wait that a busy server asks for is kept, up to an hour."""
    assert judge_http(503, retry_after_s=asked).wait_s == waits
    assert judge_http(401, retry_after_s=asked).wait_s == 0.0


@pytest.mark.parametrize(
    ("kind", "status", "row", "flag"),
    [
        ("name", None, DEAD_ROW, "proxy_name"),
        ("refused", None, DEAD_ROW, "proxy_refused"),
        ("timeout", None, DEAD_ROW, "proxy_timeout"),
        ("closed", None, DEAD_ROW, "proxy_closed"),
        ("unreachable", None, DEAD_ROW, "proxy_unreachable"),
        ("not_http", None, DEAD_ROW, "proxy_not_http"),
        ("", 407, REFUSING_ROW, "proxy_unauthorised"),
        ("", 403, REFUSING_ROW, "proxy_forbidden"),
        ("", 302, REFUSING_ROW, "proxy_forbidden"),
        ("", 502, DEAD_ROW, "proxy_no_way"),
        ("", 503, DEAD_ROW, "proxy_no_way"),
        ("", 504, DEAD_ROW, "proxy_no_way"),
    ],
)
def test_what_a_proxy_does(kind: str, status: int | None, row: tuple[object, ...], flag: str) -> None:
    """A proxy that is not there, or does not lead on, is told from a destination that is not there."""
    verdict = judge_proxy(kind, status)

    assert (facts(verdict), verdict.flag) == (row, flag)
    assert "proxy" in verdict.text


@pytest.mark.parametrize("kind", list(Break))
def test_silence_is_dead(kind: Break) -> None:
    """A server that takes a connection and gives no answer is dead, in words for each way."""
    assert facts(judge_silent(kind)) == DEAD_ROW


def test_our_own_faults_charge_nobody() -> None:
    """Credentials that cannot be had are a setting; what was cut for another instance is no evidence against the site."""
    assert facts(judge_credentials()) == REFUSING_ROW
    assert facts(judge_broken_off()) == UNKNOWN_ROW
    assert not judge_broken_off().is_site_rule_evidence


@pytest.mark.parametrize("status", [200, 401, 503])
def test_site_states_are_set(status: int) -> None:
    """What tells of the site says which state it is in."""
    assert judge_http(status).site_state in {SiteState.REFUSING, SiteState.THROTTLED}
