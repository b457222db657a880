"""A connection as a thread reads and writes it: a socket whose every wait has a deadline.

Promises: no call waits longer than a pause between two bytes may be; all reading of a request together, and all writing of its answer,
has a bound too, plus the time that so many bytes take on a slow line. What was read ahead comes first.
Failures: `TimeoutError`, `OSError` of the peer.
Limits: for one thread at a time.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

# No honest peer in a hospital's network pauses longer in the middle of a request, or of taking an answer.
_PAUSE_S = 10.0
_READING_S = 10.0
_WRITING_S = 30.0
# A tablet at the edge of the wireless network.
_SLOWEST_BYTES_S = 64 << 10
_AT_A_TIME = 64 << 10


class Line:
    """The socket of one connection, while a thread has it."""

    def __init__(self, sock: socket.socket, now: Callable[[], float] = time.monotonic) -> None:
        """Use `sock`, which stays somebody else's."""
        self._sock = sock
        self._now = now
        self._ahead = b""
        self._cap_s: float | None = None
        self._read_until = self._write_until = 0.0

    def begin(self, ahead: bytes) -> None:
        """Begin a request of which `ahead` was read already."""
        self._ahead = ahead
        self._cap_s = None
        self._write_until = 0.0
        self.expect(0)

    def take_ahead(self) -> bytes:
        """Return what was read ahead and nobody has asked for."""
        ahead, self._ahead = self._ahead, b""
        return ahead

    def expect(self, body_bytes: int) -> None:
        """Give so many bytes the time that they take."""
        self._read_until = self._now() + _READING_S + body_bytes / _SLOWEST_BYTES_S

    def recv(self, size: int) -> bytes:
        """Return what came, at most `size` bytes; nothing at the end."""
        if self._ahead:
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
            return piece
        self._sock.settimeout(self._left(self._read_until))
        return self._sock.recv(size)

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        if not self._write_until:
            # An answer has its time from its first byte: how long it took to make is not the peer's fault.
            self._write_until = self._now() + _WRITING_S
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._left(self._write_until))
            sent = self._sock.send(view[:_AT_A_TIME])
            view = view[sent:]
            self._write_until += sent / _SLOWEST_BYTES_S

    def send(self, data: bytes) -> int:
        """Send everything, and return how much that was."""
        self.sendall(data)
        return len(data)

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 (a socket's own signature)
        """Change nothing: every call has its own time."""

    def settimeout(self, seconds: float | None) -> None:
        """Let no call wait longer than this, besides what holds anyway."""
        self._cap_s = seconds

    def gettimeout(self) -> float | None:
        """Return what was set by `settimeout`."""
        return self._cap_s

    def shutdown(self, how: int) -> None:
        """Shut the connection down."""
        self._sock.shutdown(how)

    def close(self) -> None:
        """End the connection; whoever owns the socket notices."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _left(self, until: float) -> float:
        left = min(_PAUSE_S, until - self._now())
        if self._cap_s is not None:
            left = min(left, self._cap_s)
        if left <= 0:
            raise TimeoutError
        return left
