"""Whole associations over a socket: the side that is called (`dimse/acceptor`) and the one that calls (`dimse/association`).

An input is a script of units, so that most mutants get past the heads: `RAW` are bytes as they are, `FRAGMENT` is a data unit with one
fragment whose lengths are right, every other kind is a unit of that type with the right length.
"""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Iterator

from appliance.core.identity import Uid
from appliance.dimse import commands, pdu
from appliance.dimse.acceptor import Accepted, Deadlines, IncomingAssociation, Rejected
from appliance.dimse.acse import AssociateRequest
from appliance.dimse.association import OutgoingAssociation
from appliance.dimse.contexts import Granted, choose
from appliance.dimse.failures import TransferBrokenError
from appliance.dimse.pdu import HEAD_BYTES, PduType
from appliance.dimse.stream import IncomingSink
from appliance.dimse.upper_layer import Connection
from appliance.runtime.sparing import Sparing
from tests.fuzz.target import Bound, Script, Target, record
from tests.fuzz.targets.commands import TOKENS, a_store
from tests.fuzz.targets.negotiation import VERIFICATION, request
from tests.fuzz.targets.provider import FailingSink
from tests.unit.dimse.building import CT, EXPLICIT, IMPLICIT, INSTANCE

RAW, FRAGMENT = 0, 8
# Nobody waits here: what the peer sends is all there before anything is read. It only keeps a defect from lasting.
_WAIT_S = 5.0
# Below what a socket of the kernel holds for a reader that comes later.
_MOST_BYTES = 64 << 10


class _Dripping(socket.socket):
    """A socket that gives its bytes in small pieces, as a bad network does."""

    most = 1 << 20

    def recv_into(self, buffer: memoryview | bytearray, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[override]
        """Receive some of it."""
        return super().recv_into(memoryview(buffer)[: self.most], min(nbytes, self.most), flags)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Receive some of it."""
        return super().recv(min(bufsize, self.most), flags)


def _wire(script: Script) -> bytes:
    out = bytearray()
    for kind, content in script.records():
        if kind == RAW:
            out += content
        elif kind == FRAGMENT:
            context_id, control, data = content[0:1] or b"\1", content[1:2] or b"\0", content[2:]
            out += struct.pack(">BBLL", PduType.DATA, 0, len(data) + 6, len(data) + 2) + context_id + control + data
        else:
            out += struct.pack(">BBL", kind, 0, len(content)) + content
    return bytes(out[:_MOST_BYTES])


def _connected(sent: bytes, most: int) -> tuple[_Dripping, socket.socket]:
    """Return our end and the peer's of a connection on which the peer has sent `sent` and nothing will follow."""
    ours, theirs = socket.socketpair()
    dripping = _Dripping(ours.family, ours.type, ours.proto, ours.detach())
    dripping.most = most
    theirs.settimeout(_WAIT_S)
    theirs.sendall(sent)
    theirs.shutdown(socket.SHUT_WR)
    return dripping, theirs


def _received(theirs: socket.socket) -> list[tuple[PduType, bytes]]:
    """Return the units that came to the peer, which must be whole."""
    received = bytearray()
    while True:
        try:
            piece = theirs.recv(1 << 16)
        except ConnectionResetError:
            # Said once, before what was received, where we closed without reading everything: the peer went on after its A-ABORT.
            continue
        if not piece:
            break
        received += piece
    units, at = [], 0
    while at < len(received):
        kind, length = received[at], struct.unpack_from(">L", received, at + 2)[0]
        assert at + HEAD_BYTES + length <= len(received), "a unit is cut"
        units.append((PduType(kind), bytes(received[at + HEAD_BYTES : at + HEAD_BYTES + length])))
        at += HEAD_BYTES + length
    return units


def _run_scanner(data: bytes) -> None:
    script = Script(data)
    most, behaviour, is_rejected = script.byte() + 1, script.byte(), script.byte() == 1
    sent = _wire(script)
    sinks: list[FailingSink] = []
    asked: list[AssociateRequest] = []

    def new_sink() -> IncomingSink:
        sinks.append(FailingSink(behaviour))
        return sinks[-1]

    def gate(request_: AssociateRequest) -> Accepted | Rejected:
        asked.append(request_)
        return Rejected(1, 1, 3) if is_rejected else Accepted(tuple(choose(request_.contexts)), new_sink, _WAIT_S)

    ours, theirs = _connected(sent, most)
    with theirs:
        connection = Connection(ours, progress_s=_WAIT_S)
        IncomingAssociation(connection, gate, peer="10.0.0.7", deadlines=Deadlines(_WAIT_S, _WAIT_S), sparing=Sparing()).run()
        assert ours.fileno() == -1, "the descriptor is still open"
        units = _received(theirs)

    assert all(len(sink.ended) == 1 for sink in sinks), "a sink has no end"
    kinds = [kind for kind, _ in units]
    assert len(asked) <= 1
    assert bool(asked) or set(kinds) <= {PduType.ABORT}
    assert kinds.count(PduType.ASSOCIATE_AC) + kinds.count(PduType.ASSOCIATE_RJ) == len(asked)
    assert set(kinds[1:]) <= {PduType.DATA, PduType.RELEASE_RP, PduType.ABORT}
    assert set(kinds[:-1]) <= {PduType.ASSOCIATE_AC, PduType.DATA}, "it goes on after its last word"
    stored = sum(_field(body) == commands.C_STORE_RQ | commands.RESPONSE for kind, body in units if kind is PduType.DATA)
    assert stored >= sum(sink.ended == ["commit"] for sink in sinks), "an object is kept and not answered"


def _field(body: bytes) -> int:
    (fragment,) = pdu.fragments(memoryview(body))
    return commands.decode_command(bytes(fragment.data)).number(commands.COMMAND_FIELD) or 0


class _Object:
    """An object to send."""

    def __init__(self, content: bytes) -> None:
        """Send `content`."""
        self._file = io.BytesIO(content)
        self.length = len(content)

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        return self._file.read(size)


def _run_archive(data: bytes) -> None:
    script = Script(data)
    most, length = script.byte() + 1, 128 + script.byte()
    sent = _wire(script)
    ours, theirs = _connected(sent, most)
    context = (Uid(CT), EXPLICIT)
    granted = Granted({context: 1, (VERIFICATION, IMPLICIT): 3}, {})
    with theirs:
        association = OutgoingAssociation(Connection(ours, progress_s=_WAIT_S), granted, length)
        try:
            for _ in range(2):
                answer = association.store(
                    sop_class_uid=CT, sop_instance_uid=INSTANCE, context_id=1, source=_Object(bytes(300)), response_s=_WAIT_S
                )
                assert not answer.matches or answer.sop_instance_uid in {"", INSTANCE}
                assert association.is_open in {True, False}
            association.echo(_WAIT_S)
        except TransferBrokenError:
            assert not association.is_open, "a broken association counts as open"
        association.release(_WAIT_S)
        assert ours.fileno() == -1, "the descriptor is still open"


def _session() -> bytes:
    """Return what our own sender would say to store an object in two pieces, to ask whether we are there, and to release."""
    fragments = (
        (1, 3, a_store()),
        (1, 0, b"abcd"),
        (1, 2, b"ef"),
        (3, 3, a_store(8, commands.C_ECHO_RQ, with_data=False, sop_class=VERIFICATION)),
    )
    said = b"".join(record(FRAGMENT, bytes([number, control]) + content) for number, control, content in fragments)
    return record(PduType.ASSOCIATE_RQ, request()[HEAD_BYTES:]) + said


def _sessions() -> Iterator[bytes]:
    for behaviour in (0, 1, 4, 8, 16):
        yield bytes([255, behaviour, 0]) + _session() + record(PduType.RELEASE_RQ, bytes(4))
    yield bytes([3, 0, 0]) + _session() + record(PduType.ABORT, bytes([0, 0, 2, 6]))
    yield bytes([255, 0, 1]) + _session()
    yield bytes([255, 0, 0]) + record(RAW, b"GET / HTTP/1.1\r\n\r\n")


def _answers() -> Iterator[bytes]:
    answers = [record(FRAGMENT, b"\1\3" + a_store(number, commands.C_STORE_RQ | commands.RESPONSE, with_data=False)) for number in (1, 2)]
    echo = record(FRAGMENT, b"\3\3" + a_store(3, commands.C_ECHO_RQ | commands.RESPONSE, with_data=False, sop_class=VERIFICATION))
    yield b"\xff\xff" + b"".join(answers) + echo + record(PduType.RELEASE_RP, bytes(4))
    yield b"\2\0" + answers[0] + record(PduType.ABORT, bytes([0, 0, 2, 0]))
    yield b"\xff\0" + answers[0] + record(PduType.RELEASE_RQ, bytes(4))
    yield b"\xff\0" + record(RAW, b"\4\0\0\1\0\0")


_TOKENS = (*TOKENS, b"\x08\0\4", b"\x01\3", b"\1\0", b"\1\2", b"\5\0\4\0\0\0\0", b"\6\0\4\0\0\0\0", b"\7\0\4\0\0\2\0")
# A unit of up to a mebibyte is made room for once its length is known to be allowed.
_MEMORY = Bound((1 << 20) + (768 << 10), 256)
SCANNER = Target("scanner", _run_scanner, _sessions, _TOKENS, steps=Bound(4_000, 80), memory=_MEMORY)
ARCHIVE = Target("archive", _run_archive, _answers, _TOKENS, steps=Bound(4_000, 80), memory=_MEMORY)
