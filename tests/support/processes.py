"""Processes as the kernel lists them, so that no test has to believe what the appliance says about its own.

Promises: `marked` finds every live process that inherited an environment with the marker, whoever its parent is by now; `end` returns when
none of them is left.
Failures: `AssertionError` when processes survive SIGKILL.
Limits: Linux; only processes of this user (root sees all). A zombie counts as gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.support.eventually import eventually

_PROC = Path("/proc")
# Present in the environment of everything a test starts, so that what is left behind can be found.
MARKER = "DICOM_EDGE_TEST_MARK"


# DCMTK's servers listen after a few hundredths of a second; a machine that stands still for a moment takes longer.
_LISTEN_S = 30.0


def is_running(pid: int) -> bool:
    """Say whether the process exists and is not a zombie."""
    state = _state(pid)
    return state is not None and state not in "ZX"


def parent_of(pid: int) -> int | None:
    """Return the process id of the parent, or None when the process is gone."""
    fields = _stat_fields(pid)
    return int(fields[1]) if fields else None


def command_of(pid: int) -> list[str]:
    """Return the command line, empty when the process is gone."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode("utf-8", "replace").rstrip("\0").split("\0")


def children_of(pid: int) -> list[int]:
    """Return the live children of a process, in the order of their ids."""
    return [child for child in all_pids() if parent_of(child) == pid and is_running(child)]


def marked(mark: str) -> list[int]:
    """Return the live processes whose environment carries the mark."""
    wanted = f"{MARKER}={mark}".encode()
    found = []
    for pid in all_pids():
        try:
            environment = (_PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0") and is_running(pid):
            found.append(pid)
    return found


def all_pids() -> list[int]:
    """Return the ids of all processes."""
    return sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def end(pids: Iterable[int]) -> None:
    """Kill these processes, which a test started, and return when they are gone."""
    left = list(pids)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(is_running(pid) for pid in left), within=10, message="the processes to end")


def start_listening(start: Callable[[], subprocess.Popen[bytes]], port: int, name: str) -> subprocess.Popen[bytes]:
    """Start a server and return its process when it listens; one that ended at once is started again.

    Until it listens, any outgoing connection of this machine may have its port for a moment.
    """
    process = start()

    def listens() -> bool:
        nonlocal process
        if process.poll() is not None:
            process = start()
        return is_listening(port)

    try:
        eventually(listens, within=_LISTEN_S, message=f"{name} to listen")
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return process


def is_listening(port: int) -> bool:
    """Say whether a TCP socket listens on the port, without connecting to it (a peer would log that as an association)."""
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        lines = (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        for line in lines:
            fields = line.split()
            # State 0A is LISTEN (include/net/tcp_states.h).
            if fields[1].endswith(wanted) and fields[3] == "0A":
                return True
    return False


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command name in brackets may hold spaces and brackets itself.
    return text.rpartition(")")[2].split()


def _state(pid: int) -> str | None:
    fields = _stat_fields(pid)
    return fields[0] if fields else None
