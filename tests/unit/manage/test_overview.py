"""What a person is told: true to the ledger and the folders, and counted no more often than it is worth."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from appliance.config.shaping import Hours
from appliance.ledger.database import Ledger, Row, Value
from appliance.ledger.orders import Order, OrderVerb
from appliance.ledger.pauses import Pauses
from appliance.ledger.studies import StudyMissingError
from appliance.ledger.vocabulary import DeliveryState, Priority
from appliance.manage.counts import Counts
from appliance.manage.overview import DestinationUnknownError, Overview, StateUnknownError
from appliance.runtime.requests import DestinationsRequest, QueueRequest, StatusRequest, StudiesRequest
from appliance.spool.store import Spool
from tests.fakes.clock import FakeClock
from tests.unit.ledger.bench import KEY, Bench
from tests.unit.route.sites import a_destination, a_route, a_site

SITE = a_site(
    routes=[a_route("all", "the archive", "reading")], destinations=[a_destination("the archive", id="archive", ae_title="ARCHIVE")]
)


class SlowLedger(Ledger):
    """A ledger that remembers its counting walks, each of which takes as long as it is told."""

    walks: list[str]
    clock: FakeClock
    walk_s: float

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Read; a walk over everything takes its time."""
        if "GROUP BY state" in sql:
            self.walks.append(sql.partition(" FROM ")[2].split(maxsplit=1)[0])
            self.clock.advance(self.walk_s)
        return super().rows(sql, parameters)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Make a ledger with something in it: one delivered, one waiting for both, one held."""
    bench = Bench(tmp_path)
    first, second, third = (bench.receive() for _ in range(3))
    bench.settle(bench.owe(first, "archive"), DeliveryState.DELIVERED)
    bench.owe(second, "archive", priority=Priority.STAT)
    bench.owe(second, "reading")
    bench.settle(bench.owe(third, "archive"), DeliveryState.HELD)
    yield bench
    bench.ledger.close()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Make the spool's folders, with one object set apart that no ledger knows and one that waits."""
    spool = Spool(tmp_path)
    spool.prepare()
    (tmp_path / "spool/quarantine/x.age").touch()
    (tmp_path / "spool/incoming/x.i.age").touch()
    (tmp_path / "run").mkdir()
    return spool


def _overview(bench: Bench, spool: Spool) -> Overview:
    return Overview(bench.ledger, spool, lambda: SITE, bench.data / "run", bench.clock)


def test_the_status_counts_everything(bench: Bench, spool: Spool) -> None:
    """Deliveries by state, instances by what became of them, bytes kept, and what each destination waits for."""
    bench.clock.advance(10)

    status = _overview(bench, spool).status(StatusRequest())

    assert {"delivered": 1, "queued": 2, "held": 1} == {state: count for state, count in status.deliveries.items() if count}
    assert {"stored": 3, "incoming": 1, "quarantined": 1} == {state: count for state, count in status.instances.items() if count}
    assert (3000, 10.0, False) == (status.spool.bytes, status.oldest_undelivered_s, status.ready)
    assert [("the archive", 1, 1), ("reading", 1, 0)] == [(one.name, one.queued, one.held) for one in status.destinations]


def test_destinations_tell_the_same(bench: Bench, spool: Spool) -> None:
    """The list of destinations is the one of the status."""
    overview = _overview(bench, spool)

    assert overview.status(StatusRequest()).destinations == overview.destinations(DestinationsRequest()).destinations


def test_the_queue_is_shown_by_the_names_of_destinations(bench: Bench, spool: Spool) -> None:
    """Without a state what is owed is listed; a destination is asked for by its name, not its id."""
    overview = _overview(bench, spool)

    everything = overview.queue(QueueRequest()).rows
    held = overview.queue(QueueRequest(destination="the archive", state="held")).rows

    assert ["the archive", "reading", "the archive"] == [row.destination for row in everything]
    assert ["held"] == [row.state for row in held]


def test_what_does_not_exist_is_refused_in_plain_words(bench: Bench, spool: Spool) -> None:
    """Unknown states, destinations and studies are the operator's mistakes, and the answer says what there is."""
    overview = _overview(bench, spool)

    with pytest.raises(StateUnknownError):
        overview.queue(QueueRequest(state="lost"))
    with pytest.raises(DestinationUnknownError) as refused:
        overview.queue(QueueRequest(destination="archive"))
    with pytest.raises(StudyMissingError):
        overview.studies(StudiesRequest(after="9.9"))

    assert refused.value.advice == "Destinations are: the archive, reading."


def test_studies_are_shown_by_the_names_of_destinations(bench: Bench, spool: Spool) -> None:
    """A study's deliveries are counted under the names that people gave."""
    (study,) = _overview(bench, spool).studies(StudiesRequest()).rows

    assert (3, 1) == (study.instances, study.delivered)
    assert {"the archive": {"delivered": 1, "queued": 1, "held": 1}, "reading": {"queued": 1}} == study.destinations


# Counting


def _counts(data: Path, clock: FakeClock, *, walk_s: float, incoming: Callable[[], int] = lambda: 0) -> tuple[Counts, SlowLedger]:
    ledger = SlowLedger.open(data, KEY, migrate=False)
    assert isinstance(ledger, SlowLedger)
    ledger.walks, ledger.clock, ledger.walk_s = [], clock, walk_s
    return Counts(ledger, clock, incoming), ledger


def test_a_large_ledger_is_counted_every_two_seconds(bench: Bench) -> None:
    """When a walk takes a tenth of a second, the numbers of the last two seconds are good enough."""
    counts, ledger = _counts(bench.data, bench.clock, walk_s=0.1)

    seen = []
    for _ in range(6):
        counts.get(["archive"])
        seen.append(len(ledger.walks))
        bench.clock.advance(0.9)

    assert [2, 2, 2, 4, 4, 4] == seen


def test_a_small_ledger_is_counted_anew_each_time(bench: Bench) -> None:
    """Where counting costs nothing, what was just recorded is seen at once."""
    counts, _ = _counts(bench.data, bench.clock, walk_s=0.0)

    before = counts.get(["archive"]).instances.stored_bytes
    bench.receive()
    after = counts.get(["archive"]).instances.stored_bytes

    assert (3000, 4000) == (before, after)


def test_what_is_recorded_while_a_count_is_remembered_is_not_missed(bench: Bench) -> None:
    """An object that went from `incoming/` into the ledger since the last count is still counted as the one or the other."""
    waiting = 1
    counts, _ = _counts(bench.data, bench.clock, walk_s=0.1, incoming=lambda: waiting)

    def seen() -> tuple[int, int]:
        counted = counts.get(["reading"])
        return counted.incoming, counted.deliveries[DeliveryState.QUEUED]

    before = seen()
    bench.owe(bench.receive(), "reading")
    waiting = 0
    just_after = seen()
    bench.clock.advance(3.0)
    later = seen()

    assert (before, just_after, later) == ((1, 2), (1, 2), (0, 3))


def test_a_new_destination_is_counted_at_once(bench: Bench) -> None:
    """A destination that was not counted yet does not wait for the old numbers to age."""
    counts, _ = _counts(bench.data, bench.clock, walk_s=0.1)
    counts.get(["archive"])

    owed = counts.get(["archive", "reading"]).owed["reading"]

    assert 1 == owed.waiting.deliveries


def test_many_who_ask_at_once_are_counted_for_once(bench: Bench) -> None:
    """While one counts, the others wait for its answer instead of walking beside it."""
    counts, ledger = _counts(bench.data, bench.clock, walk_s=0.1)

    def ask() -> None:
        counts.get(["archive"])
        ledger.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ["delivery", "instance"] == sorted(ledger.walks)


def test_a_pause_and_closed_hours_are_shown(bench: Bench, spool: Spool) -> None:
    """A destination that a person paused says who and until when, as does what waits for it; one outside its hours says so."""
    archive, reading = SITE.destinations
    closed_now = reading.model_copy(update={"window": Hours(22 * 60, 6 * 60)})
    site = SITE.model_copy(update={"destinations": (archive, closed_now)})
    overview = Overview(bench.ledger, spool, lambda: site, bench.data / "run", bench.clock)
    until = bench.clock.now().wall + 3600.0
    with bench.ledger.write():
        Pauses(bench.ledger).follow(Order(OrderVerb.HOLD, "anna", "moving house", 1.0, 1, (), archive.id, until))

    paused, closed = overview.destinations(DestinationsRequest()).destinations
    queued = overview.queue(QueueRequest(destination="the archive", state="queued")).rows
    bench.clock.advance(3600.0)
    over, _ = overview.destinations(DestinationsRequest()).destinations

    assert paused.state == "paused"
    assert paused.reason.startswith("paused by anna until 20")
    assert paused.reason.endswith(": moving house")
    assert [row.reason for row in queued] == [paused.reason]
    assert (closed.state, closed.reason) == ("alive", "outside its window 22:00-06:00: only STAT is sent")
    assert (over.state, over.reason) == ("alive", "")
