"""Lines that break in every way at every stage of a send (F-09), an archive that stops in mid-object (F-10), and who is not to notice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.fakes import script
from tests.fakes.script import Break, End
from tests.fakes.script import Stage as ArchiveStage
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, part10, samples
from tests.support.box import Box, BoxMaker
from tests.support.eventually import eventually
from tests.support.fault_proxy import FaultProxy
from tests.support.site import Table, a_route, a_site
from tests.support.toxic import Kind, Toxic
from tests.support.unit_stream import Stage

# 33 KB: its middle, where the proxy looks for it, is at 16 KiB.
_PIXELS = 128
_DELIVERY: Table = {
    "connect": 2,
    "associate": 1.5,
    "progress": 2,
    "probe": 0.3,
    "dead_hello": 0.3,
    "throttled": [0.2, 0.5],
    "refusing": 1,
    "soft": [0.2, 0.5],
    "held": 3600,
}
# A response may take its 60 s; a black hole behind the association is closed after this much.
_HOLE_S = 3.0
# Long enough for the slow lines to deliver and for each of the others to be struck more than once.
_STORM_S = 20.0
_CALM_S = 30.0
# What the sender has beside one thread a destination: main, recorder, requests and what they may start.
_OWN_THREADS = 6
_BACKLOG = 50

_CUTS = (
    Toxic(Kind.TIMEOUT, seconds=_HOLE_S),
    Toxic(Kind.RESET_PEER),
    Toxic(Kind.LIMIT_DATA, size=12),
    Toxic(Kind.DOWN),
)
_SLOWS = (
    Toxic(Kind.LATENCY, seconds=0.1),
    Toxic(Kind.BANDWIDTH, bytes_per_s=50_000),
    Toxic(Kind.SLOW_CLOSE, seconds=1.0),
    Toxic(Kind.SLICER, size=512, seconds=0.002),
)
_CELLS = {f"{toxic.kind} at {stage}": replace(toxic, stage=stage) for toxic in (*_CUTS, *_SLOWS) for stage in Stage}
# What is cut here can never bring an answer back; a release that is cut comes too late to matter.
_HOPELESS = {name for name, toxic in _CELLS.items() if toxic.kind in {cut.kind for cut in _CUTS} and toxic.stage is not Stage.RELEASE}
_UNSPOILT = "a good line"


@dataclass
class Storm:
    """What was seen while every line was spoilt, and afterwards."""

    expected: dict[str, str]
    archives: dict[str, ScriptedArchive]
    proxies: dict[str, FaultProxy]
    in_the_storm: set[tuple[str, str]]
    unfounded: set[tuple[str, str]]
    held: list[str]
    kept_in_the_storm: dict[str, int]
    still_owed: list[str]
    threads_after: int


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    """Send two instances to 56 archives behind 56 bad lines and to one behind none; then make every line good."""
    work = tmp_path_factory.mktemp("storm")
    archives = {name: ScriptedArchive() for name in (*_CELLS, _UNSPOILT)}
    proxies = {name: FaultProxy(archives[name].port) for name in _CELLS}
    ports = {name: proxies[name].port if name in proxies else archives[name].port for name in archives}
    destinations = [_destination(name, port) for name, port in ports.items()]
    box = Box(work / "box", a_site(destinations=destinations, routes=[a_route(*archives)], delivery=_DELIVERY))
    try:
        for archive in archives.values():
            archive.start()
        for name, proxy in proxies.items():
            proxy.start().add(_CELLS[name])
        box.start()
        yield _play(box, archives, proxies, work)
    finally:
        box.close()
        for proxy in proxies.values():
            proxy.stop()
        for archive in archives.values():
            archive.stop()


def _play(box: Box, archives: dict[str, ScriptedArchive], proxies: dict[str, FaultProxy], work: Path) -> Storm:
    files = samples.ct(_PIXELS).write(work / "ct", 2)
    expected = {instance.sop_instance_uid: instance.digest for instance in map(part10.read, files)}
    sent_at = time.monotonic()
    assert dcmtk.successes(dcmtk.storescu(box.port, files)) == 2
    eventually(lambda: archives[_UNSPOILT].kept == expected, within=_STORM_S, message="the good line")
    unfounded: set[tuple[str, str]] = set()
    delivered: set[tuple[str, str]] = set()
    hopeful = {(name, uid) for name in archives if name not in _HOPELESS for uid in expected}
    while time.monotonic() - sent_at < _STORM_S and not (hopeful <= delivered and _all_struck(proxies)):
        delivered = _delivered(box)
        unfounded |= {(name, uid) for name, uid in delivered if uid not in archives[name].kept}
    kept = {name: len(archive.kept) for name, archive in archives.items()}
    held = [row["destination"] for row in box.cli("queue", "list", "--state", "held")]
    cleared_at = time.monotonic()
    for proxy in proxies.values():
        proxy.clear()
    while (left := box.cli("queue", "list", "--limit", "1000")) and time.monotonic() - cleared_at < _CALM_S:
        time.sleep(0.2)
    # Lanes end when they have had nothing to do for a moment.
    with contextlib.suppress(AssertionError):
        eventually(lambda: _sender_threads(box) <= _threads_at_rest(len(archives)), within=10)
    return Storm(
        expected=expected,
        archives=archives,
        proxies=proxies,
        in_the_storm=delivered,
        unfounded=unfounded,
        held=held,
        kept_in_the_storm=kept,
        still_owed=[f"{row['destination']}: {row['state']} {row['reason']}" for row in left],
        threads_after=_sender_threads(box),
    )


@pytest.mark.parametrize("name", list(_CELLS))
def test_nothing_is_lost_whatever_breaks_wherever(storm: Storm, name: str) -> None:
    """The line broke as told; once it is good the archive has exactly what was sent, and got it no oftener than the breaks explain."""
    archive, proxy = storm.archives[name], storm.proxies[name]

    assert proxy.strikes
    assert archive.kept == storm.expected
    assert max(archive.receptions.values()) <= len(proxy.strikes) + 1


def test_nothing_is_called_delivered_without_an_answer(storm: Storm) -> None:
    """Behind a line that lets no answer through nothing is ever called delivered, though the archive may have it; slow lines do deliver."""
    delivered = {name for name, _ in storm.in_the_storm}

    assert storm.unfounded == set()
    assert delivered & _HOPELESS == set()
    assert storm.archives.keys() - _HOPELESS - delivered == set()
    assert {name for name in _HOPELESS if _CELLS[name].stage is Stage.LAST_PDV and storm.kept_in_the_storm[name] == 0} == set()


def test_no_line_makes_a_delivery_held(storm: Storm) -> None:
    """A bad line is nobody's verdict: nothing is held by it, and nothing is owed when all lines are good."""
    assert storm.held == []
    assert storm.still_owed == []


def test_the_good_line_does_not_notice(storm: Storm) -> None:
    """The archive on the good line had both instances while every other line was bad, each received once."""
    assert {(_UNSPOILT, uid) for uid in storm.expected} <= storm.in_the_storm
    assert set(storm.archives[_UNSPOILT].receptions.values()) == {1}


def test_no_thread_is_left_by_it(storm: Storm) -> None:
    """When all is delivered the sender has a thread for each destination and a handful of its own."""
    assert storm.threads_after <= _threads_at_rest(len(storm.archives))


def test_a_stopped_archive_frees_its_lane_and_nobody_else_waits(make_box: BoxMaker, tmp_path: Path) -> None:
    """An archive that stops reading in mid-object loses its association and gets the object anew; others go on; nothing is lost."""
    stuck = script.in_turn(Break(End.HANG, ArchiveStage.DATA, after_bytes=100_000), script.Answer())
    stopped = ScriptedArchive(stuck, receive_buffer=16384)
    good = ScriptedArchive()
    destinations = [_destination("stopped", stopped.port), _destination("good", good.port)]
    box = make_box(a_site(destinations=destinations, routes=[a_route("stopped", "good")], delivery=_DELIVERY))
    # 33 MB do not fit into the buffers of two kernels.
    files = samples.mammogram().write(tmp_path / "mg")
    expected = {instance.sop_instance_uid: instance.digest for instance in map(part10.read, files)}
    with stopped, good, box:
        assert dcmtk.successes(dcmtk.storescu(box.port, files)) == 1
        eventually(lambda: good.kept == expected, within=15, message="the good archive")
        eventually(lambda: stopped.kept == expected, within=15, message="the second try")
        box.wait_until_delivered()

        assert [offer.attempt for offer in stopped.offers] == [1, 2]
        eventually(lambda: _sender_threads(box) <= _threads_at_rest(2), within=10, message="the lanes to end")


def test_a_dead_destination_keeps_nothing_from_the_others(make_box: BoxMaker, tmp_path: Path) -> None:
    """While a black hole, a stopped archive and one that is gone owe everything, the good archive gets all; `make bench` says how fast."""
    good, behind_hole, gone = ScriptedArchive(), ScriptedArchive(), ScriptedArchive()
    stopped = ScriptedArchive(script.always(Break(End.HANG, ArchiveStage.COMMAND)))
    hole = FaultProxy(behind_hole.port)
    ports = {"good": good.port, "hole": hole.port, "stopped": stopped.port, "gone": gone.port}
    destinations = [_destination(name, port) for name, port in ports.items()]
    box = make_box(a_site(destinations=destinations, routes=[a_route(*ports)], delivery=_DELIVERY))
    files = samples.ct(_PIXELS).write(tmp_path / "ct", _BACKLOG)
    expected = {instance.sop_instance_uid: instance.digest for instance in map(part10.read, files)}
    with good, behind_hole, stopped, hole, box:
        hole.add(Toxic(Kind.TIMEOUT))

        assert dcmtk.successes(dcmtk.storescu(box.port, files)) == _BACKLOG
        eventually(lambda: good.kept == expected, within=30, message="the good archive")
        eventually(lambda: box.count("delivered") == _BACKLOG, within=10, message="its answers to be recorded")

        owed = [row["destination"] for row in box.cli("queue", "list", "--limit", "1000")]
        assert {name: owed.count(name) for name in ports} == {"good": 0, "hole": _BACKLOG, "stopped": _BACKLOG, "gone": _BACKLOG}
        assert set(good.receptions.values()) == {1}


def _all_struck(proxies: dict[str, FaultProxy]) -> bool:
    return all(proxy.strikes for proxy in proxies.values())


def _delivered(box: Box) -> set[tuple[str, str]]:
    rows = box.cli("queue", "list", "--limit", "1000", "--state", "delivered")
    return {(row["destination"], row["sop_instance_uid"]) for row in rows}


def _destination(name: str, port: int) -> Table:
    return {"name": name, "kind": "dicom", "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port, "calling_ae": "box", "lanes": 1}


def _threads_at_rest(destinations: int) -> int:
    return destinations + _OWN_THREADS


def _sender_threads(box: Box) -> int:
    (sender,) = [pid for pid, name in box.daemons().items() if name == "sender"]
    return len(list(Path(f"/proc/{sender}/task").iterdir()))
