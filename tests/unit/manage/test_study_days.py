"""Days as people write them become the edges of a range in the box's time zone."""

from __future__ import annotations

import pytest

from appliance.ledger.studies import DayEdge, StudyFilter
from appliance.manage.study_days import StudyDayInvalidError, study_filter


def _filter(*, since: str | None = None, until: str | None = None, timezone: str = "UTC") -> StudyFilter:
    return study_filter(accession_number=None, modality=None, since=since, until=until, timezone=timezone)


@pytest.mark.parametrize("text", ["2024-02-29", "20240229", " 2024-02-29 "])
def test_a_day_is_written_in_either_form(text: str) -> None:
    """With hyphens or as DICOM writes it; the range begins with the day and ends after it."""
    wanted = _filter(since=text, until=text)

    assert StudyFilter(since=DayEdge("20240229", 1_709_164_800.0), until=DayEdge("20240229", 1_709_251_200.0)) == wanted


def test_days_begin_where_the_box_is() -> None:
    """In Vietnam the day begins seven hours earlier than in Greenwich."""
    wanted = _filter(since="2024-02-29", timezone="Asia/Ho_Chi_Minh")

    assert DayEdge("20240229", 1_709_164_800.0 - 7 * 3600) == wanted.since


def test_the_day_on_which_the_clocks_change_has_its_own_length() -> None:
    """In Berlin 31 March 2024 had 23 hours."""
    wanted = _filter(since="2024-03-31", until="2024-03-31", timezone="Europe/Berlin")

    assert wanted.since is not None
    assert wanted.until is not None
    assert 23 * 3600 == wanted.until.wall - wanted.since.wall


def test_what_is_not_asked_is_no_condition() -> None:
    """Nothing asked is every study; spaces around what is asked do not count."""
    assert StudyFilter() == _filter()
    assert StudyFilter("A1", "CT") == study_filter(accession_number=" A1", modality="CT ", since=None, until=None, timezone="UTC")


@pytest.mark.parametrize("text", ["", "today", "2024-02-30", "29.02.2024", "2024-2-9", "9999-12-31", "2024-02-29T12:00"])
def test_what_is_no_day_is_wrong_usage(text: str) -> None:
    """Anything else is refused with how to write a day; the text, whatever it is, is not repeated."""
    with pytest.raises(StudyDayInvalidError) as refused:
        _filter(since=text)

    assert (2, "a day cannot be read") == (refused.value.exit_code, str(refused.value))


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    """An empty range is a mistake, not a question without answers."""
    with pytest.raises(StudyDayInvalidError, match="ends before it begins"):
        _filter(since="2024-03-01", until="2024-02-29")
