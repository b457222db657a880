"""The pages of a box that has long been in use: how long each takes, and what open browsers cost reception.

Promises: a page is timed from the request to its last byte, over a connection that is open; the figure is of the slowest page. The loss of
reception is of the same round, with browsers and without in turn.
Failures: `RunInvalidError`; `BenchmarkError` from filling the ledger.
Limits: pages as the server makes them: what a browser needs to show them is the browser's. The rows of the ledger have no objects, so no
pictures are asked for; the destination to which the newest are owed is not there.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks import ledger_filling
from benchmarks.batches import Batch, Written
from benchmarks.box import Box
from benchmarks.browsers import Browser, Watchers, add_administrator
from benchmarks.figures import Figure, alone, lost
from benchmarks.full_ledger import UsedBox
from benchmarks.measuring import RATE, prepared, started
from benchmarks.receivers import Place, free_port
from benchmarks.running import RunningProgram, Start
from benchmarks.scene import Scene, Storage, Work
from benchmarks.sender import send

_QUICK_ROWS, _QUICK_WAITING, _QUICK_TIMES = 20_000, 1000, 5
_TIMES = 40
# Files in the ledger, its copy, and the snapshot that the box makes.
_ROW_BYTES = 3 * 1000
_STUDY = re.compile(r'href="(/studies/[0-9.]+)"')
_SEARCH = "/studies/?words=generated"
_NONE, _SOME = "none", "browsers"


class _SeenBox(UsedBox):
    """A box that was in use before, with somebody who may see its pages; its destination is a port where nobody listens."""

    def prepare(self, place: Place) -> Start:
        """Add an account to what is prepared."""
        start = super().prepare(place)
        add_administrator(place.data)
        return start


@dataclass(frozen=True, slots=True)
class Pages(Work):
    """A ledger of so many instances, of which so many wait; the browsers, and the batch that is received beside them in each round."""

    instances: int
    waiting: int
    browsers: int
    batch: Batch

    def measure(self, scene: Scene) -> list[Figure]:
        """Return the slowest page's 95th percentile in milliseconds, and how much of the rate is lost in percent."""
        rows, waiting = round(scene.pick(self.instances, _QUICK_ROWS)), round(scene.pick(self.waiting, _QUICK_WAITING))
        count = scene.count(self.batch.count)
        work = f"pages with {rows:,} instances and {waiting:,} waiting"
        scene.say(work)
        used = ledger_filling.filled(rows, scene.kept, scene.say, waiting=waiting)
        whole = replace(self.batch, count=count * scene.rounds * 2, associations=scene.rounds * 2)
        with prepared(scene, whole, Storage.DISK, copies=2, beside=rows * _ROW_BYTES) as (load, directory):
            box = _SeenBox(free_port(), used)
            with started(box, directory / "turn") as (program, place):
                send(load.warm_up, place.port, box.called, place.directory)
                program.rest()
                times = _page_times(place, round(scene.pick(_TIMES, _QUICK_TIMES)))
                rates = self._rates(scene, program, place, load.work.apart())
        return [_slowest(work, times), loss(f"{work}, {self.browsers} browsers open: receiving {replace(self.batch, count=count)}", rates)]

    def _rates(self, scene: Scene, program: RunningProgram, place: Place, parts: list[Written]) -> list[Mapping[str, float]]:
        rounds: list[Mapping[str, float]] = []
        for number in range(scene.rounds):
            # Who begins changes: what the disk still writes of the one meets the other.
            order = [_NONE, _SOME] if number % 2 == 0 else [_SOME, _NONE]
            rounds.append({name: self._rate(program, place, parts.pop(), watched=name == _SOME) for name in order})
            scene.say(f"round {number + 1}: " + ", ".join(f"{name} {rate:.1f} {RATE}" for name, rate in rounds[-1].items()))
        return rounds

    def _rate(self, program: RunningProgram, place: Place, part: Written, *, watched: bool) -> float:
        program.rest()
        with Watchers(place.data, self.browsers if watched else 0):
            sent = send(part, place.port, Box.called, place.directory)
        return part.count / sent.took_s


def _page_times(place: Place, times: int) -> dict[str, list[float]]:
    """Return the seconds that each page took, by its path: every place of the navigation, a search, and a study."""
    browser = Browser(place.data)
    paths = [*browser.places(), _SEARCH]
    study = _STUDY.search(browser.page("/studies/"))
    if study is not None:
        paths.append(study[1])
    return {path if path != (study and study[1]) else "/studies/…": [browser.timed(path) for _ in range(times)] for path in paths}


def _slowest(work: str, times: Mapping[str, Sequence[float]]) -> Figure:
    percentiles = {path: 1000 * statistics.quantiles(took, n=20)[-1] for path, took in times.items()}
    return alone("p95", f"{work}: the slowest page's 95th percentile", "ms", [max(percentiles.values())], parts=percentiles)


def loss(work: str, rounds: Sequence[Mapping[str, float]]) -> Figure:
    """Return how much of the rate was lost in percent, from the rates of the rounds."""
    return lost(f"{work}: rate lost", rounds, alone_as=_NONE, beside_as=_SOME, unit=RATE)
