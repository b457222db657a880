"""Hints: one-byte datagrams that wake a daemon early. Losing one costs a tick, never an image.

Promises: `hint` and `Bell.ring` never block and never fail for a listener that is absent, full or gone; `HintListener.wait` collapses any
number of hints into one.
Failures: `OSError` when a listener cannot bind its socket (operator: the run directory is not writable).
Limits: a hint says "look", not what; every loop also ticks.
"""

from __future__ import annotations

import contextlib
import select
from pathlib import Path

from appliance.runtime.datagrams import DatagramSender, listening_socket


def hint(run_dir: Path, daemon: str) -> None:
    """Wake `daemon` if it listens."""
    with contextlib.suppress(FileNotFoundError), contextlib.closing(Bell(run_dir, daemon)) as bell:
        bell.ring()


class Bell:
    """What wakes one daemon, again and again; threads may share it."""

    def __init__(self, run_dir: Path, daemon: str) -> None:
        """Ring for `daemon`. Raises `OSError` where there is no run directory."""
        self._hints = DatagramSender(run_dir, f"{daemon}.hint")

    def ring(self) -> None:
        """Wake the daemon if it listens."""
        self._hints.send(b"!")

    def close(self) -> None:
        """Give the descriptors back."""
        self._hints.close()


class HintListener:
    """The receiving end; one a daemon."""

    def __init__(self, run_dir: Path, daemon: str) -> None:
        """Bind `run_dir/<daemon>.hint`, replacing what a dead predecessor left."""
        self._socket = listening_socket(run_dir, f"{daemon}.hint")
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor, for a poll of one's own."""
        return self._socket.fileno()

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as a hint arrived, False after `timeout_s` without one; pending hints are consumed."""
        readable, _, _ = select.select([self._socket], [], [], max(0.0, timeout_s))
        if not readable:
            return False
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(16):
                pass
        return True

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
