"""Asking a daemon: one typed request and one typed reply over a Unix socket, with a deadline and checked credentials.

Promises: `ask` returns the reply or raises within its deadline; a daemon answers only the user it runs as, and root; a request that the
daemon does not know, or that is too large, is refused without being acted on.
Failures: `NotRunningError` (exit code 3) when nobody listens; `RequestRefusedError` with the daemon's own words and exit code;
`RequestTimeoutError`.
Limits: a message is at most 16 MiB; long lists come in pages.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from appliance.core.errors import ApplianceError, Fault
from appliance.runtime.datagrams import short_path
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# A page of 1,000 rows is about 0.5 MiB; anything near this bound is a mistake or an attack.
_MESSAGE_BYTES = 16 * 1024 * 1024
# A client that connects and says nothing must not hold a thread for long.
_CLIENT_PATIENCE_S = 10.0
# Set for a daemon that is started by its first request: the listening socket, bound by whoever supervises.
CONTROL_VARIABLE = "DICOM_EDGE_CONTROL_FD"
_LENGTH = struct.Struct(">I")
_CREDENTIALS = struct.Struct("3i")

Reply = TypeVar("Reply")
Handler = Callable[[Any], object]


class NotRunningError(ApplianceError):
    """The box is not running on this data directory."""

    fault = Fault.OPERATOR
    exit_code = 3
    advice = "Start it with `dicom-edge run`, or point --data at the directory of the running box."


class RequestRefusedError(ApplianceError):
    """The daemon understood the request and will not do it."""

    fault = Fault.OPERATOR


class RequestTimeoutError(ApplianceError):
    """The daemon did not answer in time."""

    advice = "The daemon is busy or stuck; look at its log."


def ask(run_dir: Path, daemon: str, request: object, reply_type: type[Reply], *, deadline_s: float = 10.0) -> Reply:
    """Send `request` (a dataclass) to `daemon` and return its reply as `reply_type`."""
    message = json.dumps({"request": type(request).__name__, "body": TypeAdapter(type(request)).dump_python(request, mode="json")})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(deadline_s)
        try:
            with short_path(run_dir, f"{daemon}.control") as path:
                connection.connect(path)
            _send(connection, message.encode())
            answer = json.loads(_receive(connection))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise NotRunningError("the box is not running") from None
        except TimeoutError:
            raise RequestTimeoutError(f"{daemon} did not answer within {deadline_s:g} s") from None
        except (ConnectionError, EOFError):
            raise NotRunningError(f"{daemon} ended while it was asked") from None
    if not answer["ok"]:
        refused = RequestRefusedError(answer["message"], advice=answer["advice"])
        # What is wrong usage stays wrong usage, whichever process found it out.
        refused.exit_code = answer.get("exit_code", refused.exit_code)
        raise refused
    return TypeAdapter(reply_type).validate_python(answer["body"])


def bind_control(run_dir: Path, daemon: str) -> socket.socket:
    """Return the listening socket of `daemon`, readable by its own user alone, replacing what a dead predecessor left."""
    (run_dir / f"{daemon}.control").unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(run_dir, f"{daemon}.control") as path:
        listener.bind(path)
    (run_dir / f"{daemon}.control").chmod(0o600)
    listener.listen(16)
    return listener


class ControlServer:
    """Answers requests in threads of its own until closed."""

    def __init__(self, run_dir: Path, daemon: str, handlers: Mapping[type, Handler]) -> None:
        """Take the socket that was handed over, or bind `run_dir/<daemon>.control`, and begin to answer.

        Each request type goes to its handler, whose return value is the reply.
        """
        self._handlers: dict[str, tuple[TypeAdapter[Any], Handler]] = {
            kind.__name__: (TypeAdapter(kind), handler) for kind, handler in handlers.items()
        }
        self._daemon = daemon
        handed_over = os.environ.get(CONTROL_VARIABLE)
        self._socket = bind_control(run_dir, daemon) if handed_over is None else socket.socket(fileno=int(handed_over))
        self._lock = threading.Lock()
        self._busy = 0
        self._idle_since = time.monotonic()
        self._end_read, self._end_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    @property
    def idle_s(self) -> float:
        """The seconds since the last answer, 0 while one is being made."""
        with self._lock:
            return 0.0 if self._busy else time.monotonic() - self._idle_since

    def close(self) -> None:
        """Stop answering."""
        os.write(self._end_write, b"!")
        self._thread.join()
        self._socket.close()
        os.close(self._end_read)
        os.close(self._end_write)

    def _serve(self) -> None:
        while True:
            readable, _, _ = select.select([self._socket.fileno(), self._end_read], [], [])
            if self._end_read in readable:
                return
            connection, _ = self._socket.accept()
            with self._lock:
                self._busy += 1
            threading.Thread(target=self._answer, args=(connection,), name="control-answer", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            self._serve_one(connection)
        finally:
            with self._lock:
                self._busy -= 1
                self._idle_since = time.monotonic()

    def _serve_one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError, TimeoutError, EOFError):
            connection.settimeout(_CLIENT_PATIENCE_S)
            _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
            if user not in {0, os.geteuid()}:
                log.warning("control.stranger", user=user)
                return
            _send(connection, json.dumps(self._reply(_receive(connection))).encode())

    def _reply(self, raw: bytes) -> dict[str, object]:
        try:
            message = json.loads(raw)
            adapter, handler = self._handlers[message["request"]]
            request = adapter.validate_python(message["body"])
        except (ValueError, KeyError, TypeError, ValidationError):
            return {"ok": False, "message": f"{self._daemon} does not know this request", "advice": "Use the command of the same version."}
        try:
            reply = handler(request)
        except ApplianceError as error:
            return {"ok": False, "message": str(error), "advice": error.advice, "exit_code": error.exit_code}
        except Exception as error:  # boundary: one request that fails must not end the thread without an answer to the one who asks
            log.exception("control.request_failed", request=message["request"])
            return {"ok": False, "message": f"{self._daemon} failed on this request ({type(error).__name__})", "advice": "Look at its log."}
        return {"ok": True, "body": TypeAdapter(type(reply)).dump_python(reply, mode="json")}


def _send(connection: socket.socket, message: bytes) -> None:
    connection.sendall(_LENGTH.pack(len(message)) + message)


def _receive(connection: socket.socket) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > _MESSAGE_BYTES:
        raise EOFError
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 65536))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
