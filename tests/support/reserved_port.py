"""A port that stays this test's own, also while nobody listens on it.

Promises: until the socket is closed the kernel gives the port to nobody who did not ask for it by number; a connection to it is refused
until somebody with SO_REUSEADDR listens there.
Failures: `OSError` when no port is free.
Limits: Linux, IPv4.
"""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def reserve() -> socket.socket:
    """Return a socket that is bound to a free port and does not listen.

    To the port of all addresses: bound to one, it would leave those of 127.0.2.7 and the like to callers that choose where they call
    from, and an archive that listens on all addresses could not have it.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("", 0))
    return holder


def port_of(holder: socket.socket) -> int:
    """Return the port that a socket is bound to."""
    return int(holder.getsockname()[1])


def listening(port: int, *, backlog: int, receive_buffer: int | None = None) -> socket.socket:
    """Return a socket that listens on a reserved port; connections inherit `receive_buffer`."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if receive_buffer is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener
