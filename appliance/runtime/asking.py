"""Asking a daemon: one typed request and one typed reply over a Unix socket, with a deadline. `runtime/control` is the other end.

Promises: `ask` returns the reply or raises within its deadline. A command starts with this module many times a day, so it loads neither
the log nor what checks a stranger's input: the daemon that answers is the box's own.
Failures: `NotRunningError` (exit code 3) when nobody listens; `RequestRefusedError` with the daemon's own words and exit code;
`RequestTimeoutError`; `ReplyUnreadableError`.
Limits: a message is at most 16 MiB; long lists come in pages.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import struct
from pathlib import Path
from typing import TypeVar

from appliance.core.errors import ApplianceError, Fault
from appliance.runtime.datagrams import short_path
from appliance.runtime.replies import reader

# A page of 1,000 rows is about 0.5 MiB; anything near this bound is a mistake or an attack.
_MESSAGE_BYTES = 16 * 1024 * 1024
_LENGTH = struct.Struct(">I")

Reply = TypeVar("Reply")


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


class ReplyUnreadableError(ApplianceError):
    """The daemon answered something that is not the reply."""

    advice = "Use the command of the same version as the running box."


def ask(run_dir: Path, daemon: str, request: object, reply_type: type[Reply], *, deadline_s: float = 10.0) -> Reply:
    """Send `request` (a dataclass) to `daemon` and return its reply as `reply_type` (another)."""
    message = json.dumps({"request": type(request).__name__, "body": dataclasses.asdict(request)})  # type: ignore[call-overload]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(deadline_s)
        try:
            with short_path(run_dir, f"{daemon}.control") as path:
                connection.connect(path)
            send(connection, message.encode())
            answer = json.loads(receive(connection))
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
    try:
        reply: Reply = reader(reply_type)(answer["body"])
    except (TypeError, KeyError, AttributeError):
        raise ReplyUnreadableError(f"the answer of {daemon} cannot be read") from None
    return reply


def send(connection: socket.socket, message: bytes) -> None:
    """Send one message."""
    connection.sendall(_LENGTH.pack(len(message)) + message)


def receive(connection: socket.socket) -> bytes:
    """Return one message. Raises `EOFError` where it is too long or ends early."""
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
