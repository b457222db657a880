"""An archive that comes back: how soon the first of a long queue is there, how fast the rest, and how long commands take meanwhile.

The archive is DCMTK's `storescp`; it took something, went away, and everything was received while it was not there. A command is timed as
who types it has it, with the start of its Python; that start alone is among the parts, measured in the same minutes.

Promises: the first one counts from the moment at which the archive listens; the rate from the first to the last.
Failures: `RunInvalidError`.
Limits: one archive. The commands run one after the other, with a pause: they take CPU from what is sent.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import sender, sink
from benchmarks.batches import Batch
from benchmarks.box import Box, command
from benchmarks.failures import RunInvalidError
from benchmarks.figures import Figure, alone
from benchmarks.leftovers import clear
from benchmarks.measuring import RATE, Load, prepared, require_held, started
from benchmarks.receivers import Place, free_port
from benchmarks.scene import Scene, Storage, Work
from benchmarks.sink import Sink

_COMMANDS = {"queue": ("queue", "list"), "destinations": ("destinations",), "status": ("status",)}
_INTERPRETER = "a Python alone"
_PAUSE_S = 0.2
_TURNS_AT_REST = 5
_ANSWER_S = 30.0
# A file counts as whole above this; twenty thousand of them are not looked through often.
_SMALLEST, _LOOK_S = 3 << 10, 1.0


@dataclass(frozen=True, slots=True)
class Return:
    """What happened after the archive was back: seconds until the first one was there, instances a second, and seconds by command.

    `at_rest` are those of commands before it was back.
    """

    first_s: float
    rate: float
    answers: Mapping[str, Sequence[float]]
    at_rest: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class CatchUp(Work):
    """The batch that waits."""

    batch: Batch

    def measure(self, scene: Scene) -> list[Figure]:
        """Return the seconds until the first one, the rate, and the slowest answer."""
        batch = replace(self.batch, count=scene.count(self.batch.count))
        work = f"an archive is back, {batch.count:,} x {' and '.join(batch.kinds)} wait for it"
        scene.say(work)
        returns = []
        with prepared(scene, batch, Storage.DISK, copies=2) as (load, directory):
            for number in range(1, scene.rounds + 1):
                returns.append(_return(load, directory))
                scene.say(f"round {number}: first after {returns[-1].first_s:.2f} s, then {returns[-1].rate:.1f} {RATE}")
        return figures(work, returns)


@dataclass(slots=True)
class _Asking:
    """Who asks the box again and again, and how long each answer took."""

    place: Place
    answers: dict[str, list[float]] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    refused: int = 0

    def __call__(self) -> None:
        """Ask until it is over."""
        while not self.over.is_set():
            self.once()

    def once(self) -> None:
        """Ask each question once."""
        for name, words in _COMMANDS.items():
            self._ask(name, [*command(self.place), *words])
        self._ask(_INTERPRETER, [sys.executable, "-c", "pass"])

    def _ask(self, name: str, words: Sequence[str]) -> None:
        began = time.monotonic()
        ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_S, check=False)
        self.answers.setdefault(name, []).append(time.monotonic() - began)
        self.refused += ended.returncode != 0
        self.over.wait(_PAUSE_S)


def figures(work: str, returns: Sequence[Return]) -> list[Figure]:
    """Return the figures of the rounds."""
    names = [*_COMMANDS, _INTERPRETER]
    slowest = [max(max(back.answers[name]) for name in _COMMANDS) for back in returns]
    every = {name: [took for back in returns for took in back.answers[name]] for name in names}
    parts = {
        f"{name} {of}": value for name in names for of, value in (("p50", statistics.median(every[name])), ("worst", max(every[name])))
    }
    parts["at rest p50"] = statistics.median(took for back in returns for name in _COMMANDS for took in back.at_rest[name])
    return [
        alone("first", f"{work}: until the first is there", "s", [back.first_s for back in returns]),
        alone("rate", f"{work}: then", RATE, [back.rate for back in returns]),
        alone("slowest command", f"{work}: slowest answer to a command meanwhile", "s", slowest, parts=parts),
    ]


def _return(load: Load, directory: Path) -> Return:
    home, port = directory / "destination", free_port()
    clear(home)
    box = Box(port)
    try:
        with started(box, directory / "turn") as (program, place):
            with sink.receiving(home, port=port) as before:
                sender.send(load.warm_up, place.port, box.called, place.directory)
                before.wait_for(load.warm_up.count, _SMALLEST)
                program.rest()
            clear(home)
            sender.send(load.work, place.port, box.called, place.directory)
            program.rest()
            require_held(box, place, load.count)
            before_it = _Asking(place)
            for _ in range(_TURNS_AT_REST):
                before_it.once()
            with sink.receiving(home, port=port) as archive:
                back_at = time.time()
                answers = _answers(place, archive, load.work.count)
                times = sorted(arrival.at for arrival in archive.arrivals().values())
    finally:
        clear(home)
    return Return(times[0] - back_at, (len(times) - 1) / (times[-1] - times[0]), answers, before_it.answers)


def _answers(place: Place, archive: Sink, count: int) -> dict[str, list[float]]:
    """Ask while the archive gets everything, and return how long each answer took."""
    asking = _Asking(place)
    thread = threading.Thread(target=asking)
    thread.start()
    try:
        archive.wait_for(count, _SMALLEST, _LOOK_S)
    finally:
        asking.over.set()
        thread.join()
    if asking.refused:
        raise RunInvalidError(f"{asking.refused} commands failed while the queue was sent")
    return asking.answers
