"""Sockets are bound once, and what stands in the way is said."""

from __future__ import annotations

import pytest

from appliance.runtime.listening import PortUnavailableError, addresses, bind


def test_the_kernel_chooses_port_0() -> None:
    """The real port is told."""
    (listener,) = bind([("127.0.0.1", 0)])
    with listener:
        ((host, port),) = addresses([listener])

    assert host == "127.0.0.1"
    assert port > 0


def test_a_port_in_use_is_said_plainly() -> None:
    """The message names the address and why."""
    (listener,) = bind([("127.0.0.1", 0)])
    with listener:
        port = addresses([listener])[0][1]

        with pytest.raises(PortUnavailableError, match=f"127.0.0.1:{port}: another program already uses it"):
            bind([("127.0.0.1", 0), ("127.0.0.1", port)])


def test_an_address_that_is_not_ours_is_said_plainly() -> None:
    """So is an address of another machine."""
    with pytest.raises(PortUnavailableError, match="no such address"):
        bind([("192.0.2.1", 0)])
