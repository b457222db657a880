"""What the page of a study asks: the objects of one series, what of the study is held and why, and which studies are still owed."""

from __future__ import annotations

from dataclasses import replace

from appliance.ledger.backlog import Backlog
from appliance.ledger.deliveries import Moved
from appliance.ledger.instances import InstanceState
from appliance.ledger.study_search import StudyQuery, StudySearch
from appliance.ledger.study_timeline import timeline_of
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from tests.unit.ledger.bench import Bench, facts


def test_the_objects_of_one_series_are_found(bench: Bench) -> None:
    """With a series only its objects come, every version of them, and none of another study's series of that UID."""
    with bench.ledger.write():
        for number, (study, series) in enumerate([("1.1", "9.1"), ("1.1", "9.2"), ("1.1", "9.1"), ("1.2", "9.1")]):
            one = replace(facts(number, study=study), series_instance_uid=series)
            bench.instances.add(one, version=1, state=InstanceState.STORED)

    with bench.ledger.read():
        found = {series: [row.sop_instance_uid for row in bench.studies.objects("1.1", series=series)] for series in ("9.1", "9.2", "9.3")}

    assert {"9.1": ["2.25.0", "2.25.2"], "9.2": ["2.25.1"], "9.3": []} == found


def test_what_is_held_of_a_study_is_told_together(bench: Bench) -> None:
    """Held images of one study come in groups by destination and reason, the biggest first; other studies' and other states' do not."""
    refused = Moved(DeliveryState.HELD, hold_class=HoldClass.VERDICT, reason="0122 refused")
    by_hand = Moved(DeliveryState.HELD, hold_class=HoldClass.PERSON, reason="wait")
    for move in (refused, by_hand, refused, DeliveryState.DELIVERED):
        bench.settle(bench.owe(bench.receive()), move)
    bench.settle(bench.owe(bench.receive(study="1.9")), refused)

    with bench.ledger.read():
        timeline = timeline_of(bench.ledger, "1.2.3")
        other = Backlog(bench.ledger).held_of_study(timeline.study.id + 1000)

    (way,) = timeline.ways
    assert [("0122 refused", HoldClass.VERDICT, 2), ("wait", HoldClass.PERSON, 1)] == [
        (one.reason, one.hold_class, one.count) for one in way.held
    ]
    assert [] == other


def test_studies_that_are_still_owed_are_found(bench: Bench) -> None:
    """Whatever waits, is sent, is tried later or is held counts as owed; what was delivered, proved or given up does not."""
    for state in DeliveryState:
        delivery = bench.owe(bench.receive(study=f"1.{list(DeliveryState).index(state)}"))
        if state is not DeliveryState.QUEUED:
            bench.settle(delivery, Moved(state, hold_class=HoldClass.PERSON if state is DeliveryState.HELD else None))
    owed = {DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEFERRED, DeliveryState.HELD}

    with bench.ledger.read():
        search = StudySearch(bench.ledger)
        everywhere = {one.study_instance_uid for one in search.find(StudyQuery(is_owed=True), limit=50)}
        there = {one.study_instance_uid for one in search.find(StudyQuery(is_owed=True, destination_id="archive"), limit=50)}
        elsewhere = search.find(StudyQuery(is_owed=True, destination_id="other"), limit=50)

    assert {f"1.{list(DeliveryState).index(state)}" for state in owed} == everywhere == there
    assert [] == elsewhere
