"""On what a benchmark ran, as far as it explains a figure: no name of the machine, no path."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader needs to judge a figure."""

    cores: int
    memory_gib: int
    kernel: str
    file_system: str

    def __str__(self) -> str:
        """Return it as a reader wants it."""
        return f"{self.cores} cores, {self.memory_gib} GiB of memory, {self.kernel}, {self.file_system}"


def this_machine(scratch: Path) -> Machine:
    """Return the facts of this machine, and of the file system that holds `scratch`."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    version = ".".join(platform.release().split("-")[0].split(".")[:2])
    return Machine(len(os.sched_getaffinity(0)), round(memory / 2**30), f"{platform.system()} {version}", file_system_of(scratch))


def file_system_of(path: Path) -> str:
    """Return the type of the file system that holds a path."""
    return file_system(path.resolve(), Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines())


def file_system(path: Path, mounts: Iterable[str]) -> str:
    """Return the type of the file system that holds an absolute path, from the lines of /proc/mounts; the last of equal mounts holds."""
    best, kind = -1, "unknown"
    for line in mounts:
        _, where, name, *_ = line.split()
        # A space in a mount point is written as its octal number (getmntent(3)).
        point = Path(where.replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), name
    return kind
