"""A real file system that is full: the spool says so, leaves nothing, and goes on when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.spool.store import Spool, SpoolWriteError
from tests.unit.spool.builders import a_header, a_spool, files_under


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount small file systems in memory; they are gone after the test."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"small{len(mounted)}"
        place.mkdir()
        if os.geteuid() != 0:
            pytest.skip("mounting a file system needs root")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


def _fill(spool: Spool, length: int) -> SpoolWriteError:
    """Receive objects until one fails; that one's error."""
    for _ in range(1000):
        try:
            with spool.admit(a_header()) as entry:
                for _ in range(length // 50_000 + 1):
                    entry.write(bytes(50_000))
                entry.commit()
        except SpoolWriteError as error:
            return error
    raise AssertionError("the file system never became full")


@pytest.mark.parametrize("unnamed", [True, False])
@pytest.mark.parametrize("options", ["size=2m", "size=64m,nr_inodes=40"], ids=["bytes", "inodes"])
def test_a_full_file_system_is_told_and_nothing_is_left(small: Callable[[str], Path], options: str, *, unnamed: bool) -> None:
    """No bytes or no inodes: `full`, only whole objects in the spool, and one more is taken when one is gone."""
    place = small(options)
    spool = a_spool(place / "data") if unnamed else a_spool(place / "data", unnamed=lambda _: None)

    error = _fill(spool, 300_000 if "nr_inodes" not in options else 1000)

    assert error.full
    names = spool.incoming()
    assert names
    assert sorted(place / "data/spool/incoming" / str(name) for name in names) == files_under(place / "data/spool")
    for name in names:
        with spool.open(name) as sealed:
            while sealed.read(1 << 20):
                pass
    spool.remove(names[0])
    assert _fill(spool, 1000).full
    assert len(spool.incoming()) >= len(names)
    spool.close()


def test_a_full_file_system_gives_its_space_back(small: Callable[[str], Path]) -> None:
    """A failed object costs no byte: what was free before is free after."""
    spool = a_spool(small("size=1m") / "data")
    before = spool.space()

    error = None
    try:
        with spool.admit(a_header()) as entry:
            entry.write(bytes(4 << 20))
    except SpoolWriteError as raised:
        error = raised

    assert error is not None
    assert error.full
    assert before == spool.space()
