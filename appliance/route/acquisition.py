"""When a scanner says that it acquired an image. Pure.

Promises: `acquired_at` never raises, whatever the values are; what it returns is a real moment between 1900 and 2200, by the scanner's
clock.
Failures: none; None where the data set does not say, or says what no calendar has.
Limits: of several values the first counts; a time without minutes says too little. Where clocks are set back, the first of two equal hours
is meant.
Standard: PS3.5 6.2 (DA, TM, DT); PS3.3 C.12.1 (Timezone Offset From UTC), C.7.6 (acquisition and content), C.7.3 (series).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo

_ACQUISITION_DATE_TIME = 0x0008002A
_OFFSET_FROM_UTC = 0x00080201
# The nearest to the moment first.
_DATE_AND_TIME = ((0x00080022, 0x00080032), (0x00080023, 0x00080033), (0x00080021, 0x00080031))

SAYING_WHEN = frozenset({_ACQUISITION_DATE_TIME, _OFFSET_FROM_UTC, *(tag for pair in _DATE_AND_TIME for tag in pair)})
"""The elements that `acquired_at` looks at; all are in the first kilobyte of a data set."""

# The forms with points and colons are those of ACR-NEMA, which PS3.5 asks readers to understand.
_MOMENT = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d) ?(\d\d):?(\d\d)(?::?(\d\d)(?:\.(\d{1,6}))?)?([+-]\d{4})?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)", re.ASCII)
# Whatever a clock says beyond these is no moment of a scan; films that are digitised may be old.
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
# PS3.5 6.2: which no clock of ours has.
_LEAP_SECOND = 60


def acquired_at(values: Mapping[int, bytes], zone: tzinfo) -> float | None:
    """Return the wall time (UTC) at which the instance was acquired; a data set that gives no offset from UTC means the time in `zone`."""
    there = _zone(_text(values, _OFFSET_FROM_UTC)) or zone
    moment = _moment(_text(values, _ACQUISITION_DATE_TIME), there)
    for date, time in _DATE_AND_TIME:
        if moment is not None:
            break
        moment = _moment(f"{_text(values, date)} {_text(values, time)}", there)
    return moment


def _text(values: Mapping[int, bytes], tag: int) -> str:
    raw = values.get(tag)
    return "" if raw is None else raw.decode("latin-1").partition("\\")[0].strip("\0 ")


def _zone(text: str) -> tzinfo | None:
    found = _OFFSET.fullmatch(text) if text else None
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    away = timedelta(hours=int(hours), minutes=int(minutes))
    # `timezone` takes no more than a day; no place on earth has more than 14 hours.
    return timezone(-away if sign == "-" else away) if away < timedelta(hours=24) else None


def _moment(text: str, zone: tzinfo) -> float | None:
    found = _MOMENT.fullmatch(text) if text else None
    if found is None:
        return None
    *parts, fraction, offset = found.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    second -= second == _LEAP_SECOND
    microsecond = int((fraction or "0").ljust(6, "0"))
    try:
        here = _zone(offset or "") or zone
        return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=here).timestamp()
    except ValueError:
        return None
