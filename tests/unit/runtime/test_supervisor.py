"""The supervisor restarts what dies, gives up at once on what refuses to start, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

from appliance.runtime.asking import ask
from appliance.runtime.requests import QueueReply, QueueRequest
from appliance.runtime.supervisor import Program, Supervisor
from tests.support.eventually import eventually

_DAEMON = """
import sys
from pathlib import Path
from appliance.runtime.service import Service
with Service(sys.argv[2], Path(sys.argv[1])) as service:
    with open(Path(sys.argv[1]) / (sys.argv[2] + ".starts"), "a") as starts:
        import os
        starts.write(str(os.getpid()) + "\\n")
    service.ready()
    service.stopping.wait()
"""

_SUPERVISOR = """
import sys
from pathlib import Path
from appliance.runtime.asking import ask
from appliance.runtime.requests import QueueReply, QueueRequest
from appliance.runtime.supervisor import Program, Supervisor
program = Program("a", 0, (sys.executable, "-c", sys.argv[2], sys.argv[1], "a"))
Supervisor([program], Path(sys.argv[1]), on_ready=lambda: None).run()
"""


def _program(run_dir: Path, name: str, code: str = _DAEMON) -> Program:
    return Program(name, 0, (sys.executable, "-c", code, str(run_dir), name))


def _starts(run_dir: Path, name: str) -> list[int]:
    path = run_dir / f"{name}.starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_box_is_ready_without_what_is_not_vital(tmp_path: Path) -> None:
    """A program that the box works without and that refuses to start keeps nobody waiting; it is tried again."""
    ready = threading.Event()
    refusing = _program(tmp_path, "b", _DAEMON.replace("service.ready()", "sys.exit(1)"))
    supervisor = Supervisor([_program(tmp_path, "a"), replace(refusing, is_vital=False)], tmp_path, on_ready=ready.set)

    def act() -> None:
        ready.wait(30)
        eventually(lambda: len(_starts(tmp_path, "b")) > 1, within=30)
        os.kill(os.getpid(), signal.SIGTERM)

    actor = threading.Thread(target=act)
    actor.start()
    code = supervisor.run()
    actor.join()

    assert (True, 0, 1) == (ready.is_set(), code, len(_starts(tmp_path, "a")))


def test_a_killed_daemon_is_started_again_and_all_end_with_the_supervisor(tmp_path: Path) -> None:
    """SIGKILL one: another takes its place; stop: none is left, exit code 0."""
    ready = threading.Event()
    supervisor = Supervisor([_program(tmp_path, "a"), _program(tmp_path, "b")], tmp_path, on_ready=ready.set)

    def act() -> None:
        ready.wait(30)
        os.kill(_starts(tmp_path, "a")[0], signal.SIGKILL)
        eventually(lambda: len(_starts(tmp_path, "a")) == 2, within=30)
        os.kill(os.getpid(), signal.SIGTERM)

    actor = threading.Thread(target=act)
    actor.start()
    code = supervisor.run()
    actor.join()

    assert code == 0
    assert len(_starts(tmp_path, "b")) == 1
    assert not any(Path(f"/proc/{pid}").exists() for name in "ab" for pid in _starts(tmp_path, name))


def test_a_daemon_that_refuses_to_start_ends_the_run_with_its_code(tmp_path: Path) -> None:
    """The others are drained, and the exit code is the refusing daemon's."""
    supervisor = Supervisor([_program(tmp_path, "a"), _program(tmp_path, "b", "raise SystemExit(1)")], tmp_path, on_ready=lambda: None)

    code = supervisor.run()

    assert code == 1


def test_a_daemon_dies_with_its_supervisor(tmp_path: Path) -> None:
    """The supervisor is killed with SIGKILL; its daemon sees the lifeline end and stops by itself."""
    parent = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", _SUPERVISOR, str(tmp_path), _DAEMON])
    eventually(lambda: bool(_starts(tmp_path, "a")), within=30)
    child = _starts(tmp_path, "a")[0]

    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)

    eventually(lambda: not Path(f"/proc/{child}").exists() or "zombie" in Path(f"/proc/{child}/status").read_text(), within=30)


_ANSWERER = """
import os, sys
from pathlib import Path
from appliance.runtime.control import ControlServer
from appliance.runtime.requests import QueueReply, QueueRequest
from appliance.runtime.service import Service
with Service(sys.argv[2], Path(sys.argv[1])) as service:
    with open(Path(sys.argv[1]) / (sys.argv[2] + ".starts"), "a") as starts:
        starts.write(str(os.getpid()) + "\\n")
    server = ControlServer(Path(sys.argv[1]), sys.argv[2], {QueueRequest: lambda _: QueueReply(())})
    service.ready()
    while not service.stopping.wait(0.05) and server.idle_s < 0.3:
        pass
    server.close()
"""

_ROUND = _DAEMON.replace("service.stopping.wait()", "pass")


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_daemon_on_request_starts_when_asked_ends_when_idle_and_starts_again(tmp_path: Path) -> None:
    """Nobody waits for it to be ready; each request is answered, also the one that comes while it ends."""
    ready = threading.Event()
    asked = Program("b", 0, _program(tmp_path, "b", _ANSWERER).arguments, on_request=True)
    supervisor = Supervisor([_program(tmp_path, "a"), asked], tmp_path, on_ready=ready.set)
    seen: list[int] = []

    def act() -> None:
        ready.wait(30)
        seen.append(len(_starts(tmp_path, "b")))
        for starts in (1, 2):
            ask(tmp_path, "b", QueueRequest(), QueueReply)
            seen.append(len(_starts(tmp_path, "b")))
            pid = _starts(tmp_path, "b")[-1]
            eventually(partial(_is_gone, pid), within=30, message=f"start {starts} did not end")
        os.kill(os.getpid(), signal.SIGTERM)

    actor = threading.Thread(target=act)
    actor.start()
    code = supervisor.run()
    actor.join()

    assert (code, seen) == (0, [0, 1, 2])


def test_a_periodic_daemon_comes_again(tmp_path: Path) -> None:
    """It ends by itself, and its end is no death."""
    periodic = Program("b", 0, _program(tmp_path, "b", _ROUND).arguments, period_s=0.05)
    supervisor = Supervisor([_program(tmp_path, "a"), periodic], tmp_path, on_ready=lambda: None)

    def act() -> None:
        eventually(lambda: len(_starts(tmp_path, "b")) >= 3, within=30)
        os.kill(os.getpid(), signal.SIGTERM)

    actor = threading.Thread(target=act)
    actor.start()
    code = supervisor.run()
    actor.join()

    assert code == 0
