"""Somebody at the door who says what no well-behaved library would: association requests item by item, and bytes that are no request.

Promises: what is sent is what was asked for; `Stranger.answer` returns the next unit as it came, `CLOSED` at the end of the connection,
however it ended.
Failures: `TimeoutError` after 20 s without an answer.
Limits: IPv4 on the loopback.
Standard: PS3.8 9.3.2 to 9.3.8, PS3.7 annex D.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Self

from tests.support import wire

IMPLICIT = b"1.2.840.10008.1.2"
APPLICATION = b"1.2.840.10008.3.1.1.1"

Answer = tuple[int, bytes]
"""A unit's type and body."""

CLOSED: Answer = (0, b"")
ACCEPTED = 2

_ANSWER_S = 20.0
# Linux (asm-generic/socket.h); Python does not name it.
_SO_ATTACH_FILTER = 26
# BPF_RET | BPF_K (linux/filter.h): the verdict on every packet, here "keep 0 bytes of it".
_RETURN = 0x06


def abort(reason: int) -> Answer:
    """Return the A-ABORT by the service provider with this reason."""
    return 7, bytes([0, 0, 2, reason])


def reject(result: int, source: int, reason: int) -> Answer:
    """Return the A-ASSOCIATE-RJ."""
    return 3, bytes([0, result, source, reason])


def item(kind: int, content: bytes, *, length: int | None = None) -> bytes:
    """Return one item; `length` may lie."""
    return struct.pack(">BBH", kind, 0, len(content) if length is None else length) + content


def context(number: int, abstract_syntax: bytes, *transfer_syntaxes: bytes) -> bytes:
    """Return a proposed presentation context, implicit little endian unless other transfer syntaxes are given."""
    syntaxes = b"".join(item(0x40, syntax) for syntax in transfer_syntaxes or (IMPLICIT,))
    return item(0x20, bytes([number, 0, 0, 0]) + item(0x30, abstract_syntax) + syntaxes)


def maximum(length: int) -> bytes:
    """Return the item that says how long units may be."""
    return item(0x51, struct.pack(">L", length))


VERIFICATION = context(1, wire.VERIFICATION.encode("ascii"))
CT = context(3, wire.CT_STORAGE.encode("ascii"))
BOTH = (VERIFICATION, CT)


def request(
    *items: bytes,
    calling: bytes = b"CT1",
    called: bytes = b"EDGE",
    version: int = 1,
    application: bytes = APPLICATION,
    user: bytes | None = maximum(16384),
) -> bytes:
    """Return an A-ASSOCIATE-RQ with these context items (verification and CT where there are none) and this user information."""
    body = struct.pack(">HH", version, 0) + called.ljust(16) + calling.ljust(16) + bytes(32)
    body += item(0x10, application) + b"".join(items or BOTH) + (b"" if user is None else item(0x50, user))
    return unit(1, body)


def unit(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    """Return a unit; `length` may lie."""
    return struct.pack(">BBL", kind, 0, len(body) if length is None else length) + body


class Stranger:
    """One connection."""

    def __init__(self, port: int, *, address: str = "127.0.0.1") -> None:
        """Connect from `address` and say nothing."""
        self.socket = socket.create_connection(("127.0.0.1", port), _ANSWER_S, (address, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        """Be connected already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """Send, and say whether the box still took it."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def ask(self, data: bytes) -> Answer:
        """Send, and return the answer."""
        self.send(data)
        return self.answer()

    def answer(self) -> Answer:
        """Return the next unit."""
        try:
            head = wire.exactly(self.socket, 6)
            return head[0], wire.exactly(self.socket, struct.unpack(">L", head[2:])[0])
        except (EOFError, ConnectionResetError):
            return CLOSED

    def last_answer(self) -> Answer:
        """Return the next unit, behind which the box must close."""
        answer = self.answer()
        assert self.answer() == CLOSED
        return answer


def reset(sock: socket.socket) -> None:
    """End a connection with RST."""
    # A linger time of 0 makes close(2) send RST.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jump_true", ctypes.c_ubyte), ("jump_false", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def deafen(sock: socket.socket) -> None:
    """Let the kernel drop everything that comes for this socket: its peer sees a cable that was pulled, or a host that is not there."""
    verdict = _Instruction(_RETURN, 0, 0, 0)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(_Program(1, ctypes.pointer(verdict))))
