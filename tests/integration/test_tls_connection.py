"""A connection over TLS keeps every promise of one in plain, against Python's own TLS: waits, aborts from elsewhere, last words, ends."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.dimse import pdu
from appliance.dimse.pdu import AbortSource, PduType
from appliance.dimse.tls import Check, Credentials, Profile, Recipe, TlsMaterialUnusableError, make_context
from appliance.dimse.tls_socket import SecureConnection, TlsSocket
from appliance.dimse.upper_layer import ConnectionLostError, PeerSilentError
from tests.support.certificates import Authority, Identity
from tests.support.eventually import eventually
from tests.support.tls_client import client_context

_S = 10.0


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """The server's certificate, whichever side is the server."""
    return Authority(tmp_path_factory.mktemp("hospital")).issue("server")


@pytest.fixture(params=["acceptor", "requestor"])
def pair(request: pytest.FixtureRequest, identity: Identity) -> Iterator[tuple[SecureConnection, ssl.SSLSocket]]:
    """Our connection and the peer's socket, after the handshake; ours is the server or the client."""
    ours, theirs = a_tcp_pair()
    is_acceptor = request.param == "acceptor"
    recipe = Recipe(
        is_acceptor=is_acceptor,
        profile=Profile.BCP195,
        check=Check.NOTHING,
        credentials=Credentials(identity.certificate, identity.key) if is_acceptor else None,
    )
    context = make_context(recipe)
    connection = SecureConnection(TlsSocket(ours, lambda: context, server_name=None if is_acceptor else "localhost"), progress_s=1.0)
    if is_acceptor:
        other, options = client_context(), {"server_hostname": "localhost"}
    else:
        other, options = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), {}
        other.load_cert_chain(identity.certificate, identity.key)
    shaking = threading.Thread(target=connection.establish, args=(time.monotonic() + _S,))
    shaking.start()
    peer = other.wrap_socket(
        theirs,
        server_side=not is_acceptor,
        suppress_ragged_eofs=False,
        **options,  # type: ignore[arg-type]
    )
    shaking.join()
    yield connection, peer
    connection.close()
    peer.close()


def a_tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of one TCP connection on this machine; the second waits 10 s at most."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), _S)
        ours, _ = listener.accept()
    return ours, theirs


def a_unit(body: bytes, kind: int = PduType.DATA) -> bytes:
    """Return a unit."""
    return bytes([kind, 0]) + struct.pack(">L", len(body)) + body


def read(connection: SecureConnection, *, first_byte_s: float = _S) -> bytes:
    """Return the body of the next unit."""
    return bytes(connection.read(limit=pdu.TOLERATED_LENGTH, first_byte_s=first_byte_s).body)


def write_without_end(connection: SecureConnection) -> None:
    """Write more than any kernel takes."""
    for _ in range(1000):
        connection.write(bytes(1 << 20))


def say_last(connection: SecureConnection, word: bytes) -> None:
    """Say it and close."""
    connection.last_word(word)
    connection.close()


def test_units_go_both_ways(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """Megabytes of units arrive as they were sent, whatever the sizes of records."""
    connection, peer = pair
    bodies = [os.urandom(size) for size in (1, 16_383, 16_384, 16_385, 100_000, 131_072, 1 << 20)]
    sending = threading.Thread(target=peer.sendall, args=(b"".join(map(a_unit, bodies)),))
    sending.start()

    received = [read(connection) for _ in bodies]
    sending.join()
    writing = threading.Thread(target=connection.write, args=(b"".join(map(a_unit, bodies)),))
    writing.start()
    total = sum(len(body) + 6 for body in bodies)
    echoed = b""
    while len(echoed) < total:
        echoed += peer.recv(1 << 16)
    writing.join()

    assert received == bodies
    assert hashlib.sha256(echoed).digest() == hashlib.sha256(b"".join(map(a_unit, bodies))).digest()


def test_what_waits_inside_tls_is_seen(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """Two units in one record: after the first was read the second is readable, although the kernel has nothing more."""
    connection, peer = pair
    peer.sendall(a_unit(b"one") + a_unit(b"two"))

    first = read(connection)
    is_there = connection.is_readable()

    assert (first, is_there, read(connection), connection.is_readable()) == (b"one", True, b"two", False)


def test_messages_of_tls_itself_are_not_something_to_read(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """Session tickets, which a TLS 1.3 server sends after the handshake, are no answer of the peer's."""
    connection, peer = pair
    peer.sendall(b"")

    assert not connection.is_readable(100)
    peer.sendall(a_unit(b"x"))
    assert connection.is_readable(2000)
    assert read(connection) == b"x"


def test_silence_ends_a_wait(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """No byte within the time, or a unit that stops in its middle, is a silent peer."""
    connection, peer = pair

    with pytest.raises(PeerSilentError, match=r"no byte came for 0\.2 s"):
        read(connection, first_byte_s=0.2)
    peer.sendall(a_unit(b"abc")[:-1])
    with pytest.raises(PeerSilentError):
        read(connection)


def test_a_peer_that_takes_nothing_ends_a_write(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """When the peer stops reading, a write ends after the time without progress."""
    connection, _ = pair

    with pytest.raises(PeerSilentError, match="took no byte"):
        write_without_end(connection)


def test_an_abort_from_elsewhere_wakes_the_reader(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """The thread that waits for a unit wakes up, and the peer reads the A-ABORT and TLS's goodbye."""
    connection, peer = pair
    ends: list[Exception] = []

    def wait() -> None:
        try:
            read(connection, first_byte_s=60.0)
        except ConnectionLostError as error:
            ends.append(error)

    reader = threading.Thread(target=wait)
    reader.start()
    time.sleep(0.05)

    connection.abort(AbortSource.USER)
    reader.join(_S)

    assert len(ends) == 1
    assert peer.recv(64)[:1] == bytes([PduType.ABORT])
    assert peer.recv(1) == b""


def test_an_abort_ends_a_write_that_is_stuck(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """While a write waits for a peer that does not read, another thread can end the connection at once."""
    connection, _ = pair
    ends: list[Exception] = []

    def write() -> None:
        try:
            write_without_end(connection)
        except (ConnectionLostError, PeerSilentError) as error:
            ends.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    eventually(connection._unacknowledged, message="bytes to be on their way")
    time.sleep(0.2)
    connection.abort(AbortSource.USER)
    writer.join(_S)

    assert len(ends) == 1


def test_the_last_word_is_read_although_much_is_unread(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """What we say last reaches a peer that is still sending: its unread bytes do not make the kernel destroy it."""
    connection, peer = pair
    peer.sendall(bytes(200_000))
    farewell = threading.Thread(target=say_last, args=(connection, b"farewell"))
    farewell.start()

    heard = b""
    while len(heard) < 8:
        more = peer.recv(64)
        assert more
        heard += more
    peer.close()
    farewell.join(_S)

    assert heard == b"farewell"


def test_a_close_says_goodbye(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """The peer sees an end in TLS's own way and no truncation."""
    connection, peer = pair
    peer.settimeout(_S)

    connection.close()

    assert peer.recv(1) == b""


def test_a_peer_that_hangs_up_without_goodbye_has_closed(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """Many devices do: what they sent before is read, then the connection is lost, within a unit or not."""
    connection, peer = pair
    peer.sendall(a_unit(b"whole") + a_unit(b"cut short")[:8])
    os.close(peer.detach())

    whole = read(connection)
    with pytest.raises(ConnectionLostError) as lost:
        read(connection)

    assert whole == b"whole"
    assert lost.value.within_unit


def test_wait_until_taken_returns(pair: tuple[SecureConnection, ssl.SSLSocket]) -> None:
    """What the kernel of the peer has acknowledged is taken."""
    connection, peer = pair
    connection.write(a_unit(b"x"))

    connection.wait_until_taken()

    assert peer.recv(64) == a_unit(b"x")


def test_nothing_leaves_in_clear(identity: Identity) -> None:
    """Before the handshake an abort and a last word send nothing: the only other way would be in clear."""
    ours, theirs = a_tcp_pair()
    context = make_context(Recipe(True, Profile.BCP195, Check.NOTHING, Credentials(identity.certificate, identity.key)))
    connection = SecureConnection(TlsSocket(ours, lambda: context, server_name=None), progress_s=1.0)

    connection.last_word(b"secret")
    connection.abort(AbortSource.USER)
    connection.close()

    with theirs:
        assert theirs.recv(1) == b""


def test_files_that_cannot_be_used_are_named(identity: Identity, tmp_path: Path) -> None:
    """Each fault of a file has its words; the one who called is not blamed."""
    other = Authority(tmp_path).issue("other")

    def problem(credentials: Credentials | None, *authorities: Path) -> str:
        with pytest.raises(TlsMaterialUnusableError) as unusable:
            make_context(Recipe(True, Profile.BCP195, Check.NOTHING, credentials, authorities))
        return str(unusable.value)

    nothing = tmp_path / "nothing.pem"
    nothing.write_text("", encoding="ascii")

    assert "do not belong together" in problem(Credentials(identity.certificate, other.key))
    assert "cannot be read" in problem(Credentials(identity.certificate, tmp_path / "missing"))
    assert "cannot be used" in problem(Credentials(nothing, other.key))
    assert "cannot be read" in problem(None, tmp_path / "missing")
    assert "cannot be used" in problem(None, nothing)
