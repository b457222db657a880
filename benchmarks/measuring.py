"""How programs are compared: every one in turn, round after round, each time from nothing; and reception, the work that all of them can do.

Promises: the programs take turns (A B C, A B C), so that a slow minute of the machine meets all of them; before the first round each
has a small turn that does not count. Each turn has an empty directory and nothing left to be written by the turn before; the
program gets some instances before the clock starts, so that no program's start is measured. A turn counts only when the program holds every
instance it was sent.
Failures: `RunInvalidError`.
Limits: CPU is counted from the first instance until the program is at rest again, the rate only until the last answer.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import batches, programs
from benchmarks.batches import Batch, Written
from benchmarks.failures import RunInvalidError
from benchmarks.figures import Figure, Turn, of_turns
from benchmarks.leftovers import clear
from benchmarks.receivers import Place, Receiver
from benchmarks.running import RunningProgram, running
from benchmarks.scene import Scene, Storage, Work
from benchmarks.sender import send

# What the disk alone can do is asked with fewer files, and little: it is for orientation, and is not a program's figure.
_PROBE_FILES, _PROBE_BYTES = 100, 256 << 20
# Several associations at once, so that more than one worker of a program has met one; enough that every library is loaded.
_WARM_UP_BYTES, _WARM_UP_COUNT, _WARM_UP_ASSOCIATIONS = 64 << 20, 32, 4
# Programs refuse to fill a disk: the box keeps 5 GiB free by default.
_BREATHING_SPACE = 6 << 30
RATE = "instances/s"


@dataclass(frozen=True, slots=True)
class Load:
    """What every program is sent in a turn: something to warm up with, then what is measured; or, once before all, a `trial` instead."""

    warm_up: Written
    trial: Written
    work: Written

    @property
    def count(self) -> int:
        """How many instances a turn brings."""
        return self.warm_up.count + self.work.count

    def as_trial(self) -> Load:
        """Return what is sent before the first round."""
        return replace(self, work=self.trial)


@dataclass(frozen=True, slots=True)
class Reception(Work):
    """Receiving a batch: the programs `peers` beside this box, on a kind of storage."""

    batch: Batch
    storage: Storage
    peers: tuple[str, ...]

    @property
    def programs(self) -> tuple[str, ...]:
        """The peers."""
        return self.peers

    def measure(self, scene: Scene) -> list[Figure]:
        """Return the rates of all programs."""
        batch = replace(self.batch, count=scene.count(self.batch.count))
        work = f"receive, {batch}, {self.storage}"
        scene.say(work)
        with prepared(scene, batch, self.storage) as (load, directory):
            synced = _synced_files(directory / "probe", load.work.length // load.work.count)
            turns = take_turns(scene, lambda name, load: receive(programs.named(name), load, directory / "turn"), load)
        return [of_turns(work, RATE, turns, [synced])]


@contextlib.contextmanager
def prepared(scene: Scene, batch: Batch, storage: Storage, *, copies: int = 1, beside: int = 0) -> Iterator[tuple[Load, Path]]:
    """Write what is to be sent, and hand it over with its directory.

    There is room for it, for as many copies as a turn makes of it, and for `beside` bytes.
    """
    length = batches.length(batch)
    with scene.room(storage, (1 + copies) * length + beside + _BREATHING_SPACE) as directory:
        count = max(1, min(_WARM_UP_COUNT, _WARM_UP_BYTES * batch.count // length))
        warm_up = replace(batch, count=count, associations=min(_WARM_UP_ASSOCIATIONS, count))
        warm, trial = (batches.write(warm_up, directory / name) for name in ("warm-up", "trial"))
        yield Load(warm, trial, batches.write(batch, directory / "work")), directory


def take_turns(scene: Scene, turn: Callable[[str, Load], Turn], load: Load) -> dict[str, list[Turn]]:
    """Return the turns of each program, by name: one to warm up does not count, then come the rounds of the scene."""
    turns: dict[str, list[Turn]] = {name: [] for name in scene.programs}
    for name in scene.programs:
        turn(name, load.as_trial())
    for number in range(1, scene.rounds + 1):
        for name in scene.programs:
            taken = turn(name, load)
            scene.say(f"round {number}: {name} {taken.rate:.1f} {RATE}, {taken.cpu_s_per_gib:.1f} CPU s/GiB")
            turns[name].append(taken)
    return turns


def receive(receiver: Receiver, load: Load, directory: Path) -> Turn:
    """Return what a program did when it received the load."""
    with started(receiver, directory) as (program, place):
        send(load.warm_up, place.port, receiver.called, directory)
        before = program.rest()
        sent = send(load.work, place.port, receiver.called, directory)
        cpu_s = program.rest() - before
        require_held(receiver, place, load.count)
    return Turn(load.work.count / sent.took_s, cpu_s / load.work.gibibytes)


@contextlib.contextmanager
def started(receiver: Receiver, directory: Path) -> Iterator[tuple[RunningProgram, Place]]:
    """Start a program in an empty directory, hand it over when it is ready, end it, and leave nothing to be written."""
    clear(directory)
    place = Place(directory)
    place.data.mkdir(parents=True)
    try:
        with running(receiver.name, receiver.prepare(place), lambda: receiver.is_ready(place)) as program:
            yield program, place
    finally:
        clear(directory)


def require_held(receiver: Receiver, place: Place, count: int) -> None:
    """Return when a program holds as many instances; raise `RunInvalidError` otherwise."""
    held = receiver.received(place)
    if held != count:
        raise RunInvalidError(f"{receiver.name} holds {held} of {count} instances")


def _synced_files(directory: Path, length: int) -> float:
    """Return how many files of this length the storage takes a second when each, and its directory entry, is synced before the next."""
    clear(directory)
    directory.mkdir(parents=True)
    content = os.urandom(length)
    count = max(1, min(_PROBE_FILES, _PROBE_BYTES // length))
    home = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        began = time.monotonic()
        for number in range(count):
            with (directory / str(number)).open("wb", buffering=0) as target:
                target.write(content)
                os.fsync(target.fileno())
            os.fsync(home)
        took_s = time.monotonic() - began
    finally:
        os.close(home)
        clear(directory)
    return count / took_s
