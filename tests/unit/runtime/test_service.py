"""A daemon is known to be alive for as long as it is, and looking at it does not stop another from starting."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from appliance.runtime.service import DaemonRunningError, Service, living


def test_a_daemon_is_alive_until_it_ends(tmp_path: Path) -> None:
    """It shows as starting, then as ready, then not at all."""
    with Service("router", tmp_path) as service:
        starting = [(daemon.name, daemon.ready) for daemon in living(tmp_path)]
        service.ready()
        ready = [(daemon.name, daemon.ready) for daemon in living(tmp_path)]
    ended = living(tmp_path)

    assert (starting, ready, ended) == ([("router", False)], [("router", True)], [])


def test_a_second_one_is_refused(tmp_path: Path) -> None:
    """The same daemon does not run twice on one data directory."""
    with Service("router", tmp_path), pytest.raises(DaemonRunningError), Service("router", tmp_path):
        pass


def test_a_look_at_the_wrong_moment_does_not_stop_a_start(tmp_path: Path) -> None:
    """Whoever asks who is alive holds the lock for a moment; the daemon waits that moment out."""
    (tmp_path / "alive").mkdir()
    with (tmp_path / "alive" / "router.0").open("wb") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        threading.Timer(0.2, fcntl.flock, (looked_at, fcntl.LOCK_UN)).start()

        with Service("router", tmp_path):
            alive = [daemon.name for daemon in living(tmp_path)]

    assert alive == ["router"]
