"""Days as people mean them: those of the box's time zone, from one midnight to the next.

Promises: what is given as a day and comes back as one is the same day.
Failures: none; a day that no clock reaches begins and ends at 0, which is before everything.
Limits: where a day of clock change has no midnight, it begins with its first moment.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from webui.services import services


def bounds_of(day: date) -> tuple[float, float]:
    """Return when a day begins and ends, in seconds since 1970."""
    zone = ZoneInfo(services().site().box.timezone)
    try:
        begins, ends = (datetime.combine(day + timedelta(days=more), time.min, tzinfo=zone).timestamp() for more in (0, 1))
    except (OverflowError, ValueError):
        return 0.0, 0.0
    return begins, ends


def end_of(day: date | None) -> float | None:
    """Return when a day ends; None for no day."""
    return None if day is None else bounds_of(day)[1]


def last_day_before(end: float | None) -> date | None:
    """Return the last day that is over, or nearly, at a moment: of the end of a day, that day."""
    zone = ZoneInfo(services().site().box.timezone)
    return None if end is None else (datetime.fromtimestamp(end, UTC) - timedelta(seconds=1)).astimezone(zone).date()
