"""What plain pynetdicom 3.0.4 does to whoever sends with it, and the box does not suffer: N14, N15 and N16 of hostile-inputs.md.

One box with three archives, each behind a called title of its own: one on a slow line, one that stops reading, one that is a black hole.
Progress has 2 s here, where the product waits 60 s; threads, descriptors, memory, and that an honest scanner is served all the time, are
the oracle's to assert.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.fakes.script import Answer, Break, End, Stage, in_turn
from tests.fakes.scripted_archive import ScriptedArchive
from tests.hostile.site import SHORTENED, a_hostile_site
from tests.support import reserved_port
from tests.support.box import Box
from tests.support.caller import Caller
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.oracle import Limits, Oracle, Row
from tests.support.planted import an_object
from tests.support.samples import new_uid
from tests.support.site import a_route, an_archive
from tests.support.stranger import deafen
from tests.support.toxic import Direction, Kind, Toxic

_MEBIBYTE = 1 << 20
_PROGRESS_S = 2
# Three megabytes at this rate take three times the time for progress, and twice the time for an answer (a second for each megabyte).
_SLOW_BYTES_PER_S = 500_000
_SLOW_BYTES = 3_000_000
_RESPONSE_S = 2
_LARGE_BYTES = 8_000_000
# A kernel that keeps little makes a peer that stops reading felt at once.
_SMALL_BUFFER = 65536
# A lane in the middle of a try, and what it has open.
_A_LANE = Limits(threads=3, descriptors=8)


class Archives:
    """The box, its three archives, and the oracle."""

    def __init__(self, box: Box, archives: Mapping[str, ScriptedArchive], line: FaultProxy) -> None:
        """Take what runs."""
        self.box = box
        self.archives = archives
        self.line = line
        self._digests: dict[str, str] = {}
        self.oracle = _Forwarding(box)

    def send(self, row: Row, title: str, size: int = 0) -> str:
        """Send an object to the archive behind this title, and return its UID."""
        uid = new_uid()
        data = an_object(uid, pixels=bytes(size))
        caller = Caller(self.box.port, called=title.encode("ascii"), address=row.address)
        caller.command(uid_text=uid)
        for at in range(0, len(data), 100_000):
            caller.data(data[at : at + 100_000], last=at + 100_000 >= len(data))
        assert caller.status() == 0
        caller.release()
        row.acknowledged(uid, data)
        self._digests[uid] = hashlib.sha256(data).hexdigest()
        return uid

    def has(self, title: str, uid: str) -> bool:
        """Say whether the archive has the object, with its bytes."""
        return self.archives[title].kept.get(uid) == self._digests[uid]

    def state(self, title: str) -> dict[str, Any]:
        """Return what the box says about this archive."""
        return next(entry for entry in self.box.cli("destinations") if entry["name"] == title.lower())


class _Forwarding(Oracle):
    """An oracle for a box that delivers: only what no good delivery comes to must stay as it was."""

    def deliveries(self) -> dict[str, int]:
        """Return how many deliveries are held, cancelled and the like."""
        return {state: count for state, count in super().deliveries().items() if state != "moving or delivered"}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archives]:
    """Run the box with its archives; the one in the black hole is not there yet."""
    slow, stopping, hidden = ScriptedArchive(receive_buffer=_SMALL_BUFFER), ScriptedArchive(receive_buffer=_SMALL_BUFFER), ScriptedArchive()
    with slow, stopping, FaultProxy(slow.port) as line:
        ports = {"slow": line.port, "stopping": stopping.port, "hidden": hidden.port}
        # What the honest peer sends, to EDGE, goes nowhere, so that it does not stand in front of what the tests send.
        titles = {"EDGE": "nowhere", **{name.upper(): f"to-{name}" for name in ports}}
        site = a_hostile_site(
            box={"ae_title": "FRONT"},
            local_ae=[{"ae_title": title, "routes": [route]} for title, route in titles.items()],
            destinations=[an_archive(port, name=name, lanes=1) for name, port in ports.items()],
            routes=[a_route(name="nowhere", keep="30 d"), *(a_route(name, name=f"to-{name}") for name in ports)],
            delivery={"progress": _PROGRESS_S, "response": _RESPONSE_S, "connect": 1, "associate": 2},
        )
        box = Box(tmp_path_factory.mktemp("sending"), site, environment={"PYTHONPATH": str(SHORTENED)})
        with box:
            running = Archives(box, {"SLOW": slow, "STOPPING": stopping, "HIDDEN": hidden}, line)
            yield running
            running.oracle.close()
        hidden.stop()


def test_n14_a_slow_line_is_not_a_peer_that_does_not_answer(archives: Archives) -> None:
    """Three megabytes over a line of 0.5 MB/s arrive at the first try: no timer runs over a transfer, only over a standstill."""
    archives.line.add(Toxic(Kind.BANDWIDTH, direction=Direction.UP, bytes_per_s=_SLOW_BYTES_PER_S))
    with archives.oracle.row(_A_LANE) as row:
        uid = archives.send(row, "SLOW", _SLOW_BYTES)
        row.honest()
        eventually(lambda: archives.has("SLOW", uid), within=30.0, message="the object behind the slow line")
        archives.line.clear()

    assert archives.archives["SLOW"].receptions[uid] == 1
    assert len([offer for offer in archives.archives["SLOW"].offers if offer.sop_instance_uid == uid]) == 1


def test_n15_an_archive_that_stops_reading_frees_the_lane(archives: Archives) -> None:
    """An archive that reads no more in the middle of an object is left after the progress time, tried again, and delays nobody else."""
    archive = archives.archives["STOPPING"]
    archive.mood = in_turn(Break(End.HANG, Stage.DATA, after_bytes=_MEBIBYTE), Answer())
    with archives.oracle.row(_A_LANE) as row:
        uid = archives.send(row, "STOPPING", _LARGE_BYTES)
        eventually(lambda: any(offer.sop_instance_uid == uid for offer in archive.offers), within=10.0, message="the first try")
        other = archives.send(row, "SLOW")
        eventually(lambda: archives.has("SLOW", other), within=10.0, message="the other archive's object")
        row.honest()
        eventually(lambda: archives.has("STOPPING", uid), within=30.0, message="the object, at the second try")

    assert archive.receptions[uid] == 1


def test_n16_a_black_hole_costs_the_connect_time(archives: Archives) -> None:
    """An archive whose host swallows everything is dead after a second, said so, delays nobody, and gets everything when it is back."""
    archive = archives.archives["HIDDEN"]
    with archives.oracle.row(_A_LANE) as row:
        with reserved_port.listening(archive.port, backlog=1) as hole:
            deafen(hole)
            uid = archives.send(row, "HIDDEN")
            state = eventually(_dead(archives), within=15.0, message="the black hole to be noticed")
            other = archives.send(row, "SLOW")
            eventually(lambda: archives.has("SLOW", other), within=10.0, message="the other archive's object")
            row.honest()
        archive.start()
        eventually(lambda: archives.has("HIDDEN", uid), within=15.0, message="the object, when the archive is back")

    assert "does not answer" in state["reason"]


def _dead(archives: Archives) -> Callable[[], dict[str, Any] | None]:
    def look() -> dict[str, Any] | None:
        state = archives.state("HIDDEN")
        return state if state["state"] == "dead" else None

    return look
