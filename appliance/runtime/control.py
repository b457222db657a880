"""Answering requests: a daemon's end of the control socket. `runtime/asking` is the other end.

Promises: a daemon answers only the user it runs as, and root; a request that it does not know, or that is too large, is refused without
being acted on.
Failures: `OSError` where the socket cannot be bound.
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
from typing import Any

from pydantic import TypeAdapter, ValidationError

from appliance.core.errors import ApplianceError
from appliance.runtime.asking import receive, send
from appliance.runtime.datagrams import short_path
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# A client that connects and says nothing must not hold a thread for long.
_CLIENT_PATIENCE_S = 10.0
# Set for a daemon that is started by its first request: the listening socket, bound by whoever supervises.
CONTROL_VARIABLE = "DICOM_EDGE_CONTROL_FD"
_CREDENTIALS = struct.Struct("3i")

Handler = Callable[[Any], object]


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
            send(connection, json.dumps(self._reply(receive(connection))).encode())

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
