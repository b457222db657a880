"""How a row is measured: every program in turn, round after round, each time from nothing.

Promises: the programs take turns (A B C, A B C), so that a slow minute of the machine meets all of them; the first round warms up and does
not count. Each turn has an empty directory and nothing left to be written by the turn before; the program gets some instances before the
clock starts, so that no program's start is measured. A turn counts only when the program holds every instance it was sent.
Failures: `RunInvalidError`.
Limits: CPU is counted from the first instance until the program is at rest again, the rate only until the last answer.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.batches import Written
from benchmarks.failures import RunInvalidError
from benchmarks.receivers import Place, Receiver
from benchmarks.running import running
from benchmarks.sender import send

# What the disk alone can do is asked with fewer files: it is for orientation, and is not a program's figure.
_PROBE_FILES = 100


@dataclass(frozen=True, slots=True)
class Turn:
    """What one program did in one round."""

    rate: float
    cpu_s_per_gib: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All turns that count, by program, and how many synced files of one instance each the storage alone took a second in each round."""

    turns: dict[str, list[Turn]]
    synced_files: list[float]


@dataclass(frozen=True, slots=True)
class Load:
    """What every program is sent in a turn: something to warm up with, then what is measured."""

    warm_up: Written
    work: Written


def receive(receivers: Sequence[Receiver], load: Load, rounds: int, scratch: Path, say: Callable[[str], None]) -> Measured:
    """Measure reception: one round to warm up, then `rounds` that count."""
    measured = Measured({receiver.name: [] for receiver in receivers}, [])
    for number in range(rounds + 1):
        synced = _synced_files(scratch, load.work.length // load.work.count)
        for receiver in receivers:
            turn = _turn(receiver, load, scratch / "turn")
            say(f"round {number or 'of warming up'}: {receiver.name} {turn.rate:.0f} instances/s, {turn.cpu_s_per_gib:.1f} CPU s/GiB")
            if number:
                measured.turns[receiver.name].append(turn)
        if number:
            measured.synced_files.append(synced)
    return measured


def _turn(receiver: Receiver, load: Load, directory: Path) -> Turn:
    _clear(directory)
    place = Place(directory)
    place.data.mkdir(parents=True)
    try:
        with running(receiver.name, receiver.prepare(place), lambda: receiver.is_ready(place)) as program:
            send(load.warm_up, place.port, receiver.called, directory)
            before = program.rest()
            sent = send(load.work, place.port, receiver.called, directory)
            cpu_s = program.rest() - before
            held, owed = receiver.received(place), load.warm_up.count + load.work.count
        if held != owed:
            raise RunInvalidError(f"{receiver.name} holds {held} of {owed} instances")
    finally:
        _clear(directory)
    return Turn(load.work.count / sent.took_s, cpu_s / load.work.gibibytes)


def _clear(directory: Path) -> None:
    """Remove what the last turn left, also what the kernel had yet to write of it."""
    shutil.rmtree(directory, ignore_errors=True)
    os.sync()


def _synced_files(scratch: Path, length: int) -> float:
    """Return how many files of this length the storage takes a second when each, and its directory entry, is synced before the next."""
    directory = scratch / "probe"
    _clear(directory)
    directory.mkdir(parents=True)
    content = os.urandom(length)
    home = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        began = time.monotonic()
        for number in range(_PROBE_FILES):
            with (directory / str(number)).open("wb", buffering=0) as target:
                target.write(content)
                os.fsync(target.fileno())
            os.fsync(home)
        took_s = time.monotonic() - began
    finally:
        os.close(home)
        _clear(directory)
    return _PROBE_FILES / took_s
