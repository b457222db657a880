"""Whatever an editor does to `site.toml`: the whole text is handed on once, after it was still for a second."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from watchdog.observers import Observer

from appliance.config import site_file_watch
from appliance.config.generations import Generations
from appliance.config.load import load_active
from appliance.config.site_file import SiteFile
from appliance.config.site_file_watch import BETWEEN_LOOKS_S, STILL_S, SiteFileWatch
from tests.fakes.clock import FakeClock
from tests.support.eventually import eventually

OLD = "# old\n[listen]\nworkers = 1\n"
NEW = "# new\n[listen]\nworkers = 3\n"


class Desk:
    """A data directory with a watch that is stepped by hand."""

    def __init__(self, data: Path, on_proposal: Callable[[str], object] | None = None) -> None:
        """Begin with the old text, which is settled."""
        self.path = data / "site.toml"
        self.path.write_text(OLD, encoding="utf-8")
        self.proposed: list[str] = []
        self.clock = FakeClock()
        file = SiteFile(data)
        file.settle(OLD)
        self.watch = SiteFileWatch(file, on_proposal or self.proposed.append, clock=self.clock)
        self.settle()

    def look(self, after: float = 0.0) -> float:
        """Let time pass and the watch look once."""
        self.clock.advance(after)
        return self.watch.step()

    def settle(self) -> None:
        """Let the watch see what is there, and wait long enough."""
        self.look()
        self.look(after=STILL_S)

    def write_beside_and_rename(self, text: str) -> None:
        """Save as most editors do: another file, moved over this one."""
        draft = self.path.with_name(".site.toml.swp")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.path)


def test_what_is_there_and_settled_is_no_proposal(tmp_path: Path) -> None:
    """The file of the last start is not proposed again."""
    assert Desk(tmp_path).proposed == []


def test_a_saved_text_is_handed_on_after_a_still_second(tmp_path: Path) -> None:
    """Not at once, and once only."""
    desk = Desk(tmp_path)
    desk.path.write_text(NEW, encoding="utf-8")

    first = desk.look()
    early = list(desk.proposed)
    desk.look(after=first)
    for _ in range(5):
        desk.look(after=BETWEEN_LOOKS_S)

    assert (first, early, desk.proposed) == (STILL_S, [], [NEW])


def test_a_file_replaced_by_rename_is_handed_on(tmp_path: Path) -> None:
    """The new file is seen though it is another one under the name."""
    desk = Desk(tmp_path)

    for text in (NEW, OLD, NEW):
        desk.write_beside_and_rename(text)
        desk.settle()

    assert desk.proposed == [NEW, OLD, NEW]


def test_half_a_file_is_not_handed_on(tmp_path: Path) -> None:
    """As long as an editor goes on writing, the second begins anew."""
    desk = Desk(tmp_path)

    for length in range(5, len(NEW) + 1):
        desk.path.write_text(NEW[:length], encoding="utf-8")
        desk.look(after=STILL_S - 0.1)
    seen_while_writing = list(desk.proposed)
    desk.settle()

    assert (seen_while_writing, desk.proposed) == ([], [NEW])


def test_a_file_that_is_deleted_and_written_anew_is_handed_on(tmp_path: Path) -> None:
    """In between there is nothing to propose, however long it lasts."""
    desk = Desk(tmp_path)

    desk.path.unlink()
    for _ in range(3):
        desk.look(after=BETWEEN_LOOKS_S)
    while_gone = list(desk.proposed)
    desk.path.write_text(NEW, encoding="utf-8")
    desk.settle()

    assert (while_gone, desk.proposed) == ([], [NEW])


def test_a_deleted_file_that_comes_back_as_it_was_is_no_proposal(tmp_path: Path) -> None:
    """The same text is no news, whatever became of the file meanwhile."""
    desk = Desk(tmp_path)

    desk.path.unlink()
    desk.settle()
    desk.write_beside_and_rename(OLD)
    desk.settle()

    assert desk.proposed == []


def test_a_backup_and_a_new_file_is_handed_on(tmp_path: Path) -> None:
    """An editor that moves the old file away and writes a new one is understood."""
    desk = Desk(tmp_path)

    desk.path.rename(desk.path.with_name("site.toml~"))
    desk.look()
    desk.path.write_text("", encoding="utf-8")
    desk.look(after=0.01)
    desk.path.write_text(NEW, encoding="utf-8")
    desk.settle()

    assert desk.proposed == [NEW]


def test_other_rights_are_no_proposal(tmp_path: Path) -> None:
    """Touching the file, or giving it to somebody, changes no text."""
    desk = Desk(tmp_path)

    desk.path.chmod(0o640)
    desk.settle()
    os.utime(desk.path)
    desk.settle()

    assert desk.proposed == []


def test_a_file_written_to_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read in that moment may be half a text: it waits for another still second."""
    desk = Desk(tmp_path)
    desk.path.write_text(NEW[:10], encoding="utf-8")
    desk.look()
    real = SiteFile.news

    def news(file: SiteFile) -> str | None:
        text = real(file)
        desk.path.write_text(NEW, encoding="utf-8")
        return text

    with monkeypatch.context() as patch:
        patch.setattr(SiteFile, "news", news)
        again_in = desk.look(after=STILL_S)
    after_the_race = list(desk.proposed)
    desk.settle()

    assert (again_in, after_the_race, desk.proposed) == (STILL_S, [], [NEW])


def test_a_refused_text_is_said_once_and_the_next_is_seen(tmp_path: Path) -> None:
    """The last good configuration stays, the log says what is wrong and how to mend it, and mending it works."""
    generations = Generations(tmp_path)
    generations.apply(OLD, "anna", "first")
    desk = Desk(tmp_path, lambda text: generations.apply(text, "site.toml", "edited"))

    with capture_logs() as logs:
        desk.path.write_text("[listen]\nworkers = 0\n", encoding="utf-8")
        for _ in range(5):
            desk.settle()
    while_wrong = load_active(tmp_path).generation
    desk.path.write_text(NEW, encoding="utf-8")
    desk.settle()

    assert [(entry["event"], entry["because"]) for entry in logs] == [
        ("config.proposal_refused", "listen.workers: must be from 1 to 16, not 0")
    ]
    assert (while_wrong, load_active(tmp_path).generation, load_active(tmp_path).listen.workers) == (1, 2, 3)
    assert SiteFile(tmp_path).news() is None


def test_a_text_that_cannot_be_read_is_said_once(tmp_path: Path) -> None:
    """What is no text is no proposal, and the next save is seen."""
    desk = Desk(tmp_path)

    with capture_logs() as logs:
        desk.path.write_bytes(b"# R\xf6ntgen\n")
        for _ in range(5):
            desk.settle()
    desk.path.write_text(NEW, encoding="utf-8")
    desk.settle()

    assert [entry["event"] for entry in logs] == ["config.proposal_unreadable"]
    assert desk.proposed == [NEW]


def test_a_failure_of_the_taker_does_not_end_the_watch(tmp_path: Path) -> None:
    """Whatever goes wrong with one text, the next one is handed on."""
    taken: list[str] = []

    def fail_first(text: str) -> None:
        taken.append(text)
        if len(taken) == 1:
            raise ValueError("not foreseen")

    desk = Desk(tmp_path, fail_first)
    with capture_logs() as logs:
        desk.path.write_text(NEW, encoding="utf-8")
        desk.settle()
    desk.path.write_text(OLD, encoding="utf-8")
    desk.settle()

    assert taken == [NEW, OLD]
    assert [entry["event"] for entry in logs] == ["config.proposal_failed"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the still second, and make looking without notices rare, so that what is seen soon was noticed."""
    monkeypatch.setattr(site_file_watch, "STILL_S", 0.1)
    monkeypatch.setattr(site_file_watch, "BETWEEN_LOOKS_S", 60.0)


@pytest.mark.usefixtures("quick")
def test_the_file_system_wakes_the_watch(tmp_path: Path) -> None:
    """A running watch sees every way of saving long before it would look by itself."""
    path, proposed = tmp_path / "site.toml", list[str]()

    with SiteFileWatch(SiteFile(tmp_path), proposed.append):
        path.write_text(OLD, encoding="utf-8")
        eventually(lambda: proposed == [OLD], message="a new file")
        draft = tmp_path / "draft"
        draft.write_text(NEW, encoding="utf-8")
        draft.replace(path)
        eventually(lambda: proposed == [OLD, NEW], message="a replaced file")
        path.unlink()
        path.write_text(OLD, encoding="utf-8")
        eventually(lambda: proposed == [OLD, NEW, OLD], message="a file deleted and written anew")

    assert SiteFile(tmp_path).news() is None


@pytest.mark.usefixtures("quick")
def test_what_changed_while_nobody_watched_is_seen_at_the_start(tmp_path: Path) -> None:
    """An edit of a stopped box is a proposal at its next start."""
    (tmp_path / "site.toml").write_text(NEW, encoding="utf-8")
    proposed: list[str] = []

    with SiteFileWatch(SiteFile(tmp_path), proposed.append):
        eventually(lambda: proposed == [NEW])


@pytest.mark.usefixtures("quick")
def test_without_notices_the_watch_looks_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no watches left, it is said, and changes are seen a little later."""

    def refuse(_observer: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Observer, "start", refuse)
    monkeypatch.setattr(site_file_watch, "BETWEEN_LOOKS_S", 0.1)
    proposed: list[str] = []

    with capture_logs() as logs, SiteFileWatch(SiteFile(tmp_path), proposed.append) as watch:
        (tmp_path / "site.toml").write_text(NEW, encoding="utf-8")
        eventually(lambda: proposed == [NEW])
        watch.close()

    assert [entry["event"] for entry in logs] == ["config.watch_polls"]
