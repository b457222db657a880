"""Sending over a long line: this box and Orthanc with its automatic routing, which get the batch over the loopback, and `dcmsend` directly.

Promises: the time runs from the first association request to the program, of `dcmsend` itself, until the destination has the last instance;
nothing was sent over the line before, so that finding out how many associations it is worth is in it. The line is proved first.
Failures: `RunInvalidError`.
Limits: each program as its defaults are. The line used is counted in bytes of the files, without what any protocol adds. CPU
is not counted: everybody waits.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import accounting, line, programs, sender, sink
from benchmarks.batches import Batch, Written
from benchmarks.figures import OURS, Figure, alone
from benchmarks.journey import journey
from benchmarks.leftovers import clear
from benchmarks.line import Line
from benchmarks.measuring import RATE, Load, prepared, require_held
from benchmarks.receivers import DcmSend
from benchmarks.scene import Scene, Storage, Work
from benchmarks.sink import Sink

_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class Crossing:
    """What one program did in one round: instances a second, bytes of files a second, and its associations, looked at again and again."""

    rate: float
    bytes_per_s: float
    associations: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wan(Work):
    """A batch over a line."""

    batch: Batch
    line: Line

    @property
    def programs(self) -> tuple[str, ...]:
        """Who can send."""
        return ("orthanc", DcmSend.name)

    def measure(self, scene: Scene) -> list[Figure]:
        """Return the rates of all programs, and how much of the line ours used."""
        batch = replace(self.batch, count=scene.count(self.batch.count))
        work = f"over a line of {self.line}, {batch.count:,} x {' and '.join(batch.kinds)}, to one storescp"
        scene.say(work)
        crossings: dict[str, list[Crossing]] = {name: [] for name in scene.programs}
        with prepared(scene, batch, Storage.DISK, copies=2) as (load, directory):
            line.require_carries(self.line, directory)
            for number in range(1, scene.rounds + 1):
                for name in scene.programs:
                    crossing = self._direct(load, directory) if name == DcmSend.name else self._through(name, load, directory)
                    share = 100 * crossing.bytes_per_s / self.line.bytes_per_s
                    most = max(crossing.associations, default=0)
                    scene.say(f"round {number}: {name} {crossing.rate:.2f} {RATE}, {share:.0f} % of the line, at most {most} associations")
                    crossings[name].append(crossing)
        return figures(work, self.line, crossings)

    def _through(self, name: str, load: Load, directory: Path) -> Crossing:
        """Let a program receive the batch and send it on over the line."""
        way = journey(
            lambda port: programs.forwarder(name, port), load, directory, is_warm=False, through=lambda port: self._laid(port, directory)
        )
        with way as there, _watched(there.port) as associations:
            began = there.send(load.work).began
            crossing = _crossed(load.work, there.destination, began, associations)
            require_held(there.receiver, there.place, load.work.count)
        return crossing

    def _direct(self, load: Load, directory: Path) -> Crossing:
        """Send the batch itself over the line."""
        home = directory / "destination"
        clear(home)
        try:
            with sink.receiving(home) as destination, self._laid(destination.port, directory) as port, _watched(port) as associations:
                began = sender.send(load.work, port, "SINK", home).began
                return _crossed(load.work, destination, began, associations)
        finally:
            clear(home)

    def _laid(self, port: int, directory: Path) -> AbstractContextManager[int]:
        return line.laid(self.line, port, directory)


def figures(work: str, over: Line, crossings: dict[str, list[Crossing]]) -> list[Figure]:
    """Return the figures of what programs did."""
    ours = crossings[OURS]
    used = [100 * crossing.bytes_per_s / over.bytes_per_s for crossing in ours]
    seen = [count for crossing in ours for count in crossing.associations if count]
    parts = {"median": float(statistics.median(seen)), "most": float(max(seen))} if seen else {}
    return [
        Figure(work, RATE, {name: [crossing.rate for crossing in taken] for name, taken in crossings.items()}),
        alone("line used", f"{work}: of the line", "%", used, parts=parts, of="associations"),
    ]


def _crossed(work: Written, destination: Sink, began: float, associations: list[int]) -> Crossing:
    """Return when all has arrived."""
    destination.wait_for(work.count, work.length // work.count)
    took_s = destination.last_at() - began
    return Crossing(work.count / took_s, work.length / took_s, tuple(associations))


@contextlib.contextmanager
def _watched(port: int) -> Iterator[list[int]]:
    """Hand over a list to which the number of connections to the port is added again and again."""
    over = threading.Event()
    samples: list[int] = []

    def look() -> None:
        while not over.wait(_LOOK_S):
            samples.append(accounting.connections(port))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield samples
    finally:
        over.set()
        watcher.join()
