"""The worker: gunicorn's threads and WSGI, without its arbiter, behind the waiting room.

Promises: a thread has a connection from a request that came whole until its answer is sent, and no longer; of one address no more than half
of the threads are at work at a time, and few bodies are waited for, so that neither many tabs nor many slow senders stop the others. One
process: the daemon is the worker. Told to stop, it ends those who wait at once and those who are served within their time.
Failures: none; a fault in a page is answered 500 and logged with its name.
Limits: HTTP/1.1; no HTTP/2, no proxy before us.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections import Counter, deque
from concurrent.futures import Future
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from appliance.runtime.logging import get_logger
from appliance.runtime.sparing import Sparing
from webui.serving.arrival import Arrival
from webui.serving.line import Line
from webui.serving.refusals import NO_CHUNKS, NOT_A_REQUEST, OUR_FAULT, TOO_BUSY, TOO_LARGE, refusal
from webui.serving.strict import BodyTooLargeError, ChunkedError, StrictParser
from webui.serving.waiting_room import Context, Patience, Visitor, WaitingRoom

log = get_logger(__name__)

# Bodies that come while a thread reads them; each may be held in memory as a whole.
_BODIES_AT_A_TIME = 4
# Nearly every page and file of ours fits into it, so that the thread is free however slowly the peer takes it.
_SEND_BUFFER_BYTES = 256 << 10
# What accept(2) says where there are no descriptors left.
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_GONE_BY_ITSELF = {errno.EAGAIN, errno.ECONNABORTED, errno.EINTR, errno.EPROTO}


class Connection:
    """What gunicorn's worker calls a connection: a visitor while a thread has it."""

    def __init__(self, visitor: Visitor, line: Line, server: tuple[str, int], config: Any) -> None:
        """Begin a conversation."""
        self.visitor = visitor
        self.sock = line
        self.client = visitor.address
        self.server = server
        self.parser = StrictParser(config, line, visitor.address)
        self.is_part = False
        """Whether more of the body is to come."""


class PagesWorker(ThreadWorker):
    """Serves one application on inherited sockets."""

    def __init__(self, *, sockets: list[socket.socket], application: Any, config: Any, context: Context, patience: Patience | None) -> None:
        """Prepare; nothing is served before `init_process`."""
        super().__init__(0, 0, sockets, application, 0, config, _Quiet())
        self._context = context
        self._patience = patience
        self._share = max(1, config.threads // 2)
        self._busy: Counter[str] = Counter()
        self._queues: dict[str, deque[Connection]] = {}
        self._connections: dict[Visitor, Connection] = {}
        self._bodies = threading.BoundedSemaphore(_BODIES_AT_A_TIME)
        self._sparing = Sparing()
        self.room: WaitingRoom

    def run(self) -> None:
        """Serve until told to stop."""
        if self.poller is None:
            raise RuntimeError("a worker is initialised before it runs")
        self.room = WaitingRoom(self.poller, self._context, self._admit, self._gone, self._patience)
        super().run()

    def stop(self) -> None:
        """Ask the worker to end; from any thread."""
        self.alive = False
        self.method_queue.defer(lambda: None)

    # --- what gunicorn's worker would do in its own way ------------------------------------------------------------------------------

    def init_signals(self) -> None:
        """Leave signals to the daemon's `Service`."""

    def is_parent_alive(self) -> bool:
        """The daemon's `Service` watches whoever supervises it."""
        return True

    def notify(self) -> None:
        """There is no arbiter to tell."""

    def accept(self, listener: socket.socket) -> None:
        """Let a connection into the waiting room."""
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                log.warning("web.no_descriptors", connections=self.nr_conns)
                self.room.make_room()
            elif error.errno not in _GONE_BY_ITSELF:
                raise
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.nr_conns += 1
        self.room.welcome(sock, (address[0], address[1]))
        if self.nr_conns > self.room.patience.most:
            self.room.make_room()

    def handle(self, conn: Connection) -> bool:
        """Answer one request, in a thread; say whether another may follow on the connection."""
        if not conn.is_part:
            return self._answer(conn)
        if not self._bodies.acquire(blocking=False):
            self._last_word(conn, refusal(503, TOO_BUSY))
            return False
        try:
            return self._answer(conn)
        finally:
            self._bodies.release()

    def finish_request(self, conn: Connection, fs: Future[bool]) -> None:
        """Take a connection back from its thread, in the main loop."""
        address = conn.client[0]
        self._busy[address] -= 1
        if self._busy[address] <= 0:
            del self._busy[address]
        self._next_of(address)
        goes_on = not fs.cancelled() and fs.exception() is None and fs.result()
        if goes_on and self.alive:
            self.room.welcome_back(conn.visitor, conn.parser.unreader.take_buffered() + conn.sock.take_ahead())
        else:
            self.room.show_out(conn.visitor)

    def murder_keepalived(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 (gunicorn's signature)
        """End those in the waiting room whose time is over, once a turn of the loop."""
        self.room.sweep(everybody=force)

    def murder_pending(self) -> None:
        """They are all in the waiting room."""

    def _cap_keepalive(self, deadline: float) -> None:
        """End those who wait for nothing: the worker stops."""
        del deadline
        self.room.hurry()

    # --- between the waiting room and the threads ------------------------------------------------------------------------------------

    def _admit(self, visitor: Visitor, arrival: Arrival) -> None:
        conn = self._connections.get(visitor)
        if conn is None:
            if visitor.line is None:
                raise RuntimeError("nobody is admitted before the handshake")
            conn = self._connections[visitor] = Connection(visitor, visitor.line, _name_of(visitor.sock), self.cfg)
        conn.sock.begin(bytes(visitor.said))
        visitor.said = bytearray()
        conn.is_part = arrival is Arrival.PART
        address = conn.client[0]
        if self._busy[address] < self._share:
            self._start(conn)
        else:
            self._queues.setdefault(address, deque()).append(conn)

    def _start(self, conn: Connection) -> None:
        self._busy[conn.client[0]] += 1
        self.enqueue_req(conn)

    def _next_of(self, address: str) -> None:
        queue = self._queues.get(address)
        if queue:
            self._start(queue.popleft())
            if not queue:
                del self._queues[address]

    def _gone(self, visitor: Visitor) -> None:
        self._connections.pop(visitor, None)
        self.nr_conns -= 1

    # --- in a thread ------------------------------------------------------------------------------------------------------------------

    def _answer(self, conn: Connection) -> bool:
        try:
            request = next(conn.parser)
            conn.sock.expect(request.body_bytes)
            return bool(self._keepalive_after(conn, self.handle_request(request, conn)))
        except ParseException as error:
            self._refuse(conn, error)
        except (OSError, StopIteration):
            # The peer is gone, too slow, or has an answer that was cut short: there is nothing to say.
            return False
        except Exception as error:  # boundary: one request's fault is no other's
            log.exception("web.failed", kind=type(error).__name__)
            self._last_word(conn, refusal(500, OUR_FAULT))
        return False

    def _refuse(self, conn: Connection, error: ParseException) -> None:
        status, text = _ANSWERS.get(type(error), (400, NOT_A_REQUEST))
        more = self._sparing.fields("web.refused", conn.client[0])
        if more is not None:
            log.info("web.refused", problem=type(error).__name__, address=conn.client[0], **more)
        self._last_word(conn, refusal(status, text))

    @staticmethod
    def _last_word(conn: Connection, answer: bytes) -> None:
        try:
            conn.sock.sendall(answer)
        except OSError:
            return


_ANSWERS = {ChunkedError: (400, NO_CHUNKS), BodyTooLargeError: (413, TOO_LARGE)}


class _Quiet:
    """gunicorn's log: what it would print of a peer's words is left out, what it met is said with a name."""

    def debug(self, *_: object, **__: object) -> None:
        """Leave out."""

    info = access = close_on_exec = reopen_files = debug

    def warning(self, message: str, *_: object, **__: object) -> None:
        """Say that there was something."""
        log.warning("web.server", message=message)

    error = critical = exception = warning


def _name_of(sock: socket.socket) -> tuple[str, int]:
    try:
        name = sock.getsockname()
    except OSError:
        return "", 0
    return str(name[0]), int(name[1])
