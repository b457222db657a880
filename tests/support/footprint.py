"""What a process costs, as the kernel counts it: threads, descriptors and memory.

Promises: `measure` returns None for a process that is gone; after `forget_peak` a footprint's `peak_bytes` is the most since then.
Failures: `OSError` from `forget_peak` where the kernel does not allow it (another user's process).
Limits: Linux. Memory is what is resident, shared pages included.
Standard: proc(5): status, fd, clear_refs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_KIB = 1024
# proc(5): writing this to clear_refs sets the peak back to what is resident now.
_RESET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Footprint:
    """One look at one process."""

    threads: int
    descriptors: int
    resident_bytes: int
    peak_bytes: int


def measure(pid: int) -> Footprint | None:
    """Return what the process costs now."""
    try:
        lines = (_PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace").splitlines()
        status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
        return Footprint(
            threads=int(status["Threads"][0]),
            descriptors=sum(1 for _ in (_PROC / str(pid) / "fd").iterdir()),
            resident_bytes=int(status["VmRSS"][0]) * _KIB,
            peak_bytes=int(status["VmHWM"][0]) * _KIB,
        )
    except (OSError, KeyError):
        # A process that ended, or a zombie, which has no memory any more.
        return None


def forget_peak(pid: int) -> None:
    """Let the peak begin anew."""
    (_PROC / str(pid) / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
