"""A connection to a web server: over TLS and through an HTTP proxy where it must be, with a deadline on every wait.

Promises: nothing runs against a fixed time while bytes move; a connection over TLS is to the server that was meant, whatever stands
between; the descriptor is given back by `close` in any case.
Failures: `PeerUnreachableError`, `ProxyFailedError` (peer) where no connection comes about; `OSError` afterwards, `TimeoutError` where
nothing moved for too long.
Limits: the proxy itself is spoken to in clear; what goes to it by TLS is not readable for it.
Standard: RFC 9110 9.3.6 (CONNECT), RFC 9112 3.2.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from dataclasses import dataclass

import h11

from appliance.core.errors import ApplianceError, Fault
from appliance.dimse.failures import PeerUnreachableError
from appliance.dimse.reach import connect, refusal, shake_hands
from appliance.dimse.tls import TlsRequest
from appliance.dimse.tls_failures import about_late_alert
from appliance.dimse.tls_socket import SecureConnection, TlsSocket
from appliance.dimse.upper_layer import prepare

# A network read; an answer is a few kilobytes.
_READ_BYTES = 65536
# In TLS 1.3 a server looks at our certificate after we are done; what it says is there after one round trip.
_OBJECTION_S = 0.5


class ProxyFailedError(ApplianceError):
    """The HTTP proxy cannot be reached (`kind`), or does not lead to the server: it answered CONNECT with `status`."""

    fault = Fault.PEER

    def __init__(self, message: str, *, kind: str = "", status: int | None = None) -> None:
        """Keep what happened."""
        super().__init__(message)
        self.kind = kind
        self.status = status


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, which must let the box pass: it is shown no credentials."""

    host: str
    port: int


class HttpLine:
    """One connection, used by one thread."""

    def __init__(self, sock: socket.socket | TlsSocket, where: str, progress_s: float) -> None:
        """Own `sock`; a write may stand still for `progress_s`."""
        self._socket = sock
        self._where = where
        self._progress_s = progress_s

    def send(self, data: bytes) -> None:
        """Send everything; only a standstill ends it early. Raises `OSError`, `TimeoutError`."""
        self._socket.settimeout(self._progress_s)
        view = memoryview(data)
        while view:
            view = view[self._socket.send(view) :]

    def receive(self, deadline: float) -> bytes:
        """Return what came, b"" at the end; wait until `deadline` (monotonic clock). Raises `OSError`, `TimeoutError`."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._socket.recv(_READ_BYTES)

    def has_something(self, wait_s: float = 0.0) -> bool:
        """Say whether something came within `wait_s`: bytes, or the end of the connection."""
        wait_ms = int(wait_s * 1000)
        if isinstance(self._socket, TlsSocket):
            return self._socket.has_something(wait_ms)
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(wait_ms))

    def await_objection(self) -> None:
        """Return when a server that speaks TLS has had time to refuse our certificate. Raises `PeerUnreachableError`."""
        if not isinstance(self._socket, TlsSocket) or not self.has_something(_OBJECTION_S):
            return
        try:
            self.receive(time.monotonic() + _OBJECTION_S)
        except OSError as error:
            self.raise_if_objection(error)

    def raise_if_objection(self, error: OSError) -> None:
        """Raise `PeerUnreachableError` where an error is the server's late word about our certificate."""
        refused = about_late_alert(error)
        if refused is not None:
            raise refusal(self._where, refused) from error

    def close(self) -> None:
        """End it. Never raises."""
        with contextlib.suppress(OSError):
            self._socket.close()


def open_line(
    host: str, port: int, *, connect_s: float, progress_s: float, tls: TlsRequest | None = None, proxy: Proxy | None = None
) -> HttpLine:
    """Return a connection to a web server, all within `connect_s`. Raises `PeerUnreachableError`, `ProxyFailedError`."""
    deadline = time.monotonic() + connect_s
    where = f"{host}:{port}"
    sock = connect(host, port, connect_s) if proxy is None else _connect_to_proxy(proxy, connect_s)
    prepare(sock)
    if tls is None:
        return HttpLine(sock, where, progress_s)
    if proxy is not None:
        _tunnel(HttpLine(sock, where, connect_s), f"[{host}]:{port}" if ":" in host else where, deadline)
    secure = TlsSocket(sock, tls.context, server_name=tls.name)
    shake_hands(SecureConnection(secure, progress_s=progress_s), tls, where, deadline)
    return HttpLine(secure, where, progress_s)


def _connect_to_proxy(proxy: Proxy, connect_s: float) -> socket.socket:
    try:
        return connect(proxy.host, proxy.port, connect_s)
    except PeerUnreachableError as error:
        raise ProxyFailedError(f"no connection to the HTTP proxy: {error}", kind=error.kind) from error


def _tunnel(line: HttpLine, authority: str, deadline: float) -> None:
    """Have the proxy connect us with the server. The line is closed where it does not."""
    client = h11.Connection(h11.CLIENT)
    try:
        request = h11.Request(method="CONNECT", target=authority, headers=[("Host", authority)])
        line.send(client.send(request) + client.send(h11.EndOfMessage()))
        while True:
            event = client.next_event()
            if isinstance(event, h11.Response):
                break
            if event is h11.NEED_DATA:
                client.receive_data(line.receive(deadline))
    except TimeoutError as error:
        line.close()
        raise ProxyFailedError("the HTTP proxy does not answer", kind="timeout") from error
    except OSError as error:
        line.close()
        raise ProxyFailedError("the HTTP proxy closes the connection", kind="closed") from error
    except h11.RemoteProtocolError as error:
        line.close()
        raise ProxyFailedError("what answers at the HTTP proxy's address does not speak HTTP", kind="not_http") from error
    if not 200 <= event.status_code < 300:  # noqa: PLR2004 (RFC 9110 9.3.6: any 2xx opens the tunnel)
        line.close()
        raise ProxyFailedError(f"the HTTP proxy answers with {event.status_code}", status=event.status_code)
