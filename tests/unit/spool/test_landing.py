"""The folder in which objects appear: one fsync for all who wait for it, and its error for all of them."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.spool.landing import Landing
from tests.support.eventually import eventually

_PATIENCE_S = 20.0


@dataclass
class _SlowDisk:
    """An fsync that waits until it is let through, and fails as often as it is told to."""

    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    calls: int = 0
    failures: list[int] = field(default_factory=list)

    def fsync(self, _descriptor: int) -> None:
        self.calls += 1
        assert self.gate.acquire(timeout=_PATIENCE_S)
        if self.failures:
            number = self.failures.pop(0)
            raise OSError(number, os.strerror(number))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> _SlowDisk:
    """Put a slow disk under everything."""
    slow = _SlowDisk()
    monkeypatch.setattr(os, "fsync", slow.fsync)
    return slow


@pytest.fixture
def landing(tmp_path: Path) -> Iterator[Landing]:
    """Make one in an empty folder."""
    made = Landing(tmp_path)
    yield made
    made.close()


class _Waiter(threading.Thread):
    """Somebody who wants the names that are there to be durable."""

    def __init__(self, landing: Landing) -> None:
        super().__init__(daemon=True)
        self._landing = landing
        self.outcome: int | None = None
        self.start()

    def run(self) -> None:
        try:
            self._landing.sync()
        except OSError as error:
            self.outcome = error.errno
        else:
            self.outcome = 0


def _outcomes(waiters: list[_Waiter]) -> list[int | None]:
    for waiter in waiters:
        waiter.join(_PATIENCE_S)
    return [waiter.outcome for waiter in waiters]


def _wait_for_calls(disk: _SlowDisk, calls: int) -> None:
    eventually(lambda: disk.calls == calls, within=_PATIENCE_S, message="the fsync to begin")


def test_who_asks_while_an_fsync_runs_is_not_served_by_it(disk: _SlowDisk, landing: Landing) -> None:
    """Its name may have come after the fsync looked; all who asked meanwhile share the next one."""
    first = _Waiter(landing)
    _wait_for_calls(disk, 1)
    others = [_Waiter(landing) for _ in range(5)]
    eventually(lambda: landing._next.riders == 5, within=_PATIENCE_S, message="the others to ask")

    disk.gate.release()
    assert _outcomes([first]) == [0]
    _wait_for_calls(disk, 2)
    assert [waiter.outcome for waiter in others] == [None] * 5
    disk.gate.release()

    assert _outcomes(others) == [0] * 5
    assert disk.calls == 2


def test_an_error_is_told_to_all_who_waited_for_it(disk: _SlowDisk, landing: Landing) -> None:
    """Nobody may take the failed fsync of another for a success, and the next fsync is a new one."""
    disk.failures = [errno.EIO, errno.ENOSPC]
    first = _Waiter(landing)
    _wait_for_calls(disk, 1)
    others = [_Waiter(landing) for _ in range(3)]
    eventually(lambda: landing._next.riders == 3, within=_PATIENCE_S, message="the others to ask")
    for _ in range(3):
        disk.gate.release()

    assert _outcomes([first]) == [errno.EIO]
    assert _outcomes(others) == [errno.ENOSPC] * 3
    assert _outcomes([_Waiter(landing)]) == [0]


def test_the_folder_is_opened_again_after_it_was_closed(landing: Landing) -> None:
    """A spool may be used after `close`."""
    landing.sync()
    landing.close()

    landing.sync()
