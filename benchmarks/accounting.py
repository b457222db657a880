"""What a program costs: the CPU time of all its processes, from /proc.

Promises: `cpu_s` counts user and system time of every process of a session, and of every child that one of them has buried, so that nothing
is counted twice and a child that ends during a run is not lost.
Failures: none; a process that is gone counts nothing.
Limits: Linux. The kernel counts in ticks of 10 ms, so measure at least a second. What the kernel does later on a program's behalf (writing
dirty pages back) is nobody's. A process that leaves the session, or whose parent ends before it or ignores SIGCHLD, takes its time along.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
# Fields of /proc/PID/stat counted after the command name, which may itself hold spaces and brackets (proc_pid_stat(5)).
_STATE, _SESSION, _UTIME, _STIME, _CUTIME, _CSTIME = 0, 3, 11, 12, 13, 14
# States in /proc/net/tcp (include/net/tcp_states.h).
_ESTABLISHED, _LISTEN = "01", "0A"


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process; `ticks` are its own and those of the children it has buried."""

    pid: int
    session: int
    ticks: int
    is_alive: bool


def parse_stat(pid: int, text: str) -> ProcessFacts:
    """Read the content of /proc/PID/stat."""
    fields = text.rpartition(")")[2].split()
    ticks = sum(int(fields[index]) for index in (_UTIME, _STIME, _CUTIME, _CSTIME))
    return ProcessFacts(pid, int(fields[_SESSION]), ticks, fields[_STATE] not in "ZX")


def members(session: int) -> list[ProcessFacts]:
    """Return every process of a session; zombies are among them, with the time they took."""
    return [process for process in _processes() if process.session == session]


def cpu_s(session: int) -> float:
    """Return the CPU seconds that the processes of this session have taken so far."""
    return float(sum(process.ticks for process in members(session))) / os.sysconf("SC_CLK_TCK")


def cpu_by_daemon(session: int) -> dict[str, float]:
    """Return the CPU seconds of the box's daemons by name; workers of one name are added up, and what is no daemon is called run."""
    seconds: dict[str, float] = {}
    for process in members(session):
        name = daemon_name(process.pid)
        seconds[name] = seconds.get(name, 0.0) + process.ticks / os.sysconf("SC_CLK_TCK")
    return seconds


def daemon_name(pid: int) -> str:
    """Return the daemon that a process of the box is: the word behind `serve` on its command line, or run."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    return words[words.index(b"serve") + 1].decode("ascii", "replace") if b"serve" in words[:-1] else "run"


def is_listening(port: int) -> bool:
    """Say whether a TCP socket listens on the port, without connecting to it: a program would take that for an association."""
    return _sockets(port, _LISTEN) > 0


def connections(port: int) -> int:
    """Return how many connections to whoever listens on the port are established."""
    return _sockets(port, _ESTABLISHED)


def _sockets(port: int, state: str) -> int:
    """Return how many TCP sockets of this port are in a state."""
    wanted = f":{port:04X}"
    tables = [(_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:] for table in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    return sum(row[1].endswith(wanted) and row[3] == state for row in rows)


def _processes() -> Iterator[ProcessFacts]:
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            try:
                text = (_PROC / entry.name / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            yield parse_stat(int(entry.name), text)
