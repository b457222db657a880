"""Datagrams between the daemons of one box: sockets in the run directory, for what may be lost.

Promises: `DatagramSender.send` never blocks, and never fails for a listener that is absent, full or gone.
Failures: `OSError` when a listener cannot bind its socket (operator: the run directory is not writable).
Limits: nothing tells the sender whether anybody read it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

# What a full, absent or stopped listener answers; all of them mean that it has to do without.
_NOBODY_THERE = (BlockingIOError, FileNotFoundError, ConnectionRefusedError, ConnectionResetError)


@contextlib.contextmanager
def short_path(directory: Path, name: str) -> Iterator[str]:
    """Give `directory/name` a path short enough for a Unix socket address (107 bytes), whatever the directory's length."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


class DatagramSender:
    """The sending end of one socket, again and again; threads may share it."""

    def __init__(self, run_dir: Path, name: str) -> None:
        """Send to whoever listens at `run_dir/name`. Raises `OSError` where there is no run directory."""
        self._directory = os.open(run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # As in `short_path`.
        self._address = f"/proc/self/fd/{self._directory}/{name}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def send(self, data: bytes) -> None:
        """Send one datagram if somebody listens. Raises `OSError` for one that the kernel takes from nobody."""
        with contextlib.suppress(*_NOBODY_THERE):
            self._socket.sendto(data, socket.MSG_DONTWAIT, self._address)

    def close(self) -> None:
        """Give the descriptors back."""
        self._socket.close()
        os.close(self._directory)


def listening_socket(run_dir: Path, name: str) -> socket.socket:
    """Return a socket bound to `run_dir/name`, in the place of what a dead predecessor left."""
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    (run_dir / name).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with short_path(run_dir, name) as path:
        listening.bind(path)
    return listening
