"""Hints: one-byte datagrams that wake a daemon early. Losing one costs a tick, never an image.

Promises: `hint` and `Bell.ring` never block and never fail for a listener that is absent, full or gone; `HintListener.wait` collapses any
number of hints into one.
Failures: `OSError` when a listener cannot bind its socket (operator: the run directory is not writable).
Limits: a hint says "look", not what; every loop also ticks.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

# What a full, absent or stopped listener answers; all of them mean "it will look by itself at its next tick".
_NOBODY_THERE = (BlockingIOError, FileNotFoundError, ConnectionRefusedError, ConnectionResetError)


@contextlib.contextmanager
def short_path(directory: Path, name: str) -> Iterator[str]:
    """Give `directory/name` a path short enough for a Unix socket address (107 bytes), whatever the directory's length."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def hint(run_dir: Path, daemon: str) -> None:
    """Wake `daemon` if it listens."""
    with contextlib.suppress(FileNotFoundError), contextlib.closing(Bell(run_dir, daemon)) as bell:
        bell.ring()


class Bell:
    """What wakes one daemon, again and again; threads may share it."""

    def __init__(self, run_dir: Path, daemon: str) -> None:
        """Ring for `daemon`. Raises `OSError` where there is no run directory."""
        self._directory = os.open(run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # As in `short_path`.
        self._address = f"/proc/self/fd/{self._directory}/{daemon}.hint"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def ring(self) -> None:
        """Wake the daemon if it listens."""
        with contextlib.suppress(*_NOBODY_THERE):
            self._socket.sendto(b"!", socket.MSG_DONTWAIT, self._address)

    def close(self) -> None:
        """Give the descriptors back."""
        self._socket.close()
        os.close(self._directory)


class HintListener:
    """The receiving end; one a daemon."""

    def __init__(self, run_dir: Path, daemon: str) -> None:
        """Bind `run_dir/<daemon>.hint`, replacing what a dead predecessor left."""
        run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (run_dir / f"{daemon}.hint").unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with short_path(run_dir, f"{daemon}.hint") as path:
            self._socket.bind(path)

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
