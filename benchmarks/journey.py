"""A program between the sender and one destination: started, warmed up from end to end, and at rest.

Promises: inside `journey` both run and nothing is under way; afterwards neither is left, nor what they wrote. The destination is DCMTK's
`storescp` for every program, started anew each time and counted in files.
Failures: `RunInvalidError`.
Limits: one destination, on the disk of the program.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import sender, sink
from benchmarks.batches import Written
from benchmarks.box import SENDER, Box, Source
from benchmarks.leftovers import clear
from benchmarks.measuring import Load, started
from benchmarks.receivers import Place, Receiver
from benchmarks.running import RunningProgram
from benchmarks.sender import Sent
from benchmarks.sink import Sink


@dataclass(frozen=True, slots=True)
class Journey:
    """The program, where it works, what it is sent, and where it sends that: to a port that leads to the destination."""

    receiver: Receiver
    program: RunningProgram
    place: Place
    load: Load
    destination: Sink
    port: int

    def send(self, written: Written, callings: Sequence[str] = (sender.CALLING,)) -> Sent:
        """Send a batch to the program; return when it is answered."""
        return sender.send(written, self.place.port, self.receiver.called, self.place.directory, callings)


@contextlib.contextmanager
def journey(
    receiver_to: Callable[[int], Receiver],
    load: Load,
    directory: Path,
    *,
    is_warm: bool = True,
    through: Callable[[int], AbstractContextManager[int]] = contextlib.nullcontext,
    options: Sequence[str] = (),
) -> Iterator[Journey]:
    """Start a destination, and the program that sends to its port; hand both over when they have the warm-up and are at rest.

    With `is_warm` false they are handed over as they were started, at rest too. `through` leads to the destination's port from another one;
    `options` are for `storescp`.
    """
    home = directory / "destination"
    clear(home)
    try:
        with sink.receiving(home, options=options) as destination, through(destination.port) as port:
            receiver = receiver_to(port)
            with started(receiver, directory / "turn") as (program, place):
                way = Journey(receiver, program, place, load, destination, port)
                if is_warm:
                    way.send(load.warm_up)
                    destination.wait_for(load.warm_up.count, load.warm_up.length // load.warm_up.count)
                program.rest()
                yield way
    finally:
        clear(home)


@contextlib.contextmanager
def box_journey(load: Load, directory: Path, sources: Sequence[Source] = (SENDER,), *, is_warm: bool = True) -> Iterator[Journey]:
    """Do the same with this box, which takes from these sources."""
    with journey(lambda port: Box(port, sources), load, directory, is_warm=is_warm) as way:
        yield way
