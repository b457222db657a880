"""What many associations cost in memory: most of them open and silent, some sending at once, and the box sending on what it gets.

The silent ones are opened by this process from several loopback addresses, each a listed source; the sending ones are DCMTK's `dcmsend`.

Promises: the figure is the largest of the samples that were taken while all of them were open; all stayed open.
Failures: `RunInvalidError`.
Limits: a sample takes a moment, in which the daemons go on; what is held for less than a quarter of a second may be missed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from benchmarks import memory, sender
from benchmarks.batches import Batch
from benchmarks.box import SENDER, Source
from benchmarks.callers import open_associations
from benchmarks.figures import Figure, alone
from benchmarks.journey import Journey, box_journey
from benchmarks.measuring import prepared
from benchmarks.memory import MIB
from benchmarks.scene import Scene, Storage, Work

# One source may have 16 associations by default.
_A_SOURCE = 10
_INSTANCES_EACH, _QUICK_INSTANCES_EACH = 50, 5
_SAMPLE_S = 0.25


@dataclass(frozen=True, slots=True)
class Crowd(Work):
    """This many associations open, and how many of them send."""

    associations: int
    sending: int

    def measure(self, scene: Scene) -> list[Figure]:
        """Return the largest PSS of all daemons together in MiB."""
        each = round(scene.pick(_INSTANCES_EACH, _QUICK_INSTANCES_EACH))
        work = f"{self.associations} associations open, {self.sending} sending {each} x 512 KiB CT and delivered: memory of all daemons"
        scene.say(work)
        silent = [source for source in _silent(self.associations - self.sending) for _ in range(_A_SOURCE)]
        titles = [sender.CALLING, *(f"{sender.CALLING}{number}" for number in range(1, self.sending // _A_SOURCE))]
        sources = [*dict.fromkeys(silent), *(Source(title, SENDER.address) for title in titles)]
        batch = Batch(each * self.sending, associations=self.sending)
        with prepared(scene, batch, Storage.DISK, copies=2) as (load, directory), box_journey(load, directory, sources) as way:
            before = memory.pss(way.program.session)
            with open_associations(way.place.port, way.receiver.called, silent):
                only_open = memory.pss(way.program.session)
                largest = _largest_while_sending(way, titles)
            way.destination.wait_for(load.count, load.work.length // load.work.count)
        parts = {"before": before / MIB, "open and silent": only_open / MIB}
        return [alone("PSS", work, "MiB PSS", [largest / MIB], parts=parts)]


def _silent(associations: int) -> list[Source]:
    """Return sources on loopback addresses of their own, enough for this many associations."""
    return [Source(f"SCANNER{number}", f"127.0.0.{number}") for number in range(2, 2 + associations // _A_SOURCE)]


def _largest_while_sending(way: Journey, titles: list[str]) -> int:
    """Send everything, each title over its share of the associations, and return the largest PSS meanwhile, in bytes."""
    answered = threading.Event()
    samples: list[int] = []

    def sample() -> None:
        while not answered.wait(_SAMPLE_S):
            samples.append(memory.pss(way.program.session))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        way.send(way.load.work, titles)
    finally:
        answered.set()
        sampler.join()
    return max([memory.pss(way.program.session), *samples])
