"""Typed requests over a Unix socket: answered, refused, or timed out, never hung."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.core.errors import ApplianceError
from appliance.runtime.asking import NotRunningError, ReplyUnreadableError, RequestRefusedError, RequestTimeoutError, ask
from appliance.runtime.control import ControlServer
from appliance.runtime.datagrams import short_path
from appliance.runtime.requests import QueueReply, QueueRequest, QueueRow, StatusRequest

_ROW = QueueRow(7, "archive", "held", "verdict", "routine", "1.2", "1.2.3", 4, None, "refused")


def test_a_request_gets_its_typed_reply(tmp_path: Path) -> None:
    """What the handler returns is what the one who asks gets, type and all."""
    seen: list[QueueRequest] = []

    def answer(request: QueueRequest) -> QueueReply:
        seen.append(request)
        return QueueReply((_ROW,))

    server = ControlServer(tmp_path, "router", {QueueRequest: answer})
    reply = ask(tmp_path, "router", QueueRequest(destination="archive", limit=5), QueueReply)
    server.close()

    assert seen == [QueueRequest(destination="archive", limit=5)]
    assert reply == QueueReply((_ROW,))


def test_nobody_there_is_not_running(tmp_path: Path) -> None:
    """Exit code 3 is for a box that does not run, also after a crash left its socket behind."""
    ControlServer(tmp_path, "router", {}).close()

    for daemon in ("router", "sender"):
        with pytest.raises(NotRunningError) as caught:
            ask(tmp_path, daemon, StatusRequest(), QueueReply)
        assert caught.value.exit_code == 3


def test_a_handlers_refusal_reaches_the_one_who_asks(tmp_path: Path) -> None:
    """The daemon's words, its advice and its exit code travel."""

    class WrongWordError(ApplianceError):
        exit_code = 2

    def refuse(_: StatusRequest) -> object:
        raise WrongWordError("no such thing", advice="Ask for another.")

    server = ControlServer(tmp_path, "router", {StatusRequest: refuse})
    with pytest.raises(RequestRefusedError, match="no such thing") as caught:
        ask(tmp_path, "router", StatusRequest(), QueueReply)
    server.close()

    assert (caught.value.advice, caught.value.exit_code) == ("Ask for another.", 2)


def test_an_unknown_request_and_a_crashing_handler_are_answered(tmp_path: Path) -> None:
    """The server survives both and says so."""

    def crash(_: StatusRequest) -> object:
        raise ZeroDivisionError

    server = ControlServer(tmp_path, "router", {StatusRequest: crash})
    for request in (QueueRequest(), StatusRequest()):
        with pytest.raises(RequestRefusedError):
            ask(tmp_path, "router", request, QueueReply)
    server.close()


def test_a_daemon_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    """The deadline holds."""
    block = threading.Event()
    server = ControlServer(tmp_path, "router", {StatusRequest: lambda _: block.wait(30)})

    with pytest.raises(RequestTimeoutError):
        ask(tmp_path, "router", StatusRequest(), QueueReply, deadline_s=0.2)

    block.set()
    server.close()


def test_garbage_and_a_huge_length_do_no_harm(tmp_path: Path) -> None:
    """A client that speaks nonsense is dropped; the next is served."""
    server = ControlServer(tmp_path, "router", {QueueRequest: lambda _: QueueReply(())})
    for garbage in (b"\xff\xff\xff\xff", b"\0\0\0\x02{}", b"\0\0\0\x03[1]", b"\0"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client, short_path(tmp_path, "router.control") as path:
            client.connect(path)
            client.sendall(garbage)

    reply = ask(tmp_path, "router", QueueRequest(), QueueReply)
    server.close()

    assert reply == QueueReply(())


def test_an_answer_of_another_version_is_read_or_said_to_be_unreadable(tmp_path: Path) -> None:
    """Keys that are new are left out, keys with a default may be missing; what lacks another key, or holds another type, is no reply."""

    @dataclass(frozen=True, slots=True)
    class Newer:
        rows: tuple[dict[str, object], ...]
        more: str = "new"

    row = {"id": 1, "destination": "a", "state": "queued", "hold_class": None, "priority": "routine", "study_instance_uid": "1.2"}
    row |= {"sop_instance_uid": "1.2.3", "attempts": 0, "due": None, "reason": "", "colour": "red"}
    answers = iter([Newer((row,)), Newer(({**row, "attempts": "many"},)), Newer(({"id": 1},))])
    server = ControlServer(tmp_path, "router", {QueueRequest: lambda _: next(answers)})
    reply = ask(tmp_path, "router", QueueRequest(), QueueReply)
    for _ in range(2):
        with pytest.raises(ReplyUnreadableError):
            ask(tmp_path, "router", QueueRequest(), QueueReply)
    server.close()

    assert reply == QueueReply((QueueRow(1, "a", "queued", None, "routine", "1.2", "1.2.3", 0, None, ""),))
