"""The sandbox: what a process that is locked in cannot do any more, tried from inside."""

from __future__ import annotations

import json
import subprocess
import sys

from appliance.opener import sandbox

_TRY = """
import json, os, socket, resource, ctypes, signal
from appliance.opener import sandbox
libc = ctypes.CDLL(None, use_errno=True)
walls = sandbox.enter(sandbox.Limits(memory_bytes=1 << 30, cpu_s=30))
def attempt(act):
    try:
        act()
    except (OSError, MemoryError, ValueError) as error:
        return type(error).__name__
    return "done"
def free_descriptor_and_connect():
    os.close(2)
    socket.socket()
tried = {
    "open": attempt(lambda: open("/etc/hostname")),
    "socket": attempt(socket.socket),
    "fork": attempt(os.fork),
    "execute": attempt(lambda: os.execv("/bin/true", ["true"])),
    "signal": attempt(lambda: os.kill(os.getppid(), 0)),
    "memory": attempt(lambda: bytearray(2 << 30)),
    "limits": attempt(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))),
    "reuse": attempt(free_descriptor_and_connect),
}
os.write(1, json.dumps([walls.system_calls, tried]).encode())
"""


def test_nothing_can_be_opened_started_or_reached() -> None:
    """No file, socket, process, program, signal, descriptor or gigabyte is to be had, even where a descriptor was made free."""
    result = subprocess.run([sys.executable, "-c", _TRY], capture_output=True, timeout=60, check=True)

    walls, tried = json.loads(result.stdout)
    assert walls
    assert "MemoryError" == tried.pop("memory")
    assert "done" not in tried.values()


def test_a_process_that_computes_for_ever_is_ended() -> None:
    """Processor time beyond the limit ends the process."""
    text = "from appliance.opener import sandbox; sandbox.enter(sandbox.Limits(1 << 30, 1))\nwhile True: pass"

    result = subprocess.run([sys.executable, "-c", text], capture_output=True, timeout=60, check=False)

    assert result.returncode < 0


def test_every_machine_allows_the_same_calls() -> None:
    """The tables name the same calls, but for waiting, for which 64-bit ARM has no `poll`; no number stands for two calls."""
    allowed: dict[str, set[str]] = {machine: set(calls) for machine, (_, calls) in sandbox.MACHINES.items()}

    alone = {machine: names - (allowed["x86_64"] & allowed["aarch64"]) for machine, names in allowed.items()}

    assert {"x86_64": {"poll"}, "aarch64": {"ppoll"}} == alone
    assert all(len(calls) == len(set(calls.values())) for _, calls in sandbox.MACHINES.values())
