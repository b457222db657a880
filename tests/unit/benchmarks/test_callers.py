"""Callers that open an association and stay silent."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from pynetdicom.pdu import A_ASSOCIATE_RQ

from benchmarks.box import Source
from benchmarks.callers import open_associations, request
from benchmarks.failures import RunInvalidError
from tests.support.eventually import eventually

_ACCEPT = b"\x02\x00\x00\x00\x00\x04\x00\x01\x00\x00"
_REJECT = b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x07"
_CALLERS = [Source("SCANNER2", "127.0.0.2"), Source("SCANNER3", "127.0.0.3")]


class Answering:
    """A peer that gives every caller the same answer, and keeps the connections."""

    def __init__(self, answer: bytes) -> None:
        """Listen on a port that the kernel chooses."""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.calls: list[tuple[socket.socket, str]] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, (address, _) = self._listener.accept()
                connection.recv(4096)
                connection.sendall(self._answer)
                self.calls.append((connection, address))

    def close(self) -> None:
        """Leave nothing open."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for connection, _ in self.calls:
            connection.close()


@pytest.fixture
def accepting() -> Iterator[Answering]:
    """A peer that accepts."""
    peer = Answering(_ACCEPT)
    yield peer
    peer.close()


@pytest.fixture
def rejecting() -> Iterator[Answering]:
    """A peer that rejects."""
    peer = Answering(_REJECT)
    yield peer
    peer.close()


def test_a_request_is_one_that_others_understand() -> None:
    """Titles, context and maximum length are read by another implementation as they were meant."""
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(request("EDGE", "SCANNER2"))

    assert (pdu.called_ae_title, pdu.calling_ae_title) == ("EDGE", "SCANNER2")
    (context,) = pdu.presentation_context
    assert str(context.abstract_syntax) == "1.2.840.10008.5.1.4.1.1.2"
    assert [str(syntax) for syntax in context.transfer_syntax] == ["1.2.840.10008.1.2.1"]
    assert pdu.user_information is not None
    assert pdu.user_information.maximum_length == 16384


def test_callers_come_from_their_addresses_and_end_with_an_abort(accepting: Answering) -> None:
    """Each one calls from its own address, and says good-bye at the end."""
    with open_associations(accepting.port, "EDGE", _CALLERS):
        eventually(lambda: len(accepting.calls) == 2, within=10.0, message="two callers")
        assert [address for _, address in accepting.calls] == ["127.0.0.2", "127.0.0.3"]

    for connection, _ in accepting.calls:
        assert connection.recv(16)[0] == 7


def test_a_caller_that_is_rejected_stops_the_row(rejecting: Answering) -> None:
    """Fewer associations than the row says are no figure."""
    with pytest.raises(RunInvalidError, match="PDU type 3"), open_associations(rejecting.port, "EDGE", _CALLERS):
        pytest.fail("they are open")


def test_an_association_that_does_not_stay_open_stops_the_row(accepting: Answering) -> None:
    """A program that ends silent associations does not get away with less memory."""
    associations = open_associations(accepting.port, "EDGE", _CALLERS)
    associations.__enter__()
    eventually(lambda: len(accepting.calls) == 2, within=10.0, message="two callers")
    accepting.calls[0][0].shutdown(socket.SHUT_RDWR)

    with pytest.raises(RunInvalidError, match="1 of 2"):
        associations.__exit__(None, None, None)
