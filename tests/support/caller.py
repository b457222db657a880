"""A scanner spoken byte by byte: what it sends, and when, is up to the test.

Promises: sends exactly what it is told and nothing else; answers are returned as they came.
Failures: `TimeoutError` after 10 s without the answer that was waited for.
Limits: implicit little endian only; context 1 is verification, context 3 CT, unless the test proposes others.
Standard: PS3.8 9.3, PS3.7 9.1.1 and 9.1.5.
"""

from __future__ import annotations

import socket
import struct

from appliance.dimse import commands, pdu
from tests.support import wire
from tests.unit.dimse.building import CT, INSTANCE, data_set

ABORT = 7
RELEASED = 6

OBJECT = data_set(syntax="1.2.840.10008.1.2", tail=b"\x10\x00\x20\x00\x04\x00\x00\x00ABCD")
"""A CT object as the caller sends it, too small to be an image."""


class Caller:
    """An association as CT1, spoken byte by byte."""

    def __init__(
        self,
        port: int,
        *,
        calling: bytes = b"CT1",
        called: bytes = b"EDGE",
        syntaxes: tuple[str, ...] = (wire.VERIFICATION, CT),
        address: str = "127.0.0.1",
    ) -> None:
        """Associate from `address`; context 1 is verification, context 3 CT, both implicit little endian."""
        self.socket = socket.create_connection(("127.0.0.1", port), 10.0, (address, 0))
        self.socket.sendall(wire.associate_request(called=called, calling=calling, abstract_syntaxes=syntaxes))
        self.answer = self.read()

    def read(self) -> tuple[int, bytes]:
        """Return the next unit, (0, b"") at the end of the connection."""
        try:
            head = wire.exactly(self.socket, 6)
            return head[0], wire.exactly(self.socket, struct.unpack(">L", head[2:])[0])
        except (EOFError, ConnectionResetError):
            return 0, b""

    def command(self, *, context: int = 3, uid_text: str = INSTANCE, kind: int = commands.C_STORE_RQ, with_data: bool = True) -> None:
        """Send a request's command set."""
        elements: dict[int, int | str] = {
            commands.AFFECTED_SOP_CLASS_UID: CT if context == 3 else wire.VERIFICATION,
            commands.COMMAND_FIELD: kind,
            commands.MESSAGE_ID: 1,
            commands.DATA_SET_TYPE: commands.WITH_DATA_SET if with_data else commands.NO_DATA_SET,
            commands.AFFECTED_SOP_INSTANCE_UID: uid_text,
        }
        self.socket.sendall(pdu.data_pdu(context, commands.encode_command(elements), is_command=True, is_last=True))

    def data(self, data: bytes, *, last: bool = True) -> None:
        """Send a piece of the data set."""
        self.socket.sendall(pdu.data_pdu(3, data, is_command=False, is_last=last))

    def status(self) -> int | None:
        """Return the status of the next response."""
        kind, body = self.read()
        assert kind == 4, kind
        return commands.decode_command(body[6:]).number(commands.STATUS)

    def store(self, data: bytes, uid_text: str = INSTANCE) -> int | None:
        """Send one object and return the status."""
        self.command(uid_text=uid_text)
        self.data(data)
        return self.status()

    def release(self) -> int:
        """Release and return what came."""
        self.socket.sendall(pdu.RELEASE_RQ)
        kind, _ = self.read()
        self.socket.close()
        return kind
