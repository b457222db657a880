"""Runs of the benchmark as the tests imagine them."""

from __future__ import annotations

from benchmarks.machine import Machine
from benchmarks.measuring import Measured, Turn
from benchmarks.results import Result, Run, conclude

MACHINE = Machine(cores=2, memory_gib=8, kernel="Linux 6.1", file_system="ext4")


def measured(**rates: tuple[float, ...]) -> Measured:
    """Return what was measured: each program's rates, and CPU seconds that are a hundredth of them."""
    return Measured({name: [Turn(rate, rate / 100) for rate in values] for name, values in rates.items()}, [500.0, 700.0, 600.0])


def result(**rates: tuple[float, ...]) -> Result:
    """Return one row of figures."""
    return conclude("receive-1-disk", "receive, 1 association", "instances/s", measured(**rates))


def run(*results: Result) -> Run:
    """Return a run with these figures."""
    return Run("2024-02-29", MACHINE, 0.1, 3, {"orthanc": "1.10.1", "ours": "0.1.0"}, results)
