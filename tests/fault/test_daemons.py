"""One daemon in trouble: stopped, killed, told to end or deaf to hints. The others keep their pace, and nothing is lost (P6)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support import processes, samples, sealed, senders, wire
from tests.support.box import Box, BoxMaker
from tests.support.caller import ABORT, OBJECT, RELEASED, Caller
from tests.support.dcmtk import ArchiveMaker
from tests.support.eventually import eventually
from tests.support.site import a_site, a_source, an_archive
from tests.unit.dimse.building import CT, IMPLICIT, data_set

_CLIENTS = 20
_STORES = 60
# A worker or a daemon that is started takes a second on an idle machine; the cores are shared with the rest of the test.
_RESTART_S = 20.0
# house.md section 3, Drain.
_DRAIN_S = 30.0

_SOURCES = [a_source("CT1")]


def test_a_stopped_worker_costs_no_client_anything(make_box: BoxMaker) -> None:
    """With one of two workers stopped, twenty clients that call at the same time are all admitted and each object is acknowledged."""
    box = make_box(a_site(sources=_SOURCES, admission={"per_source": _CLIENTS})).start()
    callers: list[Caller] = []
    statuses: list[int | None] = []

    def call(number: int) -> None:
        caller = Caller(box.port)
        callers.append(caller)
        statuses.append(_store(caller, number))

    with _stopped(_pids(box, "receiver")[0]):
        began = time.monotonic()
        threads = [threading.Thread(target=call, args=(number,)) for number in range(_CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(15.0)
        took = time.monotonic() - began
        released = [caller.release() for caller in callers]

    assert (statuses, released) == ([0] * _CLIENTS, [RELEASED] * _CLIENTS)
    assert took < 10.0
    # The worker that was stopped ends like the others (Python acts on SIGTERM in one thread only, the kernel may wake another).
    assert box.stop(_RESTART_S) == 0


def test_a_stopped_router_does_not_slow_reception(make_box: BoxMaker, make_archive: ArchiveMaker) -> None:
    """While the router is stopped C-STOREs are answered as fast as before, and afterwards everything is routed and delivered."""
    archive = make_archive().start()
    box = make_box(a_site(sources=_SOURCES, destinations=[an_archive(archive.port)])).start()
    caller = Caller(box.port)
    before = [_timed_store(caller, number) for number in range(_STORES)]
    box.wait_until_delivered()

    with _stopped(*_pids(box, "router")):
        during = [_timed_store(caller, number) for number in range(_STORES, 2 * _STORES)]
        waiting = len(list((box.data / "spool" / "incoming").iterdir()))

    assert waiting == _STORES
    assert statistics.median(during) <= 2 * statistics.median(before) + 0.005
    assert max(during) < 1.0
    assert caller.release() == RELEASED
    box.wait_until_delivered()
    assert len(archive.identities()) == 2 * _STORES


def test_a_killed_worker_gives_its_places_back(make_box: BoxMaker) -> None:
    """A source with one place that was held by a killed worker is admitted at once by another one, before the killed one is back."""
    box = make_box(a_site(sources=_SOURCES, admission={"per_source": 1})).start()
    caller = Caller(box.port)
    holder = next(pid for pid in _pids(box, "receiver") if any("/slots/" in path for path in _open_files(pid)))
    refused = wire.associate(box.port, called=b"EDGE", calling=b"CT1")

    os.kill(holder, signal.SIGKILL)
    ended = caller.read()
    eventually(lambda: not processes.is_running(holder))
    admitted = wire.associate(box.port, called=b"EDGE", calling=b"CT1")

    assert refused.reject == (2, 3, 2)
    assert ended == (0, b"")
    assert admitted.pdu_type == wire.ACCEPTED
    caller.socket.close()


@senders.LEAKS_SOCKETS
def test_a_daemon_that_dies_alone_comes_back(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """A receiver worker, the router and the sender, each killed once: it alone is started again, gets ready, and the box delivers."""
    archive = make_archive().start()
    box = make_box(a_site(sources=_SOURCES, destinations=[an_archive(archive.port)])).start()
    template = samples.ct(64)

    for name in ("receiver", "router", "sender"):
        _kill_one(box, name)

        assert box.cli("status")["ready"] is True
        assert set(senders.send_once(box.port, template.write(tmp_path / name), calling="CT1").values()) == {0}

    box.wait_until_delivered()
    assert len(archive.identities()) == 3


def test_a_stop_lets_open_objects_finish(make_box: BoxMaker) -> None:
    """SIGTERM in the middle of a C-STORE: it is finished and acknowledged, idle associations end, nobody new is let in."""
    box = make_box(a_site(sources=_SOURCES)).start()
    idle, busy = Caller(box.port), Caller(box.port)
    busy.command()
    busy.data(OBJECT, last=False)
    eventually(lambda: any(_holds_an_open_object(pid) for pid in _pids(box, "receiver")), message="the object to begin")

    began = time.monotonic()
    os.kill(box.pid, signal.SIGTERM)
    idle_ended = idle.read()
    late = socket.create_connection(("127.0.0.1", box.port), 10.0)
    late.sendall(wire.associate_request(called=b"EDGE", calling=b"CT1", abstract_syntaxes=[CT]))
    busy.data(b"")
    status, busy_ended = busy.status(), busy.read()
    code = box.stop(_DRAIN_S)
    took = time.monotonic() - began

    assert (idle_ended[0], status, busy_ended[0]) == (ABORT, 0, ABORT)
    assert _all_that_comes(late) == b""
    assert (code, took < _DRAIN_S) == (0, True)
    assert len(list(sealed.sealed_files(box.data))) == 1
    for connection in (idle.socket, busy.socket, late):
        connection.close()


def test_lost_hints_cost_seconds_only(make_box: BoxMaker, make_archive: ArchiveMaker) -> None:
    """Without the sockets through which daemons wake each other everything is delivered all the same, by their ticks."""
    archive = make_archive().start()
    box = make_box(a_site(sources=_SOURCES, destinations=[an_archive(archive.port)])).start()
    hints = list((box.data / "run").glob("*.hint"))
    for path in hints:
        path.unlink()
    caller = Caller(box.port)

    statuses = [_store(caller, number) for number in range(5)]
    eventually(lambda: archive.count() == 5, within=10.0, message="the ticks to deliver")

    assert {path.name for path in hints} >= {"router.hint", "sender.hint"}
    assert statuses == [0] * 5
    assert caller.release() == RELEASED
    box.wait_until_delivered()


@contextlib.contextmanager
def _stopped(*pids: int) -> Iterator[None]:
    """Hold processes still for a block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for pid in pids:
            eventually(lambda pid=pid: _state(pid) == "T", message="the process to stop")  # type: ignore[misc]
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _kill_one(box: Box, name: str) -> None:
    """Kill one daemon and return when another of its name is ready; all others must be the same as before."""
    before = {pid for pid, other in box.daemons().items() if other in {"receiver", "router", "sender"}}
    victim, since = _pids(box, name)[0], time.time()
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: _is_ready_since(box, name, since), within=_RESTART_S, message=f"{name} to be ready again")
    assert before - set(box.daemons()) == {victim}, "others ended too"


def _state(pid: int) -> str:
    return (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def _pids(box: Box, name: str) -> list[int]:
    return sorted(pid for pid, daemon in box.daemons().items() if daemon == name)


def _open_files(pid: int) -> list[str]:
    found = []
    for descriptor in (Path("/proc") / str(pid) / "fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(descriptor.readlink()))
    return found


def _holds_an_open_object(pid: int) -> bool:
    """Say whether the process has a file of the spool open that has no name yet."""
    return any("/spool/" in path and path.endswith("(deleted)") for path in _open_files(pid))


def _is_ready_since(box: Box, name: str, since: float) -> bool:
    """Say whether a daemon of this name got ready after the wall time `since`."""
    alive = box.data / "run" / "alive"
    return any(path.read_bytes().strip() == b"ready" and path.stat().st_mtime > since for path in alive.glob(f"{name}.*"))


def _store(caller: Caller, number: int) -> int | None:
    uid = f"1.2.826.0.1.3680043.8.1055.2.{number + 1}"
    return caller.store(data_set(sop_instance=uid, syntax=IMPLICIT), uid)


def _timed_store(caller: Caller, number: int) -> float:
    began = time.monotonic()
    assert _store(caller, number) == 0
    return time.monotonic() - began


def _all_that_comes(connection: socket.socket) -> bytes:
    """Return what the other side sent before it ended the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(4096):
            received += more
    return received
