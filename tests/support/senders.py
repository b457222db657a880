"""A scanner with patience: sends every instance again until the box has acknowledged it, and keeps the books of that.

Promises: `acknowledged` holds exactly what was answered 0000; after `finish` everything in `sent` is acknowledged, or `finish` fails.
Failures: `AssertionError` from `finish` when the box never acknowledged everything.
Limits: one association at a time; one SOP class and transfer syntax a sender. Sends the bytes of the file, never a decoded data set.
pynetdicom forgets to close the socket of a connection that failed: tests that break connections carry `LEAKS_SOCKETS`.
"""

from __future__ import annotations

import gc
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType

from tests.support import part10

# Long enough for a restarting worker, short enough that a lost connection does not stop a test.
_PEER_S = 20.0
# How long a refused or broken sender waits, as a real one would; otherwise four of them would only measure connects.
_PAUSE_S = 0.1
_SUCCESS = 0x0000

LEAKS_SOCKETS = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def _without_delay(event: evt.Event) -> None:
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


# Otherwise each data set waits 40 ms for the delayed acknowledgement of its command, and four senders are no load.
_AT_ONCE: list[EventHandlerType] = [(evt.EVT_CONN_OPEN, _without_delay)]


@dataclass(slots=True)
class Books:
    """What a sender did. UIDs map to data set digests; `attempts` counts every C-STORE begun."""

    sent: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    associations: int = 0
    other_answers: list[int] = field(default_factory=list)


def send_once(port: int, files: Sequence[Path], *, calling: str = "RAWSENDER", called: str = "EDGE") -> dict[Path, int | None]:
    """Send the bytes of these files in one association and return each one's status, None where there was no context or answer."""
    _send_files_as_they_are()
    ae = AE(calling)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = _PEER_S
    kinds = sorted({(instance.sop_class_uid, instance.transfer_syntax_uid) for instance in map(part10.read, files)})
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in kinds]
    association = ae.associate("127.0.0.1", port, contexts, ae_title=called, evt_handlers=_AT_ONCE)
    assert association.is_established, "the association was refused"
    keep_answers(association)
    statuses: dict[Path, int | None] = {}
    for path in files:
        try:
            answer = association.send_c_store(path)
        except ValueError:
            statuses[path] = None
            continue
        status = answer.get("Status", None)
        statuses[path] = None if status is None else int(status)
    association.release()
    return statuses


def keep_answers(association: Association) -> None:
    """Let nobody but the waiting `send_c_store` take a message off this association.

    pynetdicom's own thread looks for requests of the peer between two of ours. It may already be past the point where it is told to
    pause, and then takes the answer for such a request: the sender waits for nothing until its time-out, and aborts.
    """
    take = association.dimse.get_msg

    def take_if_waiting(block: bool = False) -> Any:  # noqa: FBT001, FBT002 - pynetdicom's own signature
        return take(block=True) if block else (None, None)

    association.dimse.get_msg = take_if_waiting  # type: ignore[method-assign]


def _send_files_as_they_are() -> None:
    # Otherwise pynetdicom decodes and encodes each data set anew; this is its only switch.
    _config.STORE_SEND_CHUNKED_DATASET = True
    # Its records carry tracebacks, which would keep broken sockets alive for as long as pytest keeps the log of a test.
    logging.getLogger("pynetdicom").propagate = False


class PatientSender(threading.Thread):
    """Sends what `next_file` returns, one after another, until told to finish."""

    def __init__(
        self, port: Callable[[], int], next_file: Callable[[], Path], *, calling: str, called: str = "EDGE", pause_s: float = 0.0
    ) -> None:
        """Prepare; `port` is asked at each association, because a restarted box may have another."""
        super().__init__(name=f"sender {calling}", daemon=True)
        _send_files_as_they_are()
        self.books = Books()
        self._port = port
        self._next_file = next_file
        self._called = called
        self._pause_s = pause_s
        self._ae = AE(calling)
        self._ae.connection_timeout = self._ae.acse_timeout = self._ae.dimse_timeout = self._ae.network_timeout = _PEER_S
        self._waiting: deque[Path] = deque()
        self._last = threading.Event()
        self._give_up = threading.Event()

    def __enter__(self) -> Self:
        """Start sending."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Send no more."""
        self.close()

    def run(self) -> None:
        """Send until told to finish and nothing is left, or told to give up."""
        association: Association | None = None
        while not self._give_up.is_set():
            if not self._waiting:
                if self._last.is_set():
                    break
                self._take_next()
            if association is None or not association.is_established:
                association = self._associate(part10.read(self._waiting[0]))
            if association is None or not self._send_one(association):
                self._give_up.wait(_PAUSE_S)
            elif self._pause_s:
                self._give_up.wait(self._pause_s)
        if association is not None and association.is_established:
            association.release()

    def finish(self, within: float) -> Books:
        """Let the sender repeat what is not acknowledged, then return its books. Raises `AssertionError` when that takes too long."""
        self._last.set()
        self.join(within)
        if self.is_alive():
            self.close()
            raise AssertionError(
                f"{self.name}: {len(self._waiting)} not acknowledged within {within:g} s, other answers {self.books.other_answers[-5:]}"
            )
        return self.books

    def close(self) -> None:
        """Stop without finishing."""
        self._give_up.set()
        self.join(2 * _PEER_S)
        # What pynetdicom left open goes while the test still ignores it.
        gc.collect()

    def _take_next(self) -> None:
        path = self._next_file()
        instance = part10.read(path)
        self.books.sent[instance.sop_instance_uid] = instance.digest
        self._waiting.append(path)

    def _associate(self, like: part10.Instance) -> Association | None:
        self._ae.requested_contexts = []
        self._ae.add_requested_context(like.sop_class_uid, like.transfer_syntax_uid)
        try:
            association = self._ae.associate("127.0.0.1", self._port(), ae_title=self._called, evt_handlers=_AT_ONCE)
        except (OSError, ValueError, LookupError):
            # The box is restarting: listening.json is missing or half a thought old.
            return None
        if not association.is_established:
            return None
        keep_answers(association)
        self.books.associations += 1
        return association

    def _send_one(self, association: Association) -> bool:
        path = self._waiting[0]
        self.books.attempts += 1
        try:
            answer = association.send_c_store(path)
        except (RuntimeError, ValueError, OSError):
            # The association ended between two instances.
            return False
        # An empty answer means that none came.
        status = answer.get("Status", None)
        status = None if status is None else int(status)
        if status != _SUCCESS:
            if status is not None:
                self.books.other_answers.append(status)
            return False
        instance = part10.read(path)
        self.books.acknowledged[instance.sop_instance_uid] = instance.digest
        self._waiting.popleft()
        return True
