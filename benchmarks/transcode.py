"""What JPEG-LS costs on the way, and what it saves: two boxes side by side, in turn, of which one sends in that form.

Promises: the rate is from the association request until the destination has the last instance; each one that
arrived is looked at, and is in the form that was asked for.
Failures: `RunInvalidError`.
Limits: phantoms, whose noise is a guess at a scanner's: what is saved depends on it. To a destination on the loopback, where bytes cost
nothing; on a line as narrow as most, the bytes saved are time gained.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pydicom
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless

from benchmarks.batches import Batch, Written
from benchmarks.box import Box
from benchmarks.failures import RunInvalidError
from benchmarks.figures import Figure, alone
from benchmarks.journey import Journey, journey
from benchmarks.measuring import RATE, prepared, require_held
from benchmarks.receivers import Receiver
from benchmarks.scene import Scene, Storage, Work

_PLAIN, _JPEG_LS = "plain", "jpeg-ls"
_FORMS: Mapping[str, UID] = {_PLAIN: ExplicitVRLittleEndian, _JPEG_LS: JPEGLSLossless}
# Without it `storescp` takes nothing that is compressed.
_OPTIONS = ("+xa",)
# No image here is compressed to less.
_SMALLEST = 16 << 10


@dataclass(frozen=True, slots=True)
class Transit:
    """What one box did in one round: instances a second, and the bytes that arrived, of all instances together."""

    rate: float
    arrived: int


@dataclass(frozen=True, slots=True)
class Transcode(Work):
    """The batches, each of one kind, that both boxes get in each round."""

    batches: tuple[Batch, ...]

    def measure(self, scene: Scene) -> list[Figure]:
        """Return for each kind the rate beside plain, and how many bytes less arrive."""
        return [figure for batch in self.batches for figure in _measure(scene, replace(batch, count=scene.count(batch.count)))]


def figures(work: str, rounds: Sequence[Mapping[str, Transit]]) -> list[Figure]:
    """Return what JPEG-LS costs and saves, from the rounds."""
    rates = {name: statistics.median(transits[name].rate for transits in rounds) for name in _FORMS}
    ratios = [transits[_JPEG_LS].rate / transits[_PLAIN].rate for transits in rounds]
    saved = [100 * (1 - transits[_JPEG_LS].arrived / transits[_PLAIN].arrived) for transits in rounds]
    return [
        alone("rate", f"{work}: rate beside plain", "x", ratios, parts=rates, of=RATE),
        alone("saved", f"{work}: bytes saved", "%", saved),
    ]


def _measure(scene: Scene, batch: Batch) -> list[Figure]:
    work = f"as JPEG-LS, {batch}, end to end"
    scene.say(work)
    each, turns = batch.associations, scene.rounds * len(_FORMS)
    whole = replace(batch, count=batch.count * turns, associations=each * turns)
    with prepared(scene, whole, Storage.DISK, copies=2) as (load, directory), contextlib.ExitStack() as stack:
        boxes: dict[str, Callable[[int], Receiver]] = {_PLAIN: Box, _JPEG_LS: lambda port: Box(port, transcode=_JPEG_LS)}
        ways = {
            name: stack.enter_context(journey(box, load, directory / name, is_warm=False, options=_OPTIONS)) for name, box in boxes.items()
        }
        for way in ways.values():
            # By hand: what arrives in another form has another length.
            way.send(load.warm_up)
            way.destination.wait_for(load.warm_up.count, _SMALLEST)
            way.program.rest()
        parts = load.work.apart()
        rounds = []
        for number in range(1, scene.rounds + 1):
            rounds.append({name: _transit(way, [parts.pop() for _ in range(each)]) for name, way in ways.items()})
            scene.say(f"round {number}: " + ", ".join(f"{name} {transit.rate:.1f} {RATE}" for name, transit in rounds[-1].items()))
        for name, way in ways.items():
            require_held(way.receiver, way.place, load.warm_up.count + batch.count * scene.rounds)
            require_form(way.destination.files(), _FORMS[name])
    return figures(work, rounds)


def require_form(files: Sequence[Path], form: UID) -> None:
    """Return when every file is in this transfer syntax; raise `RunInvalidError` otherwise."""
    others = [file for file in files if pydicom.filereader.read_file_meta_info(file).TransferSyntaxUID != form]
    if others:
        raise RunInvalidError(f"{len(others)} of {len(files)} instances did not arrive as {form.name}")


def _transit(way: Journey, parts: Sequence[Written]) -> Transit:
    """Let a box receive and deliver; it is at rest afterwards."""
    directories = tuple(home for part in parts for home in part.directories)
    batch = Written(directories, sum(part.count for part in parts), sum(part.length for part in parts))
    before = way.destination.arrivals()
    sent = way.send(batch)
    way.destination.wait_for(len(before) + batch.count, _SMALLEST)
    way.program.rest()
    arrived = {name: arrival for name, arrival in way.destination.arrivals().items() if name not in before}
    last = max(arrival.at for arrival in arrived.values())
    return Transit(batch.count / (last - sent.began), sum(arrival.length for arrival in arrived.values()))
