"""The router's pace: at once after an idle moment, together in a burst."""

from __future__ import annotations

import threading
from pathlib import Path

from appliance.ledger.instances import InstanceState
from appliance.runtime.wakeup import HintListener
from tests.unit.route.bench import Bench
from tests.unit.route.sites import a_route, a_site

_EVERYTHING = a_site(routes=[a_route("everything", "archive")])


class _Burst(threading.Event):
    """A stop that is never asked for while a scanner goes on sending: three images come whenever the router pauses, twice."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses.append(timeout)
        if len(self.pauses) <= 2:
            for number in range(3):
                self._bench.receive_image(f"1.2.3.{len(self.pauses)}.{number}")
        return self.is_set()


class _Idle(HintListener):
    """The end of the burst: nothing more comes, and the router is told to stop."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def wait(self, timeout_s: float) -> bool:
        assert timeout_s > 0
        self._stopping.set()
        return False


def test_what_comes_while_the_router_pauses_is_recorded_together(tmp_path: Path) -> None:
    """The first image is recorded alone and at once; each three that came during a pause of at most 50 ms share a transaction."""
    bench = Bench(tmp_path, _EVERYTHING)
    bench.receive_image("1.2.3.0.1")
    stopping = _Burst(bench)

    bench.router.run(stopping, _Idle(stopping))

    assert bench.woken == 3
    assert bench.counts() == {InstanceState.STORED: 7}
    assert len(stopping.pauses) == 3
    assert all(0 <= pause <= 0.05 for pause in stopping.pauses)


def test_a_full_batch_is_followed_without_a_pause(tmp_path: Path) -> None:
    """A backlog is worked off as fast as it can be; only the last, smaller batch is followed by a pause."""
    bench = Bench(tmp_path, _EVERYTHING)
    for number in range(60):
        bench.receive_image(f"1.2.3.9.{number}")
    stopping = _Burst(bench)
    stopping.pauses = [0.0, 0.0]

    bench.router.run(stopping, _Idle(stopping))

    assert bench.counts() == {InstanceState.STORED: 60}
    assert len(stopping.pauses) == 3
