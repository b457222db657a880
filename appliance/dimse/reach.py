"""Reaching a peer over TCP, and over TLS where it speaks that, and saying in words of its own why not.

Promises: a call takes no longer than its time once the name is resolved, however many addresses the name has; the TLS handshake is part of
it. A connection over TLS is to the peer that was meant: nothing but the handshake was sent to another.
Failures: `PeerUnreachableError` (peer).
Limits: names are resolved by the system, with its own time-outs.
"""

from __future__ import annotations

import errno
import socket
import time

from appliance.dimse.failures import PeerUnreachableError, Unreachable
from appliance.dimse.pdu import PduInvalidError
from appliance.dimse.tls import Secured, TlsMaterialUnusableError, TlsRequest
from appliance.dimse.tls_failures import TlsRefusedError, about_late_alert
from appliance.dimse.tls_socket import SecureConnection, TlsSocket
from appliance.dimse.upper_layer import Connection, ConnectionLostError, PeerSilentError

# In TLS 1.3 a server looks at our certificate after we are done; what it says is there after one round trip.
_OBJECTION_S = 0.5


def tcp_hello(host: str, port: int, timeout_s: float) -> None:
    """Connect and close again. Raises `PeerUnreachableError`."""
    connect(host, port, timeout_s).close()


def tls_hello(host: str, port: int, timeout_s: float, tls: TlsRequest) -> Secured:
    """Connect, shake hands, listen for an objection, and close again; return what came of it. Raises `PeerUnreachableError`."""
    where, deadline = f"{host}:{port}", time.monotonic() + timeout_s
    connection = _secure(connect(host, port, timeout_s), tls, where, deadline, timeout_s)
    try:
        if connection.is_readable(int(_OBJECTION_S * 1000)):
            connection.read(limit=0, first_byte_s=_OBJECTION_S)
    except ConnectionLostError as error:
        refused = about_late_alert(error.__cause__)
        if refused is not None:
            raise refusal(where, refused) from error
    except (PeerSilentError, PduInvalidError):
        pass
    finally:
        connection.close()
    assert connection.secured is not None  # noqa: S101 (it has shaken hands; for the type checker)
    return connection.secured


def open_connection(host: str, port: int, connect_s: float, progress_s: float, tls: TlsRequest | None) -> Connection:
    """Return a connection, over TLS where `tls` says how; all within `connect_s`. Raises `PeerUnreachableError`."""
    deadline = time.monotonic() + connect_s
    sock = connect(host, port, connect_s)
    if tls is None:
        return Connection(sock, progress_s=progress_s)
    return _secure(sock, tls, f"{host}:{port}", deadline, progress_s)


def _secure(sock: socket.socket, tls: TlsRequest, where: str, deadline: float, progress_s: float) -> SecureConnection:
    """Shake hands on a connected socket. Raises `PeerUnreachableError`, and the socket is closed then."""
    connection = SecureConnection(TlsSocket(sock, tls.context, server_name=tls.name), progress_s=progress_s)
    shake_hands(connection, tls, where, deadline)
    return connection


def shake_hands(connection: SecureConnection, tls: TlsRequest, where: str, deadline: float) -> None:
    """Return when the peer is known to be the one that was meant. Raises `PeerUnreachableError`, and the connection is closed then."""
    try:
        secured = connection.establish(deadline)
    except TlsRefusedError as error:
        connection.close()
        raise refusal(where, error) from error
    except PeerSilentError as error:
        connection.close()
        raise PeerUnreachableError(f"{where} does not finish the TLS handshake", phase="tls", kind=Unreachable.TIMEOUT) from error
    except TlsMaterialUnusableError as error:
        connection.close()
        raise PeerUnreachableError(f"no TLS handshake with {where}: {error}", phase="tls", kind=Unreachable.OWN_CERTIFICATE) from error
    except BaseException:  # boundary: whatever ends it, the descriptor must not stay open; raised again
        connection.close()
        raise
    if tls.sha256 and (secured.certificate is None or secured.certificate.sha256 != tls.sha256):
        connection.close()
        message = f"{where} shows another certificate than the one that is configured for it"
        raise PeerUnreachableError(message, phase="tls", kind=Unreachable.WRONG_CERTIFICATE)


def refusal(where: str, error: TlsRefusedError) -> PeerUnreachableError:
    """Return what a refused handshake means for whoever wanted to reach the peer."""
    return PeerUnreachableError(f"no TLS with {where}: {error}", phase="tls", kind=error.kind)


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
