"""What the pages ask of the ledger: answered truly, by the names that people gave, in the box's time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.config.model import Site
from appliance.ledger.deliveries import AttemptRecord, Moved
from appliance.ledger.destinations import DestinationState, DestinationStates
from appliance.ledger.instances import InstanceState
from appliance.ledger.studies import StudyMissingError
from appliance.ledger.traffic import Came, Traffic
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.manage.answering import ChoiceUnknownError
from appliance.manage.overview import DestinationUnknownError, Overview, StateUnknownError
from appliance.manage.page_answers import page_handlers
from appliance.manage.study_days import StudyDayInvalidError
from appliance.runtime.page_requests import (
    ActivityRequest,
    BacklogRequest,
    BacklogRow,
    HeldGroup,
    SourceActivity,
    StudyDelivery,
    StudyRequest,
    StudySearchRequest,
    ThroughputRequest,
    TodayReply,
    TodayRequest,
)
from appliance.spool.store import Spool
from tests.unit.ledger.bench import Bench, facts, with_attributes
from tests.unit.route.sites import a_destination, a_route, a_site

# 29 February 2024, 19:00 in Hanoi.
NOON = 1_709_208_000.0
MIDNIGHT = NOON - 19 * 3600.0


def _site() -> Site:
    site = a_site(
        sources=[{"name": "CT room", "ae_title": "CT1", "address": "10.0.0.7"}],
        routes=[a_route("all", "the archive", "reading")],
        destinations=[a_destination("the archive", id="archive", ae_title="ARCHIVE", proof="commitment")],
    )
    return site.model_copy(update={"box": site.box.model_copy(update={"timezone": "Asia/Ho_Chi_Minh"})})


class Desk:
    """A ledger, and everything that answers."""

    def __init__(self, data: Path) -> None:
        """Begin with an empty ledger."""
        self.bench = Bench(data)
        self.site = _site()
        spool = Spool(data)
        spool.prepare()
        (data / "run").mkdir()
        overview = Overview(self.bench.ledger, spool, lambda: self.site, data / "run", self.bench.clock)
        self.handlers = page_handlers(self.bench.ledger, lambda: self.site, self.bench.clock, overview)

    def ask(self, request: object) -> Any:
        """Ask, as lookup does."""
        return self.handlers[type(request)](request)

    def receive(self, number: int, at: float, *, study: str = "1.2.3", acquired: float | None = None, **told: str) -> int:
        """Record an instance that came at a moment, as the router does."""
        plain = with_attributes(facts(number, study=study), **told)
        fact = replace(plain, received_at=at, attributes=replace(plain.attributes, acquired_at=acquired))
        with self.bench.ledger.write():
            added = self.bench.instances.add(fact, version=1, state=InstanceState.STORED)
            lag_s = None if acquired is None else at - acquired
            Traffic(self.bench.ledger).arrived([Came(fact.calling_title, fact.source_address, at, fact.length, added, lag_s)])
        return added

    def deliver(self, instance: int, at: float, destination: str = "archive") -> int:
        """Let a destination take an instance."""
        delivery = self.bench.owe(instance, destination)
        self.bench.settle(delivery, Moved(DeliveryState.DELIVERED, attempt=AttemptRecord(at, "success", 0)))
        return delivery


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Make a desk."""
    made = Desk(tmp_path)
    yield made
    made.bench.ledger.close()


def test_studies_are_found_and_told_by_names(desk: Desk) -> None:
    """A line says who, what and how far, by the names of destinations; words, days and states narrow."""
    desk.deliver(desk.receive(1, NOON, study="1.1", patient_name="Trần^Bảo"), NOON)
    desk.bench.owe(desk.receive(2, NOON, study="1.2", patient_name="Le^Hoa", study_date="20240301"), "reading")

    (line,) = desk.ask(StudySearchRequest(words="tran bao")).rows

    assert ("1.1", "Trần^Bảo", "ID-1", "ACC-1", "Head", "CT", 1, {"the archive": {"delivered": 1}}, None) == (
        *(line.study_instance_uid, line.patient_name, line.patient_id, line.accession_number, line.description, line.modality),
        *(line.instances, line.destinations, line.complete),
    )
    for narrowed in (
        StudySearchRequest(until="2024-02-29"),
        StudySearchRequest(destination="the archive", state="delivered"),
        StudySearchRequest(after="1.2"),
    ):
        assert ["1.1"] == [row.study_instance_uid for row in desk.ask(narrowed).rows]


def test_what_is_asked_in_error_is_said(desk: Desk) -> None:
    """Words that the box does not know are the asker's mistake, in plain words."""
    for request, error in (
        (StudySearchRequest(state="lost"), StateUnknownError),
        (StudySearchRequest(destination="nowhere"), DestinationUnknownError),
        (StudySearchRequest(since="yesterday"), StudyDayInvalidError),
        (StudySearchRequest(after="9.9"), StudyMissingError),
        (StudyRequest("9.9"), StudyMissingError),
        (ThroughputRequest("week"), ChoiceUnknownError),
    ):
        with pytest.raises(error):
            desk.ask(request)


def test_a_study_is_told_from_acquisition_to_proof(desk: Desk) -> None:
    """Whose it is, when it was made and came, how far each destination is and what it must prove, and one object of each series."""
    first = desk.receive(1, NOON, acquired=NOON - 120.0)
    desk.receive(2, NOON + 5.0)
    desk.deliver(first, NOON + 9.0)
    desk.deliver(first, NOON + 30.0, "gone")

    told = desk.ask(StudyRequest("1.2.3"))

    assert ("CT room", "EDGE", "2024-02-29T11:58:00+00:00", "2024-02-29T12:00:00+00:00", "2024-02-29T12:00:05+00:00") == (
        *(told.source, told.called, told.acquired_first, told.received_first, told.received_last),
    )
    archive, gone = told.deliveries
    taken = "2024-02-29T12:00:09+00:00"
    assert StudyDelivery("the archive", {"delivered": 1}, taken, taken, "commitment", ()) == replace(archive, held=())
    assert ("gone", "delivered") == (gone.destination, gone.proof)
    assert [("1.2.3.1", "CT", 2, "2.25.2")] == [
        (one.series_instance_uid, one.modality, one.instances, one.sample.sop_instance_uid) for one in told.series
    ]


def test_each_scanner_is_told_with_its_clock(desk: Desk) -> None:
    """Since midnight in the box's zone, in the last hour, when last, and how far the clock is ahead."""
    desk.receive(1, MIDNIGHT - 60.0)
    for number, at in enumerate((MIDNIGHT, NOON - 1800.0, NOON - 600.0), start=2):
        desk.receive(number, at, acquired=at + 90.0)

    activity = desk.ask(ActivityRequest())

    assert (SourceActivity("CT1", "10.0.0.7", "2024-02-29T11:50:00+00:00", 3, 2, 90.0),) == activity.rows


@pytest.mark.parametrize(("bucket", "count", "last"), [("hour", 48, 1), ("day", 60, 2), ("month", 24, 3)])
def test_what_came_and_went(desk: Desk, bucket: str, count: int, last: int) -> None:
    """Every bucket is there, and each thing is in one of them."""
    instances = [desk.receive(number, at) for number, at in enumerate((NOON, MIDNIGHT, MIDNIGHT - 1.0))]
    desk.deliver(instances[0], NOON + 5.0)

    rows = desk.ask(ThroughputRequest(bucket)).rows

    assert (count, 3, 3000) == (len(rows), sum(row.received for row in rows), sum(row.received_bytes for row in rows))
    assert (last, {"the archive": 1}) == (rows[-1].received, rows[-1].delivered)
    assert rows[0].start < rows[-1].start <= "2024-02-29T12:00:00+00:00"


def test_queues_and_what_is_held(desk: Desk) -> None:
    """Each destination with its rate and when it is empty; what is held by reason and code; one that was removed is there too."""
    for number in range(6):
        desk.deliver(desk.receive(number, NOON), NOON - 60.0)
    for number in range(10, 14):
        desk.bench.owe(desk.receive(number, NOON))
    held = desk.bench.owe(desk.receive(20, NOON), "old")
    refused = AttemptRecord(NOON, "class_not_supported", 0x0122)
    desk.bench.settle(held, Moved(DeliveryState.HELD, hold_class=HoldClass.VERDICT, reason="refused", attempt=refused))
    with desk.bench.ledger.write():
        DestinationStates(desk.bench.ledger).put(DestinationState("archive"))
    desk.bench.clock.advance(60.0)

    backlog = desk.ask(BacklogRequest())

    archive, reading, old = backlog.rows
    # Nine full minutes and the one that began just now.
    assert BacklogRow("the archive", "alive", 4, 0, 60.0, round(6 / 540, 3), round(4 / (6 / 540), 1)) == archive
    assert ("reading", 0, 0.0, 0.0) == (reading.destination, reading.waiting, reading.rate, reading.empty_in_s)
    assert ("old", "removed", 0, 1) == (old.destination, old.state, old.waiting, old.held)
    since = "2024-02-29T12:00:00+00:00"
    assert (HeldGroup("old", "verdict", "class_not_supported", "refused", 1, 1, since, "1.2.840.10008.5.1.4.1.1.2"),) == backlog.held


def test_a_queue_that_does_not_move_is_never_empty(desk: Desk) -> None:
    """While nothing was taken for ten minutes nobody knows when it will be."""
    desk.deliver(desk.receive(1, NOON), NOON - 660.0)
    desk.bench.owe(desk.receive(2, NOON))

    archive = desk.ask(BacklogRequest()).rows[0]

    assert (1, 0.0, None) == (archive.waiting, archive.rate, archive.empty_in_s)


def test_today(desk: Desk) -> None:
    """What came since midnight of the box's zone, and what of it nobody is owed any more; bytes a day of the days before."""
    for day, instances in ((1, 2), (3, 4)):
        for number in range(instances):
            desk.receive(100 * day + number, MIDNIGHT - day * 86_400.0 + 60.0 * number)
    desk.deliver(desk.receive(1, MIDNIGHT), NOON)
    desk.bench.owe(desk.receive(2, NOON - 1.0, study="1.9"))

    before = desk.ask(TodayRequest())

    assert TodayReply(2, 1, 2, 2000, 3000.0) == before


def test_today_of_a_new_box(desk: Desk) -> None:
    """Nothing is nothing, and the first day says what a day brings."""
    empty = desk.ask(TodayRequest())
    desk.receive(1, NOON - 60.0)

    first = desk.ask(TodayRequest())

    assert (TodayReply(0, 0, 0, 0, 0.0), TodayReply(1, 1, 1, 1000, 1000.0)) == (empty, first)


def test_an_answer_leaves_no_connection_behind(desk: Desk) -> None:
    """The thread of an answer ends with it, and takes its connection with it, also where it fails."""
    for request in (TodayRequest(), StudySearchRequest(), ActivityRequest(), BacklogRequest()):
        desk.ask(request)
        assert desk.bench.ledger._database.is_closed()
    with pytest.raises(StudyMissingError):
        desk.ask(StudyRequest("9.9"))

    assert desk.bench.ledger._database.is_closed()
