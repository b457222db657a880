"""Ports that are kept for a test."""

from __future__ import annotations

import errno
import socket

import pytest

from tests.support import reserved_port


def test_nobody_gets_a_reserved_port_on_another_address() -> None:
    """A caller that binds to an address of its own is not given the port, and a server on all addresses can have it."""
    with reserved_port.reserve() as holder, socket.socket() as caller, socket.socket() as server:
        place = reserved_port.port_of(holder)
        with pytest.raises(OSError, match="in use") as refused:
            caller.bind(("127.0.2.7", place))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("", place))
        server.listen()

    assert refused.value.errno == errno.EADDRINUSE
