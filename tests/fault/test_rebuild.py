"""The ledger lost with 1,000 images owed, 5,000 delivered and 3 cancelled: what a box makes of it, with a snapshot and without.

`REBUILD_SCALE=0.1` makes a tenth of it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import dcmtk, samples
from tests.support.box import Box
from tests.support.eventually import eventually
from tests.support.senders import PatientSender
from tests.support.site import a_route, a_site, a_source, an_archive

_SCALE = float(os.environ.get("REBUILD_SCALE", "1"))
_OWED, _DELIVERED, _CANCELLED = round(1000 * _SCALE), round(5000 * _SCALE), 3
# How many of each came after the snapshot: about what a busy box receives in the quarter of an hour between two.
_OWED_AFTER, _DELIVERED_AFTER = round(100 * _SCALE), round(200 * _SCALE)
_PIXELS = 16
_SETTLE_S = 60.0
# A scanner's usual pace: what it sends is a witness here, and no load.
_PAUSE_S = 0.05
# Longer than a keeper leaves between two snapshots.
_LONG_AGO_S = 3600.0


@dataclass(frozen=True)
class Past:
    """A box that was stopped with a past: its data directory, and SOP Instance UIDs by what they are."""

    data: Path
    owed: set[str]
    delivered: set[str]
    delivered_after: set[str]
    cancelled: set[str]


@dataclass
class Revived:
    """A copy of that box, not started, with archives that have nothing yet: CT1's images go to `archive`, MR1's to `workstation`."""

    box: Box
    archive: ScriptedArchive
    workstation: ScriptedArchive

    @property
    def snapshots(self) -> Path:
        """Where its snapshots are."""
        return self.box.data / "ledger" / "snapshots"


def _delete(ledger: Path) -> None:
    for path in ledger.parent.glob("ledger.db*"):
        path.unlink()


def _randomise_the_middle(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.seek(ledger.stat().st_size // 2)
        file.write(os.urandom(8192))


def _truncate(ledger: Path) -> None:
    os.truncate(ledger, ledger.stat().st_size // 3)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """Let a box live: receive, deliver, owe and cancel, with a snapshot taken in between."""
    work = tmp_path_factory.mktemp("past")
    with ScriptedArchive() as archive:
        began = time.monotonic()
        box = Box(work / "box", _site(archive.port, dcmtk.free_port())).start()
        try:
            delivered, owed, first, second = (_send(box, work, *what) for what in _BEFORE)
            _cancel(box, first)
            box.stop()
            _take_snapshot(box)
            delivered_after, owed_after, third = (_send(box, work, *what) for what in _AFTER)
            _cancel(box, second, third)
            eventually(lambda: box.outstanding() == _OWED, within=_SETTLE_S, message="everything for the archive to be there")
            assert (box.count("delivered"), box.count("cancelled")) == (_DELIVERED, _CANCELLED)
            box.stop()
        finally:
            box.close()
        print(f"{_DELIVERED} delivered, {_OWED} owed, {_CANCELLED} cancelled in {time.monotonic() - began:.1f} s")
        yield Past(box.data, owed | owed_after, delivered, delivered_after, first | second | third)


_BEFORE = [("CT1", _DELIVERED - _DELIVERED_AFTER), ("MR1", _OWED - _OWED_AFTER), ("MR1", 1), ("MR1", 1)]
_AFTER = [("CT1", _DELIVERED_AFTER), ("MR1", _OWED_AFTER), ("MR1", 1)]


@pytest.fixture
def revived(past: Past, tmp_path: Path) -> Iterator[Revived]:
    """Copy that box."""
    data = tmp_path / "data"
    shutil.copytree(past.data, data, ignore=shutil.ignore_patterns("run"), copy_function=_copy)
    with ScriptedArchive() as archive, ScriptedArchive() as workstation:
        box = Box(tmp_path / "box", _site(archive.port, workstation.port), data=data)
        try:
            yield Revived(box, archive, workstation)
        finally:
            box.close()


@pytest.mark.parametrize("lose", [_delete, _randomise_the_middle])
def test_with_a_snapshot_everything_goes_on(revived: Revived, past: Past, lose: Callable[[Path], None]) -> None:
    """All that is owed is delivered with no hand, nothing cancelled is, and the archive is sent again only what came after the snapshot."""
    box = revived.box
    lose(box.data / "ledger" / "ledger.db")

    box.start()
    box.wait_until_delivered(_SETTLE_S)

    assert set(revived.workstation.kept) == past.owed
    assert set(revived.archive.kept) <= past.delivered_after
    assert {*revived.workstation.receptions.values(), *revived.archive.receptions.values()} <= {1}
    assert [box.count(state) for state in ("delivered", "held", "cancelled")] == [_OWED + _DELIVERED, 0, _CANCELLED]


@pytest.mark.parametrize("lose", [_delete, _truncate])
def test_without_a_snapshot_a_person_lets_it_go_on(revived: Revived, past: Past, lose: Callable[[Path], None]) -> None:
    """Everything but the cancelled is held as rebuilt and nothing is sent; what is released is delivered, and nothing else."""
    box = revived.box
    shutil.rmtree(revived.snapshots)
    lose(box.data / "ledger" / "ledger.db")

    box.start()
    held, cancelled, offered = box.count("held"), box.count("cancelled"), [*revived.archive.offers, *revived.workstation.offers]
    classes = {row["hold_class"] for row in box.cli("queue", "list", "--state", "held", "--limit", "10000")}
    released = box.cli("queue", "release", "--class", "rebuilt", "--destination", "workstation")
    box.wait_until_delivered(_SETTLE_S)

    assert (held, cancelled, classes, offered) == (_OWED + _DELIVERED, _CANCELLED, {"rebuilt"}, [])
    assert released == {"moved": _OWED, "busy": 0, "unchanged": 0}
    assert set(revived.workstation.kept) == past.owed
    assert revived.archive.kept == {}
    assert [box.count(state) for state in ("delivered", "held", "cancelled")] == [_OWED, _DELIVERED, _CANCELLED]


def test_reception_goes_on_while_a_running_box_rebuilds(revived: Revived, past: Past, tmp_path: Path) -> None:
    """`ledger rebuild` is done at the next start of a box that is off, and at once by one that runs, which receives meanwhile."""
    box, template = revived.box, samples.ct(_PIXELS)
    # What is owed stays owed, so that nothing but the scanner's images moves.
    revived.workstation.stop()
    # Then the first snapshot seen is the keeper's of this start, and it makes no other before the second rebuild.
    shutil.rmtree(revived.snapshots)
    said = box.command("ledger", "rebuild")
    box.start()
    at_start = _logged(box, "ledger.rebuilt")
    eventually(lambda: list(revived.snapshots.glob("*.db")), within=_SETTLE_S, message="the round of the keeper")
    receivers = {pid for pid, name in box.daemons().items() if name == "receiver"}

    # With no snapshot to make the second rebuild short.
    with PatientSender(lambda: box.port, lambda: template.write(tmp_path / "scanner")[0], calling="CT1", pause_s=_PAUSE_S) as scanner:
        eventually(lambda: scanner.books.acknowledged, within=_SETTLE_S, message="the scanner to send")
        shutil.rmtree(revived.snapshots)
        answer = box.cli("ledger", "rebuild")
        eventually(lambda: _logged(box, "ledger.rebuilding") > at_start, within=_SETTLE_S, message="the rebuild to begin")
        at_its_beginning = len(scanner.books.acknowledged)
        eventually(lambda: _logged(box, "ledger.rebuilt") > at_start, within=_SETTLE_S, message="the rebuild to end")
        meanwhile = len(scanner.books.acknowledged) - at_its_beginning
        books = scanner.finish(_SETTLE_S)
    eventually(lambda: box.command("status").returncode == 0, within=_SETTLE_S, message="the box to answer")
    box.wait_until_delivered(_SETTLE_S)

    held = {row["sop_instance_uid"] for row in box.cli("queue", "list", "--state", "held", "--limit", "10000")}
    print(f"{meanwhile} images were acknowledged during the rebuild")
    assert (said.returncode, "when the box starts" in said.stdout, at_start) == (0, True, 1)
    assert answer == {"requested": True, "running": True}
    assert meanwhile > 0
    assert (books.other_answers, books.attempts) == ([], len(books.sent))
    assert books.acknowledged.keys() <= held | revived.archive.kept.keys()
    assert past.owed | past.delivered | past.delivered_after <= held
    assert not past.cancelled & (held | revived.archive.kept.keys() | revived.workstation.kept.keys())
    assert receivers <= box.daemons().keys()


def _logged(box: Box, event: str) -> int:
    """Return how often the latest start of the box has logged this."""
    return box.stderr_path.read_text(encoding="utf-8").count(f'"{event}"')


def _copy(source: str, target: str) -> None:
    """Copy what a box changes in place; a sealed object is never changed, so that another name for it is a copy."""
    if source.endswith(".age"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _site(archive_port: int, workstation_port: int) -> str:
    return a_site(
        sources=[a_source("CT1"), a_source("MR1")],
        destinations=[an_archive(archive_port), an_archive(workstation_port, name="workstation")],
        routes=[
            a_route("archive", name="ct", when={"source": ["CT1"]}),
            a_route("workstation", name="mr", when={"source": ["MR1"]}),
        ],
    )


def _send(box: Box, directory: Path, calling: str, count: int) -> set[str]:
    """Send new images of one study and return their SOP Instance UIDs."""
    files = samples.ct(_PIXELS).write(directory / "scanner", count)
    assert dcmtk.successes(dcmtk.dcmsend(box.port, files, calling=calling)) == count
    return {path.stem for path in files}


def _cancel(box: Box, *instances: set[str]) -> None:
    """Cancel what is owed of these images, found by their numbers."""
    wanted = {uid for some in instances for uid in some}

    def numbers() -> list[str] | None:
        rows = box.cli("queue", "list", "--destination", "workstation", "--limit", "10000")
        found = [str(row["id"]) for row in rows if row["sop_instance_uid"] in wanted]
        return found if len(found) == len(wanted) else None

    found = eventually(numbers, within=_SETTLE_S, message="what is to be cancelled")
    assert box.cli("queue", "cancel", *found, "--yes")["moved"] == len(wanted)


def _take_snapshot(box: Box) -> None:
    """Start a box that was stopped, and return when its keeper has made a snapshot: it does when the last one is old."""
    snapshots = box.data / "ledger" / "snapshots"
    there = list(snapshots.glob("*.db"))
    for path in there:
        os.utime(path, (time.time() - _LONG_AGO_S,) * 2)
    box.start()
    eventually(lambda: len(list(snapshots.glob("*.db"))) > len(there), within=_SETTLE_S, message="a snapshot")
