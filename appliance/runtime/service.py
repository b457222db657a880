"""The life-cycle of a daemon: told to stop, saying that it is ready, known to be alive.

Promises: `stopping` is set on SIGTERM, SIGINT, and when the supervisor that started the daemon is gone; `ready` tells the supervisor (or
systemd) and everyone who looks at `run/alive`; the alive file is locked for exactly as long as the process lives.
Failures: `DaemonRunningError` (operator) when the same daemon already runs on this data directory.
Standard: sd_notify(3) datagrams on NOTIFY_SOCKET.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from appliance.core.errors import ApplianceError, Fault
from appliance.runtime.wakeup import hint

# The supervisor holds the other end of this pipe; end of file means it is gone, however it died.
LIFELINE_VARIABLE = "DICOM_EDGE_LIFELINE_FD"

# Whoever asks who is alive (`living`) holds the lock for a moment; only what lasts longer is another daemon.
_LOOKERS, _LOOKER_S = 20, 0.05


class DaemonRunningError(ApplianceError):
    """The same daemon already runs on this data directory."""

    fault = Fault.OPERATOR
    advice = "Stop the other one first, or choose another data directory."


@dataclass(frozen=True, slots=True)
class Living:
    """A daemon that holds its alive lock."""

    name: str
    instance: int
    ready: bool


class Service:
    """One running daemon. Use as a context manager around its work, in the main thread."""

    def __init__(self, name: str, run_dir: Path, instance: int = 0) -> None:
        """Name the daemon; nothing happens before the block is entered."""
        self.name = name
        self.instance = instance
        self.run_dir = run_dir
        self.stopping = threading.Event()
        self._alive = -1

    def __enter__(self) -> Self:
        """Lock the alive file, listen for signals and for the end of the supervisor."""
        self._alive = _lock_alive(self.run_dir, self.name, self.instance)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_stop)
        lifeline = os.environ.get(LIFELINE_VARIABLE)
        if lifeline is not None:
            threading.Thread(target=self._watch_lifeline, args=(int(lifeline),), name="lifeline", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let the lock go."""
        os.close(self._alive)

    def ready(self) -> None:
        """Say that the daemon does its work now."""
        os.pwrite(self._alive, b"ready   ", 0)
        notify("READY=1")

    def stop(self) -> None:
        """Ask the daemon to end; its loop is woken."""
        self.stopping.set()
        self.wake()

    def wake(self) -> None:
        """Wake the daemon's own loop."""
        hint(self.run_dir, self.name)

    def _told_to_stop(self, _number: int, _frame: object) -> None:
        self.stop()

    def _watch_lifeline(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):
            os.read(descriptor, 1)
        self.stop()


def notify(state: str) -> None:
    """Send one sd_notify line to whoever started this process, if anyone listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)


def living(run_dir: Path) -> list[Living]:
    """Return the daemons of this data directory that are alive now, in name order. Never raises for one that just ended."""
    found: list[Living] = []
    home = run_dir / "alive"
    for path in sorted(home.iterdir()) if home.is_dir() else ():
        name, _, instance = path.name.rpartition(".")
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            found.append(Living(name, int(instance), os.pread(descriptor, 8, 0).strip() == b"ready"))
        finally:
            os.close(descriptor)
    return found


def _lock_alive(run_dir: Path, name: str, instance: int) -> int:
    home = run_dir / "alive"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(home / f"{name}.{instance}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_LOOKERS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOKER_S)
        else:
            break
    else:
        os.close(descriptor)
        raise DaemonRunningError(f"{name} already runs on this data directory")
    os.pwrite(descriptor, b"starting", 0)
    return descriptor
