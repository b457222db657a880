"""A scanner that says anything, in any transfer syntax, in pieces of any size, and that notices exactly what it is answered.

Promises: sends what it is told, byte for byte; `status` and `ending` return what stood on the wire, never what they hoped for.
Failures: `AssertionError` where the association is refused or another kind of answer comes; `TimeoutError` after 20 s without any.
Limits: IPv4 on the loopback; one thread. Context 1 is verification, the ones that a test proposes are 3, 5, 7 …
Standard: PS3.8 9.3, PS3.7 6.3, 9.1.1 and 9.1.5.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from tests.fakes import units
from tests.support import wire

VERIFICATION = "1.2.840.10008.1.1"
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"

# Long enough for a large object to be made durable on two busy cores.
_ANSWER_S = 20.0
_WITH_DATA_SET = 0x0001
# The box offers 131,072 (semantics.md 1.4); a data set goes in fragments that fill a unit of that.
_FRAGMENT_BYTES = 131_072 - units.FRAGMENT_HEAD_BYTES


@dataclass(frozen=True, slots=True)
class Ending:
    """How an association ended: the type of its last unit (0: the connection was closed without one), and an abort's source and reason."""

    kind: int
    source: int = 0
    reason: int = 0


ABORTED_BY_PROVIDER = Ending(units.ABORT, 2, 6)
"""A-ABORT, source 2, reason 6: an invalid parameter value (PS3.8 table 9-26)."""


class Rogue:
    """One association."""

    def __init__(
        self,
        port: int,
        contexts: Sequence[tuple[str, str]] = ((CT_STORAGE, EXPLICIT),),
        *,
        calling: str = "ROGUE",
        called: str = "EDGE",
    ) -> None:
        """Associate, proposing verification and these pairs of SOP class and transfer syntax."""
        self.socket = socket.create_connection(("127.0.0.1", port), _ANSWER_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.contexts = dict(zip(range(1, 256, 2), [(VERIFICATION, IMPLICIT), *contexts], strict=False))
        self._message_id = 0
        self.socket.sendall(_associate_request(called, calling, self.contexts))
        kind, body = self._unit()
        assert kind == units.ASSOCIATE_AC, f"answered with a unit of type {kind}: {body!r}"
        self.results = _results(body)

    def __enter__(self) -> Self:
        """Be associated already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End the connection without a word."""
        self.socket.close()

    # -- speaking ----------------------------------------------------------------------------------------------------------------------

    def raw(self, data: bytes) -> None:
        """Send bytes; a box that closed already is no fault of the test."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def command(self, command: bytes, *, context: int = 3, pieces: int = 1, ends: bool = True) -> None:
        """Send a command set as it is, in so many fragments; without `ends` there is more to come."""
        size = max(1, -(-len(command) // pieces))
        for at in range(0, max(1, len(command)), size):
            control = units.IS_COMMAND | (units.IS_LAST if ends and at + size >= len(command) else 0)
            self.raw(_data_unit(context, control, command[at : at + size]))

    def request(
        self,
        field: int,
        *,
        sop_class: str | None = None,
        sop_instance: bytes | str | None = None,
        context: int = 3,
        has_data: bool = True,
        message_id: int | None = None,
        changes: Mapping[int, bytes] | None = None,
    ) -> None:
        """Send a request, its SOP class being the context's unless given."""
        self.command(
            self.encoded_request(
                field,
                sop_class=self.contexts[context][0] if sop_class is None else sop_class,
                sop_instance=sop_instance,
                has_data=has_data,
                message_id=message_id,
                changes=changes,
            ),
            context=context,
        )

    def encoded_request(
        self,
        field: int,
        *,
        sop_class: str = CT_STORAGE,
        sop_instance: bytes | str | None = None,
        has_data: bool = True,
        message_id: int | None = None,
        changes: Mapping[int, bytes] | None = None,
    ) -> bytes:
        """Return a request's command set; each has the next message id unless one is given."""
        # Two bytes (PS3.7 E.1): after 65,535 messages it begins anew.
        self._message_id = self._message_id % 0xFFFF + 1
        instance = units.uid(sop_instance) if isinstance(sop_instance, str) else sop_instance
        elements = {
            units.AFFECTED_SOP_CLASS_UID: units.uid(sop_class),
            units.COMMAND_FIELD: units.number(field),
            units.MESSAGE_ID: units.number(self._message_id if message_id is None else message_id),
            units.DATA_SET_TYPE: units.number(_WITH_DATA_SET if has_data else units.NO_DATA_SET),
            **({} if instance is None else {units.AFFECTED_SOP_INSTANCE_UID: instance}),
            **(changes or {}),
        }
        return units.command_set(elements)

    def data(self, data: bytes | Iterable[bytes], *, context: int = 3, ends: bool = True, size: int = _FRAGMENT_BYTES) -> None:
        """Send a data set, whole or piece by piece; without `ends` there is more to come."""
        for piece in [data] if isinstance(data, bytes) else data:
            for at in range(0, len(piece), size):
                self.raw(_data_unit(context, 0, piece[at : at + size]))
        if ends:
            self.raw(_data_unit(context, units.IS_LAST, b""))

    def store(
        self,
        data: bytes | Iterable[bytes],
        sop_instance: bytes | str,
        *,
        sop_class: str | None = None,
        context: int = 3,
        size: int = _FRAGMENT_BYTES,
    ) -> int | None:
        """Send one object and return the status it was answered with."""
        self.request(units.C_STORE_RQ, sop_class=sop_class, sop_instance=sop_instance, context=context)
        self.data(data, context=context, size=size)
        return self.status()

    def answer_to(self, data: bytes, sop_instance: bytes | str) -> dict[int, bytes]:
        """Send one object and return the response's whole command set."""
        self.request(units.C_STORE_RQ, sop_instance=sop_instance)
        self.data(data)
        return self.answer()

    def echo(self) -> int | None:
        """Verify, and return the status."""
        self.request(units.C_ECHO_RQ, context=1, has_data=False)
        return self.status()

    def release(self) -> Ending:
        """Release, and return what came."""
        self.raw(units.release(units.RELEASE_RQ))
        ending = self.ending()
        self.close()
        return ending

    # -- hearing -----------------------------------------------------------------------------------------------------------------------

    def answer(self) -> dict[int, bytes]:
        """Return the next response's command set."""
        kind, body = self._unit()
        assert kind == units.DATA, f"a unit of type {kind} instead of a response: {body!r}"
        return units.read_command_set(body[units.FRAGMENT_HEAD_BYTES :])

    def status(self) -> int | None:
        """Return the status of the next response, None where it has none."""
        value = self.answer().get(units.STATUS)
        return None if value is None else units.as_number(value)

    def ending(self) -> Ending:
        """Return how the association ends, whatever responses come before."""
        while True:
            try:
                kind, body = self._unit()
            except (EOFError, ConnectionResetError):
                return Ending(0)
            if kind != units.DATA:
                return Ending(kind, body[2], body[3]) if kind == units.ABORT else Ending(kind)

    def _unit(self) -> tuple[int, bytes]:
        head = wire.exactly(self.socket, units.UNIT_HEAD_BYTES)
        return head[0], wire.exactly(self.socket, struct.unpack(">L", head[2:])[0])


def _data_unit(context: int, control: int, piece: bytes) -> bytes:
    return struct.pack(">BBLLBB", units.DATA, 0, len(piece) + 6, len(piece) + 2, context, control) + piece


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _associate_request(called: str, calling: str, contexts: Mapping[int, tuple[str, str]]) -> bytes:
    proposed = b"".join(
        _item(0x20, bytes([number, 0, 0, 0]) + _item(0x30, sop_class.encode()) + _item(0x40, syntax.encode()))
        for number, (sop_class, syntax) in contexts.items()
    )
    user = _item(0x50, _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"2.25.3"))
    titles = called.encode().ljust(16) + calling.encode().ljust(16)
    body = struct.pack(">HH", 1, 0) + titles + bytes(32) + _item(0x10, b"1.2.840.10008.3.1.1.1") + proposed + user
    return units.unit(units.ASSOCIATE_RQ, body)


def _results(body: bytes) -> dict[int, int]:
    """Return the result of each context in an A-ASSOCIATE-AC."""
    results, at = {}, 68
    while at < len(body):
        kind, _, length = struct.unpack_from(">BBH", body, at)
        if kind == 0x21:
            results[body[at + 4]] = body[at + 6]
        at += 4 + length
    return results
