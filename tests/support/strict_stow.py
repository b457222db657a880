"""A STOW-RS server that takes nothing for granted: it reads requests byte by byte as the standards say, and answers as it is told.

Promises: what is no HTTP/1.1 request of STOW-RS, or a body that is not exactly the multipart it announces, is a fault in `faults`, and is
answered with 400; what was complete is in `requests`. Each request is answered by the next `Reply` given, then by the last one for ever.
It can also be the HTTP proxy before itself: CONNECT and absolute addresses lead to it, whatever their host.
Failures: none; what a client does wrong is a fault.
Limits: one thread a connection; bodies are kept in memory, so tests keep them small; no chunked requests.
Standard: RFC 9112, RFC 2046 5.1, PS3.18 10.5.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.support import part10

_RECEIVE_S = 30.0
_READ = 65536
_REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)[ \t]*")
_TYPE = re.compile(r'multipart/related; type="application/dicom"; boundary=([0-9A-Za-z]{1,70})')
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class StowRequest:
    """One request that was complete: what it asked for, its header fields in lower case, and the DICOM files in it."""

    method: str
    target: str
    headers: dict[str, str]
    files: tuple[bytes, ...] = ()

    @property
    def uids(self) -> list[str]:
        """The SOP Instance UIDs in the files' headers."""
        return [part10.split(file)[0][part10.SOP_INSTANCE] for file in self.files]


Content = Callable[[StowRequest], bytes]


def stored(request: StowRequest) -> bytes:
    """Return the report that everything was stored."""
    return report(stored=dict.fromkeys(request.uids, 0))


@dataclass(frozen=True)
class Reply:
    """How one request is answered: status, content, and where things go wrong.

    `after`: answer, cut or stall after so many bytes of the body, None for all of it. `stalls`: read and say nothing more.
    `cuts`: reset the connection instead of answering; `closes`: end it in good order instead; `cut_at`: say only so many bytes.
    `delay_s`: wait before the answer. `raw`: these bytes instead of an answer. `leaves`: hang up after the answer, unannounced.
    `is_deaf`: read nothing more after the answer. `drips_s`: wait so long after each byte of it.
    """

    status: int = 200
    content: Content | bytes = stored
    content_type: str = "application/dicom+json"
    headers: tuple[tuple[str, str], ...] = ()
    after: int | None = None
    stalls: bool = False
    cuts: bool = False
    closes: bool = False
    cut_at: int | None = None
    delay_s: float = 0.0
    raw: bytes | None = None
    keeps_open: bool = True
    leaves: bool = False
    is_deaf: bool = False
    drips_s: float = 0.0


def report(*, stored: dict[str, int] | None = None, failed: dict[str, int | None] | None = None, others: Sequence[int] = ()) -> bytes:
    """Return a Store Instances Response in DICOM's JSON: warning reasons (0 is none) and failure reasons by UID."""
    document: dict[str, Any] = {}
    if stored is not None:
        document["00081199"] = _sequence([_item(uid, "00081196", warning or None) for uid, warning in stored.items()])
    if failed is not None:
        document["00081198"] = _sequence([_item(uid, "00081197", reason) for uid, reason in failed.items()])
    if others:
        document["0008119A"] = _sequence([{"00081197": {"vr": "US", "Value": [reason]}} for reason in others])
    return json.dumps(document).encode()


def report_xml(*, stored: dict[str, int], failed: dict[str, int]) -> bytes:
    """Return the same in DICOM's XML."""

    def sequence(tag: str, reason_tag: str, reasons: dict[str, int]) -> str:
        items = "".join(
            f'<Item number="{number}"><DicomAttribute tag="00081155" vr="UI"><Value number="1">{uid}</Value></DicomAttribute>'
            + (f'<DicomAttribute tag="{reason_tag}" vr="US"><Value number="1">{reason}</Value></DicomAttribute>' if reason else "")
            + "</Item>"
            for number, (uid, reason) in enumerate(reasons.items(), 1)
        )
        return f'<DicomAttribute tag="{tag}" vr="SQ">{items}</DicomAttribute>'

    content = sequence("00081199", "00081196", stored) + sequence("00081198", "00081197", failed)
    return f'<?xml version="1.0"?><NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">{content}</NativeDicomModel>'.encode()


def _sequence(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items}


def _item(uid: str, tag: str, reason: int | None) -> dict[str, Any]:
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    return item if reason is None else item | {tag: {"vr": "US", "Value": [reason]}}


class _FaultyRequestError(Exception):
    """A client sent what the standards do not allow."""


class _ClientGoneError(Exception):
    """A client left in the middle."""


@dataclass
class StrictStow:
    """The server. `secure` makes it speak TLS; `proxy_status` is how it answers CONNECT."""

    replies: Sequence[Reply] = (Reply(),)
    secure: ssl.SSLContext | None = None
    proxy_status: int = 200
    requests: list[StowRequest] = field(default_factory=list)
    tunnels: list[StowRequest] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    connections: int = 0
    received: int = 0
    """Bytes of bodies, also of those that were not complete."""

    def __post_init__(self) -> None:
        """Take a port."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._answered = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"{'http' if self.secure is None else 'https'}://127.0.0.1:{self.port}/dicom-web"

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End every connection and thread."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            waiting = list(self._open)
        for sock in waiting:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_RECEIVE_S)

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(_RECEIVE_S)
        with self._lock:
            self._open.append(sock)
        try:
            self._converse(sock)
        except (OSError, _ClientGoneError):
            pass
        finally:
            sock.close()

    def _converse(self, sock: socket.socket) -> None:
        # A request in clear before TLS can only be a CONNECT.
        plain = _Reader(sock)
        if self.secure is not None:
            if sock.recv(1, socket.MSG_PEEK) == b"C":
                request, _ = self._head(plain)
                self.tunnels.append(request)
                sock.sendall(b"HTTP/1.1 %d Word\r\n\r\n" % self.proxy_status)
                if self.proxy_status != 200:
                    return
            sock = self.secure.wrap_socket(sock, server_side=True)
            with self._lock:
                self._open.append(sock)
            plain = _Reader(sock)
        try:
            while self._answer(sock, plain):
                pass
        finally:
            sock.close()

    def _answer(self, sock: socket.socket, reader: _Reader) -> bool:
        """Take one request and answer it; say whether the connection goes on."""
        try:
            request, length = self._head(reader)
        except _FaultyRequestError as fault:
            self.faults.append(str(fault))
            sock.sendall(b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        if request.method == "OPTIONS":
            self.requests.append(request)
            sock.sendall(b"HTTP/1.1 204 No Content\r\nAllow: POST\r\n\r\n")
            return True
        with self._lock:
            reply = self.replies[min(self._answered, len(self.replies) - 1)]
            self._answered += 1
        body = reader.take(length if reply.after is None else min(length, reply.after))
        self.received += len(body)
        if reply.after is None:
            request = self._complete(request, body)
        return self._reply(sock, reader, reply, request)

    def _reply(self, sock: socket.socket, reader: _Reader, reply: Reply, request: StowRequest) -> bool:
        if reply.stalls:
            self._over.wait(_RECEIVE_S)
            return False
        time.sleep(reply.delay_s)
        if reply.cuts:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return False
        if reply.closes:
            return False
        content = reply.content if isinstance(reply.content, bytes) else reply.content(request)
        keeps_open = reply.keeps_open and reply.after is None
        lines = [
            f"HTTP/1.1 {reply.status} Word",
            f"Content-Length: {len(content)}",
            f"Connection: {'keep-alive' if keeps_open else 'close'}",
        ]
        lines += [f"Content-Type: {reply.content_type}"] if reply.content_type else []
        lines += [f"{name}: {value}" for name, value in reply.headers]
        answer = "\r\n".join([*lines, "", ""]).encode("ascii") + content if reply.raw is None else reply.raw
        for piece in [answer[at : at + 1] for at in range(len(answer))] if reply.drips_s else [answer[: reply.cut_at]]:
            sock.sendall(piece)
            time.sleep(reply.drips_s)
        if reply.is_deaf or (reply.cut_at is not None and keeps_open):
            self._over.wait(_RECEIVE_S)
        if not keeps_open:
            # The client must get to read it although it is still sending.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
            reader.wait_for_end()
        return keeps_open and reply.cut_at is None and reply.raw is None and not reply.leaves

    def _head(self, reader: _Reader) -> tuple[StowRequest, int]:
        """Return a request without its body, and the body's length."""
        first, *lines = reader.take_head().split(b"\r\n")
        line = _REQUEST_LINE.fullmatch(first)
        fields = [_FIELD.fullmatch(one) for one in lines]
        _check(line is not None and all(fields), "a line that is none of HTTP/1.1")
        assert line is not None
        names = [one[1].decode("ascii").lower() for one in fields if one is not None]
        headers = {one[1].decode("ascii").lower(): one[2].decode("ascii") for one in fields if one is not None}
        _check(len(names) == len(set(names)), "a field twice")
        _check("host" in headers, "no Host")
        _check("transfer-encoding" not in headers, "no known length")
        request = StowRequest(line[1].decode("ascii"), line[2].decode("ascii"), headers)
        if request.method == "POST":
            _check(request.target.removeprefix(f"http://{headers['host']}") == "/dicom-web/studies", "an unknown address")
            _check(re.fullmatch("[0-9]+", headers.get("content-length", "")) is not None, "no Content-Length")
            _check("application/dicom+json" in headers.get("accept", ""), "no Accept")
        return request, int(headers.get("content-length", 0))

    def _complete(self, request: StowRequest, body: bytes) -> StowRequest:
        try:
            request = StowRequest(request.method, request.target, request.headers, _files(request.headers.get("content-type", ""), body))
        except (_FaultyRequestError, ValueError, KeyError) as fault:
            self.faults.append(str(fault))
        self.requests.append(request)
        return request


class _Reader:
    """Reads exactly what is asked for."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._ahead = bytearray()

    def take_head(self) -> bytes:
        """Return everything up to an empty line, without it."""
        while b"\r\n\r\n" not in self._ahead:
            self._more()
        return self._cut(self._ahead.index(b"\r\n\r\n") + 4)[:-4]

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        while len(self._ahead) < size:
            self._more()
        return self._cut(size)

    def wait_for_end(self) -> None:
        """Swallow what comes until the client leaves."""
        with contextlib.suppress(OSError, _ClientGoneError):
            while True:
                self._ahead.clear()
                self._more()

    def _cut(self, size: int) -> bytes:
        taken = bytes(self._ahead[:size])
        del self._ahead[:size]
        return taken

    def _more(self) -> None:
        received = self._sock.recv(_READ)
        if not received:
            raise _ClientGoneError
        self._ahead += received


def _files(content_type: str, body: bytes) -> tuple[bytes, ...]:
    """Return the DICOM files of a body that is exactly what RFC 2046 5.1.1 allows, without preamble, epilogue and padding."""
    match = _TYPE.fullmatch(content_type)
    _check(match is not None, "a Content-Type that is not STOW-RS's")
    assert match is not None
    boundary = match[1].encode("ascii")
    opening, closing = b"--" + boundary + b"\r\n", b"\r\n--" + boundary + b"--\r\n"
    if body == closing:
        # A request that stores nothing, to see whether it is let in.
        return ()
    _check(body.startswith(opening) and body.endswith(closing), "a body that does not begin and end with its boundary")
    parts = body[len(opening) : -len(closing)].split(b"\r\n" + opening)
    _check(all(boundary not in part for part in parts), "a boundary where none may be")
    files = []
    for part in parts:
        head, gap, file = part.partition(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n"))
        _check(bool(gap) and fields.get(b"Content-Type") == b"application/dicom", "a part that is no DICOM file")
        _check(int(fields.get(b"Content-Length", len(file))) == len(file), "a part of another length than it says")
        part10.split(file)
        files.append(file)
    return tuple(files)


def _check(holds: bool, fault: str) -> None:  # noqa: FBT001 (reads as an assertion)
    if not holds:
        raise _FaultyRequestError(fault)
