"""A TCP socket that speaks TLS, with the few methods of a socket that `Connection` uses, and the connection made of one.

TLS happens in memory; the network is read and written here, without ever waiting inside OpenSSL. So every wait has a deadline, and another
thread may send its last word and cut the line while one waits.

Promises: as `upper_layer`: no call blocks longer than its time without a byte moving; no more is held than one network read and what
OpenSSL makes of it; nothing of ours ever leaves in clear. A handshake has one deadline in all, however slowly bytes drip; a refused peer
gets its alert.
Failures: `OSError` from the methods of the socket, `TimeoutError` where the time is over; `TlsRefusedError` and `PeerSilentError` where a
`SecureConnection` shakes hands.
Limits: an end without TLS's own goodbye (close_notify) is an end: many devices hang up like that, and a unit cut short shows by its length.
Standard: RFC 8446, RFC 5246; PS3.15 B.12.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import cast

from appliance.dimse.pdu import AbortReason, AbortSource, Pdu, abort_pdu
from appliance.dimse.tls import Secured
from appliance.dimse.tls_failures import NotTlsError, refused
from appliance.dimse.upper_layer import LINGER_S, Connection, PeerSilentError
from appliance.keys.certificates import facts_of

# A few TLS records (16 KiB of content each) a system call, and no more in memory.
_AT_A_TIME = 65536
# RFC 8446 5.1: what the first record of a peer may be, an alert or a message of the handshake.
_FIRST_RECORDS = (21, 22)
_LOOKS = (
    (b"\x01\x00", "plain DICOM"),
    (b"\x07\x00", "plain DICOM"),
    (b"GET ", "HTTP"),
    (b"POST", "HTTP"),
    (b"HTTP", "HTTP"),
    (b"SSH-", "SSH"),
)

Bytes = bytes | bytearray | memoryview


class TlsSocket:
    """One TLS connection over a TCP socket that it owns, for one thread; `send` with MSG_DONTWAIT and `shutdown` are for any."""

    def __init__(self, sock: socket.socket, context: Callable[[], ssl.SSLContext], *, server_name: str | None) -> None:
        """Own `sock`. Nothing happens before `handshake`, which also asks for the context; `server_name` is None on the acceptor's side."""
        sock.setblocking(False)
        self._raw = sock
        self._context = context
        self._server_name = server_name
        self._timeout_s: float | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # Guards the TLS state and what is not sent yet; held for work in memory only, never while somebody waits.
        self._lock = threading.Lock()
        self._tls: ssl.SSLObject | None = None
        self._unsent = b""
        self._ahead = b""
        self._over: OSError | None = None
        self._has_said_goodbye = False
        self.secured: Secured | None = None
        """What the handshake led to; None before it."""

    def handshake(self, deadline: float) -> Secured:
        """Shake hands until `deadline` (monotonic clock) and return what came of it.

        Raises `OSError` (see `tls_failures`), `TimeoutError`, and what making the context raises.
        """
        context = self._context()
        is_acceptor = self._server_name is None
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=is_acceptor, server_hostname=self._server_name)
        has_heard = False
        while True:
            try:
                is_done = self._shake(tls)
            except OSError:
                # The alert that says why. The peer may be gone; the failure is what counts.
                with contextlib.suppress(OSError):
                    self._flush(deadline)
                raise
            self._flush(deadline)
            if is_done:
                break
            received = self._receive(deadline)
            if received and not has_heard:
                has_heard = True
                if received[0] not in _FIRST_RECORDS:
                    raise NotTlsError(_looks_like(received))
            self._feed(received)
        certificate = tls.getpeercert(binary_form=True)
        cipher = tls.cipher()
        self._tls = tls
        self.secured = Secured(
            tls.version() or "", cipher[0] if cipher is not None else "", facts_of(certificate) if certificate is not None else None
        )
        return self.secured

    def recv_into(self, buffer: memoryview, nbytes: int = 0) -> int:
        """Fill some of `buffer` with what the peer sent, and return how much; 0 at the end."""
        view = buffer[:nbytes] if nbytes else buffer
        if not view:
            return 0
        deadline = self._deadline()
        while True:
            count = self._read_into(view)
            if count is not None:
                return count
            self._feed(self._receive(deadline))

    def recv(self, size: int) -> bytes:
        """Return what the peer sent, at most `size` bytes; nothing at the end."""
        buffer = bytearray(min(size, _AT_A_TIME))
        return bytes(buffer[: self.recv_into(memoryview(buffer))])

    def send(self, data: Bytes, flags: int = 0) -> int:
        """Send some of `data` and return how much. With MSG_DONTWAIT all that does not go at once is kept until the next call sends it."""
        piece = memoryview(data)[:_AT_A_TIME]
        with self._lock:
            if self._tls is None:
                raise OSError("there is no TLS yet")
            sent = self._tls.write(piece)
            self._collect()
        if flags & socket.MSG_DONTWAIT:
            self._push()
        else:
            self._flush(None)
        return sent

    def has_something(self, wait_ms: int) -> bool:
        """Say whether there is something to read within `wait_ms`: content or an end, and not only a message between the TLS layers."""
        deadline = time.monotonic() + wait_ms / 1000
        while not self._ahead and self._over is None:
            # One byte is enough to know, and costs nothing; the rest stays with OpenSSL.
            buffer = bytearray(1)
            try:
                count = self._read_into(memoryview(buffer))
                if count is None:
                    self._feed(self._receive(deadline))
                elif count:
                    self._ahead = bytes(buffer)
                else:
                    return True
            except OSError as error:
                # Our own time is over when there is no number; the kernel's word that the peer vanished has one.
                if isinstance(error, TimeoutError) and error.errno is None:
                    return False
                # Kept for whoever reads next.
                self._over = error
        return True

    def settimeout(self, seconds: float | None) -> None:
        """Let the following calls wait so long; None is for ever."""
        self._timeout_s = seconds

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Set an option of the TCP socket."""
        self._raw.setsockopt(level, option, value)

    def fileno(self) -> int:
        """Return the descriptor of the TCP socket, -1 after `close`."""
        return self._raw.fileno()

    def shutdown(self, how: int) -> None:
        """Say goodbye in TLS's way if the kernel takes it at once, and shut the TCP connection down. From any thread."""
        self._say_goodbye()
        self._raw.shutdown(how)

    def linger(self, seconds: float) -> None:
        """Let the peer read an alert before the connection ends: wait until it closes, `seconds` at most. Never raises."""
        with contextlib.suppress(OSError):
            self._raw.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + seconds
            while self._receive(deadline):
                pass

    def close(self) -> None:
        """Give the descriptor back."""
        self._say_goodbye()
        self._raw.close()

    # --- TLS, in memory ---------------------------------------------------------------------------------------------------------------

    def _shake(self, tls: ssl.SSLObject) -> bool:
        """Do what can be done of the handshake; say whether it is done."""
        with self._lock:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                return False
            else:
                return True
            finally:
                self._collect()

    def _read_into(self, view: memoryview) -> int | None:
        """Return how many bytes of content were put into `view`, 0 at the end; None where more must come from the network first."""
        if self._ahead:
            count = min(len(view), len(self._ahead))
            view[:count], self._ahead = self._ahead[:count], self._ahead[count:]
            return count
        if self._over is not None:
            raise self._over
        try:
            with self._lock:
                return self._decrypt(view)
        finally:
            # An answer of TLS's own, to a key update or a renegotiation; what the kernel does not take now goes before the next content.
            if self._unsent:
                with contextlib.suppress(OSError):
                    self._push()

    def _decrypt(self, view: memoryview) -> int | None:
        if self._tls is None:
            raise OSError("there is no TLS yet")
        try:
            # With a buffer, read returns a count, which typeshed does not know.
            return int(cast("int", self._tls.read(len(view), cast("bytearray", view))))
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return 0
        finally:
            self._collect()

    def _feed(self, received: bytes) -> None:
        with self._lock:
            if received:
                self._incoming.write(received)
            else:
                self._incoming.write_eof()

    def _collect(self) -> None:
        """Take what OpenSSL wants to send; for whoever holds the lock."""
        if self._outgoing.pending:
            self._unsent += self._outgoing.read()

    def _say_goodbye(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            with self._lock:
                if self._tls is None or self._has_said_goodbye:
                    return
                self._has_said_goodbye = True
                # Raises because the peer's goodbye is not there yet; ours is written all the same.
                with contextlib.suppress(ssl.SSLError):
                    self._tls.unwrap()
                self._collect()
            self._push()

    # --- the network ------------------------------------------------------------------------------------------------------------------

    def _push(self) -> bool:
        """Send what the kernel takes at once; say whether that was all."""
        with self._lock:
            while self._unsent:
                try:
                    sent = self._raw.send(self._unsent, socket.MSG_NOSIGNAL)
                except BlockingIOError:
                    return False
                self._unsent = self._unsent[sent:]
            return True

    def _flush(self, deadline: float | None) -> None:
        """Send everything; without a `deadline` no pause may be longer than the time-out."""
        while not self._push():
            if not self._wait(select.POLLOUT, self._deadline() if deadline is None else deadline):
                raise TimeoutError

    def _receive(self, deadline: float | None) -> bytes:
        """Return what came, nothing at the end. Raises `TimeoutError`."""
        while True:
            try:
                return self._raw.recv(_AT_A_TIME)
            except BlockingIOError:
                if not self._wait(select.POLLIN, deadline):
                    raise TimeoutError from None

    def _wait(self, event: int, deadline: float | None) -> bool:
        left_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        poll = select.poll()
        try:
            poll.register(self._raw, event)
        except ValueError:
            raise OSError("the connection is closed") from None
        return bool(poll.poll(left_ms))

    def _deadline(self) -> float | None:
        return None if self._timeout_s is None else time.monotonic() + self._timeout_s


class SecureConnection(Connection):
    """A connection that speaks in units over TLS. On the acceptor's side the first `read` shakes hands, within its deadline."""

    def __init__(self, sock: TlsSocket, *, progress_s: float) -> None:
        """Own `sock`; `progress_s` as for every connection."""
        # It has the methods of a socket that a connection uses, and those only.
        super().__init__(cast("socket.socket", sock), progress_s=progress_s)
        self._tls = sock

    @property
    def secured(self) -> Secured | None:
        """What the handshake led to, None before it."""
        return self._tls.secured

    def read(self, *, limit: int, first_byte_s: float, deadline: float | None = None) -> Pdu:
        """Return the next unit. Raises `TlsRefusedError` too; the peer has been told then."""
        if self._tls.secured is None:
            self.establish(time.monotonic() + first_byte_s if deadline is None else deadline)
        return super().read(limit=limit, first_byte_s=first_byte_s, deadline=deadline)

    def establish(self, deadline: float) -> Secured:
        """Shake hands until `deadline`. Raises `TlsRefusedError`, `PeerSilentError`, and what making the context raises."""
        try:
            return self._tls.handshake(deadline)
        except TimeoutError:
            raise PeerSilentError("the peer did not finish the TLS handshake in its time") from None
        except NotTlsError as error:
            raise refused(error) from None
        except OSError as error:
            self._tls.linger(min(LINGER_S, max(0.0, deadline - time.monotonic())))
            raise refused(error) from error

    def is_readable(self, wait_ms: int = 0) -> bool:
        """Say whether something came within `wait_ms`: bytes of a unit, or the end of the connection."""
        return self._tls.has_something(wait_ms)

    def abort(self, source: AbortSource, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> None:
        """Send an A-ABORT if the kernel takes it at once, and cut the connection. From any thread; never raises."""
        with contextlib.suppress(OSError):
            self._tls.send(abort_pdu(source, reason), socket.MSG_DONTWAIT)
        self.cut()


def _looks_like(opening: bytes) -> str:
    return next((name for beginning, name in _LOOKS if opening.startswith(beginning)), "something else")
