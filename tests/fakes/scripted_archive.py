"""An archive that does what a test tells it: every answer a destination can give, and those that none may give. Sockets, bytes and threads.

It knows neither the appliance nor a DICOM library, so that it can be a witness against the first and do what the second forbids. What it is
told are values and moods of `script`; they may be changed while it runs. `conversation` does the talking.

Promises: what is in `kept` was received whole, with the digest of its data set; `start` returns when the port listens, at every start the
same one; after `stop` no thread and no socket of it is left, and what it has kept is still there, as on a disk.
Failures: `AssertionError` for a start on top of a start, and for threads that do not end.
Limits: IPv4 on the loopback; one message at a time in an association. Data sets are digested, not stored.
Standard: PS3.8 9.2 and 9.3, PS3.7 9.1.1 and 9.1.5, as far as the script lets it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.fakes import units
from tests.fakes.conversation import Conversation, Visit
from tests.fakes.script import Action, Caller, End, Greeting, Mood, Offer, Welcome, good, open_door
from tests.support import reserved_port

_JOIN_S = 10.0
# How often a hanging association looks whether the peer has given up.
_LOOK_S = 0.05
# Linux: the peer has closed its side (poll(2)); Python's select module does not name it everywhere.
_PEER_CLOSED = 0x2000


@dataclass(slots=True)
class Books:
    """What it has, SOP instance UID to SHA-256 of the data set, and what it has seen; `receptions` counts what came whole, kept or not."""

    kept: dict[str, str] = field(default_factory=dict)
    receptions: Counter[str] = field(default_factory=Counter)
    offers: list[Offer] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)


class ScriptedArchive:
    """One storage SCP with its script. The script's attributes may be changed at any time and count from the next request on."""

    def __init__(
        self,
        mood: Mood = good,
        *,
        greeting: Greeting = open_door,
        receive_buffer: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take a free port, without listening yet; a small `receive_buffer` makes a peer notice soon that nobody reads."""
        self.mood = mood
        self.greeting = greeting
        self._receive_buffer = receive_buffer
        self._clock = clock
        self._born = clock()
        self._lock = threading.Lock()
        self._books = Books()
        self._attempts: Counter[str] = Counter()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._open: dict[threading.Thread, socket.socket] = {}
        self._stopping = threading.Event()
        self._resumed = threading.Event()
        holder = reserved_port.reserve()
        weakref.finalize(self, holder.close)
        self.port = reserved_port.port_of(holder)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> Self:
        """Listen; what was kept before is still kept."""
        assert self._listener is None, "this archive runs already"
        listener = reserved_port.listening(self.port, backlog=64, receive_buffer=self._receive_buffer)
        self._listener = listener
        self._stopping.clear()
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), name="scripted archive", daemon=True)
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Go away in mid-work, as an outage does: the port is closed, and so is every connection."""
        if self._listener is None or self._acceptor is None:
            return
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(_JOIN_S)
        self._listener.close()
        self._listener = None
        with self._lock:
            threads = dict(self._open)
        for connection in threads.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(_JOIN_S)
        assert not any(thread.is_alive() for thread in [self._acceptor, *threads]), "an archive's thread did not end"

    def restart(self) -> Self:
        """Go away and come back."""
        self.stop()
        return self.start()

    def resume(self) -> None:
        """Close every association that hangs now."""
        self._resumed.set()
        self._resumed = threading.Event()

    # -- looking -----------------------------------------------------------------------------------------------------------------------

    @property
    def kept(self) -> dict[str, str]:
        """What it has: SOP instance UID to the SHA-256 of the data set."""
        with self._lock:
            return dict(self._books.kept)

    @property
    def receptions(self) -> dict[str, int]:
        """How often each instance was received whole, kept or not."""
        with self._lock:
            return dict(self._books.receptions)

    @property
    def offers(self) -> list[Offer]:
        """Every C-STORE request, in order."""
        with self._lock:
            return list(self._books.offers)

    @property
    def visits(self) -> list[Visit]:
        """Every association request, in order."""
        with self._lock:
            return list(self._books.visits)

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._open)

    # -- for the conversations ---------------------------------------------------------------------------------------------------------

    def greet(self, request: units.AssociateRequest) -> tuple[Visit, Welcome]:
        """Write the visit down and return how it is welcomed."""
        abstract_syntaxes = tuple(dict.fromkeys(context.abstract_syntax for context in request.contexts))
        with self._lock:
            visit = Visit(request.calling, request.called, abstract_syntaxes, self._clock() - self._born)
            self._books.visits.append(visit)
            return visit, self.greeting(Caller(request.calling, request.called, abstract_syntaxes, len(self._books.visits), visit.at))

    def consider(self, visit: Visit, context: units.Proposed, transfer_syntax: str, command: dict[int, bytes]) -> tuple[Offer, Action]:
        """Write the offer down and return what is done with it."""
        uid = units.as_text(command.get(units.AFFECTED_SOP_INSTANCE_UID, b""))
        with self._lock:
            visit.stores += 1
            self._attempts[uid] += 1
            offer = Offer(
                visit.calling,
                visit.called,
                context.abstract_syntax,
                uid,
                transfer_syntax,
                units.as_number(command.get(units.MESSAGE_ID, b"")),
                attempt=self._attempts[uid],
                count=len(self._books.offers) + 1,
                nth=visit.stores,
                at=self._clock() - self._born,
            )
            self._books.offers.append(offer)
            return offer, self.mood(offer)

    def received(self, uid: str, digest: str, *, keeps: bool) -> None:
        """Write down that a data set is here as a whole."""
        with self._lock:
            self._books.receptions[uid] += 1
            if keeps:
                self._books.kept[uid] = digest

    def hang(self, connection: socket.socket) -> str:
        """Do nothing until somebody else ends it, and return who did."""
        resumed = self._resumed
        poll = select.poll()
        poll.register(connection, _PEER_CLOSED | select.POLLHUP | select.POLLERR)
        while not self._stopping.is_set():
            if resumed.is_set():
                return End.HANG
            if poll.poll(int(_LOOK_S * 1000)):
                return "lost"
        return "stopped"

    def pause(self, seconds: float) -> None:
        """Let time pass, but not beyond the end."""
        self._stopping.wait(seconds)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._converse, args=(connection,), name="scripted association", daemon=True)
            with self._lock:
                self._open[thread] = connection
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            Conversation(self, connection).run()
        finally:
            connection.close()
            with self._lock:
                self._open.pop(threading.current_thread(), None)
