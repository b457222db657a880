"""What a program holds in memory, read from /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks import memory
from benchmarks.memory import MIB

_ROLLUP = "55d4-7ffc ---p 00000000 00:00 0    [rollup]\nRss:              100 kB\nPss:               60 kB\nTHPeligible: 0\n"
# Says that it is there, then takes and gives back 40 MiB each time it is told to.
_PROGRAM = "import sys\nprint('ready', flush=True)\nfor _ in sys.stdin:\n    len(bytearray(b'x') * (40 << 20)); print('done', flush=True)"


class Program:
    """A program in a session of its own that takes memory when told to."""

    def __init__(self) -> None:
        """Start it and wait until it is there."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.session = self._process.pid
        self._hear()

    def take_and_give_back(self) -> None:
        """Return when it has taken 40 MiB and has given them back."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self._hear()

    def end(self) -> None:
        """Leave nothing."""
        os.kill(self.session, signal.SIGKILL)
        self._process.communicate()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline()


@pytest.fixture
def program() -> Iterator[Program]:
    """A program of this test."""
    one = Program()
    yield one
    one.end()


def test_sizes_are_read_in_bytes() -> None:
    """Lines that name a size count, others do not."""
    assert memory.parse_sizes(_ROLLUP) == {"Rss": 100 * 1024, "Pss": 60 * 1024}


def test_a_peak_is_seen_after_it_has_gone(program: Program) -> None:
    """What a program took and gave back is in its peak; once forgotten it is not."""
    memory.forget_peaks(program.session)
    before = memory.resident(program.session)[program.session]
    program.take_and_give_back()
    after = memory.resident(program.session)[program.session]
    memory.forget_peaks(program.session)
    forgotten = memory.resident(program.session)[program.session]

    assert after.peak - before.now > 35 * MIB
    assert forgotten.peak - before.now < 20 * MIB


def test_memory_is_that_of_the_session(program: Program) -> None:
    """A session holds something, and one that is not there nothing."""
    assert memory.pss(program.session) > MIB
    assert memory.pss(-1) == 0
