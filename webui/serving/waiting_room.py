"""Where connections are while no thread has them: shaking hands, saying a request, doing nothing between two of them, or leaving.

Promises: nobody here costs a thread; every stage has a total time, however slowly bytes come; when there are too many, whoever has the most
and has done nothing for the longest makes room; whoever is refused gets its answer before the connection ends.
Failures: none; what goes wrong with one connection ends that one.
Limits: one thread only, the worker's main loop.
Standard: RFC 9112 section 9; RFC 8446.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial

from appliance.core.errors import ApplianceError
from appliance.runtime.logging import get_logger
from appliance.runtime.sparing import Sparing
from webui.serving.arrival import Arrival, judge
from webui.serving.line import Line
from webui.serving.refusals import NOT_A_REQUEST, NOT_HTTPS, TOO_SLOW, refusal

log = get_logger(__name__)

Context = Callable[[], ssl.SSLContext]

_AT_A_TIME = 16 << 10
# What a peer may have sent before it reads that it is refused; who goes on does not read.
_MOST_READ_AWAY_BYTES = 512 << 10
# RFC 8446 5.1: a peer that speaks TLS begins with a message of the handshake.
_HANDSHAKE = 22
# To tell plain HTTP from noise.
_OPENING_BYTES = 4


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each stage may take, in seconds, and how many connections there may be."""

    handshake_s: float = 10.0
    request_s: float = 10.0
    idle_s: float = 30.0
    """Between two requests: longer than the pages' own pauses, so that a page that renews itself shakes hands once."""
    leaving_s: float = 2.0
    most: int = 600
    """Fewer than the descriptors of a process (1,024 by default), with those of questions and databases."""


class Stage(Enum):
    """What a connection is doing."""

    SHAKING = auto()
    IDLE = auto()
    SAYING = auto()
    LEAVING = auto()


@dataclass(eq=False, slots=True)
class Visitor:
    """One connection."""

    sock: socket.socket
    address: tuple[str, int]
    until: float
    stage: Stage = Stage.SHAKING
    since: float = 0.0
    said: bytearray = field(default_factory=bytearray)
    line: Line | None = None
    read_away: int = 0


class WaitingRoom:
    """The connections that no thread has."""

    def __init__(
        self,
        poller: selectors.BaseSelector,
        context: Context,
        admit: Callable[[Visitor, Arrival], None],
        gone: Callable[[Visitor], None],
        patience: Patience | None = None,
    ) -> None:
        """Watch sockets with `poller`; who has said a request is given to `admit`, and `gone` is told of each that is no more."""
        self._poller = poller
        self._context = context
        self._admit = admit
        self._gone = gone
        self.patience = patience or Patience()
        self._visitors: dict[Visitor, None] = {}
        self._sparing = Sparing()

    def __len__(self) -> int:
        """Return how many are here."""
        return len(self._visitors)

    def welcome(self, sock: socket.socket, address: tuple[str, int]) -> None:
        """Take a new connection."""
        sock.setblocking(False)
        now = time.monotonic()
        visitor = Visitor(sock, address, now + self.patience.handshake_s, since=now)
        self._visitors[visitor] = None
        self._watch(visitor, selectors.EVENT_READ, self._open)

    def welcome_back(self, visitor: Visitor, said: bytes) -> None:
        """Take a connection whose last request was answered; `said` is what came behind that request already."""
        now = time.monotonic()
        visitor.stage, visitor.since = (Stage.SAYING if said else Stage.IDLE), now
        visitor.until = now + (self.patience.request_s if said else self.patience.idle_s)
        visitor.said = bytearray(said)
        self._visitors[visitor] = None
        try:
            visitor.sock.setblocking(False)
            self._watch(visitor, selectors.EVENT_READ, self._listen)
        except (OSError, ValueError):
            self._end(visitor)
            return
        if not self._judge(visitor):
            # TLS may hold what the kernel does not show any more.
            self._listen(visitor)

    def show_out(self, visitor: Visitor, answer: bytes = b"") -> None:
        """Say a last word, and let the peer read it before the connection ends."""
        self._visitors[visitor] = None
        self._forget(visitor)
        with contextlib.suppress(OSError, ValueError):
            visitor.sock.setblocking(False)
            if answer:
                visitor.sock.send(answer)
            if isinstance(visitor.sock, ssl.SSLSocket):
                # Raises because the peer's goodbye is not there yet; ours is sent all the same.
                with contextlib.suppress(OSError):
                    visitor.sock.unwrap()
                visitor.sock = socket.socket(fileno=visitor.sock.detach())
                visitor.sock.setblocking(False)
            visitor.sock.shutdown(socket.SHUT_WR)
            visitor.stage = Stage.LEAVING
            visitor.until = time.monotonic() + self.patience.leaving_s
            self._watch(visitor, selectors.EVENT_READ, self._leave)
            return
        self._end(visitor)

    def sweep(self, *, everybody: bool = False) -> None:
        """End those whose time is over; `everybody`: all that are here."""
        now = time.monotonic()
        for visitor in [one for one in self._visitors if everybody or one.until <= now]:
            if visitor.stage is Stage.SAYING and not everybody:
                self._say(visitor, "web.slow_request")
                self.show_out(visitor, refusal(408, TOO_SLOW))
            else:
                if visitor.stage is Stage.SHAKING and not everybody:
                    self._say(visitor, "web.slow_handshake")
                self._end(visitor)

    def hurry(self) -> None:
        """End whoever is between two requests: nobody is served any more."""
        for visitor in [one for one in self._visitors if one.stage in {Stage.IDLE, Stage.SHAKING, Stage.LEAVING}]:
            self._end(visitor)

    def make_room(self) -> None:
        """End the connection that is missed least: of the address that has the most, the one that has waited longest."""
        if not self._visitors:
            return
        (greediest, _), *_ = Counter(visitor.address[0] for visitor in self._visitors).most_common(1)
        theirs = [visitor for visitor in self._visitors if visitor.address[0] == greediest]
        least = min(theirs, key=lambda visitor: (visitor.stage is Stage.SAYING, visitor.since))
        self._say(least, "web.too_many_connections")
        self._end(least)

    # --- the stages -------------------------------------------------------------------------------------------------------------------

    def _open(self, visitor: Visitor) -> None:
        """See whether the peer speaks TLS, and begin to."""
        try:
            opening = visitor.sock.recv(_OPENING_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            opening = b""
        if not opening:
            self._end(visitor)
        elif opening[0] != _HANDSHAKE:
            self._say(visitor, "web.not_tls")
            self.show_out(visitor, refusal(400, NOT_HTTPS) if opening[:3].isalpha() else b"")
        else:
            self._forget(visitor)
            try:
                visitor.sock = self._context().wrap_socket(visitor.sock, server_side=True, do_handshake_on_connect=False)
            except ApplianceError as error:
                self._say(visitor, "web.no_certificate", problem=str(error))
                self._end(visitor)
            except (OSError, ValueError):
                self._end(visitor)
            else:
                self._shake(visitor)

    def _shake(self, visitor: Visitor) -> None:
        tls = visitor.sock
        if not isinstance(tls, ssl.SSLSocket):
            raise TypeError(type(tls).__name__)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._watch(visitor, selectors.EVENT_READ, self._shake)
        except ssl.SSLWantWriteError:
            self._watch(visitor, selectors.EVENT_WRITE, self._shake)
        except (OSError, ValueError) as error:
            self._say(visitor, "web.handshake_failed", problem=getattr(error, "reason", None) or type(error).__name__)
            self._end(visitor)
        else:
            visitor.line = Line(tls)
            visitor.stage = Stage.IDLE
            self._watch(visitor, selectors.EVENT_READ, self._listen)
            self._listen(visitor)

    def _listen(self, visitor: Visitor) -> None:
        """Take what the peer says, until it is enough or there is no more for now."""
        while True:
            try:
                piece = visitor.sock.recv(_AT_A_TIME)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                return
            except (OSError, ValueError):
                piece = b""
            if not piece:
                self._end(visitor)
                return
            if visitor.stage is not Stage.SAYING:
                visitor.stage = Stage.SAYING
                visitor.until = time.monotonic() + self.patience.request_s
            visitor.said += piece
            if self._judge(visitor):
                return

    def _judge(self, visitor: Visitor) -> bool:
        """Let go of who has said enough, or too much; say whether that is so."""
        arrival = judge(visitor.said) if visitor.said else Arrival.MORE
        if arrival is Arrival.MORE:
            return False
        if arrival is Arrival.TOO_LARGE:
            self._say(visitor, "web.refused", problem="the head of a request is too long")
            self.show_out(visitor, refusal(400, NOT_A_REQUEST))
            return True
        self._forget(visitor)
        del self._visitors[visitor]
        self._admit(visitor, arrival)
        return True

    def _leave(self, visitor: Visitor) -> None:
        """Read away what the peer still sends: closing over unread bytes would take our last word from it."""
        try:
            piece = visitor.sock.recv(_AT_A_TIME)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        visitor.read_away += len(piece)
        if not piece or visitor.read_away > _MOST_READ_AWAY_BYTES:
            self._end(visitor)

    # --- what is watched --------------------------------------------------------------------------------------------------------------

    def _watch(self, visitor: Visitor, events: int, then: Callable[[Visitor], None]) -> None:
        """Call `then` when something happens; the poller's loop calls what it holds with the socket."""
        self._forget(visitor)
        self._poller.register(visitor.sock, events, partial(self._wake, then, visitor))

    def _wake(self, then: Callable[[Visitor], None], visitor: Visitor, _sock: object) -> None:
        # Somebody else's turn in the same round may have ended it.
        if visitor in self._visitors:
            then(visitor)

    def _forget(self, visitor: Visitor) -> None:
        with contextlib.suppress(KeyError, ValueError, OSError):
            self._poller.unregister(visitor.sock)

    def _end(self, visitor: Visitor) -> None:
        self._forget(visitor)
        del self._visitors[visitor]
        with contextlib.suppress(OSError):
            visitor.sock.close()
        self._gone(visitor)

    def _say(self, visitor: Visitor, event: str, **fields: str) -> None:
        more = self._sparing.fields(event, visitor.address[0])
        if more is not None:
            log.info("web.visitor", what=event, address=visitor.address[0], **fields, **more)
