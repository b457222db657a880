"""Callers that open an association and then say nothing, as an ultrasound device does between two patients.

Promises: inside `open_associations` every one of them was accepted and is open; afterwards all are aborted.
Failures: `RunInvalidError` for one that was not accepted, or that the other side ended meanwhile.
Limits: one presentation context. Nothing is read while they are open, because nothing may come.
Standard: PS3.8 9.3.2, 9.3.8.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Iterator, Sequence

from benchmarks.box import Source
from benchmarks.failures import RunInvalidError

_ANSWER_S = 30.0
_ASSOCIATE_RQ, _ASSOCIATE_AC = 1, 2
# A-ABORT by the service user (PS3.8 9.3.8).
_ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"
_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_CT_IMAGE_STORAGE = b"1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT_LITTLE_ENDIAN = b"1.2.840.10008.1.2.1"
_MAX_LENGTH = 16384


@contextlib.contextmanager
def open_associations(port: int, called: str, callers: Sequence[Source]) -> Iterator[None]:
    """Open an association from the title and address of each caller, and keep them open."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(contextlib.closing(_associate(port, called, caller))) for caller in callers]
        yield
        ended = select.select(connections, [], [], 0)[0]
        if ended:
            raise RunInvalidError(f"{len(ended)} of {len(connections)} associations did not stay open")
        for connection in connections:
            connection.sendall(_ABORT)


def request(called: str, calling: str) -> bytes:
    """Return the bytes of an A-ASSOCIATE-RQ."""
    context = bytes([1, 0, 0, 0]) + _item(0x30, _CT_IMAGE_STORAGE) + _item(0x40, _EXPLICIT_LITTLE_ENDIAN)
    user = _item(0x51, struct.pack(">I", _MAX_LENGTH)) + _item(0x52, b"2.25.1")
    titles = called.encode("ascii").ljust(16) + calling.encode("ascii").ljust(16)
    items = _item(0x10, _APPLICATION_CONTEXT) + _item(0x20, context) + _item(0x50, user)
    body = struct.pack(">HH", 1, 0) + titles + bytes(32) + items
    return struct.pack(">BBI", _ASSOCIATE_RQ, 0, len(body)) + body


def _associate(port: int, called: str, caller: Source) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), _ANSWER_S, source_address=(caller.address, 0))
    try:
        connection.sendall(request(called, caller.ae_title))
        _require_accepted(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_accepted(connection: socket.socket) -> None:
    kind, _, length = struct.unpack(">BBI", _exactly(connection, 6))
    _exactly(connection, length)
    if kind != _ASSOCIATE_AC:
        raise RunInvalidError(f"an association was not accepted but answered with PDU type {kind}")


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        more = connection.recv(size - len(received))
        if not more:
            raise RunInvalidError(f"the connection was closed after {len(received)} of {size} bytes")
        received += more
    return received
