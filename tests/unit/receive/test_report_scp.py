"""One commitment report: what is sealed, and what is refused."""

from __future__ import annotations

import pytest

from appliance.core.identity import Uid
from appliance.dimse.commitment import COMMITMENT_PUSH_MODEL, LARGEST_REPORT, Reference, encode_request
from appliance.dimse.stream import AcceptedContext, StoreRefusedError
from appliance.receive.report_scp import ReportSink
from tests.unit.receive.test_store_scp import ORIGIN, Bench, FixedClock

EXPLICIT = Uid("1.2.840.10008.1.2.1")
CONTEXT = AcceptedContext(1, COMMITMENT_PUSH_MODEL, EXPLICIT)
REPORT = encode_request("2.25.7", [Reference("1.2.840.10008.5.1.4.1.1.2", "2.25.1")], EXPLICIT)


def _sink(bench: Bench) -> ReportSink:
    return ReportSink(bench, ORIGIN, bench, FixedClock(), bench.hint, CONTEXT)


def test_a_report_is_durable_before_it_is_answered() -> None:
    """A report is committed to the spool as a message, under its caller's title, and the router is woken after the answer."""
    bench = Bench()
    sink = _sink(bench)

    sink.write(REPORT[:10])
    sink.write(REPORT[10:])
    answer = sink.commit()

    assert 0 == answer.status
    (kept,) = bench.objects
    assert (REPORT, "committed", "message", "CT1") == (kept.data, kept.end, kept.header.kind, kept.header.calling_title)
    assert 0 == bench.hints
    sink.answered()
    assert 1 == bench.hints


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_what_is_no_report_is_refused(content: bytes) -> None:
    """What cannot be read as a report is refused and leaves nothing."""
    bench = Bench()
    sink = _sink(bench)
    sink.write(content)

    with pytest.raises(StoreRefusedError) as refused:
        sink.commit()

    assert 0x0110 == refused.value.answer.status
    assert bench.objects == []


def test_what_is_too_long_is_refused_as_it_comes() -> None:
    """What is longer than a report can be is refused before it is kept as a whole."""
    with pytest.raises(StoreRefusedError) as refused:
        _sink(Bench()).write(bytes(LARGEST_REPORT + 1))

    assert 0x0213 == refused.value.answer.status


@pytest.mark.parametrize("fails_at", ["admit", "write", "commit"])
def test_a_report_that_cannot_be_kept_is_not_acknowledged(fails_at: str) -> None:
    """A full disk answers 0213, so that the archive reports again."""
    bench = Bench(fails_at=fails_at)
    sink = _sink(bench)
    sink.write(REPORT)

    with pytest.raises(StoreRefusedError) as refused:
        sink.commit()

    assert 0x0213 == refused.value.answer.status
