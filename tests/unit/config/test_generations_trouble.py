"""Generations when things go wrong: power cuts, full disks, damaged files, two writers."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest
from structlog.testing import capture_logs

from appliance.config.generations import GenerationDamagedError, Generations
from appliance.config.load import ActiveConfigUnwritableError, ConfigInvalidError, activate, default_site, load_active
from appliance.config.record import GenerationRecord, text_digest
from appliance.config.writer_lock import ConfigBusyError
from tests.fakes.clock import FakeClock
from tests.unit.config.texts import a_destination, site_of

OLD = "# old\n[listen]\nworkers = 1\n"
NEW = "# new\n[listen]\nworkers = 3\n"

# What a change does to the disk, step by step.
STEPS = ("open", "fsync", "replace", "unlink", "mkdir")


# More than any change takes.
MOST_STEPS = 100


class PowerCutError(BaseException):
    """The machine is off: nothing that would tidy up runs into it."""


class Trouble:
    """Lets the first `good` steps on the disk succeed, and breaks the next one (or all from there on)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, good: int, error: Callable[[], BaseException], *, lasting: bool = False) -> None:
        """Say how many steps go well, what then comes, and whether it stays."""
        self.seen: list[str] = []
        self._good = good
        self._error = error
        self._lasting = lasting
        self._patch = monkeypatch

    def __enter__(self) -> Self:
        """Let trouble come from now on."""
        for step in STEPS:
            self._patch.setattr(os, step, self._breaking(step, getattr(os, step)))
        return self

    def __exit__(self, *_: object) -> None:
        """Let everything succeed again."""
        self._patch.undo()

    @property
    def came(self) -> bool:
        """Whether there were enough steps for the trouble to come."""
        return len(self.seen) > self._good

    def _breaking(self, step: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object, **options: object) -> object:
            self.seen.append(step)
            position = len(self.seen) - 1
            if position == self._good or (self._lasting and position > self._good):
                raise self._error()
            return real(*arguments, **options)

        return call


def _full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def _data_with_old(tmp_path: Path, name: str) -> Path:
    data = tmp_path / name
    Generations(data).apply(OLD, "anna", "old")
    return data


def test_a_power_cut_at_any_step_leaves_the_old_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever step is the last, one of the two is in force whole, the history is whole, and the next change works."""
    outcomes, trouble = set(), Trouble(monkeypatch, 0, PowerCutError)
    for step in range(MOST_STEPS):
        data = _data_with_old(tmp_path, str(step))
        trouble = Trouble(monkeypatch, step, PowerCutError)
        try:
            with trouble:
                Generations(data).apply(NEW, "anna", "new")
        except PowerCutError:
            pass

        site, generations = load_active(data), Generations(data)
        current = generations.current()
        assert current is not None
        assert (current.number, current.site, current.site.generation) == (site.generation, site, site.generation)
        assert (site, site.generation) in [(site_of(OLD), 1), (site_of(NEW), 2)]
        states = {info.number: info.state for info in generations.history()}
        assert states in [{1: "active"}, {1: "active", 2: "unfinished"}, {1: "earlier", 2: "active"}]
        outcomes.add(str(states))
        again = generations.apply(NEW, "anna", "again")
        assert (load_active(data), load_active(data).generation) == (site_of(NEW), again.number)
        assert generations.read(again.number).text == NEW
        if not trouble.came:
            break

    assert not trouble.came
    assert len(outcomes) == 3


@pytest.mark.parametrize("lasting", [False, True])
def test_a_full_disk_at_any_step_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, lasting: bool) -> None:
    """An error is said; what was in force stays, unless the new one is in force and only unconfirmed, which is said too."""
    trouble = Trouble(monkeypatch, 0, _full)
    for step in range(MOST_STEPS):
        data = _data_with_old(tmp_path, str(step))
        trouble = Trouble(monkeypatch, step, _full, lasting=lasting)
        said = ""
        try:
            with trouble:
                Generations(data).apply(NEW, "anna", "new")
        except ActiveConfigUnwritableError as error:
            said = str(error)

        site = load_active(data)
        if site.generation == 1:
            assert said == "the configuration cannot be written to the data directory (No space left on device)"
        else:
            assert said in {"", "generation 2 is in force, but the disk did not confirm it (No space left on device)"}
        if not trouble.came:
            break
        applied = Generations(data).apply(NEW, "anna", "again")
        assert (load_active(data), load_active(data).generation) == (site_of(NEW), applied.number)
        # Where not even removing works, the draft stays; it is nobody's.
        assert lasting or [path.name for path in data.rglob("*.new")] == []

    assert not trouble.came


def test_nothing_gets_its_name_before_its_content_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is synced before it is renamed, its folder after; the copy in force is the last of the three."""
    data = _data_with_old(tmp_path, "data")
    renamed: list[str] = []
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        renamed.append(Path(target).name)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    trouble = Trouble(monkeypatch, 1000, _full)
    with trouble:
        Generations(data).apply(NEW, "anna", "new")

    steps = [step for step in trouble.seen if step in {"fsync", "replace"}]
    assert steps == ["fsync", "replace", "fsync"] * 3
    assert renamed == ["2.toml", "2.json", "active.json"]


def test_a_failed_change_leaves_no_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last rename fails, what was prepared is gone, and the number is used for the next change."""
    data = _data_with_old(tmp_path, "data")
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(target).name == "active.json":
            raise _full()
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(ActiveConfigUnwritableError):
            Generations(data).apply(NEW, "anna", "new")

    assert sorted(path.name for path in (data / "config" / "generations").iterdir()) == ["1.json", "1.toml"]
    assert Generations(data).apply(NEW, "anna", "new").number == 2


def _three(data: Path) -> Generations:
    generations = Generations(data)
    for workers in (1, 2, 3):
        generations.apply(f"[listen]\nworkers = {workers}\n", "anna", "test")
    return generations


def _damage(path: Path) -> None:
    # What a file looks like whose blocks never reached the disk.
    path.write_bytes(b"\0" * path.stat().st_size)


@pytest.mark.parametrize("gone", [False, True])
def test_a_damaged_newest_generation_falls_back_to_the_last_good_one(tmp_path: Path, *, gone: bool) -> None:
    """With the copy in force and its file both damaged or gone, the generation before is in force, and the log says so."""
    generations = _three(tmp_path)
    for path in (tmp_path / "config" / "active.json", tmp_path / "config" / "generations" / "3.json"):
        path.unlink() if gone else _damage(path)

    with capture_logs() as logs:
        site, current = load_active(tmp_path), generations.current()

    assert current is not None
    assert (site.generation, site.listen.workers, current.number) == (2, 2, 2)
    assert {(entry["event"], entry["log_level"], entry["generation"]) for entry in logs} == {("config.fell_back", "error", 2)}
    states = [(info.number, info.state) for info in generations.history()]
    assert states == ([(2, "active"), (1, "earlier")] if gone else [(3, "damaged"), (2, "active"), (1, "earlier")])


def test_after_a_fall_back_the_box_goes_on(tmp_path: Path) -> None:
    """The copy in force is mended at the next start or change, and no number is used twice."""
    generations = _three(tmp_path)
    for path in (tmp_path / "config" / "active.json", tmp_path / "config" / "generations" / "3.json"):
        _damage(path)

    restored = generations.restore()
    applied = generations.apply("[listen]\nworkers = 5\n", "anna", "on")

    assert restored is not None
    assert (restored.number, applied.number, load_active(tmp_path).listen.workers) == (2, 4, 5)
    states = [(info.number, info.state) for info in generations.history()]
    assert states == [(4, "active"), (3, "damaged"), (2, "earlier"), (1, "earlier")]


def test_the_same_text_mends_a_damaged_copy(tmp_path: Path) -> None:
    """Applying what is in force already is enough to have it in force whole."""
    generations = _three(tmp_path)
    _damage(tmp_path / "config" / "active.json")

    applied = generations.apply("[listen]\nworkers = 3\n", "anna", "again")

    assert (applied.number, applied.is_new) == (3, False)
    with capture_logs() as logs:
        assert load_active(tmp_path).generation == 3
    assert logs == []


def test_a_damaged_file_of_the_generation_in_force_harms_nobody(tmp_path: Path) -> None:
    """The copy in force holds everything: it is read, compared with and rolled back to."""
    generations = _three(tmp_path)
    _damage(tmp_path / "config" / "generations" / "3.json")

    with capture_logs() as logs:
        applied = generations.apply("[listen]\nworkers = 3\n", "anna", "again")

    assert (applied.number, applied.is_new, generations.read(3).site.listen.workers) == (3, False, 3)
    assert generations.history()[0].state == "active"
    assert ("config.generation_damaged", 3) in [(entry["event"], entry["generation"]) for entry in logs]


def test_a_damaged_earlier_generation_is_said(tmp_path: Path) -> None:
    """It cannot be read or rolled back to, and everything else goes on."""
    generations = _three(tmp_path)
    _damage(tmp_path / "config" / "generations" / "2.json")

    with pytest.raises(GenerationDamagedError, match="generation 2 "):
        generations.rollback(2, "anna", "back")

    assert [(info.number, info.state) for info in generations.history()] == [(3, "active"), (2, "damaged"), (1, "earlier")]
    assert generations.history()[1].activated_at is None
    assert generations.rollback(1, "anna", "back").number == 4


def test_a_record_under_another_number_is_damaged(tmp_path: Path) -> None:
    """A file that was copied over another is not believed."""
    generations = _three(tmp_path)
    home = tmp_path / "config" / "generations"
    (home / "2.json").write_bytes((home / "1.json").read_bytes())

    with pytest.raises(GenerationDamagedError):
        generations.read(2)


@pytest.mark.parametrize("content", [None, b"\xff", b"[listen]\nworkers = 9\n"], ids=["gone", "no text", "another text"])
def test_a_lost_text_is_written_anew(tmp_path: Path, content: bytes | None) -> None:
    """Without its source text a generation still has all its settings; its remarks are said to be lost."""
    generations = _three(tmp_path)
    path = tmp_path / "config" / "generations" / "1.toml"
    path.unlink() if content is None else path.write_bytes(content)

    applied = generations.rollback(1, "anna", "back")

    assert (generations.read(1).is_original, load_active(tmp_path).listen.workers) == (False, 1)
    assert ("generation 1", "the text it came from is lost") in [(problem.where, problem.problem) for problem in applied.problems]


def test_a_rollback_is_judged_by_todays_rules(tmp_path: Path) -> None:
    """What an earlier version took, and this one refuses, does not come back by a rollback."""
    generations = _three(tmp_path)
    text = '[listen]\nworkers = 1\n\n[[route]]\nname = "a"\nto = ["nowhere"]\n'
    site = default_site()
    record = GenerationRecord.of(site, number=4, activated_at=0, previous=3, source_digest=text_digest(text))
    (tmp_path / "config" / "generations" / "4.json").write_bytes(record.encode())
    (tmp_path / "config" / "generations" / "4.toml").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigInvalidError, match="no destination is named"):
        generations.rollback(4, "anna", "back")

    assert load_active(tmp_path).generation == 3


def test_ids_of_another_version_are_remembered(tmp_path: Path) -> None:
    """A generation that this version cannot use still says which ids were taken."""
    generations = _three(tmp_path)
    values = {"destination": [{"id": "x", "name": "a", "kind": "stow", "url": "https://a"}]}
    record = GenerationRecord(4, 3, 0.0, "", "", "", values)
    (tmp_path / "config" / "generations" / "4.json").write_bytes(record.encode())

    with pytest.raises(ConfigInvalidError, match='"x" was the id of "a"'):
        generations.apply(a_destination('id = "x"'), "anna", "reuse")


def test_other_files_among_the_generations_are_left_alone(tmp_path: Path) -> None:
    """A copy somebody made, or a draft of a killed run, is no generation."""
    generations = _three(tmp_path)
    home = tmp_path / "config" / "generations"
    for name in ("3 (copy).json", "03.json", "4.json.new", "notes.txt"):
        (home / name).write_text("?", encoding="utf-8")

    assert [info.number for info in generations.history()] == [3, 2, 1]
    assert generations.apply(OLD, "anna", "on").number == 4


def test_one_change_at_a_time(tmp_path: Path) -> None:
    """Many at once all come into force, one after the other, each compared with the one before."""
    results: list[int] = []

    def change(workers: int) -> None:
        results.append(Generations(tmp_path).apply(f"[listen]\nworkers = {workers}\n", "anna", "race").number)

    threads = [threading.Thread(target=change, args=(workers,)) for workers in range(3, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    generations = Generations(tmp_path)
    assert sorted(results) == list(range(1, 9))
    assert [info.state for info in generations.history()] == ["active", *["earlier"] * 7]
    assert all(len(generations.changes(number)) == 1 for number in results)


def test_a_stuck_writer_is_waited_for_a_while(tmp_path: Path) -> None:
    """After ten seconds the change is refused, with nothing changed; when the other is gone it works."""
    generations = Generations(tmp_path, clock=FakeClock())
    generations.apply(OLD, "anna", "old")
    with (tmp_path / "config" / "lock").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ConfigBusyError):
            generations.apply(NEW, "anna", "new")

    assert load_active(tmp_path).generation == 1
    assert generations.apply(NEW, "anna", "new").number == 2


def test_a_data_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """Something in the way of the folder is one line."""
    (tmp_path / "config").write_text("in the way", encoding="utf-8")

    with pytest.raises(ActiveConfigUnwritableError, match="File exists"):
        Generations(tmp_path).apply(NEW, "anna", "new")


def test_a_copy_that_cannot_be_mended_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start on a full disk with a damaged copy is refused in one line, and nothing is lost."""
    generations = _three(tmp_path)
    activate(tmp_path, site_of(OLD))

    with Trouble(monkeypatch, 3, _full, lasting=True), pytest.raises(ActiveConfigUnwritableError):
        generations.restore()

    assert load_active(tmp_path) == site_of(OLD)
