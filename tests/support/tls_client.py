"""A TLS client whose every setting is the test's, and the exact words of the alert it gets.

Promises: `shake` returns what came of a handshake, `None` in `refused` where it went well; TLS 1.3's late alerts are waited for.
Failures: `AssertionError` where the peer is silent for 10 s.
Limits: checks nothing of the server unless the test says so.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from tests.support import wire
from tests.support.certificates import Identity

_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Handshake:
    """What came of it: OpenSSL's reason for a refusal, else version, cipher and the server's certificate (DER)."""

    refused: str | None
    version: str = ""
    cipher: str = ""
    certificate: bytes = b""


def client_context(identity: Identity | None = None, *, trusts: Path | None = None) -> ssl.SSLContext:
    """Return a context that shows `identity`, and checks the server against `trusts` where that is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE if trusts is None else ssl.CERT_REQUIRED
    if trusts is not None:
        context.load_verify_locations(trusts)
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


def connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a connection after its handshake. Raises `ssl.SSLError`, `ConnectionError`."""
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), _ANSWER_S), server_hostname="localhost")


def shake(port: int, context: ssl.SSLContext) -> Handshake:
    """Shake hands, ask for an association as a stranger, and return what came of it."""
    try:
        with connect(port, context) as connection:
            connection.sendall(wire.associate_request(called=b"EDGE", calling=b"STRANGER", abstract_syntaxes=[wire.VERIFICATION]))
            assert connection.recv(1), "the server closed without a word"
            cipher = connection.cipher()
            return Handshake(None, connection.version() or "", cipher[0] if cipher else "", connection.getpeercert(binary_form=True) or b"")
    except ssl.SSLError as error:
        return Handshake(error.reason or type(error).__name__)
    except ConnectionError:
        return Handshake("CONNECTION_RESET")
