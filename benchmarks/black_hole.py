"""What a destination that swallows everything costs another one: two boxes side by side, in turn, of which one owes everything to both.

The black hole is a listening socket that nobody serves: the kernel takes the first connection, on which nothing is ever answered, and drops
what asks for more.

Promises: the time is from the association request until the good destination has the last instance; the figure is how much of the rate
is lost in the same round. Nothing is ever delivered to the black hole.
Failures: `RunInvalidError`.
Limits: the second delivery that each image owes is recorded too; what that costs is part of the loss.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.batches import Batch, Written
from benchmarks.box import Box
from benchmarks.figures import Figure, lost
from benchmarks.journey import Journey, journey
from benchmarks.measuring import RATE, prepared, require_held
from benchmarks.receivers import Receiver
from benchmarks.scene import Scene, Storage, Work

_ALONE, _BESIDE = "alone", "beside a black hole"


@dataclass(frozen=True, slots=True)
class BlackHole(Work):
    """The batch that both boxes get in each round."""

    batch: Batch

    def measure(self, scene: Scene) -> list[Figure]:
        """Return the loss in percent."""
        each = self.batch.associations
        # So many that every association has as many.
        count = -(-scene.count(self.batch.count) // each) * each
        work = f"{replace(self.batch, count=count)}, end to end, beside a black hole: rate lost"
        scene.say(work)
        # Every round has instances that were not there before, and both boxes get as many associations.
        whole = replace(self.batch, count=count * scene.rounds * 2, associations=each * scene.rounds * 2)
        with prepared(scene, whole, Storage.DISK, copies=2) as (load, directory), contextlib.ExitStack() as stack:
            hole = stack.enter_context(black_hole())
            boxes: dict[str, Callable[[int], Receiver]] = {_ALONE: Box, _BESIDE: lambda port: Box(port, beside=hole)}
            ways = {name: stack.enter_context(journey(box, load, directory / name)) for name, box in boxes.items()}
            ways[_ALONE].program.rest()
            parts = load.work.apart()
            rounds = []
            for number in range(scene.rounds):
                # Who begins changes: what the disk still writes of the one meets the other.
                order = [_ALONE, _BESIDE] if number % 2 == 0 else [_BESIDE, _ALONE]
                rounds.append({name: _rate(ways[name], [parts.pop() for _ in range(each)]) for name in order})
                scene.say(f"round {number + 1}: " + ", ".join(f"{name} {rate:.1f} {RATE}" for name, rate in rounds[-1].items()))
            for way in ways.values():
                require_held(way.receiver, way.place, load.warm_up.count + count * scene.rounds)
        return [loss(work, rounds)]


def loss(work: str, rounds: Sequence[Mapping[str, float]]) -> Figure:
    """Return how much of the rate was lost in percent, from the rates of the rounds."""
    return lost(work, rounds, alone_as=_ALONE, beside_as=_BESIDE, unit=RATE)


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """Hand over a port of this machine that takes a connection, never answers, and then takes no other."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        yield int(listener.getsockname()[1])


def _rate(way: Journey, parts: Sequence[Written]) -> float:
    """Let a box receive and deliver, and return the instances a second; it is at rest afterwards."""
    directories = tuple(home for part in parts for home in part.directories)
    batch = Written(directories, sum(part.count for part in parts), sum(part.length for part in parts))
    there = len(way.destination.arrivals())
    sent = way.send(batch)
    way.destination.wait_for(there + batch.count, batch.length // batch.count)
    took_s = way.destination.last_at() - sent.began
    way.program.rest()
    return batch.count / took_s
