"""Listening sockets: bound once by whoever supervises, inherited by the workers.

Promises: every worker of a listener shares one socket, so a killed worker loses no connection that the kernel has not yet handed out.
Failures: `PortUnavailableError` (operator) says which address, and why.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Sequence

from appliance.core.errors import ApplianceError, Fault

LISTEN_VARIABLE = "DICOM_EDGE_LISTEN_FDS"
TLS_LISTEN_VARIABLE = "DICOM_EDGE_LISTEN_TLS_FDS"
WEB_LISTEN_VARIABLE = "DICOM_EDGE_LISTEN_WEB_FDS"

# Connections the kernel holds while all workers are busy: a department's scanners all starting at once after a power cut, and in a flood
# a scanner behind the flood's own; a place in a long queue costs it half a second, none costs it the seconds until it tries again.
_BACKLOG = 1024

_WHY = {
    errno.EADDRINUSE: "another program already uses it",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "this user may not listen there; ports below 1024 need the installed service",
}


class PortUnavailableError(ApplianceError):
    """The box cannot listen at an address."""

    fault = Fault.OPERATOR
    advice = "Choose another address in listen.dicom, listen.dicom_tls or listen.web, or stop the program that uses it."


def bind(addresses: Iterable[tuple[str, int]]) -> list[socket.socket]:
    """Return one listening, non-blocking socket an address, all or none.

    Port 0 lets the kernel choose. Without SO_REUSEPORT on purpose: with it a stopped worker would keep its share of new connections.
    """
    sockets: list[socket.socket] = []
    try:
        for host, port in addresses:
            sockets.append(_bind_one(host, port))
    except PortUnavailableError:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _bind_one(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror:
        raise PortUnavailableError(f"cannot listen at {host}:{port}: no such address") from None
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        why = _WHY.get(error.errno or 0, os.strerror(error.errno or 0).lower())
        raise PortUnavailableError(f"cannot listen at {host}:{port}: {why}") from None
    listener.setblocking(False)
    return listener


def inherited(variable: str = LISTEN_VARIABLE) -> list[socket.socket] | None:
    """Return the sockets that the supervisor handed over in `variable`, or None when this process was started by itself."""
    passed = os.environ.get(variable)
    if passed is None:
        return None
    sockets = [socket.socket(fileno=int(number)) for number in passed.split(",") if number]
    for listener in sockets:
        listener.setblocking(False)
        listener.set_inheritable(False)
    return sockets


def addresses(sockets: Sequence[socket.socket]) -> list[tuple[str, int]]:
    """Return where the sockets really listen, as (host, port)."""
    return [(name[0], name[1]) for name in (listener.getsockname() for listener in sockets)]
