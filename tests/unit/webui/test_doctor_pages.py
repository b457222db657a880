"""The connection doctor's page: steps as they come, in words, until the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.accounts.roles import Role
from appliance.deliver.doctor import Phase
from appliance.deliver.source_doctor import SourcePhase
from appliance.deliver.way_doctor import WayPhase
from appliance.runtime.asking import RequestRefusedError
from appliance.runtime.questions import DestinationTestProgressReply, DoctorStep
from tests.support.pages import Said, pages_of
from webui.phases import PHASES

STEPS = (
    DoctorStep("name", ok=True, detail="pacs is 10.1.0.5", advice="", ms=2.4),
    DoctorStep("tcp", ok=False, detail="nobody listens at 10.1.0.5:104", advice="Is the port right?", ms=1.0),
    DoctorStep("echo", ok=False, detail="not reached", advice="", ms=0.0),
)


def progress(*, done: bool, ok: bool = False, now: str = "", problem: str = "") -> DestinationTestProgressReply:
    """Return how far a test is."""
    return DestinationTestProgressReply(STEPS if done else STEPS[:1], done=done, ok=ok, destination="archive", now=now, problem=problem)


def test_a_test_under_way_renews_itself(tmp_path: Path) -> None:
    """The page shows what is looked at now and asks again every second; the fragment does not say that it is over."""
    pages = pages_of(tmp_path, control=Said(test_progress=progress(done=False, now="tcp")))

    page = pages.get("/doctor/abc")
    fragment = pages.client.get("/doctor/abc/progress")

    assert 'data-live="/doctor/abc/progress" data-every="1"' in page
    assert "Looking at: The connection" in page
    assert "X-Done" not in fragment.headers
    assert "<html" not in fragment.text


def test_a_test_that_is_over_is_left_alone(tmp_path: Path) -> None:
    """At the end the fragment says so, and the page renews nothing; what failed comes with what to try."""
    pages = pages_of(tmp_path, control=Said(test_progress=progress(done=True)))

    page = pages.get("/doctor/abc")

    assert "data-live" not in page
    assert "1" == pages.client.get("/doctor/abc/progress").headers["X-Done"]
    for shown in ("nobody listens at 10.1.0.5:104", "Is the port right?", "Something is in the way", "not reached"):
        assert shown in page, shown


@pytest.mark.parametrize(
    ("found", "said"),
    [(progress(done=True, ok=True), "All is well"), (progress(done=True, problem="the test itself failed"), "the test itself failed")],
    ids=["well", "broken"],
)
def test_the_end_is_one_sentence(tmp_path: Path, found: DestinationTestProgressReply, said: str) -> None:
    """Whoever reads one line knows how it ended."""
    assert said in pages_of(tmp_path, control=Said(test_progress=found)).get("/doctor/abc")


def test_a_test_that_is_forgotten_says_so(tmp_path: Path) -> None:
    """After ten minutes or a restart the page says what to do."""
    forgotten = RequestRefusedError("this test is not remembered any more", advice="Test again.")

    answer = pages_of(tmp_path, control=Said(test_progress=forgotten)).client.get("/doctor/abc")

    assert (422, True) == (answer.status_code, "Test again." in answer.text)


def test_a_viewer_sees_no_test(tmp_path: Path) -> None:
    """Tests are for those who may make them."""
    assert (
        403 == pages_of(tmp_path, role=Role.VIEWER, control=Said(test_progress=progress(done=True))).client.get("/doctor/abc").status_code
    )


def test_every_phase_has_words() -> None:
    """No doctor looks at anything that the pages cannot name."""
    phases = {phase.value for kind in (Phase, WayPhase, SourcePhase) for phase in kind}

    assert set() == phases - set(PHASES)
