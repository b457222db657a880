"""Moments as people at the box see them: written down, and the hours, days and months of the box's time zone. Pure.

Promises: `bounds` returns rising moments, of which each bucket begins at one and ends before the next; days on which clocks change have
their true length.
Failures: none for a zone that the configuration has checked.
Limits: hours are counted back from the one that is now, so that they stay hours where clocks change by less.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

HOUR_S = 3600.0
DAY_S = 86_400.0

_YEAR_MONTHS = 12


class Bucket(StrEnum):
    """How finely something is counted."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


HOW_MANY = {Bucket.HOUR: 48, Bucket.DAY: 60, Bucket.MONTH: 24}
"""How many buckets of each kind a person is shown."""


def iso(wall: float | None) -> str | None:
    """Return a wall time as ISO 8601 in UTC, None for none."""
    return None if wall is None else datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")


def day_of(wall: float, zone: ZoneInfo) -> date:
    """Return the day on which a moment is."""
    return datetime.fromtimestamp(wall, zone).date()


def beginning_of(day: date, zone: ZoneInfo) -> float:
    """Return the first moment of a day."""
    return datetime.combine(day, time(), zone).timestamp()


def bounds(bucket: Bucket, now: float, zone: ZoneInfo) -> list[float]:
    """Return where the buckets up to the one of `now` begin, the oldest first, and then where that of now ends."""
    return _BOUNDS[bucket](now, zone, HOW_MANY[bucket])


def _hours(now: float, zone: ZoneInfo, count: int) -> list[float]:
    here = datetime.fromtimestamp(now, zone)
    began = now - now % 1.0 - here.minute * 60 - here.second
    return [began + HOUR_S * back for back in range(1 - count, 2)]


def _days(now: float, zone: ZoneInfo, count: int) -> list[float]:
    today = day_of(now, zone)
    return [beginning_of(today + timedelta(days=back), zone) for back in range(1 - count, 2)]


def _months(now: float, zone: ZoneInfo, count: int) -> list[float]:
    today = day_of(now, zone)
    this = today.year * _YEAR_MONTHS + today.month - 1
    months = (divmod(this + back, _YEAR_MONTHS) for back in range(1 - count, 2))
    return [beginning_of(date(year, month + 1, 1), zone) for year, month in months]


_BOUNDS: dict[Bucket, Callable[[float, ZoneInfo, int], list[float]]] = {Bucket.HOUR: _hours, Bucket.DAY: _days, Bucket.MONTH: _months}
