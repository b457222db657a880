"""Ten thousand callers at the door, all from one address (hostile-inputs.md row 4).

Promises: `connected` counts only what the kernel really connected; after the block no socket of it is left.
Failures: none; what the box closes is what a flood expects.
Limits: as fast as one thread of Python is; Linux.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterable
from typing import Self

# Of its connections a flood keeps every twentieth open, and lets it go 200 such later: far more than an address may have at the door. The
# others are gone before the box gets to see them.
_KEPT_OF, _KEPT = 20, 200
_HURRYING = 300
# A box that still has a full queue before it on two busy cores.
_REFUSED_MS = 30_000
# Linux (in.h); Python names it from 3.12 on.
_IP_BIND_ADDRESS_NO_PORT = 24


class Flood(threading.Thread):
    """Connects as fast as it can, at least `count` times and until the block is left, and keeps the latest connections open."""

    def __init__(self, port: int, address: str, count: int) -> None:
        """Prepare to connect from `address`."""
        super().__init__(name="flood", daemon=True)
        self._port = port
        self._address = address
        self._count = count
        self._may_end = threading.Event()
        self.connected = 0

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let it end, and wait for that."""
        self._may_end.set()
        self.join()

    def run(self) -> None:
        """Connect."""
        kept: deque[socket.socket] = deque()
        hurrying: deque[socket.socket] = deque()
        made = 0
        while self.connected < self._count or not self._may_end.is_set():
            connection = socket.socket()
            connection.setblocking(False)
            # The port is chosen by connect, which is quick, and closing leaves nothing behind that would keep a port.
            connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.bind((self._address, 0))
            connection.connect_ex(("127.0.0.1", self._port))
            made += 1
            queue, longest = (kept, _KEPT) if made % _KEPT_OF == 0 else (hurrying, _HURRYING)
            queue.append(connection)
            if len(queue) > longest:
                self._let_go(queue.popleft())
        # However slow the box is beside this thread: it has seen more of one address than it has places for before these are gone.
        self._await_refusal(kept)
        for connection in (*kept, *hurrying):
            self._let_go(connection)

    @staticmethod
    def _await_refusal(kept: Iterable[socket.socket]) -> None:
        """Return when the box has closed one of these, or after a while."""
        poll = select.poll()
        for connection in kept:
            poll.register(connection, select.POLLIN | select.POLLHUP)
        poll.poll(_REFUSED_MS)

    def _let_go(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            # Fails where the kernel had no place for it in the queue, or the box reset it: the first is no connection.
            connection.getpeername()
            self.connected += 1
