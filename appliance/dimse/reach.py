"""Reaching a peer over TCP, and saying in words of its own why not.

Promises: a call takes no longer than its time once the name is resolved, however many addresses the name has.
Failures: `PeerUnreachableError` (peer).
Limits: names are resolved by the system, with its own time-outs.
"""

from __future__ import annotations

import errno
import socket
import time

from appliance.dimse.failures import PeerUnreachableError, Unreachable


def tcp_hello(host: str, port: int, timeout_s: float) -> None:
    """Connect and close again. Raises `PeerUnreachableError`."""
    connect(host, port, timeout_s).close()


def connect(host: str, port: int, timeout_s: float) -> socket.socket:
    """Return a connected socket; all addresses of the name are tried within `timeout_s`. Raises `PeerUnreachableError`."""
    deadline = time.monotonic() + timeout_s
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise PeerUnreachableError(f"the name {host} cannot be resolved", phase="name", kind=Unreachable.NAME) from None
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            failure = error
            continue
        try:
            sock.settimeout(left)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
            continue
        return sock
    raise _unreachable(host, port, failure) from failure


def _unreachable(host: str, port: int, error: OSError) -> PeerUnreachableError:
    where = f"{host}:{port}"
    if isinstance(error, ConnectionRefusedError):
        return PeerUnreachableError(f"{where} refuses the connection: nothing listens there", phase="connect", kind=Unreachable.REFUSED)
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return PeerUnreachableError(f"{where} does not answer", phase="connect", kind=Unreachable.TIMEOUT)
    if isinstance(error, ConnectionError):
        return PeerUnreachableError(f"{where} closed the connection at once", phase="connect", kind=Unreachable.CLOSED)
    return PeerUnreachableError(f"there is no way to {where}", phase="connect", kind=Unreachable.UNREACHABLE)
