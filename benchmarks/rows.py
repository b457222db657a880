"""The rows of the benchmark: what is measured, and what the box has to reach. A new row is an entry here.

Limits: every row so far is reception at a rate; work of another kind (end to end, latency, memory) also needs its own way to measure,
beside `measuring.receive`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from benchmarks.batches import Batch


class Storage(StrEnum):
    """On what the programs write."""

    DISK = "disk"
    TMPFS = "tmpfs"


class Measure(StrEnum):
    """Which figure of a row a goal is about."""

    RATE = "rate"
    CPU = "CPU"


@dataclass(frozen=True, slots=True)
class Goal:
    """How the box has to stand beside one peer: a multiple of the peer's figure, at least for a rate, at most for CPU."""

    measure: Measure
    peer: str
    must: float
    aim: float

    def is_reached(self, ratio: float) -> bool:
        """Say whether `must` is reached."""
        return ratio >= self.must if self.measure is Measure.RATE else ratio <= self.must


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of work: the batch that every program receives, what it writes to, and the goals."""

    key: str
    batch: Batch
    storage: Storage
    goals: tuple[Goal, ...]
    unit: str = "instances/s"

    def work(self, batch: Batch, instance_kib: int) -> str:
        """Say what was done, with the batch that was really sent."""
        associations = "1 association" if batch.associations == 1 else f"{batch.associations} associations"
        return f"receive, {associations}, {batch.count:,} x {instance_kib:,} KiB CT, {self.storage}"


ROWS: tuple[Row, ...] = (
    Row(
        key="receive-1-disk",
        batch=Batch(count=1000),
        storage=Storage.DISK,
        goals=(
            Goal(Measure.RATE, "orthanc", must=2.0, aim=3.0),
            Goal(Measure.RATE, "storescp", must=0.3, aim=0.6),
            Goal(Measure.CPU, "orthanc", must=0.5, aim=0.35),
            Goal(Measure.CPU, "storescp", must=3.5, aim=2.5),
        ),
    ),
)
