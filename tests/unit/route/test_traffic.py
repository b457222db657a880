"""The router counts what comes, and keeps when it was acquired."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.ledger.traffic import Traffic
from tests.unit.route import data_sets as ds
from tests.unit.route.bench import Bench
from tests.unit.route.sites import a_route, a_site

SITE = a_site(routes=[a_route("everything", "archive")])
NOON = 1_709_208_000.0


def test_what_comes_is_counted_once(tmp_path: Path) -> None:
    """An instance counts when it is new or changed; the same bytes again, though delivered before, are a sign of life."""
    bench = Bench(tmp_path, SITE)
    for changes in (None, None, {ds.PATIENT_ID: b"OTHER"}):
        bench.receive_image("1.2.3.1", changes)
    bench.receive_image("1.2.3.2", calling="MR1", address="10.0.0.8")
    bench.route()

    with bench.ledger.read():
        callers = Traffic(bench.ledger).callers(0.0, today=NOON, last_hour=NOON, lags_since=0.0)

    # A second apart each, the last from MR1.
    assert [("MR1", 1, NOON + 4), ("CT1", 2, NOON + 3)] == [(one.calling_title, one.today, one.last_at) for one in callers]


def test_when_it_was_acquired_is_kept(tmp_path: Path) -> None:
    """By the clock of the box's zone, on disk and in memory alike; where the data set does not say, nothing is kept."""
    site = SITE.model_copy(update={"box": SITE.box.model_copy(update={"timezone": "Asia/Ho_Chi_Minh"})})
    bench = Bench(tmp_path, site)
    bench.receive_image("1.2.3.1", {ds.SERIES_DATE: b"20240229", ds.SERIES_TIME: b"185930"})
    bench.receive_image("1.2.3.2")
    bench.route()

    kept = [bench.latest(uid) for uid in ("1.2.3.1", "1.2.3.2")]
    with bench.ledger.read():
        (caller,) = Traffic(bench.ledger).callers(0.0, today=NOON, last_hour=NOON, lags_since=0.0)

    acquired = datetime(2024, 2, 29, 18, 59, 30, tzinfo=ZoneInfo("Asia/Ho_Chi_Minh")).timestamp()
    assert [acquired, None] == [one.facts.attributes.acquired_at if one else "missing" for one in kept]
    assert (NOON + 1 - acquired,) == caller.lags_s
