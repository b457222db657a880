"""Runs every daemon of the box in one terminal, as systemd does on the installed one.

Three kinds of programs: resident ones are always there; one with a `period_s` does its round and ends, and comes again;
one with a `request` name is started by the first request to its control socket and ends when idle (as timer and socket
units do on the installed box).

A program that is not vital is part of all this, but the box starts and works without it.

Promises: a daemon killed by a signal is started again at once; from its third death without READY on it waits,
doubling to 30 s; `run` returns only when no daemon is left; if the supervisor itself is killed, the daemons see their
lifeline end and drain.
Failures: a vital daemon that refuses to start (ends by itself before the box was ever ready) ends the whole run with its exit
code; the daemon has then already said why in one line.
Limits: no resource limits and no separate users; that is what the installed units are for.
Standard: sd_notify(3), read from a datagram socket with the sender's credentials.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from appliance.runtime.control import CONTROL_VARIABLE, bind_control
from appliance.runtime.datagrams import short_path
from appliance.runtime.logging import get_logger
from appliance.runtime.service import LIFELINE_VARIABLE

log = get_logger(__name__)

# Deaths without READY that are forgiven before the next start waits (house.md section 3, Restart).
_FREE_DEATHS = 2
_LONGEST_WAIT_S = 30.0
# A drain gives open transfers 30 s (house.md section 3); past this the daemon is stuck and is killed.
_DRAIN_S = 40.0
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Program:
    """One daemon to keep running: `arguments` start it, `descriptors` are inherited, `environment` is added to ours.

    With `period_s` it ends by itself and is started again that long after it ended. With `on_request` it is started by the
    first request to `<name>.control`, whose socket it inherits, and ends when idle. It may be both. Where one that is not vital refuses to
    start, the box is ready without it, and it is tried again.
    """

    name: str
    instance: int
    arguments: tuple[str, ...]
    descriptors: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    period_s: float | None = None
    on_request: bool = False
    is_vital: bool = True

    @property
    def is_resident(self) -> bool:
        """Say whether it is always there, so that the box is not ready without it."""
        return self.period_s is None and not self.on_request


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    watch: int = -1
    ready: bool = False
    early_deaths: int = 0
    has_refused: bool = False
    start_at: float = 0.0
    requests: socket.socket | None = None
    is_listening: bool = False
    is_asked: bool = False


class Supervisor:
    """Keeps a fixed set of programs running until told to stop."""

    def __init__(self, programs: Sequence[Program], run_dir: Path, *, on_ready: Callable[[], None], inherited: Sequence[int] = ()) -> None:
        """Prepare; `on_ready` is called once, when every resident program has said READY for the first time.

        Every daemon inherits the descriptors `inherited`.
        """
        self._inherited = tuple(inherited)
        self._children = [_Child(program) for program in programs]
        self._run_dir = run_dir
        self._on_ready = on_ready
        self._was_ready = False
        self._stop_since: float | None = None
        self._exit_code = 0
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._lifeline_read, self._lifeline_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._notify = self._bind_notify()
        for child in self._children:
            if child.program.on_request:
                child.requests = bind_control(run_dir, child.program.name)

    def run(self) -> int:
        """Start everything, keep it running, and return the exit code after a stop (0) or a refused start (the daemon's own code)."""
        handlers = {number: signal.signal(number, self._told_to_stop) for number in (signal.SIGTERM, signal.SIGINT)}
        wake = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain_wakeups)
        self._selector.register(self._notify, selectors.EVENT_READ, self._read_notify)
        for child in self._children:
            self._await_request(child)
        try:
            while self._stop_since is None or any(child.process for child in self._children):
                self._start_what_is_due()
                self._kill_what_is_stuck()
                for key, _ in self._selector.select(self._patience_s()):
                    key.data()
        finally:
            for child in self._children:
                if child.process is not None:
                    child.process.kill()
                    child.process.wait()
            signal.set_wakeup_fd(wake)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._close()
        return self._exit_code

    def stop(self) -> None:
        """Ask every daemon to drain; `run` returns when the last has ended."""
        if self._stop_since is None:
            self._stop_since = time.monotonic()
            for child in self._children:
                if child.process is not None:
                    child.process.terminate()

    def _told_to_stop(self, _number: int, _frame: object) -> None:
        self.stop()

    def _patience_s(self) -> float:
        if self._stop_since is not None:
            return 0.5
        waits = [child.start_at - time.monotonic() for child in self._children if child.process is None and self._is_wanted(child)]
        return max(0.01, min(waits, default=60.0))

    def _start_what_is_due(self) -> None:
        for child in self._children:
            if child.process is None and self._stop_since is None and self._is_wanted(child) and child.start_at <= time.monotonic():
                self._start(child)

    def _is_wanted(self, child: _Child) -> bool:
        # A round of a periodic daemon waits for the box to be ready: the first start must not compete with it.
        return child.is_asked or child.program.is_resident or (child.program.period_s is not None and self._was_ready)

    def _await_request(self, child: _Child) -> None:
        child.is_asked = False
        if child.requests is not None and not child.is_listening:
            self._selector.register(child.requests, selectors.EVENT_READ, lambda: self._asked(child))
            child.is_listening = True

    def _asked(self, child: _Child) -> None:
        self._stop_listening(child)
        child.is_asked = True
        child.start_at = 0.0

    def _stop_listening(self, child: _Child) -> None:
        if child.requests is not None and child.is_listening:
            self._selector.unregister(child.requests)
            child.is_listening = False

    def _start(self, child: _Child) -> None:
        program = child.program
        self._stop_listening(child)
        environment = {
            **os.environ,
            **program.environment,
            # Through our own descriptor: a socket address holds 107 bytes, a data directory's path may be longer.
            "NOTIFY_SOCKET": f"/proc/{os.getpid()}/fd/{self._directory}/notify",
            LIFELINE_VARIABLE: str(self._lifeline_read),
        }
        child.ready = False
        descriptors = [*program.descriptors, *self._inherited, self._lifeline_read]
        if child.requests is not None:
            environment[CONTROL_VARIABLE] = str(child.requests.fileno())
            descriptors.append(child.requests.fileno())
        # A process group of its own: Ctrl-C in the terminal reaches the supervisor alone, which then drains the daemons in order.
        child.process = subprocess.Popen(
            program.arguments,
            env=environment,
            pass_fds=descriptors,
            process_group=0,
            stdin=subprocess.DEVNULL,
        )
        child.watch = os.pidfd_open(child.process.pid)
        self._selector.register(child.watch, selectors.EVENT_READ, lambda: self._buried(child))
        log.debug("daemon.started", name=program.name, instance=program.instance, pid=child.process.pid)

    def _buried(self, child: _Child) -> None:
        process = child.process
        if process is None:
            return
        code = process.wait()
        self._selector.unregister(child.watch)
        os.close(child.watch)
        child.process = None
        if self._stop_since is not None:
            return
        if code == 0 and not child.program.is_resident:
            child.early_deaths = 0
            child.start_at = time.monotonic() + (child.program.period_s or 0.0)
            self._await_request(child)
            return
        log.warning("daemon.ended", name=child.program.name, instance=child.program.instance, code=code, was_ready=child.ready)
        if code >= 0 and not child.ready and not self._was_ready:
            if child.program.is_vital:
                self._exit_code = code or 1
                self.stop()
                return
            child.has_refused = True
            self._see_whether_ready()
        child.early_deaths = 0 if child.ready else child.early_deaths + 1
        waits = child.early_deaths - _FREE_DEATHS
        child.start_at = time.monotonic() + (min(_LONGEST_WAIT_S, 2.0 ** (waits - 1)) if waits > 0 else 0.0)

    def _kill_what_is_stuck(self) -> None:
        if self._stop_since is not None and time.monotonic() - self._stop_since > _DRAIN_S:
            for child in self._children:
                if child.process is not None:
                    log.error("daemon.stuck", name=child.program.name, instance=child.program.instance)
                    child.process.kill()

    def _bind_notify(self) -> socket.socket:
        self._run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._run_dir / "notify").unlink(missing_ok=True)
        self._directory = os.open(self._run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with short_path(self._run_dir, "notify") as path:
            listener.bind(path)
        return listener

    def _read_notify(self) -> None:
        with contextlib.suppress(BlockingIOError):
            message, ancillary, _, _ = self._notify.recvmsg(256, socket.CMSG_SPACE(_CREDENTIALS.size))
            for _, kind, data in ancillary:
                if kind == socket.SCM_CREDENTIALS and b"READY=1" in message.split(b"\n"):
                    self._heard_ready(_CREDENTIALS.unpack(data[: _CREDENTIALS.size])[0])

    def _heard_ready(self, pid: int) -> None:
        for child in self._children:
            if child.process is not None and child.process.pid == pid:
                child.ready = True
                child.early_deaths = 0
        self._see_whether_ready()

    def _see_whether_ready(self) -> None:
        if not self._was_ready and all(child.ready or child.has_refused for child in self._children if child.program.is_resident):
            self._was_ready = True
            self._on_ready()

    def _drain_wakeups(self) -> None:
        os.read(self._wake_read, 64)

    def _close(self) -> None:
        self._selector.close()
        self._notify.close()
        for child in self._children:
            if child.requests is not None:
                child.requests.close()
        for descriptor in (self._wake_read, self._wake_write, self._lifeline_read, self._lifeline_write, self._directory):
            os.close(descriptor)
