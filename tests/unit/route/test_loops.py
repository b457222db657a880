"""What is not sent back to where it came from, nor round a ring of boxes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.ledger.deliveries import Deliveries
from appliance.ledger.holding import CAME_FROM_IT, NEVER_SENT, PASSED_TOO_MANY_BOXES
from appliance.ledger.vocabulary import DeliveryState, Priority
from appliance.route.loops import MOST_BOXES, came_from
from appliance.route.planner import Planned, Withheld, plan
from appliance.route.replay import Replay
from tests.unit.config.texts import a_destination as text_of_a_destination
from tests.unit.config.texts import a_source as text_of_a_source
from tests.unit.config.texts import notices_of
from tests.unit.route import data_sets as ds
from tests.unit.route.bench import Bench
from tests.unit.route.sites import CT1, a_destination, a_route, a_site, facts

ARCHIVE = a_destination("archive", ae_title="PACS1", host="10.1.0.5")
NAMED = a_destination("archive", ae_title="PACS1", host="pacs.hospital")
CLUSTER = a_destination(
    "archive",
    ae_title="PACS1",
    host="10.1.0.5",
    also_calls_from=[{"ae_title": "PACS1SC", "address": "10.1.9.0/24"}, {"ae_title": "PACS1X"}],
)
SOURCES = [CT1, {"name": "pacs", "ae_title": "PACS1", "address": "10.1.0.5"}]


@pytest.mark.parametrize(
    ("destination", "title", "address", "expected"),
    [
        (ARCHIVE, "PACS1", "10.1.0.5", True),
        (ARCHIVE, " pacs1 ", "10.1.0.5", True),
        (ARCHIVE, "PACS1", "::ffff:10.1.0.5", True),
        (ARCHIVE, "PACS1", "", True),
        (ARCHIVE, "PACS1", "10.0.0.7", False),
        (ARCHIVE, "CT1", "10.1.0.5", False),
        (NAMED, "PACS1", "10.0.0.7", True),
        (NAMED, "CT1", "10.0.0.7", False),
        (CLUSTER, "PACS1SC", "10.1.9.77", True),
        (CLUSTER, "PACS1SC", "10.1.0.5", False),
        (CLUSTER, "PACS1X", "10.0.0.7", True),
    ],
)
def test_who_is_known_again(destination: dict[str, object], title: str, address: str, *, expected: bool) -> None:
    """A destination is known by its titles and, as far as both are known, by its address: another peer of the same title is another."""
    site = a_site(destinations=[destination])

    assert came_from(site.destinations[0], replace(facts(calling_title=title), source_address=address)) is expected


def test_what_came_from_a_destination_goes_elsewhere_only() -> None:
    """The other destinations of the same route get it; the plan says what is held back, and why."""
    site = a_site(sources=SOURCES, destinations=[ARCHIVE], routes=[a_route("everything", "archive", "room", priority="stat")])

    planned = plan(site, replace(facts(source="pacs", calling_title="PACS1"), source_address="10.1.0.5"))

    assert planned.deliveries == (Planned("room", Priority.STAT),)
    assert planned.withheld == (Withheld("archive", Priority.STAT, CAME_FROM_IT),)
    assert not planned.is_unrouted


def test_a_route_that_names_the_source_sends_it_back() -> None:
    """Who writes the source into a route means it, also where another route would not send it."""
    explicit = a_route("back", "archive", when={"source": ["pacs"]})
    site = a_site(sources=SOURCES, destinations=[ARCHIVE], routes=[a_route("everything", "archive"), explicit])

    planned = plan(site, replace(facts(source="pacs", calling_title="PACS1"), source_address="10.1.0.5"))

    assert (planned.deliveries, planned.withheld) == ((Planned("archive", Priority.ROUTINE),), ())


@pytest.mark.parametrize(
    ("hops", "reason"), [(0, None), (MOST_BOXES - 1, None), (MOST_BOXES, PASSED_TOO_MANY_BOXES), (15, PASSED_TOO_MANY_BOXES)]
)
def test_a_ring_of_boxes_ends(hops: int, reason: str | None) -> None:
    """What passed eight boxes goes nowhere, even where a route names its source."""
    site = a_site(routes=[a_route("everything", "archive", when={"source": ["CT1"]})])

    planned = plan(site, replace(facts(), hops=hops))

    assert [one.reason for one in planned.withheld] == ([] if reason is None else [reason])
    assert len(planned.deliveries) == (0 if reason else 1)


def test_what_is_held_back_is_shown_and_told(tmp_path: Path) -> None:
    """The queue shows a cancelled delivery with the reason, the log a warning without names; a replay does not bring it back."""
    site = a_site(sources=SOURCES, destinations=[ARCHIVE], routes=[a_route("everything", "archive")])
    bench = Bench(tmp_path, site)
    bench.receive_image("1.2.3.1", calling="PACS1", address="10.1.0.5")

    with capture_logs() as logs:
        bench.route()
        bench.receive_image("1.2.3.1", calling="PACS1", address="10.1.0.5")
        bench.route()
    replayed = Replay(bench.ledger, site, bench.clock, bench._wake).run(0.0, 2e9, dry_run=False)

    assert [(row.state, row.reason, row.destination_id) for row in bench.deliveries("1.2.3.1")] == [
        (DeliveryState.CANCELLED, CAME_FROM_IT, "archive")
    ]
    told = [entry for entry in logs if entry["event"] == "delivery.withheld"]
    assert [(entry["destination"], entry["reason"]) for entry in told] == [("archive", CAME_FROM_IT)] * 2
    assert (replayed.deliveries, bench.woken) == ({}, 0)


def test_a_possible_loop_is_pointed_at() -> None:
    """A source at a destination's address, under a title that the destination is not known by, is worth a look."""
    loop = text_of_a_source('address = "10.1.0.5"', name="pacs out", ae_title="OUT") + text_of_a_destination()
    known = loop + 'also_calls_from = [{ ae_title = "OUT" }]\n'

    found = [[notice.where for notice in notices_of(text) if "another title" in notice.problem] for text in (loop, known)]

    assert found == [["source[0].address"], []]


def test_a_repeat_goes_on_with_its_own_count(tmp_path: Path) -> None:
    """The same bytes that come again through a box are sent again with the count of what came again, and go nowhere after eight."""
    bench = Bench(tmp_path, a_site(routes=[a_route("everything", "archive")]))
    counts = []
    for hops in (0, 3, MOST_BOXES):
        bench.receive(ds.an_image("1.2.3.1"), "1.2.3.1", hops=hops)
        bench.route()
        with bench.ledger.write():
            claim = Deliveries(bench.ledger).claim("archive", owner="run")
        counts.append(claim.hops if claim else None)
        bench.deliver("1.2.3.1")

    assert counts == [0, 3, None]


def test_a_replay_knows_what_went_round(tmp_path: Path) -> None:
    """A route that is made later is asked with the count of boxes that the image came with, and what it sends goes on from there."""
    later = a_site(routes=[a_route("everything", "archive")])
    bench = Bench(tmp_path, a_site(routes=[]))
    bench.receive(ds.an_image("1.2.3.1"), "1.2.3.1", hops=3)
    bench.receive(ds.an_image("1.2.3.2"), "1.2.3.2", hops=MOST_BOXES)
    bench.route()

    replayed = Replay(bench.ledger, later, bench.clock, bench._wake).run(0.0, 2e9, dry_run=False)

    with bench.ledger.write():
        claim = Deliveries(bench.ledger).claim("archive", owner="run")
    assert replayed.deliveries == {"archive": 1}
    assert claim is not None
    assert (claim.sop_instance_uid, claim.hops) == ("1.2.3.1", 3)


def test_a_class_that_is_never_sent_there_goes_elsewhere() -> None:
    """A destination's `never` wins over every route to it, also one that names the source."""
    room = a_destination("room", never=["1.2.840.10008.5.1.4.1.1.2"])
    site = a_site(destinations=[room], routes=[a_route("everything", "archive", "room", when={"source": ["CT1"]})])

    planned = plan(site, facts())

    assert [one.destination_id for one in planned.deliveries] == ["archive"]
    assert planned.withheld == (Withheld("room", Priority.ROUTINE, NEVER_SENT),)
