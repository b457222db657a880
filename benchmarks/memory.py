"""What a program holds in memory, from /proc.

Promises: PSS shares what several processes map among them, so that the sum over a program's processes counts each page once.
Failures: none; a process that is gone counts nothing.
Limits: Linux. A page that other programs map too (another Python on the machine) is shared with them, which makes the sum smaller. Only the
owner of a process, or root, may look.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from benchmarks import accounting

MIB = 1 << 20
# What /proc counts in.
_KIB = 1 << 10
# Makes the kernel forget the most memory that a process had at one time (proc_pid_clear_refs(5)).
_FORGET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Resident:
    """The resident memory of one process in bytes: now, and the most since the peak was forgotten."""

    now: int
    peak: int


def pss(session: int) -> int:
    """Return how much memory the processes of a session hold, in bytes."""
    return sum(_fields(process.pid, "smaps_rollup").get("Pss", 0) for process in accounting.members(session))


def forget_peaks(session: int) -> None:
    """Let the peaks of all processes of a session begin anew."""
    for process in accounting.members(session):
        with contextlib.suppress(OSError):
            (Path("/proc") / str(process.pid) / "clear_refs").write_text(_FORGET_PEAK, encoding="ascii")


def resident(session: int) -> dict[int, Resident]:
    """Return what each process of a session has, by process id."""
    found = {process.pid: _fields(process.pid, "status") for process in accounting.members(session)}
    return {pid: Resident(fields["VmRSS"], fields["VmHWM"]) for pid, fields in found.items() if "VmRSS" in fields}


def parse_sizes(text: str) -> dict[str, int]:
    """Read the lines of a file of /proc that name a size in kB, and return them in bytes."""
    lines = (line.split() for line in text.splitlines())
    return {words[0].rstrip(":"): int(words[1]) * _KIB for words in lines if len(words) == 3 and words[2] == "kB"}


def _fields(pid: int, file: str) -> dict[str, int]:
    try:
        return parse_sizes((Path("/proc") / str(pid) / file).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return {}
