"""Bandwidths and hours as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from appliance.config.shaping import Bandwidth, Hours, Window, bandwidth_text

_BANDWIDTH: TypeAdapter[int | None] = TypeAdapter(Bandwidth)
_WINDOW: TypeAdapter[Hours | None] = TypeAdapter(Window)


@pytest.mark.parametrize(
    ("text", "bits"),
    [("20 Mbit/s", 20_000_000), ("256 kbit/s", 256_000), ("1.5 Mbit/s", 1_500_000), ("1Gbit/s", 1_000_000_000), ("64 kbit/s", 64_000)],
)
def test_a_bandwidth_is_bits_a_second(text: str, bits: int) -> None:
    """Number and unit become bits a second."""
    assert _BANDWIDTH.validate_python(text) == bits


@pytest.mark.parametrize(
    "value", ["20", "20 Mb/s", "20 MB/s", "-1 Mbit/s", "63 kbit/s", "1000 Gbit/s", "20 mbit/s", 20, True, ["20 Mbit/s"], "\u0662 Mbit/s"]
)
def test_what_is_no_bandwidth_is_refused(value: object) -> None:
    """A missing unit, one that means bytes to some, and what no line has are refused."""
    with pytest.raises(ValidationError):
        _BANDWIDTH.validate_python(value)


@given(bits=st.integers(64_000, 100_000_000_000))
def test_a_bandwidth_comes_back_as_it_was(bits: int) -> None:
    """What is printed is read as the same value."""
    assert _BANDWIDTH.validate_python(bandwidth_text(bits)) == bits


@pytest.mark.parametrize(
    "value", ["22-6", "22:00", "22:00-24:01", "24:00-06:00", "22:60-06:00", "22:00-22:00", 22, "\uff12\uff12:00-06:00", ["22:00-06:00"]]
)
def test_what_are_no_hours_is_refused(value: object) -> None:
    """Times that no day has, half a window and an empty one are refused."""
    with pytest.raises(ValidationError):
        _WINDOW.validate_python(value)


@given(begin=st.integers(0, 1439), end=st.integers(0, 1440))
def test_hours_come_back_as_they_were(begin: int, end: int) -> None:
    """What is printed is read as the same hours."""
    hours = Hours(begin, end if end != begin else end + 1)

    assert _WINDOW.validate_python(hours.text) == hours


@pytest.mark.parametrize(
    ("hours", "clock", "holds"),
    [
        ("22:00-06:00", "21:59", False),
        ("22:00-06:00", "22:00", True),
        ("22:00-06:00", "00:00", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "06:00", False),
        ("08:30-17:00", "08:29", False),
        ("08:30-17:00", "08:30", True),
        ("08:30-17:00", "17:00", False),
        ("20:00-24:00", "23:59", True),
        ("20:00-24:00", "00:00", False),
    ],
)
def test_hours_begin_and_end_by_the_clock_on_the_wall(hours: str, clock: str, holds: bool) -> None:  # noqa: FBT001 (a table)
    """The first minute belongs to the window, the last does not, and midnight is nothing special; summer or winter."""
    window = _WINDOW.validate_python(hours)
    zone = ZoneInfo("Europe/Berlin")
    hour, minute = (int(part) for part in clock.split(":"))
    moments = [datetime(2026, month, 10, hour, minute, tzinfo=zone).astimezone(UTC).timestamp() for month in (1, 7)]

    assert window is not None
    assert [window.holds(moment, zone) for moment in moments] == [holds, holds]
