"""A long line to a destination of this machine, in a process of its own (`line_process`), and proof that it is as long and wide as it says.

Promises: inside `laid` the line is there; `require_carries` returns only when it brings its bytes a second, and takes its round trip.
Failures: `RunInvalidError`, on a machine that is too busy or too slow for the line.
Limits: those of `line_process`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import accounting
from benchmarks.failures import RunInvalidError
from benchmarks.receivers import free_port
from benchmarks.running import Start, running

_ROOT = Path(__file__).resolve().parents[1]
_ANSWER_S = 30.0
# Long enough to be measured finely, and for what waits in front of the line to be a small part.
_TRIAL_S = 3.0
# By how much a line may differ from what it should be.
_TOLERANCE = 0.03
# What two Pythons and the loopback add to a round trip.
_ADDED_S = 0.01
_PIECE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Line:
    """How long a round trip takes, and how wide the line is, in each direction."""

    round_trip_ms: int
    megabits_per_s: int

    def __str__(self) -> str:
        """Return it as the table calls it."""
        return f"{self.round_trip_ms} ms x {self.megabits_per_s} Mbit/s"

    @property
    def bytes_per_s(self) -> float:
        """How much it carries at most."""
        return self.megabits_per_s * 1e6 / 8

    @property
    def round_trip_s(self) -> float:
        """How long a round trip takes at least."""
        return self.round_trip_ms / 1000


@contextlib.contextmanager
def laid(line: Line, target: int, directory: Path) -> Iterator[int]:
    """Hand over a port from which the line leads to the port `target` of this machine."""
    port = free_port()
    arguments = [str(value) for value in (port, target, line.round_trip_s, line.bytes_per_s)]
    command = [sys.executable, "-m", "benchmarks.line_process", *arguments]
    start = Start(command, os.environ | {"PYTHONPATH": str(_ROOT)}, directory / "line.output")
    with running("the line", start, lambda: accounting.is_listening(port)):
        yield port


def require_carries(line: Line, directory: Path) -> None:
    """Return when the line is what it should be on this machine."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        laid(line, server.getsockname()[1], directory) as port,
        socket.create_connection(("127.0.0.1", port), _ANSWER_S) as near,
    ):
        server.settimeout(_ANSWER_S)
        far, _ = server.accept()
        with far:
            far.settimeout(_ANSWER_S)
            round_trip_s = _round_trip_s(near, far)
            bytes_per_s = _bytes_per_s(near, far, int(_TRIAL_S * line.bytes_per_s))
    judge(line, round_trip_s, bytes_per_s)


def judge(line: Line, round_trip_s: float, bytes_per_s: float) -> None:
    """Raise `RunInvalidError` unless this is the line."""
    share, late_s = bytes_per_s / line.bytes_per_s, round_trip_s - line.round_trip_s
    if abs(share - 1.0) > _TOLERANCE or not -_ADDED_S < late_s < _ADDED_S + _TOLERANCE * line.round_trip_s:
        found = f"{1000 * round_trip_s:.0f} ms x {bytes_per_s * 8 / 1e6:.1f} Mbit/s"
        raise RunInvalidError(f"this machine cannot make a line of {line}, only one of {found}")


def _round_trip_s(near: socket.socket, far: socket.socket) -> float:
    began = time.monotonic()
    near.sendall(b"?")
    far.recv(1)
    far.sendall(b"!")
    near.recv(1)
    return time.monotonic() - began


def _bytes_per_s(near: socket.socket, far: socket.socket, size: int) -> float:
    """Return what arrives a second after the first piece."""
    sender = threading.Thread(target=near.sendall, args=(bytes(size),))
    sender.start()
    first = len(far.recv(_PIECE_BYTES))
    began, received = time.monotonic(), first
    while received < size:
        received += len(far.recv(_PIECE_BYTES))
    took_s = time.monotonic() - began
    sender.join()
    return (received - first) / took_s
