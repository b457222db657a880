"""A thread's view of a connection: every wait ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from webui.serving.line import Line


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


class Watch:
    """A clock that the test sets."""

    def __init__(self) -> None:
        """Begin at 100 s."""
        self.at = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.at


def test_what_was_read_ahead_comes_first(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing is lost between the waiting room and the thread, and what nobody asked for goes back."""
    ours, theirs = pair
    line = Line(ours)
    theirs.sendall(b"later")

    line.begin(b"ahead")

    assert [b"ahe", b"ad", b"later"] == [line.recv(3), line.recv(100), line.recv(100)]
    line.begin(b"more")
    assert line.take_ahead() == b"more"


def test_reading_has_an_end_however_the_bytes_drip(pair: tuple[socket.socket, socket.socket]) -> None:
    """A peer that always sends one byte in time is not waited for after all the time that the request has."""
    ours, theirs = pair
    watch = Watch()
    line = Line(ours, watch)
    line.begin(b"")
    theirs.sendall(b"drip")

    assert line.recv(1) == b"d"
    watch.at += 9
    assert line.recv(1) == b"r"
    watch.at += 2
    with pytest.raises(TimeoutError):
        line.recv(1)


def test_a_long_body_has_the_time_that_it_takes(pair: tuple[socket.socket, socket.socket]) -> None:
    """A file over a slow wireless network is not cut off."""
    ours, theirs = pair
    watch = Watch()
    line = Line(ours, watch)
    line.begin(b"")
    line.expect(64 << 20)
    theirs.sendall(b"x")

    watch.at += 900

    assert line.recv(1) == b"x"


def test_a_peer_that_takes_nothing_is_left(pair: tuple[socket.socket, socket.socket]) -> None:
    """An answer that is not taken holds its thread for a while, not for ever."""
    ours, _ = pair
    line = Line(ours)
    line.begin(b"")
    line.settimeout(0.05)

    with pytest.raises(TimeoutError):
        line.sendall(bytes(8 << 20))
