"""The hot path stays cheap however much is in the ledger: no statement of it walks over a table, and the work does not grow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from appliance.core.identity import Uid
from appliance.ledger import queue
from appliance.ledger.backlog import Backlog, Day
from appliance.ledger.claims import Choice
from appliance.ledger.database import Ledger, Row, Value
from appliance.ledger.deliveries import Moved
from appliance.ledger.instances import InstanceState
from appliance.ledger.orders import DeliveryKey, Order, OrderVerb
from appliance.ledger.repeats import Repeat, Repeats
from appliance.ledger.requests import Requests
from appliance.ledger.resends import Resends
from appliance.ledger.retention import Retention
from appliance.ledger.selection import Selection, Selections
from appliance.ledger.study_search import StudyQuery, StudySearch
from appliance.ledger.study_timeline import timeline_of
from appliance.ledger.traffic import WENT, Came, Traffic, minute_of
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass, Priority
from tests.unit.ledger.bench import CT, Bench, facts

FILL_STUDIES = """
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)
    INSERT INTO study SELECT NULL, '1.9.' || n, '', '', '', '', '', '', 'CT', n FROM n
"""
FILL_INSTANCES = """
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)
    INSERT INTO instance
    SELECT NULL, printf('f%031x', n), 1 + n % (SELECT count(*) FROM study), '1.8.' || n, 1, 'stored', '1.2.840.10008.5.1.4.1.1.2',
        '1.2.840.10008.1.2.1', '1.9.1', 'MR1', '10.0.0.8', 'EDGE', '', '', 1000, n, '', '', '', '', '', '', '', '', '', NULL, NULL, 0,
        n - 30
    FROM n
"""
# Three quarters delivered, the rest waiting at the archive: queued, deferred (not due) or held, and one being sent. Elsewhere nothing is.
FILL_DELIVERIES = """
    INSERT INTO delivery (instance_id, destination_id, cause, cause_ref, state, hold_class, priority, calling_title, owner, due_boot_id,
        due_boottime, due_wall, queued_at)
    SELECT id, 'archive', 'route', '',
        CASE WHEN id % 4 THEN 'delivered' WHEN id % 16 = 4 THEN 'deferred' WHEN id % 16 = 8 THEN 'held' WHEN id = 12 THEN 'sending'
            ELSE 'queued' END,
        CASE WHEN id % 16 = 8 THEN 'person' END, 1, calling_title, CASE WHEN id = 12 THEN 'run-1' END,
        CASE WHEN id % 16 = 4 THEN 'boot-1' END, CASE WHEN id % 16 = 4 THEN 1e9 END, CASE WHEN id % 16 = 4 THEN 1e9 END, id
    FROM instance
"""
FILL_TEXT = "INSERT INTO study_text SELECT id, 'study ' || id FROM study"
# A quarter of an hour apart, as what is old is kept.
FILL_TRAFFIC = (
    "INSERT INTO arrival SELECT received_at / 900 * 15, calling_title, '10.0.0.8', count(*), 1000, 1, 30, min(id) FROM instance GROUP BY 1",
    "INSERT INTO departure SELECT queued_at / 900 * 15, 'archive', count(*) FROM delivery GROUP BY 1",
)
# As many as no box ever has.
FILL_REPEATS = "INSERT INTO repeat SELECT printf('a%031x', id), '', id FROM instance"

BIG = "delivery", "instance", "study", "study_text", "attempt", "repeat", "arrival", "departure", "d", "i", "n", "s", "t", "t1", "t2", "t3"


class Watched(Ledger):
    """A ledger that remembers the statements it was given."""

    seen: list[tuple[str, Sequence[Value]]]

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Read, and remember how."""
        self.seen.append((sql, parameters))
        return super().rows(sql, parameters)

    def change(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """Change, and remember how."""
        self.seen.append((sql, parameters))
        return super().change(sql, parameters)


def _fill(bench: Bench, count: int) -> None:
    with bench.ledger.write():
        for statement in (FILL_STUDIES, FILL_INSTANCES):
            bench.ledger.change(statement, (count // 50 if statement is FILL_STUDIES else count,))
        bench.ledger.change(FILL_DELIVERIES)
        for statement in (FILL_REPEATS, FILL_TEXT, *FILL_TRAFFIC):
            bench.ledger.change(statement)


def _router(bench: Bench) -> None:
    bench.instances.recorded("absent")
    latest = bench.instances.latest("1.8.5")
    assert latest is not None
    bench.deliveries.unfinished(latest.id)
    added = bench.instances.add(facts(1, uid="1.8.5"), version=2, state=InstanceState.STORED)
    bench.instances.keep(added, 1e9)
    Repeats(bench.ledger).add(Repeat("b", ""), added)
    bench.deliveries.add(added, "archive", cause=Cause.ROUTE, cause_ref="", priority=Priority.ROUTINE, now=bench.clock.now())


def _sender(bench: Bench) -> None:
    bench.deliveries.promote_due("archive", bench.clock.now())
    bench.deliveries.contexts_waiting("archive", "MR1", 128)
    claims = [
        bench.deliveries.claim("archive", owner="run-2"),
        bench.deliveries.claim("archive", owner="run-2", choice=Choice("CT1")),
        bench.deliveries.claim("archive", owner="run-2", choice=Choice("MR1", frozenset({1, 2}))),
        bench.deliveries.claim("archive", owner="run-2", choice=Choice(newest=True)),
        bench.deliveries.claim("archive", owner="run-2", choice=Choice("MR1", newest=True)),
        bench.deliveries.claim("archive", owner="run-2", choice=Choice(small=True)),
        bench.deliveries.claim("archive", owner="run-2", choice=Choice("MR1", newest=True, small=True)),
        bench.deliveries.claim("archive", owner="run-2", choice=Choice("CT1", frozenset({1, 2}), small=True)),
    ]
    assert bench.deliveries.claim("archive", owner="run-2", choice=Choice(urgent=True)) is None
    for claim in claims:
        assert claim is not None
        bench.deliveries.earlier_of_study(claim)
        bench.deliveries.settle(claim.delivery_id, Moved(DeliveryState.DELIVERED), owner="run-2")
    bench.deliveries.free_dead_claims({"run-1", "run-2"})


def _holding(bench: Bench) -> None:
    classes = [HoldClass.VERDICT, HoldClass.CONFIGURATION]
    bench.deliveries.release_held("reading", None, classes)
    bench.deliveries.release_held("reading", Uid(CT), classes)
    bench.deliveries.release_held("reading", None, classes, instances=[1, 2, 3])
    bench.deliveries.hold_removed({"archive"})
    bench.deliveries.hold_removed({"reading"}, limit=5)


def _pages(bench: Bench) -> None:
    bench.deliveries.list(limit=5)
    bench.deliveries.list("archive", limit=5, after=100)
    bench.deliveries.list("archive", DeliveryState.HELD, 5)
    bench.deliveries.list("reading", limit=5)
    bench.deliveries.waiting("reading")
    bench.deliveries.held("reading")
    bench.deliveries.list(None, DeliveryState.DELIVERED, 5)
    bench.studies.find(limit=3)
    bench.studies.find(limit=3, after="1.9.10")


def _orders(bench: Bench) -> None:
    selections, requests = Selections(bench.ledger), Requests(bench.ledger)
    last = selections.last()
    for selection in (
        Selection(ids=(4, 8, 16)),
        Selection(ids=(4, 8, 16), study_instance_uid="1.9.5", destination_id="archive"),
        Selection(study_instance_uid="1.9.5"),
        Selection(study_instance_uid="1.9.5", destination_id="archive", hold_class=HoldClass.PERSON),
        Selection(destination_id="archive", state=DeliveryState.QUEUED),
        Selection(destination_id="archive", state=DeliveryState.HELD, hold_class=HoldClass.PERSON),
        Selection(state=DeliveryState.DEFERRED),
    ):
        selections.page(selection, after=0, upto=last, limit=5)
    selections.find(DeliveryKey(f"f{4:031x}", "archive"))
    selections.find(DeliveryKey(f"a{4:031x}", "archive"), made_before="f")
    requests.next_sequence()
    requests.recorded(["absent"])
    requests.add(Order(OrderVerb.HOLD, "anna", "", 1.0, 1, ()), count=1, object_id="a", spool_name="b")


def _searches(bench: Bench) -> None:
    search = StudySearch(bench.ledger)
    for wanted in (
        StudyQuery(),
        StudyQuery(("study",)),
        StudyQuery(("study", "1")),
        StudyQuery(destination_id="archive"),
        StudyQuery(destination_id="archive", state=DeliveryState.DELIVERED),
        StudyQuery(state=DeliveryState.DELIVERED),
        StudyQuery(destination_id="reading", state=DeliveryState.HELD),
        StudyQuery(destination_id="reading", state=DeliveryState.QUEUED),
        StudyQuery(destination_id="reading", state=DeliveryState.PROVED),
        StudyQuery(state=DeliveryState.SENDING),
    ):
        search.find(wanted, limit=3, after="1.9.30")
    timeline_of(bench.ledger, "1.9.10")


def _found_soon(bench: Bench) -> None:
    search = StudySearch(bench.ledger)
    for wanted in (
        StudyQuery(),
        StudyQuery(("study",)),
        StudyQuery(destination_id="archive"),
        StudyQuery(destination_id="archive", state=DeliveryState.DELIVERED),
        StudyQuery(state=DeliveryState.DELIVERED),
        StudyQuery(destination_id="reading", state=DeliveryState.PROVED),
    ):
        search.find(wanted, limit=3)
    timeline_of(bench.ledger, "1.9.10")


def _resends(bench: Bench) -> None:
    resends = Resends(bench.ledger)
    (sendable, *_), _ = resends.of_study("1.9.5"), resends.of_instances(["1.8.5", "1.8.6"])
    keys = (DeliveryKey(sendable.object_id, "reading", Cause.RESEND), DeliveryKey(f"a{8:031x}", "reading", Cause.RESEND))
    assert resends.follow(Order(OrderVerb.RESEND, "anna", "", 1.0, 1, keys), "c" * 32) == 2


def _traffic(bench: Bench) -> None:
    traffic = Traffic(bench.ledger)
    traffic.arrived([Came("MR1", "10.0.0.8", 1e9, 1000, 1, 5.0)])
    bench.ledger.change(WENT, (minute_of(1e9), "archive"))
    traffic.first_since(9e8)
    traffic.received(9e8, 1.1e9)
    traffic.delivered(9e8, 1.1e9)
    traffic.callers(9e8, today=1e9, last_hour=1e9, lags_since=9e8)
    traffic.fold(1.1e9)
    traffic.prune(-1.0)


def _keeping(bench: Bench) -> None:
    retention = Retention(bench.ledger)
    retention.evict(1, 1.0)
    retention.prune_tombstones(2.0)
    retention.fold_attempts(2.0, limit=10)
    retention.in_spool(limit=10)
    Repeats(bench.ledger).finished(limit=10)
    Repeats(bench.ledger).forget([f"a{1:031x}", f"a{2:031x}"])


@pytest.mark.parametrize("work", [_router, _sender, _holding, _pages, _orders, _searches, _resends, _traffic])
def test_no_statement_walks_over_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[Bench], None]) -> None:
    """Every statement finds its rows through an index; none scans or sorts deliveries, instances, studies or attempts."""
    monkeypatch.setattr("tests.unit.ledger.bench.Ledger", Watched)
    Watched.seen = []
    bench = Bench(tmp_path)
    _fill(bench, 2000)
    with bench.ledger.write():
        Watched.seen.clear()
        work(bench)
        statements = list(Watched.seen)
    plans: dict[str, list[str]] = {}

    with bench.ledger.read():
        for sql, parameters in statements:
            plans[sql] = [row[3] for row in bench.ledger.rows(f"EXPLAIN QUERY PLAN {sql}", parameters)]

    scans = {sql: plan for sql, plan in plans.items() if any(step.split()[:1] == ["SCAN"] and step.split()[1] in BIG for step in plan)}
    assert len(plans) >= 5
    assert scans == {}
    bench.ledger.close()


@pytest.mark.parametrize("work", [_router, _sender, _holding, _pages, _orders, _keeping, _found_soon, _resends, _traffic])
def test_the_work_does_not_grow_with_the_ledger(tmp_path: Path, work: Callable[[Bench], None]) -> None:
    """Three times the rows take about the same number of SQLite's own instructions."""
    taken = []

    for count in (20_000, 60_000):
        bench = Bench(tmp_path / str(count))
        _fill(bench, count)
        connection = bench.ledger._database.connection()
        steps: list[int] = []
        with bench.ledger.write():
            connection.set_progress_handler(lambda steps=steps: steps.append(1), 10)
            work(bench)
            connection.set_progress_handler(None, 0)
        taken.append(len(steps))
        bench.ledger.close()

    assert taken[1] <= 1.1 * taken[0]


def test_counting_walks_over_indexes_only(bench: Bench) -> None:
    """What must count everything reads an index and never the rows themselves."""
    counting = [
        "SELECT state, count(*) FROM delivery GROUP BY state",
        "SELECT state, count(*) FROM instance GROUP BY state",
        "SELECT coalesce(sum(length), 0) FROM instance WHERE state IN ('stored', 'unrouted')",
        *queue._COUNT_OWED.values(),
    ]

    with bench.ledger.read():
        plans = [bench.ledger.rows(f"EXPLAIN QUERY PLAN {sql}", ("a",) * sql.count("?")) for sql in counting]

    assert [["COVERING INDEX" in row[3] for row in plan] for plan in plans] == [[True]] * len(counting)


def test_what_is_held_is_told_from_narrow_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held, and what of a day is owed, is added up without reading the rows of instances, which are long and far apart."""
    monkeypatch.setattr("tests.unit.ledger.bench.Ledger", Watched)
    Watched.seen = []
    bench = Bench(tmp_path)
    _fill(bench, 2000)
    backlog = Backlog(bench.ledger)
    with bench.ledger.read():
        Watched.seen.clear()
        held = backlog.held(limit=0)
        day = backlog.day(1, 0.0, 1e9)
        owing = backlog.destination_ids()
        statements = list(Watched.seen)

        steps = [row[3] for sql, bound in statements for row in bench.ledger.rows(f"EXPLAIN QUERY PLAN {sql}", bound)]

    reads = [step for step in steps if step.split()[0] in {"SCAN", "SEARCH"} and step.split()[1] in {"i", "instance", "delivery", "d"}]
    assert (held, day, owing) == ([], Day(2000, 40, 500), ["archive"])
    assert [step for step in reads if "COVERING INDEX" not in step and "delivery_owed" not in step] == []
    bench.ledger.close()
