"""How long an image takes through an idle box: from the answer to the sender until the destination has the last byte.

Each image comes over an association of its own, and the next one only after it was delivered and the box had a pause. The answer's time is
the one in `dcmsend`'s log, the arrival's that of the last write to the file of the destination, DCMTK's `storescp`: two stock programs and
one clock, and nobody who watches takes time from the box.

Promises: every image counts; one that does not arrive stops the row.
Failures: `RunInvalidError`.
Limits: the log has milliseconds, and the time of a write may be that of the kernel's last tick (`sink`).
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from benchmarks.batches import Batch, Written
from benchmarks.figures import Figure, alone
from benchmarks.journey import Journey, box_journey
from benchmarks.measuring import prepared
from benchmarks.scene import Scene, Storage, Work

_QUICK_IMAGES = 10
# Long enough for everything that an image leaves to be done, and not a multiple of the daemons' ticks, so that these meet it anywhere.
_PAUSE_S = 0.33
# Arrival is timed by its file; looking often would only wake a processor that the box wants.
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Latency(Work):
    """This many images, one after the other."""

    images: int

    def measure(self, scene: Scene) -> list[Figure]:
        """Return the median and the 95th percentile in milliseconds."""
        count = scene.instances or round(scene.pick(self.images, _QUICK_IMAGES))
        work = f"idle box, answered until delivered, {count} x 512 KiB CT"
        scene.say(work)
        # A directory, and so an association, for each image.
        batch = Batch(count, associations=count)
        with prepared(scene, batch, Storage.DISK, copies=2) as (load, directory), box_journey(load, directory) as way:
            took = [1000 * _deliver(image, way) for image in load.work.apart()]
        cuts = statistics.quantiles(took, n=100, method="inclusive")
        parts = {"p05": cuts[4], "p99": cuts[98], "worst": max(took)}
        return [
            alone("p50", f"{work}, median", "ms", [cuts[49]], parts=parts),
            alone("p95", f"{work}, 95th percentile", "ms", [cuts[94]]),
        ]


def _deliver(image: Written, way: Journey) -> float:
    """Send one image and return the seconds from its answer to its arrival."""
    time.sleep(_PAUSE_S)
    before = way.destination.arrivals().keys()
    sent = way.send(image)
    way.destination.wait_for(len(before) + 1, image.length, _LOOK_S)
    # The last bytes may still be on their way when the file is as good as whole.
    time.sleep(_LOOK_S)
    (arrival,) = (arrival for name, arrival in way.destination.arrivals().items() if name not in before)
    return arrival.at - sent.answered
