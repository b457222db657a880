"""Health: what the box finds, and nothing that it does not know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from appliance.accounts.roles import Role
from appliance.runtime.asking import NotRunningError
from appliance.runtime.page_requests import ActivityReply, ThroughputReply
from appliance.runtime.requests import FindingReply
from tests.support.pages import Said, pages_of
from tests.unit.webui.test_home import ALL, CUT_OFF, GIB, a_day, a_status, ago

CANARY = "<script>alert(1)</script>"


def health(tmp_path: Path, **answers: object) -> str:
    """Return the page of a box that answers so."""
    told = {
        "ready": ALL,
        "status": a_status(),
        "today": a_day(bytes_a_day=100.0 * GIB),
        "activity": ActivityReply(()),
        "throughput": ThroughputReply(()),
    }
    return pages_of(tmp_path, role=Role.MONITOR, control=Said(**(told | answers))).get("/health/")


def test_a_healthy_box_says_what_it_watches(tmp_path: Path) -> None:
    """Room, what a day brings, the parts at work, and that some things are not watched, are said to everybody who may look."""
    page = health(tmp_path)

    for text in ("1000 GiB", "900 GiB", "100 GiB", "There is space for 9 days.", "are not watched yet", "the part that receives images"):
        assert text in page, text
    assert "not at work" not in page
    assert "Destinations in trouble" not in page


def test_trouble_is_shown_with_its_reason(tmp_path: Path) -> None:
    """Findings have severity, advice and since when; a destination in trouble says why, as text."""
    finding = FindingReply("disk-worn", "critical", f"The disk is worn {CANARY}.", "Change it.", ago(60))
    status = a_status(replace(CUT_OFF, reason=f"nobody answers {CANARY}"), findings=(finding,))

    page = health(tmp_path, status=status, ready=ALL - {"sender"})

    for text in ("critical", "disk-worn", "Change it.", "UNREACHABLE", "nobody answers", "not at work"):
        assert text in page, text
    assert CANARY not in page


def test_what_nobody_answers_is_not_known(tmp_path: Path) -> None:
    """Where nobody answers, room and trouble are unknown and nothing is made up; the parts at work are known all the same."""
    page = health(tmp_path, status=NotRunningError("no"), throughput=NotRunningError("no"))

    assert "Not known at the moment." in page
    assert "GiB" not in page
    assert "the part that receives images" in page
