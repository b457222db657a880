"""A client of the pages that says whatever the test wants, byte for byte, and reads what comes back.

Promises: what is sent is what was asked for; `Answer.is_closed` says whether the box ended the connection behind the answer.
Failures: `TimeoutError` after 20 s without a word.
Limits: HTTP/1.1 answers with a length or until the end; the box's certificate is not checked.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass, field
from typing import Self

_ANSWER_S = 20.0
# What is read behind an answer, to see whether the connection ends: its end is on its way already.
_BEHIND_S = 5.0


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_closed: bool = False


NONE = Answer(0, is_closed=True)
"""The connection ended without a word."""


def a_context() -> ssl.SSLContext:
    """Return a context that takes every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Browser:
    """One connection."""

    def __init__(self, port: int, *, address: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        """Connect from `address`, and shake hands."""
        plain = socket.create_connection(("127.0.0.1", port), _ANSWER_S, (address, 0))
        self.socket = (context or a_context()).wrap_socket(plain)
        self._ahead = b""

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
        except OSError:
            return False
        return True

    def ask(self, data: bytes) -> Answer:
        """Send, and return the answer."""
        self.send(data)
        return self.answer()

    def get(self, path: str, *headers: str) -> Answer:
        """Ask for a page."""
        return self.ask("\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode())

    def answer(self) -> Answer:
        """Return the next answer."""
        head = self._ahead
        while b"\r\n\r\n" not in head:
            piece = self._receive()
            if not piece:
                return NONE
            head += piece
        lines, _, body = head.partition(b"\r\n\r\n")
        status, *fields = lines.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            body += self._receive() or b""
        self._ahead = body[length:]
        is_closed = headers.get("connection", "").lower() == "close" and self._is_at_its_end()
        return Answer(int(status.split(" ")[1]), headers, body[:length], is_closed)

    def _is_at_its_end(self) -> bool:
        self.socket.settimeout(_BEHIND_S)
        with contextlib.suppress(TimeoutError):
            return not self._receive()
        return False

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""
