"""A-ASSOCIATE by hand: requests that no well-behaved library would send, and the answer as it stands on the wire.

Promises: `associate` sends exactly the bytes given as titles and returns what came back; the connection is closed.
Failures: `AssertionError` when nothing came back in time.
Limits: one presentation context an abstract syntax.
Standard: PS3.8 9.3.2 to 9.3.4.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

VERIFICATION = "1.2.840.10008.1.1"
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_IMPLICIT_LITTLE_ENDIAN = b"1.2.840.10008.1.2"
_ANSWER_S = 10.0

ACCEPTED = 2
REJECTED = 3


@dataclass(frozen=True, slots=True)
class AssociateAnswer:
    """What an A-ASSOCIATE-RQ brought: the PDU type, and for a reject (type 3) its three numbers."""

    pdu_type: int
    reject: tuple[int, int, int] | None


def associate(port: int, *, called: bytes, calling: bytes, abstract_syntaxes: Sequence[str] = (VERIFICATION,)) -> AssociateAnswer:
    """Ask for an association with these title bytes and return the answer; an accepted one is aborted."""
    with socket.create_connection(("127.0.0.1", port), _ANSWER_S) as connection:
        connection.sendall(associate_request(called=called, calling=calling, abstract_syntaxes=abstract_syntaxes))
        head = exactly(connection, 6)
        pdu_type, length = head[0], struct.unpack(">I", head[2:])[0]
        body = exactly(connection, length)
        if pdu_type == ACCEPTED:
            # PS3.8 9.3.8: A-ABORT from the service user.
            connection.sendall(b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    return AssociateAnswer(pdu_type, (body[1], body[2], body[3]) if pdu_type == REJECTED else None)


def associate_request(*, called: bytes, calling: bytes, abstract_syntaxes: Sequence[str]) -> bytes:
    """Return the bytes of an A-ASSOCIATE-RQ; titles shorter than 16 bytes are padded with spaces."""
    contexts = b"".join(
        _item(0x20, bytes([2 * number + 1, 0, 0, 0]) + _item(0x30, syntax.encode("ascii")) + _item(0x40, _IMPLICIT_LITTLE_ENDIAN))
        for number, syntax in enumerate(abstract_syntaxes)
    )
    user = _item(0x50, _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"2.25.1"))
    body = struct.pack(">HH", 1, 0) + called.ljust(16) + calling.ljust(16) + bytes(32) + _item(0x10, _APPLICATION_CONTEXT) + contexts + user
    return b"\x01\x00" + struct.pack(">I", len(body)) + body


def _item(kind: int, content: bytes) -> bytes:
    return bytes([kind, 0]) + struct.pack(">H", len(content)) + content


def exactly(connection: socket.socket, size: int) -> bytes:
    """Return the next `size` bytes. Raises `EOFError` where the connection ends before."""
    received = b""
    while len(received) < size:
        more = connection.recv(size - len(received))
        if not more:
            raise EOFError(f"the connection was closed after {len(received)} of {size} bytes")
        received += more
    return received
