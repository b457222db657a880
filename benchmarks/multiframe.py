"""What the largest objects cost in memory: one enhanced multi-frame image, received and sent on.

Promises: the peak is the kernel's own, of each process, forgotten right before the object is sent; growth is that peak less what the
process had then. The box was just started: what it loads for its first object counts.
Failures: `RunInvalidError`.
Limits: resident memory counts pages that processes share in each of them. A daemon that was not there before the object came counts whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import accounting, memory, objects
from benchmarks.batches import Batch, Written
from benchmarks.figures import Figure, alone
from benchmarks.journey import box_journey
from benchmarks.measuring import prepared
from benchmarks.memory import MIB
from benchmarks.running import RunningProgram
from benchmarks.scene import Scene, Storage, Work

_QUICK_MIB = 64
# Only to have a directory: nothing of it is sent.
_NOTHING = Batch(1)


@dataclass(frozen=True, slots=True)
class Multiframe(Work):
    """One object of this much pixel data."""

    mebibytes: int

    def measure(self, scene: Scene) -> list[Figure]:
        """Return by how many MiB the daemon that grew the most grew."""
        mebibytes = round(scene.pick(self.mebibytes, _QUICK_MIB))
        work = f"receive and send one enhanced CT of {mebibytes:,} MiB: largest growth of a daemon"
        scene.say(work)
        # The file, the sealed object, and what the destination has of it.
        with prepared(scene, _NOTHING, Storage.DISK, copies=2, beside=3 * mebibytes * MIB) as (load, directory):
            home = directory / "multiframe"
            home.mkdir()
            objects.write_multiframe(home / "0.dcm", mebibytes)
            image = Written((home,), 1, (home / "0.dcm").stat().st_size)
            with box_journey(load, directory, is_warm=False) as way:
                before = memory.resident(way.program.session)
                memory.forget_peaks(way.program.session)
                way.send(image)
                way.destination.wait_for(1, image.length)
                way.program.rest()
                growth = _growth(way.program, before)
        return [alone("growth", work, "MiB", [max(growth.values())], parts=growth)]


def _growth(program: RunningProgram, before: dict[int, memory.Resident]) -> dict[str, float]:
    """Return the growth of each daemon in MiB, by name; of several workers, of the one that grew the most."""
    growth: dict[str, float] = {}
    for pid, resident in memory.resident(program.session).items():
        name = accounting.daemon_name(pid)
        had = before[pid].now if pid in before else 0
        growth[name] = max(growth.get(name, 0.0), (resident.peak - had) / MIB)
    return growth
