"""Quantities as people write them: "60 min", "5 GiB", a number between limits, a share of the disk. Pure.

Promises: a duration becomes seconds, a size bytes; what `duration_text` and `size_text` print is read back as exactly the same value.
Failures: a pydantic refusal with a plain problem and advice (see `problem.refusal`).
Limits: the unit must be said in the file, because `60` alone has been read as seconds, minutes and days; code may pass plain seconds or
bytes. "m" is refused for the same reason (minute or month), and so is "Gb" (bit or byte).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, TypeGuard

from pydantic import PlainSerializer, PlainValidator, ValidationInfo

from appliance.config.problem import kind_of, quoted, refusal

# What `check` passes as validation context: the values were typed by a person.
FROM_A_FILE = "from a file"

# Ten years: longer is a typing mistake, and still far from where float seconds lose their exactness.
LONGEST_S = 3650 * 86400.0
# A millisecond: shorter deadlines only mean "at once", which no rule of ours does.
SHORTEST_S = 0.001
# The ledger, its journal and the logs must go on when the disk is "full".
SMALLEST_RESERVE_BYTES = 1 << 20
LARGEST_SIZE_BYTES = 1 << 59

_AMOUNT = re.compile(r" *([0-9]{1,18}(?:\.[0-9]{1,20})?) *([A-Za-z]+) *")

_SECONDS = {
    "ms": 0.001,
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("week", "weeks"), 604800.0),
}
_BYTES = {
    "B": 1,
    **dict.fromkeys(("kB", "KB"), 1000),
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_DURATION_ADVICE = 'Write a number and ms, s, min, h, days or weeks in quotes, for example "60 min" or "2 days".'
_SIZE_ADVICE = 'Write a number and MiB, GiB or TiB in quotes, for example "5 GiB".'


def parse_duration(text: str) -> float:
    """Return the seconds that `text` says. Refuses other words, a missing unit and a misleading one."""
    match = _AMOUNT.fullmatch(text)
    if match is None or match[2].lower() not in _SECONDS:
        raise refusal(f"{quoted(text)} is not a duration", _DURATION_ADVICE)
    return float(match[1]) * _SECONDS[match[2].lower()]


def parse_size(text: str) -> int:
    """Return the bytes that `text` says. Refuses other words, a missing unit and a misleading one."""
    match = _AMOUNT.fullmatch(text)
    if match is None or match[2] not in _BYTES:
        raise refusal(f"{quoted(text)} is not a size", _SIZE_ADVICE)
    factor = _BYTES[match[2]]
    return int(match[1]) * factor if match[1].isdigit() else round(float(match[1]) * factor)


def duration_text(seconds: float) -> str:
    """Return a duration as it may stand in the file."""
    for unit, factor, least in (("days", 86400, 2), ("h", 3600, 1), ("min", 60, 1)):
        if seconds >= least * factor and seconds % factor == 0:
            return f"{int(seconds // factor)} {unit}"
    return f"{int(seconds)} s" if seconds == int(seconds) else f"{seconds!r} s"


def size_text(size_bytes: int) -> str:
    """Return a size as it may stand in the file."""
    for unit in ("TiB", "GiB", "MiB"):
        if size_bytes >= _BYTES[unit] and size_bytes % _BYTES[unit] == 0:
            return f"{size_bytes // _BYTES[unit]} {unit}"
    return f"{size_bytes} B"


@dataclass(frozen=True, slots=True)
class _DurationRule:
    """Durations of at least `shortest` seconds."""

    shortest: float

    def __call__(self, value: object, info: ValidationInfo) -> float:
        """Return seconds, or refuse."""
        if isinstance(value, str):
            seconds = parse_duration(value)
        elif _is_number(value) and info.context != FROM_A_FILE:
            seconds = float(value)
        elif _is_number(value):
            raise refusal(f"{kind_of(value)} has no unit", _DURATION_ADVICE)
        else:
            raise refusal(f"must be a duration, not {kind_of(value)}", _DURATION_ADVICE)
        if not self.shortest <= seconds <= LONGEST_S:
            shortest = duration_text(self.shortest) if self.shortest else "0 s"
            raise refusal(f"must be between {shortest} and 10 years", _DURATION_ADVICE)
        return seconds


def _read_size(value: object, info: ValidationInfo) -> int:
    """Return bytes, or refuse."""
    if isinstance(value, str):
        size = parse_size(value)
    elif isinstance(value, int) and not isinstance(value, bool) and info.context != FROM_A_FILE:
        size = value
    elif _is_number(value):
        raise refusal(f"{kind_of(value)} has no unit", _SIZE_ADVICE)
    else:
        raise refusal(f"must be a size, not {kind_of(value)}", _SIZE_ADVICE)
    if not SMALLEST_RESERVE_BYTES <= size <= LARGEST_SIZE_BYTES:
        raise refusal("must be at least 1 MiB, and no more than a disk can hold", _SIZE_ADVICE)
    return size


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int

    def __call__(self, value: object) -> int:
        """Return the number, or refuse."""
        allowed = f"Write a whole number from {self.low} to {self.high} without quotes."
        if isinstance(value, bool) or not isinstance(value, int):
            raise refusal(f"must be a whole number, not {kind_of(value)}", allowed)
        if not self.low <= value <= self.high:
            raise refusal(f"must be from {self.low} to {self.high}, not {kind_of(value).removeprefix('the number ')}", allowed)
        return value


def _is_number(value: object) -> TypeGuard[int | float]:
    """Say whether `value` is an ordinary number: true, false, infinity and "not a number" are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def read_seconds(value: object) -> float:
    """Return the seconds of a key that is documented in plain seconds, or refuse."""
    advice = "Write seconds as a number without quotes, for example 10 or 0.5."
    if not _is_number(value):
        raise refusal(f"must be a number of seconds, not {kind_of(value)}", advice)
    if not SHORTEST_S <= value <= LONGEST_S:
        raise refusal("must be between 0.001 seconds and 10 years", advice)
    return float(value)


def _read_share(value: object) -> float:
    """Return a share of the disk between 0 and 1, or refuse."""
    advice = "Write a share between 0 and 1 without quotes: 0.85 is 85 percent of the disk."
    if not _is_number(value):
        raise refusal(f"must be a number, not {kind_of(value)}", advice)
    if not 0 <= value <= 1:
        raise refusal(f"must be between 0 and 1, not {value}", advice)
    return float(value)


def _read_back_off(value: object) -> tuple[float, float]:
    """Return the first and the longest wait, or refuse."""
    advice = "Write two numbers of seconds, the first wait and the longest, for example [30, 900]."
    if not isinstance(value, (list, tuple)) or len(value) != 2:  # noqa: PLR2004 (a pair)
        raise refusal("must be a list of two numbers", advice)
    first, longest = read_seconds(value[0]), read_seconds(value[1])
    if first > longest:
        raise refusal("the first wait is longer than the longest", advice)
    return first, longest


def _read_site_rule(value: object) -> tuple[int, int, float]:
    """Return instances, studies and seconds of the rule that tells a bad destination from bad instances, or refuse."""
    advice = "Write how many instances, of how many studies, and the seconds between single tries, for example [5, 2, 60]."
    if not isinstance(value, (list, tuple)) or len(value) != 3:  # noqa: PLR2004 (a triple)
        raise refusal("must be a list of three numbers", advice)
    instances, studies, seconds = WholeNumber(1, 1000)(value[0]), WholeNumber(1, 1000)(value[1]), read_seconds(value[2])
    if studies > instances:
        raise refusal("asks for more studies than instances, which can never be", advice)
    return instances, studies, seconds


Duration = Annotated[float, PlainValidator(_DurationRule(SHORTEST_S)), PlainSerializer(duration_text)]
"""Seconds, written with a unit; never 0."""
DurationOrZero = Annotated[float, PlainValidator(_DurationRule(0.0)), PlainSerializer(duration_text)]
"""Seconds, written with a unit; 0 allowed."""
Size = Annotated[int, PlainValidator(_read_size), PlainSerializer(size_text)]
"""Bytes, written with a unit."""
Seconds = Annotated[float, PlainValidator(read_seconds)]
"""Seconds, written as a plain number."""
Share = Annotated[float, PlainValidator(_read_share)]
"""A share of the disk, 0 to 1."""
BackOff = Annotated[tuple[float, float], PlainValidator(_read_back_off), PlainSerializer(list, return_type=list[float])]
"""The first and the longest wait in seconds."""
SiteRule = Annotated[tuple[int, int, float], PlainValidator(_read_site_rule), PlainSerializer(list, return_type=list[int | float])]
"""Instances, studies, seconds between single probes."""
