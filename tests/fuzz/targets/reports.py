"""`deliver/stow_report`: what a web server says it stored, or the reader's own word that it says nothing."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.core.identity import uid_fault
from appliance.deliver.stow_report import StoreReportInvalidError, read_report
from tests.fuzz.target import Bound, Target
from tests.support.strict_stow import report, report_xml

_KINDS = ("application/dicom+json", "application/dicom+xml", "", "text/html")
_LARGEST_REASON = 0xFFFF


def _run(data: bytes) -> None:
    kind = _KINDS[data[0] % len(_KINDS)] if data else ""
    try:
        read = read_report(data[1:], kind)
    except StoreReportInvalidError:
        return
    assert read.stored or read.failed or read.others
    assert not any(map(uid_fault, (*read.stored, *read.failed)))
    reasons = (*read.stored.values(), *read.failed.values(), *read.others)
    assert all(reason is None or 0 <= reason <= _LARGEST_REASON for reason in reasons)


def _seeds() -> Iterator[bytes]:
    for kind in (b"\0", b"\2"):
        yield kind + report(stored={"1.2": 0, "1.3": 0xB000}, failed={"1.4": 0xA700, "1.5": None}, others=[0xC000])
    for kind in (b"\1", b"\2"):
        yield kind + report_xml(stored={"1.2": 0}, failed={"1.4": 0xA700})


_WORDS = (
    b'"00081199"', b'"00081198"', b'"0008119A"', b'"00081155"', b'"00081197"', b'"Value"', b"[[[[", b"{}", b"null", b"1e999", b"\\ud800",
    b"<Item>", b"</Item>", b'<DicomAttribute tag="00081199">', b"</DicomAttribute>", b"<Value>", b"</Value>", b"<!DOCTYPE a>", b"&#0;",
    b"<![CDATA[", b"]]>", b"<?xml version='1.0' encoding='utf-16'?>", b"9" * 40,
)  # fmt: skip
REPORT = Target("stow-report", _run, _seeds, _WORDS, steps=Bound(2_000, 60))
