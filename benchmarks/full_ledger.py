"""What a ledger that has long been in use costs: two boxes that differ in nothing else, side by side, in turn.

Both are started once, warmed up and at rest before the first round; in each round each of them receives and delivers a batch of its own,
while the other is idle. The batch is small objects, because a large one would hide the ledger behind its bytes.

Promises: the figures are quotients of the two boxes in the same round. CPU is of the daemon named, from the first instance until the box is
at rest; the time from the association request until the destination has the last instance.
Failures: `RunInvalidError`; `BenchmarkError` from filling the ledger.
Limits: after the rounds the empty ledger is one of some thousand instances. CPU is counted in ticks of 10 ms.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import accounting, ledger_filling
from benchmarks.batches import Batch, Written
from benchmarks.box import Box
from benchmarks.figures import Figure, alone
from benchmarks.journey import Journey, journey
from benchmarks.measuring import prepared, require_held
from benchmarks.receivers import Place, Receiver
from benchmarks.running import Start
from benchmarks.scene import Scene, Storage, Work

_QUICK_ROWS = 20_000
# An instance with its delivery and attempt takes some 800 bytes: in the ledger, its copy, and the snapshot that the box makes.
_ROW_BYTES = 3 * 1000
_DAEMONS = ("router", "sender")
_COSTS = {"router": "CPU of the router, each received", "sender": "CPU of the sender, each delivered", "time": "time, each"}
# Every instance of the small kinds has more bytes; the counted files are as good as whole (`sink`).
_SMALLEST = 16 << 10
_EMPTY, _FULL = "empty", "full"


@dataclass(frozen=True, slots=True)
class _Cost:
    """What an instance cost a box, in milliseconds, by what it cost: CPU by daemon, and time."""

    of: Mapping[str, float]


class UsedBox(Box):
    """A box that finds a data directory which was in use before."""

    def __init__(self, destination: int, used: Path) -> None:
        """Send on to this port; begin with a copy of this data directory."""
        super().__init__(destination)
        self._used = used

    def prepare(self, place: Place) -> Start:
        """Copy the directory and write a site.toml."""
        shutil.copytree(self._used, place.data, dirs_exist_ok=True)
        return super().prepare(place)


@dataclass(frozen=True, slots=True)
class FullLedger(Work):
    """A ledger of this many instances beside an empty one, and the batch that both boxes get in each round."""

    instances: int
    batch: Batch

    def measure(self, scene: Scene) -> list[Figure]:
        """Return how many times as much an instance costs with the full ledger: the router, the sender, and the time."""
        rows = round(scene.pick(self.instances, _QUICK_ROWS))
        count = scene.count(self.batch.count)
        work = f"{rows:,} instances in the ledger beside none, {count:,} small ones end to end"
        scene.say(work)
        used = ledger_filling.filled(rows, scene.kept, scene.say)
        # Every round has instances that were not there before.
        whole = replace(self.batch, count=count * scene.rounds * 2, associations=scene.rounds * 2)
        with prepared(scene, whole, Storage.DISK, copies=4, beside=rows * _ROW_BYTES) as (load, directory), contextlib.ExitStack() as stack:
            boxes: dict[str, Callable[[int], Receiver]] = {_EMPTY: Box, _FULL: lambda port: UsedBox(port, used)}
            ways = {name: stack.enter_context(journey(box, load, directory / name)) for name, box in boxes.items()}
            # What the second one does at its start is done when both are at rest.
            ways[_EMPTY].program.rest()
            parts = load.work.apart()
            rounds = [{name: _cost(way, parts.pop()) for name, way in ways.items()} for _ in range(scene.rounds)]
            for name, way in ways.items():
                require_held(way.receiver, way.place, load.warm_up.count + count * scene.rounds + (rows if name == _FULL else 0))
        return _figures(work, rounds)


def _cost(way: Journey, part: Written) -> _Cost:
    """Let a box receive and deliver a batch, and return what each instance cost."""
    there = len(way.destination.arrivals())
    before = accounting.cpu_by_daemon(way.program.session)
    sent = way.send(part)
    way.destination.wait_for(there + part.count, _SMALLEST)
    way.program.rest()
    after = accounting.cpu_by_daemon(way.program.session)
    last = max(arrival.at for arrival in way.destination.arrivals().values())
    cpu = {name: 1000 * (after[name] - before[name]) / part.count for name in _DAEMONS}
    return _Cost({**cpu, "time": 1000 * (last - sent.began) / part.count})


def _figures(work: str, rounds: Sequence[Mapping[str, _Cost]]) -> list[Figure]:
    figures = []
    for name, what in _COSTS.items():
        quotients = [costs[_FULL].of[name] / costs[_EMPTY].of[name] for costs in rounds]
        parts = {state: statistics.median(costs[state].of[name] for costs in rounds) for state in (_EMPTY, _FULL)}
        figures.append(alone(name, f"{work}: {what}", "x", quotients, parts=parts, of="ms"))
    return figures
