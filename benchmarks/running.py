"""A program of the comparison while it runs: started, waited for until it is ready or at rest, and ended with all its processes.

Promises: inside `running` the program is ready; afterwards no process of it is left, whatever happened inside.
Failures: `RunInvalidError` when it ends early, is not ready in time, or does not come to rest.
Limits: a program is at rest when it takes next to no CPU for half a second, which says nothing about the disk.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import accounting
from benchmarks.failures import RunInvalidError

# Start and end of the slowest program on a busy machine, with room.
_READY_S = 60.0
_END_S = 45.0
_REST_S = 120.0
# At most 2 % of one core is an idle program; the window holds enough ticks of 10 ms to tell.
_WINDOW_S = 0.5
_IDLE_SHARE = 0.02
_LOOK_S = 0.02
_LAST_WORDS_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Start:
    """How a program is started: nothing is taken from the harness but its environment."""

    command: Sequence[str]
    environment: Mapping[str, str]
    output: Path


class RunningProgram:
    """One program with all its processes: those of the session that it began."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], output: Path) -> None:
        """Take a program that was just started and prints to the file `output`."""
        self._name = name
        self._process = process
        self._output = output

    @property
    def session(self) -> int:
        """The session that all its processes are in."""
        return self._process.pid

    def cpu_s(self) -> float:
        """Return the CPU seconds it has taken so far."""
        return accounting.cpu_s(self._process.pid)

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Return when it is ready."""
        deadline = time.monotonic() + _READY_S
        while not is_ready():
            if self._process.poll() is not None:
                raise RunInvalidError(f"{self._name} ended with code {self._process.returncode}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise RunInvalidError(f"{self._name} was not ready within {_READY_S:g} s: {self._last_words()}")
            time.sleep(_LOOK_S)

    def rest(self) -> float:
        """Return the CPU seconds taken when it had come to rest; what it takes while idle is not counted."""
        deadline = time.monotonic() + _REST_S
        before = self.cpu_s()
        while time.monotonic() < deadline:
            time.sleep(_WINDOW_S)
            after = self.cpu_s()
            if after - before <= _WINDOW_S * _IDLE_SHARE:
                return before
            before = after
        raise RunInvalidError(f"{self._name} did not come to rest within {_REST_S:g} s")

    def end(self) -> None:
        """End it as an operator would, then whatever is left of it with force."""
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        deadline = time.monotonic() + _READY_S
        while left := [process.pid for process in accounting.members(self._process.pid) if process.is_alive]:
            if time.monotonic() > deadline:
                raise RunInvalidError(f"{self._name} does not end, not even when killed")
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.poll()
            time.sleep(_LOOK_S)
        self._process.wait()

    def _last_words(self) -> str:
        text = self._output.read_bytes()[-_LAST_WORDS_BYTES:].decode("utf-8", "replace")
        return " / ".join(text.split("\n")[-5:]).strip(" /")


@contextlib.contextmanager
def running(name: str, start: Start, is_ready: Callable[[], bool]) -> Iterator[RunningProgram]:
    """Start a program, hand it over when it is ready, and end it."""
    with start.output.open("wb") as output:
        process = subprocess.Popen(
            start.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(start.environment),
            start_new_session=True,
        )
    program = RunningProgram(name, process, start.output)
    try:
        program.wait_until(is_ready)
        yield program
    finally:
        program.end()
