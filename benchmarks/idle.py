"""What a box costs that has nothing to do: one that received and delivered something, and then rests.

Promises: measured after the work of the start, the first snapshot of the ledger among it, is done, and what comes only on request has gone.
Failures: `RunInvalidError`.
Limits: the ledger's snapshots, one every quarter of an hour, fall outside.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks import memory
from benchmarks.batches import Batch
from benchmarks.figures import Figure, alone
from benchmarks.journey import box_journey
from benchmarks.measuring import prepared
from benchmarks.memory import MIB
from benchmarks.scene import Scene, Storage, Work

_QUICK_S = 5.0
# The keeper waits ten seconds for more to do before it ends.
_SETTLE_S, _QUICK_SETTLE_S = 15.0, 1.0


@dataclass(frozen=True, slots=True)
class Idle(Work):
    """Looking at an idle box for this many seconds."""

    seconds: float

    def measure(self, scene: Scene) -> list[Figure]:
        """Return the share of one core in percent, and PSS in MiB."""
        seconds = scene.pick(self.seconds, _QUICK_S)
        work = f"idle box, {seconds:g} s, all daemons"
        scene.say(work)
        with prepared(scene, Batch(1), Storage.DISK) as (load, directory), box_journey(load, directory) as way:
            time.sleep(scene.pick(_SETTLE_S, _QUICK_SETTLE_S))
            way.program.rest()
            before, began = way.program.cpu_s(), time.monotonic()
            time.sleep(seconds)
            share = (way.program.cpu_s() - before) / (time.monotonic() - began)
            held = memory.pss(way.program.session) / MIB
        return [alone("CPU", f"{work}: CPU", "% of a core", [100 * share]), alone("PSS", f"{work}: memory", "MiB PSS", [held])]
