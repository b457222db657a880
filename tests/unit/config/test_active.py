"""The configuration in force as daemons see it: the same object until it changes, the last good one whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.config.active import ActiveSite
from appliance.config.generations import Generations
from appliance.config.load import ActiveConfigMissingError, activate, load_active
from tests.fakes.clock import FakeClock
from tests.unit.config.texts import site_of


def _apply(data: Path, workers: int) -> None:
    Generations(data).apply(f"[listen]\nworkers = {workers}\n", "anna", "test")


def _active(data: Path, clock: FakeClock) -> ActiveSite:
    _apply(data, 1)
    return ActiveSite(data, clock=clock)


def test_the_same_object_comes_back_until_it_changes(tmp_path: Path) -> None:
    """Nothing is read or made as long as nothing was put in force."""
    clock = FakeClock()
    active = _active(tmp_path, clock)
    first = active.current()

    clock.advance(60)

    assert active.current() is first
    assert (first.generation, first.listen.workers) == (1, 1)


def test_a_change_is_seen_within_a_second(tmp_path: Path) -> None:
    """Within the second the old one is given, after it the new one."""
    clock = FakeClock()
    active = _active(tmp_path, clock)
    _apply(tmp_path, 3)

    at_once = active.current()
    clock.advance(1)

    assert (at_once.generation, active.current().generation, active.current().listen.workers) == (1, 2, 3)


def test_a_poke_makes_a_change_seen_at_once(tmp_path: Path) -> None:
    """Whoever knows that something changed need not wait."""
    active = _active(tmp_path, FakeClock())
    _apply(tmp_path, 3)

    active.poke()

    assert active.current().generation == 2


def test_a_snapshot_stays_what_it_was(tmp_path: Path) -> None:
    """Who began with one configuration keeps it, whatever comes into force."""
    active = _active(tmp_path, FakeClock())
    begun_with = active.current()
    _apply(tmp_path, 3)
    active.poke()

    active.current()

    assert (begun_with.generation, begun_with.listen.workers) == (1, 1)


def test_the_same_content_again_is_the_same_object(tmp_path: Path) -> None:
    """A copy that was written anew, and says the same, makes nobody start over."""
    active = _active(tmp_path, FakeClock())
    first = active.current()
    activate(tmp_path, load_active(tmp_path))

    active.poke()

    assert active.current() is first


def _zeros(path: Path) -> None:
    path.write_bytes(b"\0" * 100)


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _gone(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [_zeros, _half, _gone, _folder])
def test_a_damaged_file_leaves_the_last_good_one(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Whatever happens to the file, daemons go on with what they have, and say so once."""
    clock = FakeClock()
    active = _active(tmp_path, clock)
    first = active.current()
    damage(tmp_path / "config" / "active.json")

    with capture_logs() as logs:
        for _ in range(5):
            clock.advance(1)
            assert active.current() is first

    assert [(entry["event"], entry["log_level"], entry["generation"]) for entry in logs] == [("config.kept_last_good", "error", 1)]


def test_a_mended_file_is_taken_over(tmp_path: Path) -> None:
    """After the damage the next whole file counts."""
    active = _active(tmp_path, FakeClock())
    _zeros(tmp_path / "config" / "active.json")
    active.poke()
    active.current()

    _apply(tmp_path, 3)
    active.poke()

    assert active.current().generation == 2


def test_a_damaged_file_at_the_start_is_fallen_back_from(tmp_path: Path) -> None:
    """A daemon that starts with a damaged file takes the newest whole generation, and the next change after that."""
    _apply(tmp_path, 1)
    _zeros(tmp_path / "config" / "active.json")

    active = ActiveSite(tmp_path, clock=FakeClock())
    begun_with = active.current()
    _apply(tmp_path, 3)
    active.poke()

    assert (begun_with.generation, active.current().generation) == (1, 2)


def test_without_any_configuration_there_is_no_start(tmp_path: Path) -> None:
    """A daemon started before the box is told what to do."""
    with pytest.raises(ActiveConfigMissingError):
        ActiveSite(tmp_path)


def test_threads_share_it(tmp_path: Path) -> None:
    """However many ask while it changes, each gets a whole configuration, and none goes back to an older one."""
    active = _active(tmp_path, FakeClock())
    done, wrong = threading.Event(), list[object]()

    def ask() -> None:
        last = 0
        while not done.is_set():
            active.poke()
            site = active.current()
            if site.generation < last or site != site_of_number[site.generation]:
                wrong.append((last, site.generation))
            last = site.generation

    site_of_number = {number: site_of(f"[listen]\nworkers = {number}\n") for number in range(1, 9)}
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for workers in range(2, 9):
        _apply(tmp_path, workers)
    done.set()
    for thread in threads:
        thread.join()

    active.poke()
    assert (wrong, active.current().generation) == ([], 8)
