"""What holds for every page."""

from __future__ import annotations

from pathlib import Path

from appliance.runtime.page_requests import ActivityReply, StudySearchReply, TodayReply
from appliance.runtime.requests import SpoolSpace, StatusReply
from tests.support.pages import Said, pages_of


def a_status() -> StatusReply:
    """Return a box without anything to do."""
    return StatusReply("1", True, "vinh-ct", 3, {}, {}, None, SpoolSpace(0, 1 << 40), (), ())


def test_home_shows_the_box(tmp_path: Path) -> None:
    """Home is shown to somebody signed in, with every header that keeps other pages out."""
    control = Said(
        ready=frozenset({"receiver"}),
        status=a_status(),
        today=TodayReply(0, 0, 0, 0, 0.0),
        activity=ActivityReply(()),
        search_studies=StudySearchReply(()),
    )
    pages = pages_of(tmp_path, control=control)

    answer = pages.client.get("/")

    assert answer.status_code == 200
    assert "dicom-edge" in answer.text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


def test_nobody_is_asked_to_log_in(tmp_path: Path) -> None:
    """Whoever is not signed in is led to the log-in page, and will come back."""
    pages = pages_of(tmp_path, role=None)

    answer = pages.client.get("/")

    assert answer.status_code == 302
    assert answer.headers["Location"] == "/account/log-in?next=/"
