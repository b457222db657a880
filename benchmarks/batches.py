"""What is sent: generated instances in one directory for each association. No patient's image, no patient's name.

Promises: `write` leaves exactly the instances of the batch, on the disk and in the page cache, and says how many bytes they are.
Failures: `OSError` when they do not fit.
Limits: the instances of a batch share their content but for the UID; pixels are random, so that no program may compress its way to a better
figure. All instances of a kind are of one study.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks import objects
from benchmarks.objects import Kind


@dataclass(frozen=True, slots=True)
class Batch:
    """`count` instances in all, `kinds` in turn, sent over `associations` associations at once."""

    count: int
    associations: int = 1
    kinds: tuple[Kind, ...] = (Kind.CT,)

    def __str__(self) -> str:
        """Say how many of what, and over how many associations."""
        associations = "1 association" if self.associations == 1 else f"{self.associations} associations"
        return f"{associations}, {self.count:,} x {' and '.join(map(str, self.kinds))}"


@dataclass(frozen=True, slots=True)
class Written:
    """A batch as files: one directory for each association."""

    directories: tuple[Path, ...]
    count: int
    length: int

    @property
    def gibibytes(self) -> float:
        """How much it is."""
        return self.length / 2**30

    def apart(self) -> list[Written]:
        """Return what each association sends as a batch of its own; instances of different kinds count as equally long."""
        whole, rest = divmod(self.count, len(self.directories))
        counts = [whole + (number < rest) for number in range(len(self.directories))]
        return [Written((home,), count, self.length * count // self.count) for home, count in zip(self.directories, counts, strict=True)]


def length(batch: Batch) -> int:
    """Return how many bytes a batch has, to a few instances."""
    return batch.count * sum(len(objects.template(kind).content) for kind in batch.kinds) // len(batch.kinds)


def write(batch: Batch, directory: Path) -> Written:
    """Write the batch under `directory`, which is emptied before."""
    shutil.rmtree(directory, ignore_errors=True)
    templates = [objects.template(kind) for kind in batch.kinds]
    directories = tuple(directory / str(number) for number in range(batch.associations))
    for home in directories:
        home.mkdir(parents=True)
    length = 0
    for number in range(batch.count):
        # Every association gets every kind.
        turn, association = divmod(number, len(directories))
        content = templates[turn % len(templates)].instance()
        (directories[association] / f"{number:06d}.dcm").write_bytes(content)
        length += len(content)
    # What is still to be written would be written during the first measurement.
    os.sync()
    return Written(directories, batch.count, length)
