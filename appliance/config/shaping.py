"""How much a destination is sent, and when: bandwidths like "20 Mbit/s" and hours like "22:00-06:00". Pure.

Promises: what is printed is read back as exactly the same value. Hours are those of the box's time zone, by its clock on the wall.
Failures: a pydantic refusal with a plain problem and advice (see `problem.refusal`).
Limits: the hours are the same every day. On the nights when clocks are changed, hours that begin or end in the changed hour are longer or
shorter by it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from appliance.config.problem import kind_of, quoted, refusal

# Less would not bring one CT of an hour across in a day; more than any line has means a typing mistake.
_LEAST_BITS, _MOST_BITS = 64_000, 100_000_000_000
_BITS = {"kbit/s": 1000, "Mbit/s": 1_000_000, "Gbit/s": 1_000_000_000}
_BANDWIDTH = re.compile(r" *([0-9]{1,12}(?:\.[0-9]{1,9})?) *([A-Za-z]+/s) *")
_BANDWIDTH_ADVICE = 'Write a number and kbit/s, Mbit/s or Gbit/s in quotes, for example "20 Mbit/s".'

_HOURS = re.compile(r" *([0-9]{1,2}):([0-9]{2}) *- *([0-9]{1,2}):([0-9]{2}) *")
_HOURS_ADVICE = 'Write from when to when in quotes, for example "22:00-06:00".'
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of every day, from `begin` up to `end` in minutes after midnight; one that ends before it begins goes over midnight."""

    begin: int
    end: int

    @property
    def text(self) -> str:
        """The hours as they may stand in the file."""
        return f"{self.begin // 60:02}:{self.begin % 60:02}-{self.end // 60:02}:{self.end % 60:02}"

    def holds(self, wall: float, zone: tzinfo) -> bool:
        """Say whether a moment (wall time, UTC) lies within the hours of this time zone."""
        local = datetime.fromtimestamp(wall, zone)
        minute = local.hour * 60 + local.minute
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


def bandwidth_text(bits_per_s: int) -> str:
    """Return a bandwidth as it may stand in the file."""
    for unit in ("Gbit/s", "Mbit/s"):
        if bits_per_s % _BITS[unit] == 0:
            return f"{bits_per_s // _BITS[unit]} {unit}"
    return f"{bits_per_s / _BITS['kbit/s']:.3f}".rstrip("0").rstrip(".") + " kbit/s"


def _read_bandwidth(value: object) -> int | None:
    """Return bits a second, or refuse."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and _LEAST_BITS <= value <= _MOST_BITS):
        return value
    if not isinstance(value, str):
        raise refusal(f"must be a bandwidth in quotes, not {kind_of(value)}", _BANDWIDTH_ADVICE)
    match = _BANDWIDTH.fullmatch(value)
    if match is None or match[2] not in _BITS:
        raise refusal(f"{quoted(value)} is not a bandwidth", _BANDWIDTH_ADVICE)
    bits = round(float(match[1]) * _BITS[match[2]])
    if not _LEAST_BITS <= bits <= _MOST_BITS:
        raise refusal("must be between 64 kbit/s and 100 Gbit/s", _BANDWIDTH_ADVICE)
    return bits


def _write_bandwidth(bits_per_s: int | None) -> str | None:
    return None if bits_per_s is None else bandwidth_text(bits_per_s)


def _read_hours(value: object) -> Hours | None:
    """Return the hours, or refuse."""
    if value is None or isinstance(value, Hours):
        return value
    if not isinstance(value, str):
        raise refusal(f"must be hours in quotes, not {kind_of(value)}", _HOURS_ADVICE)
    match = _HOURS.fullmatch(value)
    if match is None or not match[0].isascii():
        raise refusal(f"{quoted(value)} are not hours", _HOURS_ADVICE)
    hours = [int(match[1]), int(match[3])]
    minutes = [int(match[2]), int(match[4])]
    begin, end = (hour * 60 + minute for hour, minute in zip(hours, minutes, strict=True))
    if max(minutes) >= 60 or begin >= _DAY_MINUTES or end > _DAY_MINUTES:  # noqa: PLR2004 (minutes of an hour)
        raise refusal(f"{quoted(value)} has a time that no day has", _HOURS_ADVICE)
    if begin == end:
        raise refusal("begins when it ends", "Remove window to send at any time, or write two different times.")
    return Hours(begin, end)


def _write_hours(hours: Hours | None) -> str | None:
    return None if hours is None else hours.text


Bandwidth = Annotated[int | None, PlainValidator(_read_bandwidth), PlainSerializer(_write_bandwidth)]
"""Bits a second, written with a unit, or None."""
Window = Annotated[Hours | None, PlainValidator(_read_hours), PlainSerializer(_write_hours)]
"""Hours of the day, or None."""
