"""When a scanner says that it acquired an image, whatever it writes."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.route.acquisition import SAYING_WHEN, acquired_at

DATE_TIME, OFFSET = 0x0008002A, 0x00080201
ACQUISITION, CONTENT, SERIES = (0x00080022, 0x00080032), (0x00080023, 0x00080033), (0x00080021, 0x00080031)
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp()


def _said(pair: tuple[int, int], date: bytes, time: bytes) -> dict[int, bytes]:
    return {pair[0]: date, pair[1]: time}


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        (b"20240229", b"190000", NOON),
        (b"20240229", b"1900", NOON),
        (b"20240229 ", b"190000.5 ", NOON + 0.5),
        (b"20240229\0", b"190000.123456", NOON + 0.123456),
        (b"2024.02.29", b"19:00:00", NOON),
        (b"20240229", b"185960", NOON - 1),
        (b"20240229\\20240301", b"190000\\200000", NOON),
        (b"20240230", b"190000", None),
        (b"20240229", b"240000", None),
        (b"20240229", b"190075", None),
        (b"20240229", b"19", None),
        (b"20240229", b"", None),
        (b"", b"190000", None),
        (b"2024022", b"9190000", None),
        (b"18991231", b"190000", None),
        (b"99991231", b"190000", None),
        (b"\xff\xfe", b"noon", None),
    ],
)
def test_dates_and_times(date: bytes, time: bytes, expected: float | None) -> None:
    """A date and a time are a moment of the box's zone where they are one of the calendar, and nothing where they are not."""
    assert expected == acquired_at(_said(ACQUISITION, date, time), HANOI)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"20240229120000+0000", NOON),
        (b"20240229070000.25-0500", NOON + 0.25),
        (b"202402291900", NOON),
        (b"20240229", None),
        (b"20240229120000+9900", NOON - 7 * 3600),
        (b"20240229120000+", None),
    ],
)
def test_moments(text: bytes, expected: float | None) -> None:
    """A moment may have an offset of its own; an offset that no place has counts as none."""
    assert expected == acquired_at({DATE_TIME: text}, HANOI)


def test_the_nearest_to_the_acquisition_counts() -> None:
    """Acquisition DateTime, then acquisition, content and series; what makes no sense gives way to the next."""
    all_of_it = {
        DATE_TIME: b"20240229120000",
        **_said(ACQUISITION, b"20240229", b"120100"),
        **_said(CONTENT, b"20240229", b"120200"),
        **_said(SERIES, b"20240229", b"120300"),
    }
    found = []

    for tag in (None, DATE_TIME, ACQUISITION[1], CONTENT[0], SERIES[0]):
        if tag is not None:
            all_of_it[tag] = b"?"
        found.append(acquired_at(all_of_it, UTC))

    assert [NOON, NOON + 60, NOON + 120, NOON + 180, None] == found


def test_the_data_sets_own_offset_counts() -> None:
    """Timezone Offset From UTC says where the scanner stands; one of its own at a moment is nearer still."""
    said = {OFFSET: b"-0500 ", **_said(SERIES, b"20240229", b"070000")}

    assert [NOON, NOON] == [acquired_at(said, HANOI), acquired_at({OFFSET: b"-0500", DATE_TIME: b"20240229120000+0000"}, HANOI)]


_VALUES = st.binary(max_size=30) | st.from_regex(r"[0-9.:+\-\\ ]{0,26}").map(str.encode)


@given(st.dictionaries(st.sampled_from(sorted(SAYING_WHEN)), _VALUES))
def test_nothing_makes_it_fail(values: dict[int, bytes]) -> None:
    """Whatever the bytes are, a moment between 1900 and 2201 comes out, or none."""
    found = acquired_at(values, HANOI)

    assert found is None or -2_300_000_000 < found < 7_300_000_000
