"""The way from end to end: associations in, one destination out; this box beside Orthanc with its own automatic routing.

Promises: the time runs from the first association request until the destination has the last instance; CPU until the program is at rest
again, however long its queue is. The destination's CPU is nobody's.
Failures: `RunInvalidError`.
Limits: both programs keep what they sent. The box sends over as many associations as it does by default, Orthanc over as many as its jobs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import programs
from benchmarks.batches import Batch
from benchmarks.figures import Figure, Turn, of_turns
from benchmarks.journey import journey
from benchmarks.measuring import RATE, Load, prepared, require_held, take_turns
from benchmarks.scene import Scene, Storage, Work


@dataclass(frozen=True, slots=True)
class Forwarding(Work):
    """Receiving a batch and sending it on: Orthanc beside this box."""

    batch: Batch
    storage: Storage = Storage.DISK

    @property
    def programs(self) -> tuple[str, ...]:
        """Only Orthanc can do both."""
        return ("orthanc",)

    def measure(self, scene: Scene) -> list[Figure]:
        """Return the rates from end to end."""
        batch = replace(self.batch, count=scene.count(self.batch.count))
        work = f"end to end, {batch}, {self.storage}, to one storescp"
        scene.say(work)
        # A copy in the program, and one at the destination.
        with prepared(scene, batch, self.storage, copies=2) as (load, directory):
            turns = take_turns(scene, lambda name, load: _forward(name, load, directory), load)
        return [of_turns(work, RATE, turns)]


def _forward(name: str, load: Load, directory: Path) -> Turn:
    with journey(lambda port: programs.forwarder(name, port), load, directory) as way:
        before = way.program.rest()
        sent = way.send(load.work)
        way.destination.wait_for(load.count, load.work.length // load.work.count)
        cpu_s = way.program.rest() - before
        require_held(way.receiver, way.place, load.count)
        last = max(arrival.at for arrival in way.destination.arrivals().values())
    return Turn(load.work.count / (last - sent.began), cpu_s / load.work.gibibytes)
