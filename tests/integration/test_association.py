"""The calling side, against DCMTK's storescp, our own listener's opposite, and peers that lie, stall and break off."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from appliance.core.identity import AETitle, Uid
from appliance.dimse import acse, association, commands, pdu
from appliance.dimse.association import (
    AssociationAbortedError,
    AssociationRejectedError,
    AssociationRequest,
    Broken,
    OutgoingAssociation,
    PeerUnreachableError,
    TransferBrokenError,
    Unreachable,
    VerificationNotAcceptedError,
    associate,
    tcp_hello,
)
from appliance.dimse.contexts import VERIFICATION, choose
from appliance.dimse.file_source import FileSource
from appliance.dimse.upper_layer import Connection
from tests.support import samples
from tests.support.dcmtk import ArchiveMaker
from tests.support.part10 import read
from tests.unit.dimse.building import CT, EXPLICIT, IMPLICIT, INSTANCE

STORAGE = (Uid(CT), (EXPLICIT,))
ECHO = (VERIFICATION, (IMPLICIT,))


def a_request(port: int, *, contexts: tuple[tuple[Uid, tuple[Uid, ...]], ...] = (STORAGE, ECHO)) -> AssociationRequest:
    """Return a request with short times."""
    return AssociationRequest("127.0.0.1", port, AETitle("EDGE"), AETitle("ARCHIVE"), contexts, 2.0, 2.0, 1.0)


@dataclass
class Bytes:
    """A source of so many bytes; it fails at the end where it is told to."""

    length: int
    error: Exception | None = None
    given: int = 0
    missing: int = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        left = self.length - self.missing - self.given
        if left <= 0:
            if self.error is not None:
                raise self.error
            return b""
        piece = bytes(min(size, left, 65536))
        self.given += len(piece)
        return piece


class Peer:
    """A peer of one association that does what a script says."""

    def __init__(self, script: Callable[[Connection], None], *, buffer: int | None = None) -> None:
        """Listen; `buffer` limits what its kernel takes."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        if buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.port = self._listener.getsockname()[1]
        self.over = threading.Event()
        self.failure: Exception | None = None
        self._script = script
        self._thread = threading.Thread(target=self._run, name="scripted peer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            sock, _ = self._listener.accept()
            connection = Connection(sock, progress_s=10.0)
            try:
                self._script(connection)
            except Exception as error:  # noqa: BLE001 # boundary: `close` shows it to the test
                self.failure = error
            finally:
                connection.close()

    def close(self) -> None:
        """End the script and the peer."""
        self.over.set()
        self._listener.close()
        self._thread.join(10.0)
        assert not self._thread.is_alive()
        assert self.failure is None, self.failure


@pytest.fixture
def make_peer() -> Iterator[Callable[..., Peer]]:
    """Make scripted peers; each must have come to its end."""
    peers: list[Peer] = []

    def make(script: Callable[[Connection], None], **settings: int) -> Peer:
        peers.append(Peer(script, **settings))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


def next_unit(connection: Connection) -> pdu.Pdu:
    """Return the next unit."""
    return connection.read(limit=1 << 20, first_byte_s=10.0)


def accept(connection: Connection, *, change: Callable[[bytes], bytes] = lambda answer: answer) -> None:
    """Accept whatever is asked for."""
    request = acse.decode_request(next_unit(connection).body)
    connection.write(change(acse.encode_accept(request, choose(request.contexts))))


def take_object(connection: Connection) -> int:
    """Read a whole C-STORE and return its message id."""
    message_id = 0
    while True:
        for piece in pdu.fragments(next_unit(connection).body):
            if piece.is_command and piece.is_last:
                message_id = commands.decode_command(bytes(piece.data)).number(commands.MESSAGE_ID) or 0
            elif piece.is_last:
                return message_id


def response_to(message_id: int, **changes: int | str | None) -> bytes:
    """Return the unit that answers a C-STORE with success, except for what is changed (None leaves it out)."""
    elements: dict[str, int | str | None] = {
        "COMMAND_FIELD": 0x8001,
        "MESSAGE_ID_RESPONDED_TO": message_id,
        "DATA_SET_TYPE": commands.NO_DATA_SET,
        "STATUS": 0,
        "AFFECTED_SOP_INSTANCE_UID": INSTANCE,
    }
    elements.update(changes)
    encoded = commands.encode_command({getattr(commands, name): value for name, value in elements.items() if value is not None})
    return pdu.data_pdu(1, encoded, is_command=True, is_last=True)


def respond(connection: Connection, **changes: int | str | None) -> None:
    """Answer the first C-STORE of an association with success, except for what is changed."""
    connection.write(response_to(1, **changes))


def release(connection: Connection) -> None:
    """Read and answer a release."""
    assert next_unit(connection).type is pdu.PduType.RELEASE_RQ
    connection.write(pdu.RELEASE_RP)


def store(opened: OutgoingAssociation, source: Bytes, *, response_s: float = 2.0) -> association.StoreResponse:
    """Send `source`."""
    return opened.store(sop_class_uid=CT, sop_instance_uid=INSTANCE, context_id=1, source=source, response_s=response_s)


def test_dcmtk_takes_what_we_send(make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """Objects smaller and larger than a unit arrive at storescp byte for byte, C-ECHO and release are answered."""
    archive = make_archive().start()
    files = [*samples.ct(16).write(tmp_path / "files", 2), *samples.ct(600).write(tmp_path / "files")]

    opened = associate(a_request(archive.port))
    echoed = opened.echo(5.0)
    responses = []
    for file in files:
        source = FileSource.open(file)
        responses.append(
            opened.store(
                sop_class_uid=source.sop_class_uid,
                sop_instance_uid=source.sop_instance_uid,
                context_id=opened.accepted[Uid(CT), EXPLICIT],
                source=source,
                response_s=10.0,
            )
        )
        source.close()
    was_open = opened.is_open
    opened.release(5.0)

    assert (echoed, was_open, opened.is_open) == (0, True, False)
    assert [(response.status, response.matches) for response in responses] == [(0, True)] * 3
    assert archive.identities() == {read(file).identity for file in files}


def test_what_a_peer_grants_is_known_by_syntax(make_archive: ArchiveMaker) -> None:
    """Accepted and refused contexts are told apart, with the result of each refusal."""
    archive = make_archive(options=["--accept-all"]).start()
    contexts = ((Uid(CT), (EXPLICIT,)), (Uid(CT), (IMPLICIT,)), (Uid("1.2.840.10008.5.1.4.31"), (IMPLICIT,)))

    opened = associate(a_request(archive.port, contexts=contexts))
    opened.release(5.0)

    assert set(opened.accepted) >= {(CT, EXPLICIT), (CT, IMPLICIT)}
    with pytest.raises(VerificationNotAcceptedError):
        opened.echo(1.0)


def test_unreachable_peers_are_told_apart() -> None:
    """Nobody listening, no such name, and an unroutable address have words of their own (N16)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        tcp_hello("127.0.0.1", port, 1.0)

    for host, phase, kind in (("127.0.0.1", "connect", Unreachable.REFUSED), ("nowhere.invalid", "name", Unreachable.NAME)):
        with pytest.raises(PeerUnreachableError) as caught:
            tcp_hello(host, port, 1.0)
        assert (caught.value.phase, caught.value.kind) == (phase, kind)


def test_a_black_hole_is_given_up_after_the_connect_time() -> None:
    """A peer whose kernel never answers costs the connect time, no more."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        started = time.monotonic()
        with pytest.raises(PeerUnreachableError) as caught:
            tcp_hello("127.0.0.1", address[1], 0.5)
        took = time.monotonic() - started
        for sock in waiting:
            sock.close()

    assert (caught.value.phase, caught.value.kind) == ("connect", Unreachable.TIMEOUT)
    assert took < 3.0


def test_rejects_and_aborts_keep_their_numbers(make_peer: Callable[..., Peer]) -> None:
    """What a peer answers instead of accepting comes through with its numbers."""

    def reject(connection: Connection) -> None:
        next_unit(connection)
        connection.write(pdu.reject_pdu(2, 3, 2))

    def abort(connection: Connection) -> None:
        next_unit(connection)
        connection.write(pdu.abort_pdu(pdu.AbortSource.PROVIDER, pdu.AbortReason.UNEXPECTED_PDU))

    with pytest.raises(AssociationRejectedError) as rejected:
        associate(a_request(make_peer(reject).port))
    with pytest.raises(AssociationAbortedError) as aborted:
        associate(a_request(make_peer(abort).port))

    assert (rejected.value.result, rejected.value.source, rejected.value.reason) == (2, 3, 2)
    assert (aborted.value.source, aborted.value.reason) == (2, 2)


@pytest.mark.parametrize(("silent", "kind"), [(True, Unreachable.TIMEOUT), (False, Unreachable.CLOSED)])
def test_a_peer_that_connects_and_says_nothing(make_peer: Callable[..., Peer], silent: bool, kind: Unreachable) -> None:  # noqa: FBT001
    """Silence after the connection, and a connection closed at once, end in the associate phase."""
    given_up = threading.Event()

    def script(connection: Connection) -> None:
        next_unit(connection)
        if silent:
            given_up.wait(10.0)

    with pytest.raises(PeerUnreachableError) as caught:
        associate(replace(a_request(make_peer(script).port), associate_s=0.5))
    given_up.set()

    assert (caught.value.phase, caught.value.kind) == ("associate", kind)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda answer: answer.replace(EXPLICIT.encode(), b"1.2.840.10008.1.2.9"), id="syntax not proposed"),
        pytest.param(lambda answer: answer.replace(b"\x21\0\0\x1b\1", b"\x21\0\0\x1b\x09"), id="context not proposed"),
        pytest.param(lambda answer: answer.replace(b"\x21\0\0\x19\3", b"\x21\0\0\x19\1"), id="context twice"),
        pytest.param(lambda answer: answer.replace(struct.pack(">L", 131072), struct.pack(">L", 1)), id="maximum of 1"),
        pytest.param(lambda answer: b"\x02\0\xff\xff\xff\xff" + answer[6:], id="4 GiB"),
        pytest.param(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", id="not DICOM"),
        pytest.param(lambda _: pdu.RELEASE_RQ, id="a release"),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_aborted(make_peer: Callable[..., Peer], change: Callable[[bytes], bytes]) -> None:
    """A lying answer ends the association with our abort and an error, without memory growing (hostile-inputs.md row 72)."""
    with pytest.raises(AssociationAbortedError) as caught:
        associate(a_request(make_peer(lambda connection: accept(connection, change=change)).port))

    assert caught.value.source == 2


@pytest.mark.parametrize(
    ("changes", "status", "matches"),
    [
        ({}, 0x0000, True),
        ({"STATUS": 0xA700, "ERROR_COMMENT": "disk full"}, 0xA700, True),
        ({"AFFECTED_SOP_INSTANCE_UID": None}, 0x0000, True),
        ({"AFFECTED_SOP_INSTANCE_UID": "1.2.3"}, 0x0000, False),
        ({"MESSAGE_ID_RESPONDED_TO": 99}, 0x0000, False),
        ({"COMMAND_FIELD": 0x8030}, 0x0000, False),
        ({"STATUS": None}, None, True),
    ],
)
def test_responses_come_through_as_they_are(
    make_peer: Callable[..., Peer],
    changes: dict[str, int | str | None],
    status: int | None,
    matches: bool,  # noqa: FBT001
) -> None:
    """A response is told with its status, and whether it is for what was sent (rows 67 and 68)."""

    def script(connection: Connection) -> None:
        accept(connection)
        take_object(connection)
        respond(connection, **changes)
        release(connection)

    opened = associate(a_request(make_peer(script).port))
    response = store(opened, Bytes(300_000))
    opened.release(2.0)

    assert (response.status, response.matches) == (status, matches)
    assert response.comment == changes.get("ERROR_COMMENT", "")


def broken(opened: OutgoingAssociation, source: Bytes, *, response_s: float = 2.0) -> tuple[Broken, bool]:
    """Send `source`, which must break; return how."""
    with pytest.raises(TransferBrokenError) as caught:
        store(opened, source, response_s=response_s)
    assert not opened.is_open
    return caught.value.kind, caught.value.after_first_pdv


@pytest.mark.parametrize(
    ("last_words", "kind"),
    [
        (pdu.abort_pdu(pdu.AbortSource.USER), Broken.ABORT_USER),
        (pdu.abort_pdu(pdu.AbortSource.PROVIDER), Broken.ABORT_PROVIDER),
        (pdu.RELEASE_RQ, Broken.CLOSED),
        (b"", Broken.CLOSED),
        (pdu.data_pdu(1, b"\1\2\3", is_command=True, is_last=True), Broken.PROTOCOL),
        (pdu.reject_pdu(1, 1, 1), Broken.PROTOCOL),
    ],
)
def test_how_a_peer_breaks_off_behind_the_object(make_peer: Callable[..., Peer], last_words: bytes, kind: Broken) -> None:
    """Aborts of both kinds, release, close and garbage instead of a response are told apart (semantics.md 1.3)."""

    def script(connection: Connection) -> None:
        accept(connection)
        take_object(connection)
        connection.last_word(last_words)

    assert broken(associate(a_request(make_peer(script).port)), Bytes(1000)) == (kind, True)


def test_a_peer_that_sends_its_answer_in_two_pieces_is_not_kept_waiting(make_peer: Callable[..., Peer]) -> None:
    """Behind Nagle's algorithm the second piece waits for our acknowledgement, which our kernel must not put off (40 ms each)."""
    instances = 25

    def script(connection: Connection) -> None:
        accept(connection)
        connection._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        for _ in range(instances):
            answer = response_to(take_object(connection))
            connection.write(answer[:12])
            connection.write(answer[12:])
        release(connection)

    opened = associate(a_request(make_peer(script).port))
    started = time.monotonic()
    statuses = [store(opened, Bytes(1000)).status for _ in range(instances)]
    took = time.monotonic() - started
    opened.release(2.0)

    assert statuses == [0] * instances
    assert took < instances * 0.04 / 2


def test_an_abort_in_mid_object_is_noticed(make_peer: Callable[..., Peer]) -> None:
    """A peer that aborts while an object streams ends the transfer, long before its end."""

    def script(connection: Connection) -> None:
        accept(connection)
        next_unit(connection)
        next_unit(connection)
        connection.last_word(pdu.abort_pdu(pdu.AbortSource.USER))

    source = Bytes(1 << 30)
    kind, after_first_pdv = broken(associate(a_request(make_peer(script).port)), source)

    assert kind in {Broken.ABORT_USER, Broken.CLOSED}
    assert after_first_pdv
    assert source.given < 1 << 28


def test_a_peer_that_stops_reading_frees_us(make_peer: Callable[..., Peer]) -> None:
    """No byte taken for the progress time ends the transfer (N15), and our thread is free."""
    given_up = threading.Event()

    def script(connection: Connection) -> None:
        accept(connection)
        given_up.wait(20.0)

    opened = associate(a_request(make_peer(script, buffer=65536).port))
    started = time.monotonic()
    outcome = broken(opened, Bytes(1 << 30))
    took = time.monotonic() - started
    given_up.set()

    assert outcome == (Broken.PROGRESS, True)
    assert took < 5.0


def test_a_slow_line_is_no_standstill(make_peer: Callable[..., Peer]) -> None:
    """An object that takes longer than progress time and response time together arrives, as long as bytes move (N14)."""

    def script(connection: Connection) -> None:
        accept(connection)
        pause = threading.Event()
        while True:
            unit = next_unit(connection)
            if any(piece.is_last and not piece.is_command for piece in pdu.fragments(unit.body)):
                break
            pause.wait(0.1)
        respond(connection)
        release(connection)

    request = replace(a_request(make_peer(script, buffer=65536).port), progress_s=0.8)
    opened = associate(request)
    started = time.monotonic()
    response = store(opened, Bytes(4 << 20), response_s=0.5)
    took = time.monotonic() - started
    opened.release(2.0)

    assert response.status == 0
    assert took > 1.5


def test_a_peer_that_never_answers(make_peer: Callable[..., Peer]) -> None:
    """The response time begins behind the last piece and is kept."""
    given_up = threading.Event()

    def script(connection: Connection) -> None:
        accept(connection)
        take_object(connection)
        given_up.wait(10.0)

    opened = associate(a_request(make_peer(script).port))
    outcome = broken(opened, Bytes(1000), response_s=0.3)
    given_up.set()

    assert outcome == (Broken.TIMEOUT, True)


def test_an_early_response_is_the_response(make_peer: Callable[..., Peer]) -> None:
    """A peer that refuses before it has everything is heard (row 69)."""

    def script(connection: Connection) -> None:
        accept(connection)
        next_unit(connection)
        respond(connection, STATUS=0xA700)
        take_object(connection)
        release(connection)

    opened = associate(a_request(make_peer(script).port))
    response = store(opened, Bytes(4 << 20))
    opened.release(2.0)

    assert response.status == 0xA700


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (Bytes(300_000, error=ValueError("damaged")), ValueError),
        (Bytes(1000, error=ValueError("damaged")), ValueError),
        (Bytes(300_000, missing=10), TransferBrokenError),
        (Bytes(1000, missing=1000), TransferBrokenError),
    ],
)
def test_a_damaged_object_is_never_completed(make_peer: Callable[..., Peer], source: Bytes, error: type[Exception]) -> None:
    """An object whose end is not what it should be is aborted before its last piece leaves."""
    ended: list[bool] = []

    def script(connection: Connection) -> None:
        accept(connection)
        while True:
            unit = next_unit(connection)
            if unit.type is pdu.PduType.ABORT:
                break
            ended.extend(piece.is_last for piece in pdu.fragments(unit.body) if not piece.is_command)

    opened = associate(a_request(make_peer(script).port))
    with pytest.raises(error):
        store(opened, source)

    assert not opened.is_open
    assert True not in ended


def test_a_peer_that_left_between_two_objects_is_noticed(make_peer: Callable[..., Peer]) -> None:
    """An association that the peer ended while it was idle is not open any more."""
    left = threading.Event()

    def script(connection: Connection) -> None:
        accept(connection)
        connection.write(pdu.abort_pdu(pdu.AbortSource.USER))
        left.set()

    opened = associate(a_request(make_peer(script).port))
    left.wait(5.0)
    deadline = time.monotonic() + 5.0
    while opened.is_open and time.monotonic() < deadline:
        pass

    assert not opened.is_open


def test_releases_that_cross(make_peer: Callable[..., Peer]) -> None:
    """When both sides ask for release at once, ours is answered and so is theirs (row 26)."""
    answers: list[pdu.PduType] = []

    def script(connection: Connection) -> None:
        accept(connection)
        assert next_unit(connection).type is pdu.PduType.RELEASE_RQ
        connection.write(pdu.RELEASE_RQ)
        answers.append(next_unit(connection).type)
        connection.write(pdu.RELEASE_RP)

    opened = associate(a_request(make_peer(script).port))
    opened.release(5.0)

    assert answers == [pdu.PduType.RELEASE_RP]


def test_units_keep_to_the_peers_size(make_peer: Callable[..., Peer]) -> None:
    """No unit is longer than the smaller of both limits, and the object is whole."""
    lengths: list[int] = []

    def script(connection: Connection) -> None:
        accept(connection, change=lambda answer: answer.replace(struct.pack(">L", 131072), struct.pack(">L", 16384)))
        total = 0
        while True:
            unit = next_unit(connection)
            lengths.append(len(unit.body))
            pieces = list(pdu.fragments(unit.body))
            total += sum(len(piece.data) for piece in pieces if not piece.is_command)
            if any(piece.is_last and not piece.is_command for piece in pieces):
                break
        assert total == 100_000
        respond(connection)
        release(connection)

    opened = associate(a_request(make_peer(script).port))
    response = store(opened, Bytes(100_000))
    opened.release(2.0)

    assert response.status == 0
    assert max(lengths) == 16384


def test_an_empty_object_is_one_empty_piece(make_peer: Callable[..., Peer]) -> None:
    """A data set of no bytes is still sent and answered."""

    def script(connection: Connection) -> None:
        accept(connection)
        take_object(connection)
        respond(connection)
        release(connection)

    opened = associate(a_request(make_peer(script).port))
    response = store(opened, Bytes(0))
    opened.release(2.0)

    assert response.status == 0
