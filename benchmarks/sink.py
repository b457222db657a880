"""The destination of rows that send on: DCMTK's `storescp`, which writes a file an instance.

Promises: inside `receiving` it takes associations, several at once; the time of an arrival is the time of the last write to its file, by
the clock that the senders' logs use too.
Failures: `RunInvalidError` when nothing more arrives for long.
Limits: the kernel may note the time of a write as that of its last tick, 10 ms earlier at most. The rest of a failed association is a file,
too: who asks says how large the smallest must be.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import accounting, installed, sender
from benchmarks.failures import RunInvalidError
from benchmarks.receivers import free_port
from benchmarks.running import Start, running

_LOOK_S = 0.2
# How long nothing may arrive: longer than a destination is left alone after one failure.
_PATIENCE_S = 300.0
# A program may write a data set anew, without lengths of groups and sequences; what lacks more than this is not whole.
_WHOLE = 0.95


@dataclass(frozen=True, slots=True)
class Arrival:
    """One file: how many bytes it has, and when the last of them was written, in seconds since the epoch."""

    length: int
    at: float


class Sink:
    """What has arrived in one directory."""

    def __init__(self, directory: Path, port: int) -> None:
        """Look into a directory that is written by whoever listens on the port."""
        self._directory = directory
        self.port = port

    def arrivals(self) -> dict[str, Arrival]:
        """Return all files, by name."""
        found = {}
        for entry in os.scandir(self._directory):
            with contextlib.suppress(FileNotFoundError):
                facts = entry.stat()
                found[entry.name] = Arrival(facts.st_size, facts.st_mtime)
        return found

    def files(self) -> list[Path]:
        """Return what has arrived."""
        return sorted(self._directory.iterdir())

    def wait_for(self, count: int, length: int, look_s: float = _LOOK_S) -> None:
        """Return when there are `count` whole files of instances that were sent with `length` bytes.

        The last one may still be written to for a moment.
        """
        most, since = 0, time.monotonic()
        while (found := sum(arrival.length >= length * _WHOLE for arrival in self.arrivals().values())) < count:
            if found > most:
                most, since = found, time.monotonic()
            if time.monotonic() - since > _PATIENCE_S:
                raise RunInvalidError(f"{found} of {count} instances reached the destination, and no other one within {_PATIENCE_S:g} s")
            time.sleep(look_s)

    def last_at(self) -> float:
        """Return when the last byte of all was written."""
        return max(arrival.at for arrival in self.arrivals().values())


@contextlib.contextmanager
def receiving(directory: Path, *, port: int | None = None, options: Sequence[str] = ()) -> Iterator[Sink]:
    """Start a sink that keeps what it receives below `directory`, and end it; `options` are for `storescp`."""
    data, port = directory / "sink", port or free_port()
    data.mkdir(parents=True, exist_ok=True)
    program = str(installed.find("storescp", "dcmtk"))
    # A process an association: an archive takes several at once.
    command = [program, "+B", "--fork", *options, "--output-directory", str(data), str(port)]
    start = Start(command, sender.ENVIRONMENT, directory / "sink.output")
    with running("the destination", start, lambda: accounting.is_listening(port)):
        yield Sink(data, port)
