"""The sandboxed children of opener, as seen from it: bytes in, bytes out, and nothing that a child does harms anything but its job.

Promises: a child gets no key, no descriptor but its two pipes, and no variable of our environment but the search path; it serves a few
jobs, one at a time, and is ended with the first that goes wrong. A job in which no byte moves for the progress deadline, whose result grows
beyond what was allowed, or whose child dies ends as `ChildFailedError`; what `source` and `sink` raise passes through.
Failures: `ChildFailedError`.
Limits: as many children at once as there are places; who comes then waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from appliance.core.errors import ApplianceError
from appliance.opener.frames import DATA, END, JOB, PIECE_BYTES, READY, FrameInvalidError, Frames, frame
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# A new process costs a fifth of a second, which a CT slice must not pay; what a codec may have broken in one does not live for long.
_JOBS_A_CHILD = 64
_BYTES_A_CHILD = 512 << 20
# A box has few cores, and the scanners' associations go first.
_PLACES = 2
# The largest frame takes a few seconds on an old machine.
_PROGRESS_S = 60.0
# What anybody may make a pipe hold (pipe(7)).
_PIPE_BYTES = 1 << 20
# What the interpreter and its libraries need, and nothing that a codec's author would look for.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
# How a job ends (`child`).
_OUTCOMES = frozenset({"done", "unsuitable", "refused", "broken", "failed"})
# A reason is logged and stored, and foreign code ran in the child that says it: ours are a few plain words.
_REASON = re.compile(r"[ -~]{0,120}")
_UNSHOWN = "its reason cannot be shown"


class ChildFailedError(ApplianceError):
    """A child died, hung or gave back more than it was allowed."""


class Workbench:
    """The children of one process. Threads may share it."""

    def __init__(self, command: Sequence[str] = (), *, progress_s: float = _PROGRESS_S, wait_s: float | None = None) -> None:
        """Start children with `command` (tests have their own) when they are needed; nobody waits longer than `wait_s` for a place."""
        self._command = tuple(command) or (sys.executable, "-m", "appliance.opener.child")
        self._progress_s = progress_s
        self._wait_s = wait_s
        self._places = threading.BoundedSemaphore(_PLACES)
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._is_closed = False

    def rewrite(
        self, job: Mapping[str, object], source: Callable[[int], bytes], sink: Callable[[bytes], None], *, most_bytes: int
    ) -> dict[str, str]:
        """Have `job` done with what `source(size)` gives, into `sink`, and return how the child says that it ended (`child`)."""
        if not self._places.acquire(timeout=self._wait_s):
            raise ChildFailedError("too many others are being made")
        try:
            child = self._take()
            try:
                ended = child.serve(job, source, sink, most_bytes)
            except BaseException:  # boundary: whatever ended the job, the child is not used again; raised again
                self._put_back(child, is_well=False)
                raise
            self._put_back(child, is_well=ended["outcome"] != "failed")
            return ended
        finally:
            self._places.release()

    def close(self) -> None:
        """End every child; who waits for one gets `ChildFailedError`."""
        with self._lock:
            self._is_closed = True
            children, self._idle = [*self._idle, *self._busy], []
        for child in children:
            child.kill()

    def _take(self) -> _Child:
        with self._lock:
            if self._is_closed:
                raise ChildFailedError("the opener is ending")
            child = self._idle.pop() if self._idle else None
            if child is not None:
                self._busy.add(child)
                return child
        child = _Child(self._command, self._progress_s)
        with self._lock:
            self._busy.add(child)
        return child

    def _put_back(self, child: _Child, *, is_well: bool) -> None:
        with self._lock:
            self._busy.discard(child)
            if is_well and not child.is_spent and not self._is_closed:
                self._idle.append(child)
                return
        child.kill()


@dataclass(slots=True)
class _Exchange:
    """One job on its way through a child."""

    source: Callable[[int], bytes]
    sink: Callable[[bytes], None]
    most_bytes: int
    outgoing: memoryview
    is_fed: bool = False
    received: int = 0
    ended: dict[str, str] = field(default_factory=dict)

    def refill(self) -> None:
        """Have something to write, unless all was written; behind an early end nothing is fed any more."""
        if self.outgoing or self.is_fed:
            return
        piece = b"" if self.ended else self.source(PIECE_BYTES)
        self.is_fed = not piece
        self.outgoing = memoryview(frame(DATA, piece) if piece else frame(END))

    def take(self, kind: bytes, body: bytes) -> None:
        """Take what the child said."""
        if kind == DATA and not self.ended:
            self.received += len(body)
            if self.received > self.most_bytes:
                raise ChildFailedError("the result grew beyond what it can be")
            self.sink(body)
        elif kind == END and not self.ended:
            ended = json.loads(body)
            if not isinstance(ended, dict) or not all(isinstance(word, str) for word in ended.values()):
                raise FrameInvalidError("the end of a job is none")
            if ended.get("outcome") not in _OUTCOMES:
                raise FrameInvalidError("the end of a job is none of the protocol's")
            if "reason" in ended and not _REASON.fullmatch(ended["reason"]):
                ended["reason"] = _UNSHOWN
            self.ended = ended
        else:
            raise FrameInvalidError("a frame came at the wrong time")

    @property
    def is_over(self) -> bool:
        """Whether both sides are done with it."""
        return bool(self.ended) and self.is_fed and not self.outgoing


class _Child:
    """One child process."""

    def __init__(self, command: Sequence[str], progress_s: float) -> None:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # One thread: more cost memory, and a locked-in process cannot make any.
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdin is not None  # noqa: S101 (a pipe was asked for; for the type checker)
        assert self._process.stdout is not None  # noqa: S101 (as above)
        self._into, self._out_of = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in (self._into, self._out_of):
            with contextlib.suppress(OSError):
                # Fewer, larger pieces: each is a change from one process to the other. Where that is too much, it stays as it was.
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._into, False)
        os.set_blocking(self._out_of, False)
        self._progress_s = progress_s
        self._frames = Frames()
        self._is_ready = False
        self._jobs = self._bytes = 0

    @property
    def is_spent(self) -> bool:
        """Whether it has served enough."""
        return self._jobs >= _JOBS_A_CHILD or self._bytes >= _BYTES_A_CHILD

    def serve(
        self, job: Mapping[str, object], source: Callable[[int], bytes], sink: Callable[[bytes], None], most_bytes: int
    ) -> dict[str, str]:
        """Have one job done."""
        exchange = _Exchange(source, sink, most_bytes, memoryview(frame(JOB, json.dumps(job).encode())))
        try:
            while not exchange.is_over:
                self._step(exchange)
        except (FrameInvalidError, ValueError, LookupError, TypeError, RecursionError):
            raise ChildFailedError("the codec's process spoke out of turn") from None
        self._jobs += 1
        self._bytes += exchange.received
        return exchange.ended

    def kill(self) -> None:
        """End it at once; nothing happens to one that has ended."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _step(self, exchange: _Exchange) -> None:
        """Move some bytes, in whatever direction they can go."""
        exchange.refill()
        readable, writable = self._wait(wants_to_write=bool(exchange.outgoing))
        if writable:
            try:
                exchange.outgoing = exchange.outgoing[os.write(self._into, exchange.outgoing[:_PIPE_BYTES]) :]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                # Who broke the pipe is read from first: how the process ended is the better reason.
                if not readable:
                    raise ChildFailedError("the codec's process ended") from None
        if readable:
            for kind, body in self._read():
                exchange.take(kind, body)

    def _wait(self, *, wants_to_write: bool) -> tuple[bool, bool]:
        with selectors.PollSelector() as selector:
            selector.register(self._out_of, selectors.EVENT_READ)
            if wants_to_write:
                selector.register(self._into, selectors.EVENT_WRITE)
            ready = {key.fd for key, _ in selector.select(self._progress_s)}
        if not ready:
            raise ChildFailedError("the codec made no progress")
        return self._out_of in ready, self._into in ready

    def _read(self) -> Iterator[tuple[bytes, bytes]]:
        try:
            data = os.read(self._out_of, _PIPE_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise ChildFailedError(f"the codec's process ended ({_how(self._process.wait())})")
        for kind, body in self._frames.feed(data):
            if kind == READY and not self._is_ready:
                self._is_ready = True
                walls = json.loads(body)
                log.info("opener.child_ready", network=bool(walls["network"]), system_calls=bool(walls["system_calls"]))
            elif not self._is_ready:
                raise FrameInvalidError("the child is not locked in")
            else:
                yield kind, body


def _how(code: int) -> str:
    """Return how a process ended, in a word."""
    if code >= 0:
        return f"code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
