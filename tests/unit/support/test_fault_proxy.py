"""The fault proxy, seen by independent clients and the scripted archive: what each toxic does and where, and that nothing is left."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, part10, samples
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.toxic import Direction, Kind, Toxic
from tests.support.unit_stream import Stage

# A CT of 128 x 128 pixels is 33 KB: its middle is at 16 KiB.
_PIXELS = 128
# storescu gives up on a silent peer after this, in seconds.
_IMPATIENT = ("--timeout", "1", "--acse-timeout", "1", "--dimse-timeout", "1")


@pytest.fixture
def archive() -> Iterator[ScriptedArchive]:
    """A good archive."""
    with ScriptedArchive() as scripted:
        yield scripted


@pytest.fixture
def proxy(archive: ScriptedArchive) -> Iterator[FaultProxy]:
    """A clean line to it."""
    with FaultProxy(archive.port) as line:
        yield line


def _send(proxy: FaultProxy, files: list[Path]) -> int:
    """Send with DCMTK and return how many were answered 0000."""
    return dcmtk.successes(dcmtk.storescu(proxy.port, files, called="ARCHIVE", options=_IMPATIENT))


def test_a_clean_line_changes_nothing(proxy: FaultProxy, archive: ScriptedArchive, tmp_path: Path) -> None:
    """Without toxics every byte arrives and every connection is closed on both sides."""
    files = samples.ct(512).write(tmp_path, 3)

    assert _send(proxy, files) == 3

    assert archive.kept == {instance.sop_instance_uid: instance.digest for instance in map(part10.read, files)}
    eventually(lambda: proxy.open_connections == 0, message="the connection to end")


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize(
    "toxic",
    [Toxic(Kind.RESET_PEER), Toxic(Kind.LIMIT_DATA), Toxic(Kind.TIMEOUT, seconds=0.2), Toxic(Kind.DOWN)],
    ids=lambda toxic: toxic.kind,
)
def test_what_cuts_cuts_at_its_stage(proxy: FaultProxy, archive: ScriptedArchive, tmp_path: Path, toxic: Toxic, stage: Stage) -> None:
    """A reset, a limit, a black hole and an outage let pass what lies before their stage and nothing behind it."""
    (file,) = samples.ct(_PIXELS).write(tmp_path)
    proxy.add(replace(toxic, stage=stage))

    succeeded = _send(proxy, [file])

    def arrived() -> list[bool]:
        return [bool(archive.visits), bool(archive.offers), bool(archive.receptions), succeeded == 1]

    reached = {
        Stage.CONNECT: 0,
        Stage.ASSOCIATE: 0,
        Stage.COMMAND: 1,
        Stage.FIRST_PDV: 2,
        Stage.MIDDLE: 2,
        Stage.LAST_PDV: 3,
        Stage.RELEASE: 4,
    }[stage]
    eventually(lambda: proxy.open_connections == 0, message="the connection to end")
    if toxic.kind is not Kind.RESET_PEER or stage in {Stage.LAST_PDV, Stage.RELEASE}:
        # A reset destroys what the target has not read yet; only an answer proves that it has.
        # The archive reads in its own time what had passed before the cut.
        eventually(lambda: arrived()[:reached] == [True] * reached, message="what had passed to arrive")
    assert arrived()[reached:] == [False] * (4 - reached)
    assert [strike.toxic.stage for strike in proxy.strikes] == [stage]


@pytest.mark.parametrize(
    "toxic",
    [
        Toxic(Kind.LATENCY, seconds=0.1),
        Toxic(Kind.BANDWIDTH, bytes_per_s=100_000),
        Toxic(Kind.SLICER, size=400, seconds=0.002),
        Toxic(Kind.SLOW_CLOSE, seconds=0.3),
    ],
    ids=lambda toxic: toxic.kind,
)
def test_what_slows_slows_and_loses_nothing(proxy: FaultProxy, archive: ScriptedArchive, tmp_path: Path, toxic: Toxic) -> None:
    """Latency, a narrow line, slices and a slow close take their time; every byte arrives."""
    files = samples.ct(_PIXELS).write(tmp_path)
    proxy.add(toxic)
    started = time.monotonic()

    assert _send(proxy, files) == 1
    eventually(lambda: proxy.open_connections == 0, message="the connection to end")

    assert time.monotonic() - started > 0.15
    assert archive.kept == {instance.sop_instance_uid: instance.digest for instance in map(part10.read, files)}


def test_a_toxic_wears_off_after_so_many_connections(proxy: FaultProxy, tmp_path: Path) -> None:
    """With `times` the next connection is a good one again."""
    files = samples.ct(_PIXELS).write(tmp_path)
    proxy.add(Toxic(Kind.RESET_PEER, Stage.MIDDLE, times=2))

    assert [_send(proxy, files) for _ in range(3)] == [0, 0, 1]
    assert [strike.connection for strike in proxy.strikes] == [1, 2]


def test_one_direction_can_be_spoilt_alone(proxy: FaultProxy, archive: ScriptedArchive, tmp_path: Path) -> None:
    """With a black hole on the way back the archive has everything and the client knows nothing."""
    files = samples.ct(_PIXELS).write(tmp_path)
    proxy.add(Toxic(Kind.TIMEOUT, Stage.COMMAND, Direction.DOWN))

    assert _send(proxy, files) == 0
    assert len(archive.kept) == 1


def test_an_outage_of_so_long_ends_by_itself(proxy: FaultProxy, tmp_path: Path) -> None:
    """Down refuses connections, and after its seconds listens on the same port again."""
    files = samples.ct(_PIXELS).write(tmp_path)
    proxy.add(Toxic(Kind.DOWN, seconds=0.5))

    assert not _can_connect(proxy.port)
    eventually(lambda: _can_connect(proxy.port), message="the line to come back")
    assert _send(proxy, files) == 1


def test_toxics_come_and_go_on_open_connections(proxy: FaultProxy) -> None:
    """A reset added at `connect` strikes what is open; what was swallowed is never followed by later bytes."""
    with _connected(proxy) as open_one:
        proxy.add(Toxic(Kind.TIMEOUT))
        open_one.sendall(b"not DICOM")
        eventually(lambda: any(link.has_swallowed for link in proxy._links.values()), message="the black hole to swallow")
        proxy.clear()
        with pytest.raises(ConnectionResetError):
            open_one.recv(1)
    with _connected(proxy) as open_one:
        proxy.add(Toxic(Kind.RESET_PEER))
        with pytest.raises(ConnectionResetError):
            open_one.recv(1)


def test_a_target_that_is_not_there_resets_the_client(archive: ScriptedArchive, proxy: FaultProxy) -> None:
    """Where nobody listens behind the proxy, the client is told by a reset."""
    archive.stop()

    with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
        client.recv(1)


def test_after_stop_nothing_is_left(archive: ScriptedArchive) -> None:
    """Whatever is open when it stops, no thread, no listener and no connection of the proxy survives."""
    before = threading.active_count()
    proxy = FaultProxy(archive.port).start()
    proxy.add(Toxic(Kind.TIMEOUT))
    clients = [_connected(proxy) for _ in range(50)]

    proxy.stop()

    for client in clients:
        assert client.recv(1) == b""
        client.close()
    eventually(lambda: threading.active_count() == before, message="the archive's side to end")
    assert not _can_connect(proxy.port)


def _connected(proxy: FaultProxy) -> socket.socket:
    seen = len(proxy.connections)
    client = socket.create_connection(("127.0.0.1", proxy.port), 5)
    eventually(lambda: len(proxy.connections) > seen, message="the proxy to take the connection")
    return client


def _can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
