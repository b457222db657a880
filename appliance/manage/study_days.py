"""What a person asks about studies, as the ledger understands it: days become the edges of a range in the box's time zone.

Promises: a day that cannot be read is refused with how to write it; a range that ends before it begins is refused.
Failures: `StudyDayInvalidError` (operator, exit code 2).
Limits: days are those of the Gregorian calendar; times of day are not asked for.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from appliance.core.errors import ApplianceError, Fault
from appliance.ledger.studies import DayEdge, StudyFilter


class StudyDayInvalidError(ApplianceError):
    """A day, or a range of days, that studies were asked for is none."""

    fault = Fault.OPERATOR
    exit_code = 2
    advice = "Write days as 2026-01-31 or 20260131; the range includes both."


def study_filter(*, accession_number: str | None, modality: str | None, since: str | None, until: str | None, timezone: str) -> StudyFilter:
    """Return the filter for what was asked; `since` and `until` are days, both included, in the named time zone."""
    first, last = (None if text is None else _day(text) for text in (since, until))
    if first is not None and last is not None and last < first:
        raise StudyDayInvalidError("the range of days ends before it begins")
    zone = ZoneInfo(timezone)
    return StudyFilter(
        accession_number=None if accession_number is None else accession_number.strip(),
        modality=None if modality is None else modality.strip(),
        since=None if first is None else DayEdge(f"{first:%Y%m%d}", _midnight(first, zone)),
        # The day after, not 24 hours later: days on which the clocks change have another length.
        until=None if last is None else DayEdge(f"{last:%Y%m%d}", _midnight(last + timedelta(days=1), zone)),
    )


def _day(text: str) -> date:
    try:
        # Both forms of ISO 8601; the one without hyphens is also how DICOM writes a date (PS3.5 6.2, DA).
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise StudyDayInvalidError("a day cannot be read") from None
    # The last day of the calendar has no day after it.
    if day == date.max:
        raise StudyDayInvalidError("a day cannot be read")
    return day


def _midnight(day: date, zone: ZoneInfo) -> float:
    return datetime.combine(day, time(), zone).timestamp()
