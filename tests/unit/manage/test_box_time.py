"""Hours, days and months of the box's zone, on days on which clocks change too."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from appliance.manage.box_time import HOW_MANY, Bucket, bounds, iso

ZONES = ("UTC", "Asia/Ho_Chi_Minh", "Asia/Kathmandu", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe")
# In Europe clocks were set on at 2:00 on 31 March, and back at 3:00 on 27 October.
MOMENTS = tuple(
    datetime.fromisoformat(text) for text in ("2024-03-31T15:20:30", "2024-10-27T15:59:59", "2024-01-01T00:00:01", "2024-02-29T23:59:00")
)


@pytest.mark.parametrize("zone", [ZoneInfo(zone) for zone in ZONES], ids=str)
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
@pytest.mark.parametrize("bucket", Bucket)
def test_buckets_follow_each_other_up_to_now(bucket: Bucket, moment: datetime, zone: ZoneInfo) -> None:
    """As many as are shown, the last holds the moment, and each begins where the one before ends, at a full quarter of an hour."""
    now = moment.replace(tzinfo=zone).timestamp()

    edges = bounds(bucket, now, zone)

    assert HOW_MANY[bucket] + 1 == len(edges)
    assert edges[-2] <= now < edges[-1]
    assert all(since < until for since, until in pairwise(edges))
    assert {0.0} == {edge % 900 for edge in edges}


def test_days_on_which_clocks_change() -> None:
    """In Paris the day has 23 hours in spring and 25 in autumn, and begins at midnight all the same."""
    paris = ZoneInfo("Europe/Paris")

    lengths = []
    for moment in MOMENTS[:2]:
        *_, began, ended = bounds(Bucket.DAY, moment.replace(tzinfo=paris).timestamp(), paris)
        lengths.append((ended - began) / 3600)
        assert (0, 0) == (datetime.fromtimestamp(began, paris).hour, datetime.fromtimestamp(ended, paris).hour)

    assert [23.0, 25.0] == lengths


def test_months_begin_on_the_first() -> None:
    """Two years of them, across the turn of the year."""
    hanoi = ZoneInfo("Asia/Ho_Chi_Minh")
    edges = [datetime.fromtimestamp(edge, hanoi) for edge in bounds(Bucket.MONTH, datetime(2024, 2, 29, tzinfo=hanoi).timestamp(), hanoi)]

    assert ("2022-03-01", "2024-02-01", "2024-03-01") == tuple(f"{edges[at]:%Y-%m-%d}" for at in (0, -2, -1))
    assert {1} == {edge.day for edge in edges}


def test_moments_are_written_in_utc() -> None:
    """As ISO 8601, to the second, and nothing for none."""
    assert ("2024-02-29T12:00:00+00:00", None) == (iso(1_709_208_000.9), iso(None))
