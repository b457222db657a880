"""A study from the acquisition to the proof."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.ledger.deliveries import AttemptRecord, Moved
from appliance.ledger.instances import InstanceState
from appliance.ledger.studies import StudyMissingError
from appliance.ledger.study_timeline import Sample, Span, timeline_of
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from tests.unit.ledger.bench import Bench, facts

BEGAN = 1_709_208_000.0


def _receive(
    bench: Bench, number: int, *, acquired: float | None, series: str = "1.2.3.1", uid: str | None = None, version: int = 1
) -> int:
    plain = facts(number, uid=uid)
    told = replace(plain, series_instance_uid=series, attributes=replace(plain.attributes, acquired_at=acquired))
    with bench.ledger.write():
        return bench.instances.add(told, version=version, state=InstanceState.STORED)


def test_moments_of_a_study(bench: Bench) -> None:
    """First and last acquisition and reception, whose source it was, and when each destination had it."""
    first = _receive(bench, 1, acquired=BEGAN - 60)
    second = _receive(bench, 2, acquired=BEGAN - 30)
    _receive(bench, 3, acquired=None)
    for instance, at in ((first, BEGAN + 10), (second, BEGAN + 20)):
        bench.settle(bench.owe(instance), Moved(DeliveryState.DELIVERED, attempt=AttemptRecord(at, "success", 0)))

    with bench.ledger.read():
        found = timeline_of(bench.ledger, "1.2.3")

    assert (Span(BEGAN - 60, BEGAN - 30), Span(BEGAN + 1, BEGAN + 3)) == (found.acquired, found.received)
    assert ("CT1", "10.0.0.7", "EDGE") == (found.calling_title, found.source_address, found.called_title)
    (way,) = found.ways
    assert ("archive", {"delivered": 2}, Span(BEGAN + 10, BEGAN + 20), ()) == (way.destination_id, way.counts, way.delivered, way.reasons)


def test_why_the_rest_is_not_there(bench: Bench) -> None:
    """Reasons of what is not delivered, the most frequent first; one that is delivered gives none, and has no moment before it is."""
    reasons = ("refused", "refused", "stopped", "")
    for number, reason in enumerate(reasons):
        delivery = bench.owe(_receive(bench, number, acquired=None))
        bench.settle(delivery, Moved(DeliveryState.HELD, hold_class=HoldClass.VERDICT, reason=reason))
    bench.settle(bench.owe(_receive(bench, 9, acquired=None)), Moved(DeliveryState.DELIVERED, reason="elements were left out"))

    with bench.ledger.read():
        (way,) = timeline_of(bench.ledger, "1.2.3").ways

    assert (("refused", "stopped"), Span(None, None)) == (way.reasons, way.delivered)


def test_series(bench: Bench) -> None:
    """Each series counts its SOP instances once and shows one of its middle, in the newest version that the box has."""
    for number in range(3):
        _receive(bench, number, acquired=None, series="1.2.3.1")
    _receive(bench, 5, acquired=None, series="1.2.3.2", uid="2.25.77")
    newest = _receive(bench, 6, acquired=None, series="1.2.3.2", uid="2.25.77", version=2)
    lost = _receive(bench, 7, acquired=None, series="1.2.3.2", uid="2.25.78")
    with bench.ledger.write():
        bench.ledger.change("UPDATE instance SET state = 'evicted' WHERE id = ?", (lost,))
        name = bench.instances.get(newest).facts.spool_name

    with bench.ledger.read():
        series = timeline_of(bench.ledger, "1.2.3").series

    assert [("1.2.3.1", "CT", 3), ("1.2.3.2", "CT", 2)] == [(one.series_instance_uid, one.modality, one.instances) for one in series]
    assert [Sample("2.25.1", 1, facts(1).spool_name), Sample("2.25.77", 2, name)] == [one.sample for one in series]


def test_a_study_that_is_all_damaged_is_still_shown(bench: Bench) -> None:
    """Where every object was set apart, what is known of them is all there is."""
    number = _receive(bench, 1, acquired=BEGAN)
    with bench.ledger.write():
        bench.instances.quarantine(number)

    with bench.ledger.read():
        found = timeline_of(bench.ledger, "1.2.3")

    assert (0, Span(BEGAN, BEGAN)) == (found.study.instances, found.acquired)


def test_an_unknown_study_is_refused(bench: Bench) -> None:
    """What is not there is said to be not there."""
    with bench.ledger.read(), pytest.raises(StudyMissingError):
        timeline_of(bench.ledger, "9.9")
