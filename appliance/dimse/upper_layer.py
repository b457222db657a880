"""The connection under an association: whole units in and out, with a deadline on every wait and a cap on every length.

Both sides use it, each from one thread of its own, so that there is no queue between the network and the sealed file: a peer that sends
faster than the disk takes is slowed down by TCP.

Promises: no call blocks longer than the deadline it was given without a byte moving; at most one unit is held in memory; `close` gives the
descriptor back whatever happened before; `cut` and `abort` may be called from any thread and wake the one that waits.
Failures: `ConnectionLostError`, `PeerSilentError` (peer), `PduInvalidError` (peer).
Limits: a byte that the kernel took counts as moved; what the peer has read of it is the kernel's to know (TCP_USER_TIMEOUT).
Standard: PS3.8 9.2 (the state machine is the order of calls here: see `acceptor` and `association`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import select
import socket
import struct
import termios
import time

from appliance.core.errors import ApplianceError, Fault
from appliance.dimse.pdu import HEAD_BYTES, OFFERED_LENGTH, AbortReason, AbortSource, Pdu, PduInvalidError, PduType, abort_pdu

# A cable that is pulled is noticed within a minute, idle or not (hostile-inputs.md row 6).
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
_USER_TIMEOUT_MS = 60_000

# How often the kernel is asked whether the peer takes what we sent; an answer of the peer ends the wait at once.
_TAKEN_POLL_MS = 50

# What is made ready for bytes of somebody who has not been admitted: nearly every request is shorter.
_AHEAD_BYTES = 65536

# How long we let the peer close first after our last word: closing with unread bytes would make the kernel destroy that word.
LINGER_S = 2.0
_SWALLOWED_AT_A_TIME = 65536
# What may still come after our last word before we stop listening to it.
_SWALLOWED_IN_ALL = 16 << 20


class ConnectionLostError(ApplianceError):
    """The peer closed or reset the connection. `within_unit` says that it did so in the middle of a unit."""

    fault = Fault.PEER

    def __init__(self, message: str, *, within_unit: bool = False) -> None:
        """Say where it happened."""
        super().__init__(message)
        self.within_unit = within_unit


class PeerSilentError(ApplianceError):
    """No byte moved within the deadline. `within_unit` says that it happened in the middle of a unit."""

    fault = Fault.PEER

    def __init__(self, message: str, *, within_unit: bool = False) -> None:
        """Say where it happened."""
        super().__init__(message)
        self.within_unit = within_unit


class Connection:
    """One TCP connection that speaks in units."""

    def __init__(self, sock: socket.socket, *, progress_s: float) -> None:
        """Own `sock`; `progress_s` is how long a unit may stand still while it is read or written."""
        self._socket = sock
        self._progress_s = progress_s
        self._timeout_s = -1.0
        self._buffer: memoryview | None = None
        self.opening = b""
        prepare(sock)

    def read(self, *, limit: int, first_byte_s: float, deadline: float | None = None) -> Pdu:
        """Return the next unit, waiting `first_byte_s` for its beginning; it is the caller's until the next call.

        With a `deadline` (monotonic clock) everything must be over by then, however slowly bytes drip. A unit longer than `limit` and an
        unknown type are refused at the head. Raises `ConnectionLostError`, `PeerSilentError`, `PduInvalidError`.
        """
        # Peers that leave Nagle's algorithm on hold a data set back until their command is acknowledged, which our kernel
        # would put off for 40 ms. The option does not stick, so it is set for each unit.
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        head = bytearray(HEAD_BYTES)
        self._fill(memoryview(head), first_byte_s, deadline, begun=False)
        self.opening = bytes(head)
        kind, length = head[0], struct.unpack_from(">L", head, 2)[0]
        try:
            known = PduType(kind)
        except ValueError:
            raise PduInvalidError("an unknown type of unit", AbortReason.UNRECOGNISED_PDU) from None
        if length > limit:
            raise PduInvalidError(f"a unit of {length} bytes, more than the {limit} that are taken here")
        return Pdu(known, self._body(length) if deadline is None else self._guarded_body(length, deadline))

    def _body(self, length: int) -> memoryview:
        """Return the rest of a unit in the buffer of this connection, which is made once: new memory would cost as much as sealing."""
        if length > OFFERED_LENGTH:
            view = memoryview(bytearray(length))
        else:
            if self._buffer is None:
                self._buffer = memoryview(bytearray(OFFERED_LENGTH))
            view = self._buffer[:length]
        self._fill(view, self._progress_s, None, begun=True)
        return view

    def _guarded_body(self, length: int, deadline: float) -> memoryview:
        """Return the rest of a unit; before anybody is known, memory follows the bytes that came, not the length that was claimed."""
        body = bytearray()
        while len(body) < length:
            piece = bytearray(min(length - len(body), _AHEAD_BYTES))
            self._fill(memoryview(piece), self._progress_s, deadline, begun=True)
            body += piece
        return memoryview(body)

    def _fill(self, view: memoryview, first_byte_s: float, deadline: float | None, *, begun: bool) -> None:
        at = 0
        wait_s = first_byte_s
        while at < len(view):
            if deadline is not None:
                wait_s = min(wait_s, deadline - time.monotonic())
                if wait_s <= 0:
                    raise PeerSilentError("the peer took longer than it is given", within_unit=begun or at > 0)
            try:
                self._wait_at_most(wait_s)
                received = self._socket.recv_into(view[at:])
            except TimeoutError as error:
                _raise_if_vanished(error, within_unit=begun or at > 0)
                raise PeerSilentError(f"no byte came for {wait_s:g} s", within_unit=begun or at > 0) from None
            except OSError as error:
                raise ConnectionLostError("the connection was reset", within_unit=begun or at > 0) from error
            if not received:
                raise ConnectionLostError("the peer closed the connection", within_unit=begun or at > 0)
            at += received
            wait_s = self._progress_s

    def write(self, data: bytes) -> None:
        """Hand `data` to the kernel. Raises `ConnectionLostError`, or `PeerSilentError` when the peer takes nothing for `progress_s`."""
        view = memoryview(data)
        while view:
            try:
                self._wait_at_most(self._progress_s)
                sent = self._socket.send(view)
            except TimeoutError as error:
                _raise_if_vanished(error, within_unit=True)
                raise PeerSilentError(f"the peer took no byte for {self._progress_s:g} s") from None
            except OSError as error:
                raise ConnectionLostError("the connection was reset", within_unit=True) from error
            view = view[sent:]

    def wait_until_taken(self) -> None:
        """Return when the peer's kernel has all that was written, or something came from the peer.

        The kernel may hold megabytes of a finished write; on a slow line they take longer than any answer may. Raises `PeerSilentError`
        when nothing of it moves for `progress_s`.
        """
        left = self._unacknowledged()
        moved_at = time.monotonic()
        while left and not self.is_readable(_TAKEN_POLL_MS):
            now_left = self._unacknowledged()
            if now_left < left:
                left, moved_at = now_left, time.monotonic()
            elif time.monotonic() - moved_at > self._progress_s:
                raise PeerSilentError(f"the peer took no byte for {self._progress_s:g} s")

    def _unacknowledged(self) -> int:
        """Return how many written bytes the peer has not acknowledged (tcp(7), SIOCOUTQ); 0 for a connection that is gone."""
        try:
            return int(struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)))[0])
        except (OSError, ValueError):
            return 0

    def is_readable(self, wait_ms: int = 0) -> bool:
        """Say whether something came within `wait_ms`: bytes, or the end of the connection."""
        try:
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(wait_ms))
        except (OSError, ValueError):
            return True

    def abort(self, source: AbortSource, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> None:
        """Send an A-ABORT if the kernel takes it at once, and cut the connection. From any thread; never raises."""
        with contextlib.suppress(OSError):
            self._socket.send(abort_pdu(source, reason), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        self.cut()

    def cut(self) -> None:
        """End the connection both ways, so that whoever waits on it wakes up. From any thread; never raises."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def last_word(self, data: bytes) -> None:
        """Send `data` and let the peer close first, for `LINGER_S` at most. Never raises."""
        with contextlib.suppress(OSError, ApplianceError):
            self.write(data)
            self._socket.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + LINGER_S
            swallowed = 0
            while swallowed < _SWALLOWED_IN_ALL and (left := deadline - time.monotonic()) > 0:
                self._wait_at_most(left)
                received = len(self._socket.recv(_SWALLOWED_AT_A_TIME))
                if not received:
                    return
                swallowed += received

    def close(self) -> None:
        """Give the descriptor back. Never raises."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _wait_at_most(self, seconds: float) -> None:
        """Set the socket's timeout; it is a system call, so not twice for the same value."""
        if seconds != self._timeout_s:
            self._socket.settimeout(seconds)
            self._timeout_s = seconds


def _raise_if_vanished(error: TimeoutError, *, within_unit: bool) -> None:
    """Tell the kernel's word that the peer is gone (keepalive, TCP_USER_TIMEOUT) from our own deadline, which has no number."""
    if error.errno == errno.ETIMEDOUT:
        raise ConnectionLostError("the peer vanished: its kernel does not answer", within_unit=within_unit) from error


def prepare(sock: socket.socket) -> None:
    """Make a TCP socket notice a peer that vanished, and send small units at once. Forgives a socket that is already dead."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
