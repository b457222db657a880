"""The door in the test's own process: a real listener, spool and slots on a port that the kernel chose.

Promises: `site` may be replaced at any time, as a reload does; `close` drains, and fails when a thread of the listener is left.
Failures: `AssertionError` from `close`.
Limits: what is stored waits in `incoming/`; nothing records it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from appliance.config.check import check
from appliance.config.model import Site
from appliance.dimse.acceptor import Deadlines
from appliance.dimse.stream import IncomingSink
from appliance.dimse.tls import Credentials
from appliance.receive.listener import AssociationOrigin, Known, Listener
from appliance.receive.secure_door import SecureDoor
from appliance.receive.space import StorageWatch
from appliance.receive.store_scp import StoreSink
from appliance.runtime import listening
from appliance.runtime.clock import SystemClock
from appliance.runtime.slots import Slots
from appliance.spool.names import SpoolName
from tests.unit.spool.builders import a_spool

SITE = """
[box]
name = "box"
ae_title = "EDGE"
[[local_ae]]
ae_title = "PACS1"
[[source]]
name = "ct"
ae_title = "CT1"
address = "127.0.0.1"
[[source]]
name = "elsewhere"
ae_title = "MR1"
address = "10.9.9.9"
[retention]
refuse_at = 1.0
evict_at = 0.99
reserve = "1 MiB"
[admission]
idle = "{idle}"
unauthenticated_per_address = 20
per_source = 4
"""


class Door:
    """A listener with all that belongs to it."""

    def __init__(
        self,
        data: Path,
        *,
        deadlines: Deadlines | None = None,
        idle: str = "30 min",
        site: str = SITE,
        known: Known | None = None,
        sinks: Callable[[AssociationOrigin], IncomingSink] | None = None,
        own: Credentials | None = None,
    ) -> None:
        """Listen on a port that the kernel chose; with `own`, on another one for TLS, as that."""
        self.site = site_of(site.replace("{idle}", idle))
        self.spool = a_spool(data)
        self.has_room = True
        self.origins: list[AssociationOrigin] = []
        self.stopping = threading.Event()
        clock = SystemClock()
        storage = StorageWatch(self.spool.space, lambda: self.site.retention, clock)

        def sink(origin: AssociationOrigin) -> IncomingSink:
            self.origins.append(origin)
            return StoreSink(self.spool, origin, storage, clock, lambda: None)

        self._sockets = listening.bind([("127.0.0.1", 0)])
        self.port = self._sockets[0].getsockname()[1]
        self.slots = data / "run" / "slots"
        self.listener = Listener(
            self._sockets,
            lambda: self.site,
            sinks or sink,
            Slots(self.slots),
            lambda: self.has_room,
            self.stopping,
            deadlines=deadlines,
            **({} if known is None else {"known": known}),
        )
        self.tls_port = 0
        if own is not None:
            secure = listening.bind([("127.0.0.1", 0)])
            self._sockets += secure
            self.tls_port = secure[0].getsockname()[1]
            self.listener.also_serve(SecureDoor(secure, lambda: self.site.tls, own))
        self.listener.start()

    def __enter__(self) -> Self:
        """Listen already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Stop, and see that nothing is left."""
        self.stopping.set()
        self.listener.drain(5.0)
        for sock in self._sockets:
            sock.close()
        self.spool.close()
        assert threads() == []

    def stored(self) -> dict[SpoolName, bytes]:
        """Return the data sets that wait in `incoming/`."""
        found = {}
        for name in self.spool.incoming():
            with self.spool.open(name) as sealed:
                found[name] = b"".join(iter(lambda: sealed.read(1 << 20), b""))
        return found


def site_of(text: str) -> Site:
    """Return the site that a text describes."""
    checked = check(text, where="test")
    assert checked.site is not None, checked.problems
    return checked.site


def threads() -> list[str]:
    """Return the listener's threads that live."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("association", "listener"))]
