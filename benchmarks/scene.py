"""Where a row is measured and how much of it: what the command line chose, as the kinds of work see it.

Promises: inside `room` there is an empty directory with enough free space; afterwards it is gone, its emptied files with `tidy`.
Failures: `RunInvalidError` where the space is not there.
"""

from __future__ import annotations

import contextlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from benchmarks import leftovers
from benchmarks.failures import RunInvalidError
from benchmarks.figures import Figure
from benchmarks.machine import file_system_of

QUICK_COUNT = 100
"""Instances of a quick run."""

# A directory of our own below what the command line names, so that nothing of others is ever removed.
_OURS = "dicom-edge-benchmark"


class Storage(StrEnum):
    """On what the programs write."""

    DISK = "disk"
    TMPFS = "tmpfs"


@dataclass(frozen=True, slots=True)
class Scene:
    """What the command line chose. `programs` are the names to compare, this box always among them; `instances` replaces a row's number.

    `kept` is a directory for what takes minutes to make and is used again by the next run.
    """

    programs: Sequence[str]
    rounds: int
    disk: Path
    tmpfs: Path
    kept: Path
    is_quick: bool
    instances: int | None
    say: Callable[[str], None]

    def count(self, whole: int) -> int:
        """Return how many instances are sent where a whole run sends `whole`."""
        return self.instances or (min(QUICK_COUNT, whole) if self.is_quick else whole)

    def pick(self, whole: float, quick: float) -> float:
        """Return the size of what is no number of instances."""
        return quick if self.is_quick else whole

    @contextlib.contextmanager
    def room(self, storage: Storage, needed: int) -> Iterator[Path]:
        """Hand over an empty directory on this storage with `needed` bytes free, and remove it."""
        home = self.tmpfs if storage is Storage.TMPFS else self.disk
        home.mkdir(parents=True, exist_ok=True)
        directory = home / _OURS / "room"
        directory.parent.mkdir(exist_ok=True)
        leftovers.clear(directory)
        if storage is Storage.TMPFS and file_system_of(home) != "tmpfs":
            raise RunInvalidError("the directory for tmpfs is on a disk: name another with --tmpfs")
        free = shutil.disk_usage(home).free
        if free < needed:
            raise RunInvalidError(f"{needed / 2**30:.1f} GiB are needed on the {storage}, and {free / 2**30:.1f} are free")
        directory.mkdir()
        try:
            yield directory
        finally:
            leftovers.clear(directory)


def tidy(*homes: Path) -> None:
    """Remove what the rooms in these directories left."""
    for home in homes:
        shutil.rmtree(home / _OURS, ignore_errors=True)


class Work(ABC):
    """One kind of work, measured in a scene."""

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the programs that do it, this box's left out: none where the figures stand alone."""
        return ()

    @abstractmethod
    def measure(self, scene: Scene) -> list[Figure]:
        """Return the figures, each with a value a round."""
