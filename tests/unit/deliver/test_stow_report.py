"""The report in a STOW-RS answer: what is read of JSON and XML, and what is refused."""

from __future__ import annotations

import json

import pytest

from appliance.deliver.stow_report import StoreReportInvalidError, read_report
from appliance.deliver.stow_verdicts import StoreReport
from tests.support.strict_stow import report, report_xml

JSON, XML = "application/dicom+json", "application/dicom+xml"
BOTH = StoreReport({"1.2.3": 0, "1.2.4": 0xB000}, {"1.2.5": 0xA700})


def test_json() -> None:
    """Warnings, failures and failures without a name are read from DICOM's JSON."""
    body = report(stored={"1.2.3": 0, "1.2.4": 0xB000}, failed={"1.2.5": 0xA700, "1.2.6": None}, others=[0xC000])

    assert read_report(body, JSON) == StoreReport(BOTH.stored, {"1.2.5": 0xA700, "1.2.6": None}, (0xC000,))


@pytest.mark.parametrize("kind", [XML, "application/xml", "text/xml; charset=utf-8", ""])
def test_xml(kind: str) -> None:
    """The same is read from DICOM's XML, whatever the server calls it."""
    assert read_report(report_xml(stored=dict(BOTH.stored), failed={"1.2.5": 0xA700}), kind) == BOTH


def test_xml_with_a_prefix() -> None:
    """A server may write its elements with a namespace prefix."""
    plain = report_xml(stored=dict(BOTH.stored), failed={"1.2.5": 0xA700}).decode()
    prefixed = plain.replace("</", "</n:").replace("xmlns=", "xmlns:n=")
    for name in ("NativeDicomModel", "DicomAttribute", "Item", "Value"):
        prefixed = prefixed.replace(f"<{name}", f"<n:{name}")

    assert read_report(prefixed.encode(), XML) == BOTH


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[" + report(stored={"1.2.3": 0}) + b"]", JSON),
        (report(stored={"1.2.3": 0}), "Application/JSON;charset=utf-8"),
        (b"\n " + report(stored={"1.2.3": 0}), ""),
        (
            json.dumps(
                {"00081199": {"Value": [{"00081155": {"Value": [" 1.2.3\0"]}, "0008FFFF": {}, "00081196": {"Value": [None]}}]}}
            ).encode(),
            JSON,
        ),
        (json.dumps({"00081199": {"Value": [None, 5, {"00081155": {"Value": ["1.2.3"]}}]}}).encode(), JSON),
    ],
)
def test_what_servers_do_a_little_differently(body: bytes, kind: str) -> None:
    """An array around it, another type, padding and odd neighbours do not matter."""
    assert read_report(body, kind) == StoreReport({"1.2.3": 0})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (272, 272),
        ("272", 272),
        (" 272 ", 272),
        (-1, None),
        (65536, None),
        (True, None),
        ("x", None),
        (1.5, None),
        ("9" * 5000, None),
        ("²", None),
    ],
)
def test_reasons(value: object, reason: int | None) -> None:
    """A reason is a number of sixteen bits, or its digits; anything else is no reason."""
    body = json.dumps({"00081198": {"Value": [{"00081155": {"Value": ["1.2.3"]}, "00081197": {"Value": [value]}}]}}).encode()

    assert read_report(body, JSON) == StoreReport(failed={"1.2.3": reason})


def test_a_failure_without_a_uid_is_one_without_a_name() -> None:
    """What fails without a usable UID counts among what the server could not name, and a success without one is none."""
    body = json.dumps({"00081198": {"Value": [{"00081197": {"Value": [272]}}]}, "00081199": {"Value": [{"00081155": {"Value": ["x y"]}}]}})

    assert read_report(body.encode(), JSON) == StoreReport(others=(272,))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", JSON),
        (b"", XML),
        (b"", ""),
        (b"<html>Please log in</html>", "text/html"),
        (b"<html>Please log in</html>", ""),
        (b"ok", "text/plain"),
        (b"{}", JSON),
        (b"[]", JSON),
        (b"7", JSON),
        (b"[7]", JSON),
        (b"{", JSON),
        (b"\xff\xfe{", JSON),
        (b"[" * 100_000, JSON),
        (b'{"00081199":{"Value":[' * 5000 + b"]}}" * 5000, JSON),
        (b"<a>" * 5000 + b"</a>" * 5000, XML),
        (b"<NativeDicomModel/>", XML),
        (b"<NativeDicomModel>", XML),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', XML),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', XML),
        (b'<?xml version="1.0" encoding="no such thing"?><a/>', XML),
        (b"<Item><Value>1</Value></Item>", XML),
        (b"<!DOCTYPE NativeDicomModel>" + report_xml(stored={"1.2.3": 0}, failed={}).partition(b"?>")[2], XML),
    ],
)
def test_what_is_no_report_is_refused(body: bytes, kind: str) -> None:
    """Login pages, empty answers, broken and hostile documents are no reports."""
    with pytest.raises(StoreReportInvalidError):
        read_report(body, kind)


@pytest.mark.parametrize(("reason", "stored"), [(0xA700, False), ("x", False), (0, True)])
def test_a_reason_among_what_was_stored_is_a_failure(reason: object, stored: bool) -> None:  # noqa: FBT001
    """A server that lists an instance as stored, with why it was not, has not stored it."""
    item = {"00081155": {"Value": ["1.2.3"]}, "00081197": {"Value": [reason]}}

    answer = read_report(json.dumps({"00081199": {"Value": [item]}}).encode(), JSON)

    assert ("1.2.3" in answer.stored, "1.2.3" in answer.failed) == (stored, not stored)
