"""Hints wake, and cost nothing when nobody listens."""

from __future__ import annotations

from pathlib import Path

from appliance.runtime.wakeup import HintListener, hint


def test_a_hint_wakes_and_many_are_one(tmp_path: Path) -> None:
    """Any number of hints is one wake-up."""
    listener = HintListener(tmp_path, "router")
    for _ in range(5):
        hint(tmp_path, "router")

    first, second = listener.wait(1), listener.wait(0)
    listener.close()

    assert (first, second) == (True, False)


def test_hints_to_nobody_are_lost_quietly(tmp_path: Path) -> None:
    """No listener, a dead listener's socket and a full one raise nothing."""
    hint(tmp_path, "nobody")
    hint(tmp_path / "missing", "nobody")
    listener = HintListener(tmp_path, "full")
    for _ in range(5000):
        hint(tmp_path, "full")
    listener.close()

    hint(tmp_path, "full")


def test_a_long_data_directory_still_has_sockets(tmp_path: Path) -> None:
    """A socket address holds 107 bytes; a path may be longer."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)

    listener = HintListener(deep, "router")
    hint(deep, "router")
    woken = listener.wait(1)
    listener.close()

    assert woken
