"""The process of a line: a TCP proxy that passes bytes on as late and as slowly as a long line does.

    python -m benchmarks.line_process PORT TARGET ROUND_TRIP_S BYTES_PER_S

Promises: each direction is one line, which all connections share in the order in which their bytes come; half a round trip after the last
bit has left, a piece is passed on. In front of the line wait as many bytes as are under way on it. A new connection carries nothing for a
round trip, which is what opening it takes.
Failures: a connection that breaks on one side is closed on the other.
Limits: TCP ends here on both sides: nothing is lost, no window has to grow, and headers cost nothing. What a receiver does not
read waits here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys

# 3 ms of 100 Mbit/s: small beside the delays, and few enough a second for a Python.
_PIECE_BYTES = 32 << 10
# More than are ever under way.
_PIECES = 4096

_UnderWay = asyncio.Queue[tuple[float, bytes]]


class Way:
    """One direction of a line."""

    def __init__(self, bytes_per_s: float, delay_s: float) -> None:
        """Begin with an empty line."""
        self._bytes_per_s = bytes_per_s
        self._delay_s = delay_s
        self._free_at = 0.0

    def enter(self, now: float, size: int) -> float:
        """Return when so many bytes arrive that are handed to the line now."""
        self._free_at = max(self._free_at, now) + size / self._bytes_per_s
        return self._free_at + self._delay_s

    def wait_s(self, now: float) -> float:
        """Return in how many seconds there is room in front of the line."""
        return max(0.0, self._free_at - now - 2 * self._delay_s)


async def serve(port: int, target: int, round_trip_s: float, bytes_per_s: float) -> None:
    """Carry every connection to the port on to the target, until cancelled."""
    up, down = (Way(bytes_per_s, round_trip_s / 2) for _ in range(2))
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        listener.setblocking(False)
        # What waits inside the kernel waits in front of the line too: no more than is under way on it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(round_trip_s * bytes_per_s))
        async with asyncio.TaskGroup() as connections:
            while True:
                client, _ = await loop.sock_accept(listener)
                connections.create_task(_connection(client, target, up, down, round_trip_s))


async def _connection(client: socket.socket, target: int, up: Way, down: Way, round_trip_s: float) -> None:
    loop = asyncio.get_running_loop()
    with client, socket.socket() as server:
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.sleep(round_trip_s)
        with contextlib.suppress(ExceptionGroup, OSError):
            await loop.sock_connect(server, ("127.0.0.1", target))
            async with asyncio.TaskGroup() as pumps:
                for source, sink, way in ((client, server, up), (server, client, down)):
                    under_way: _UnderWay = asyncio.Queue(_PIECES)
                    pumps.create_task(_take(source, way, under_way))
                    pumps.create_task(_pass_on(sink, under_way))


async def _take(source: socket.socket, way: Way, under_way: _UnderWay) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(way.wait_s(loop.time()))
        data = await loop.sock_recv(source, _PIECE_BYTES)
        await under_way.put((way.enter(loop.time(), len(data)), data))
        if not data:
            return


async def _pass_on(sink: socket.socket, under_way: _UnderWay) -> None:
    loop = asyncio.get_running_loop()
    while True:
        arrives, data = await under_way.get()
        await asyncio.sleep(arrives - loop.time())
        if not data:
            sink.shutdown(socket.SHUT_WR)
            return
        await loop.sock_sendall(sink, data)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
