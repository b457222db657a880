"""What has arrived at the destination."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import sink
from benchmarks.failures import RunInvalidError
from benchmarks.sink import Arrival, Sink


def test_an_arrival_is_the_last_write(tmp_path: Path) -> None:
    """A file counts with its length and the time the kernel noted."""
    (tmp_path / "CT.1").write_bytes(bytes(100))
    os.utime(tmp_path / "CT.1", (1.0, 1234.5))

    assert Sink(tmp_path, 0).arrivals() == {"CT.1": Arrival(100, 1234.5)}
    assert Sink(tmp_path, 0).last_at() == 1234.5


def test_only_whole_files_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file is no instance, and one that lacks some lengths of groups is."""
    monkeypatch.setattr(sink, "_PATIENCE_S", 0.05)
    (tmp_path / "CT.1").write_bytes(bytes(98))
    (tmp_path / "CT.2").write_bytes(bytes(50))

    Sink(tmp_path, 0).wait_for(1, length=100, look_s=0.01)
    with pytest.raises(RunInvalidError, match="1 of 2"):
        Sink(tmp_path, 0).wait_for(2, length=100, look_s=0.01)
