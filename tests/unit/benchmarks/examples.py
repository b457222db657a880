"""Runs of the benchmark as the tests imagine them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Figure, Turn, alone, of_turns
from benchmarks.machine import Machine
from benchmarks.results import Conditions, Result, conclude
from benchmarks.scene import Scene

MACHINE = Machine(cores=2, memory_gib=8, kernel="Linux 6.1", file_system="ext4")
CONDITIONS = Conditions("2024-02-29", MACHINE, 0.1, 3, {"orthanc": "1.10.1", "ours": "0.1.0"})


def figure(**rates: tuple[float, ...]) -> Figure:
    """Return what was measured: each program's rates, and CPU seconds that are a hundredth of them."""
    turns = {name: [Turn(rate, rate / 100) for rate in values] for name, values in rates.items()}
    return of_turns("receive, 1 association", "instances/s", turns, [500.0, 700.0, 600.0])


def result(key: str = "receive-1-disk", conditions: Conditions = CONDITIONS, **rates: tuple[float, ...]) -> Result:
    """Return one row of figures."""
    return conclude(key, figure(**rates), conditions)


def lone_result(name: str = "p95", *values: float) -> Result:
    """Return a figure that no peer has."""
    return conclude("latency", alone(name, "idle box", "ms", values or (80.0,), parts={"worst": 99.0}), CONDITIONS)


def scene(
    directory: Path, *, is_quick: bool = False, instances: int | None = None, rounds: int = 3, programs: tuple[str, ...] = ()
) -> Scene:
    """Return a scene below a directory, silent."""
    return Scene(
        programs or ("ours",), rounds, directory / "disk", directory / "tmpfs", directory / "kept", is_quick, instances, lambda _: None
    )
