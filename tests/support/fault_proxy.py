"""A TCP proxy that fails as networks do, when and where a test says: eight toxics, seven stages of a send.

A toxic starts to act on a connection when that connection reaches the toxic's stage; what has flowed before has flowed well.

Promises: bytes that are passed on are the bytes that came, in order; `start` listens on the same port every time; after `stop` no thread
and no socket is left. Toxics come and go while connections are open.
Failures: `AssertionError` when the proxy does not start or stop.
Limits: IPv4 on the loopback; it cannot lose a SYN, so a black hole at `connect` takes the connection and then nothing more. `middle_byte`
is where the middle of a data set is; shorter data sets have none.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
import weakref
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from tests.support import reserved_port
from tests.support.toxic import Active, Direction, Kind, Toxic, piece_size, wait_after
from tests.support.unit_stream import Stage, UnitStream

_PIECE_BYTES = 65536
_ANSWER_S = 10.0
_CONNECT_S = 5.0
# How long a toxic behind the last PDV waits for the target to answer what it was sent.
_TARGET_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class Strike:
    """A toxic began to act on a connection (numbered from 1), at this moment of the monotonic clock."""

    toxic: Toxic
    connection: int
    at: float


class _End(StrEnum):
    CLOSE = "close"
    RESET = "reset"
    COLLAPSE = "collapse"


@dataclass(eq=False, slots=True)
class _Link:
    """One connection through the proxy."""

    number: int
    client: socket.socket
    over: asyncio.Future[_End]
    target: socket.socket | None = None
    active: list[Active] = field(default_factory=list)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    has_answered: asyncio.Event = field(default_factory=asyncio.Event)
    has_swallowed: bool = False

    def toxics(self, direction: Direction) -> list[Active]:
        return [active for active in self.active if active.toxic.direction in {direction, Direction.BOTH}]

    def of_kind(self, kind: Kind) -> Toxic | None:
        return next((active.toxic for active in self.active if active.toxic.kind is kind), None)

    def end(self, how: _End) -> None:
        if not self.over.done():
            self.over.set_result(how)


class FaultProxy:
    """A proxy to one target; everything public may be called from any thread."""

    def __init__(self, target_port: int, *, middle_byte: int = 16384) -> None:
        """Take a free port, without listening yet."""
        self.target_port = target_port
        self._middle_byte = middle_byte
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._toxics: list[tuple[Toxic, list[int]]] = []
        self._revival: asyncio.TimerHandle | None = None
        self.connections: list[float] = []
        """When each connection was accepted (monotonic clock)."""
        self.strikes: list[Strike] = []
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
        """Listen."""
        assert self._thread is None, "this proxy runs already"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._thread.start()
        self._ask(self._go_up())
        return self

    def stop(self) -> None:
        """Close everything and return when nothing of it is left."""
        if self._thread is None or self._loop is None:
            return
        self._ask(self._go_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_S)
        assert not self._thread.is_alive(), "the proxy's thread did not end"
        self._loop.close()
        self._loop = self._thread = None

    def add(self, toxic: Toxic) -> None:
        """Spoil what comes from now on; one at stage `connect` acts on open connections at once."""
        self._ask(self._add(toxic))

    def clear(self) -> None:
        """Take every toxic away, also from open connections, and listen again."""
        self._ask(self._clear())

    def down(self) -> None:
        """Stop listening and close every connection."""
        self._ask(self._go_down())

    def up(self) -> None:
        """Listen again."""
        self._ask(self._go_up())

    @property
    def open_connections(self) -> int:
        """How many connections flow through it now."""
        return len(self._links)

    def _ask(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None, "this proxy does not run"
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_S)

    # -- in the loop -------------------------------------------------------------------------------------------------------------------

    async def _go_up(self) -> None:
        self._listen()

    def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = reserved_port.listening(self.port, backlog=128)
        listener.setblocking(False)
        self._listener = listener
        self._accepting = asyncio.ensure_future(self._accept(listener))

    async def _go_down(self) -> None:
        if self._revival is not None:
            self._revival.cancel()
            self._revival = None
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait({self._accepting})
            self._accepting = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        others = [task for task in self._links if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

    async def _add(self, toxic: Toxic) -> None:
        if toxic.kind is Kind.DOWN and toxic.stage is Stage.CONNECT:
            self.strikes.append(Strike(toxic, 0, time.monotonic()))
            await self._collapse(toxic)
            return
        self._toxics.append((toxic, [toxic.times if toxic.times is not None else -1]))
        if toxic.stage is Stage.CONNECT:
            for link in self._links.values():
                self._strike(link, Stage.CONNECT)

    async def _clear(self) -> None:
        self._toxics.clear()
        for link in self._links.values():
            link.active.clear()
            if link.has_swallowed:
                # What follows would stand beside a gap.
                link.end(_End.RESET)
        self._listen()

    async def _collapse(self, toxic: Toxic) -> None:
        await self._go_down()
        if toxic.seconds > 0:
            loop = asyncio.get_running_loop()
            self._revival = loop.call_later(toxic.seconds, self._listen)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(time.monotonic())
            link = _Link(len(self.connections), client, loop.create_future())
            task = loop.create_task(self._serve(link))
            self._links[task] = link
            task.add_done_callback(self._links.pop)

    async def _serve(self, link: _Link) -> None:
        """Carry one connection until it is over; both sockets are closed whatever happens."""
        link.may_answer.set()
        carrying: asyncio.Future[Any] = asyncio.ensure_future(self._carry(link))
        over: asyncio.Future[Any] = link.over
        try:
            await asyncio.wait({carrying, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            carrying.cancel()
            await asyncio.wait({carrying})
            if link.over.done() and link.over.result() is _End.RESET:
                _reset_on_close(link.client)
                _reset_on_close(link.target)
            link.client.close()
            if link.target is not None:
                link.target.close()
        down = link.of_kind(Kind.DOWN)
        if down is not None and link.over.done() and link.over.result() is _End.COLLAPSE:
            await self._collapse(down)

    async def _carry(self, link: _Link) -> None:
        loop = asyncio.get_running_loop()
        await self._reach(link, Stage.CONNECT)
        link.target = socket.socket()
        link.target.setblocking(False)
        pumps: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(_CONNECT_S):
                await loop.sock_connect(link.target, (reserved_port.LOOPBACK, self.target_port))
            link.target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pumps = [
                loop.create_task(self._pump_up(link, link.client, link.target)),
                loop.create_task(self._pump_down(link, link.target, link.client)),
            ]
            await asyncio.gather(*pumps)
        except OSError:
            # One side is gone without a farewell; the other one learns it in the same way.
            link.end(_End.RESET)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump_up(self, link: _Link, source: socket.socket, sink: socket.socket) -> None:
        stream = UnitStream(self._middle_byte)
        while data := await asyncio.get_running_loop().sock_recv(source, _PIECE_BYTES):
            for piece in stream.feed(data):
                if piece.before is not None:
                    await self._reach(link, piece.before)
                if piece.after is None or not any(toxic.stage is piece.after for toxic, _ in self._toxics):
                    await self._pass_on(link, sink, piece.data, Direction.UP)
                    continue
                # The answer is held here when the toxic begins, so that what lies before the stage has certainly happened.
                link.may_answer.clear()
                link.has_answered.clear()
                await self._pass_on(link, sink, piece.data, Direction.UP)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TARGET_ANSWER_S):
                        await link.has_answered.wait()
                await self._reach(link, piece.after)
                link.may_answer.set()
        await self._pass_on_close(link, sink)

    async def _pump_down(self, link: _Link, source: socket.socket, sink: socket.socket) -> None:
        while data := await asyncio.get_running_loop().sock_recv(source, _PIECE_BYTES):
            link.has_answered.set()
            await link.may_answer.wait()
            await self._pass_on(link, sink, data, Direction.DOWN)
        await self._pass_on_close(link, sink)

    async def _reach(self, link: _Link, stage: Stage) -> None:
        """Let the toxics of this stage begin; does not return on a connection that ends by it."""
        self._strike(link, stage)
        if link.over.done():
            await asyncio.Event().wait()

    def _strike(self, link: _Link, stage: Stage) -> None:
        for toxic, left in self._toxics:
            if toxic.stage is not stage or left[0] == 0 or any(active.toxic is toxic for active in link.active):
                continue
            left[0] -= 1
            link.active.append(Active(toxic, toxic.size))
            self.strikes.append(Strike(toxic, link.number, time.monotonic()))
            if toxic.kind is Kind.RESET_PEER:
                link.end(_End.RESET)
            elif toxic.kind is Kind.DOWN:
                link.end(_End.COLLAPSE)
            elif toxic.kind is Kind.TIMEOUT and toxic.seconds > 0:
                asyncio.get_running_loop().call_later(toxic.seconds, link.end, _End.CLOSE)

    async def _pass_on(self, link: _Link, sink: socket.socket, data: bytes, direction: Direction) -> None:
        """Send `data` on, as the toxics at work let it."""
        latency = sum(active.toxic.seconds for active in link.toxics(direction) if active.toxic.kind is Kind.LATENCY)
        if latency:
            await asyncio.sleep(latency)
        view = memoryview(data)
        while view:
            toxics = link.toxics(direction)
            if any(active.toxic.kind is Kind.TIMEOUT for active in toxics):
                link.has_swallowed = True
                return
            size = piece_size(toxics, len(view))
            if size == 0:
                link.end(_End.CLOSE)
                await asyncio.Event().wait()
            await asyncio.get_running_loop().sock_sendall(sink, view[:size])
            view = view[size:]
            await asyncio.sleep(wait_after(toxics, size))

    async def _pass_on_close(self, link: _Link, sink: socket.socket) -> None:
        slow = link.of_kind(Kind.SLOW_CLOSE)
        if slow is not None:
            await asyncio.sleep(slow.seconds)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _reset_on_close(connection: socket.socket | None) -> None:
    if connection is not None:
        # A linger time of 0 makes close(2) send RST.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
