"""Snapshots: whole, encrypted, in order, made while others write, and never at the cost of an earlier one."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from appliance.ledger import cipher_file
from appliance.ledger.access import RebuildCause, rebuild_requested
from appliance.ledger.faults import LedgerDamagedError, LedgerKeyError, LedgerNewerError, LedgerScopeError, LedgerStorageError
from appliance.ledger.migrations import LATEST
from appliance.retain.snapshot import DAYS_KEPT, NEWEST_KEPT, Snapshots, to_keep
from appliance.spool.files import Space
from tests.support.eventually import eventually
from tests.unit.retain.bench import Box, Crash
from tests.unit.retain.crashing import crashing_at

PLANTED = b"QUARTZVOLE"


def _folder(box: Box) -> Path:
    return box.data / "ledger" / "snapshots"


def _studies(box: Box, snapshot: Path) -> int:
    database = cipher_file.connect(snapshot, box.key)
    try:
        return int(cipher_file.execute(database, "SELECT count(*) FROM instance")[0][0])
    finally:
        database.close()


def test_a_snapshot_is_one_whole_private_file(box: Box) -> None:
    """A snapshot is one checked file for its owner only, named after its moment, and holds the ledger."""
    box.receive_and_route("1.2.3.1", "1.2.3.2")

    path = box.snapshots.take(box.ledger)

    assert path == _folder(box) / "20240229T120002Z.db"
    assert [found.name for found in _folder(box).iterdir()] == [path.name]
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(_folder(box).stat().st_mode)) == (0o600, 0o700)
    assert _studies(box, path) == 2
    assert [found.name for found in _folder(box).iterdir()] == [path.name]


def test_a_snapshot_needs_the_key(box: Box) -> None:
    """Nothing of a patient can be read in a snapshot, and another key does not open it."""
    box.receive_and_route("1.2.3.1")

    path = box.snapshots.take(box.ledger)

    assert PLANTED not in path.read_bytes()
    with pytest.raises(LedgerKeyError):
        cipher_file.check(path, bytes(32))


def test_nothing_is_ever_in_the_clear(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file that exists while a snapshot is made holds anything in the clear."""
    box.receive_and_route(*(f"1.2.3.{number}" for number in range(50)))
    seen: list[bytes] = []
    copied = cipher_file.copy

    def copy(database: object, target: Path) -> None:
        copied(database, target)  # type: ignore[arg-type]
        seen.extend(path.read_bytes() for path in box.data.rglob("*") if path.is_file())

    monkeypatch.setattr(cipher_file, "copy", copy)
    box.snapshots.take(box.ledger)

    assert len(seen) > 3
    assert not [content for content in seen if PLANTED in content or b"CREATE TABLE" in content]


def test_writers_go_on_meanwhile(box: Box) -> None:
    """While the pages are copied another thread commits, and the copy holds each of its transactions whole or not at all."""
    box.receive_and_route(*(f"1.2.3.{number}" for number in range(100)))
    stopping, commits = threading.Event(), [0]

    def write() -> None:
        while not stopping.is_set():
            with box.ledger.write():
                box.ledger.change("UPDATE study SET received_at = ?", (commits[0],))
                box.ledger.change("UPDATE instance SET received_at = ?", (commits[0],))
            commits[0] += 1
        box.ledger.close()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        eventually(lambda: commits[0] > 0)
        together = 0
        # A copy takes about as long as ten commits; where the machine was elsewhere, the next one shows it.
        for number in range(50):
            path, before = box.data / f"copy-{number}", commits[0]
            box.ledger.copy_to(path)
            together += commits[0] - before
            database = cipher_file.connect(path, box.key)
            times = cipher_file.execute(database, "SELECT received_at FROM study UNION SELECT received_at FROM instance")
            database.close()
            assert len(times) == 1
            if together > 2:
                break
    finally:
        stopping.set()
        writing.join()

    assert together > 2


def test_names_rise_when_the_clock_does_not(box: Box) -> None:
    """Two snapshots in a second, and one after the clock stepped back, are still in the order in which they were made."""
    made = [box.snapshots.take(box.ledger)]
    made.append(box.snapshots.take(box.ledger))
    box.clock.jump_wall(-100_000.0)
    made.append(box.snapshots.take(box.ledger))

    assert box.snapshots.all() == made


def test_the_newest_and_one_a_day_are_kept(box: Box) -> None:
    """After many rounds the newest eight, and the first of each of the last seven days, are there."""
    made = []
    for _ in range(60):
        box.clock.advance(6 * 3600.0)
        made.append(box.snapshots.take(box.ledger))

    there = box.snapshots.all()
    assert there[-NEWEST_KEPT:] == made[-NEWEST_KEPT:]
    assert len({path.name[:8] for path in there}) == DAYS_KEPT
    assert len(there) == NEWEST_KEPT + DAYS_KEPT - 2


def test_few_are_all_kept() -> None:
    """As long as there are few nothing is removed."""
    few = [Path(f"2024010{day}T000000Z.db") for day in range(1, 8)]

    assert to_keep(few) == few
    assert to_keep([]) == []


def _flip(content: bytes) -> bytes:
    return b"".join(
        content[at : at + 2000] + bytes([content[at + 2000] ^ 1]) + content[at + 2001 : at + 4096] for at in range(0, len(content), 4096)
    )


@pytest.mark.parametrize(
    "damage", [_flip, lambda content: content[:6000], lambda _content: b"", lambda content: content[:4096] + _flip(content[4096:])]
)
def test_a_bad_snapshot_is_passed_over(box: Box, damage: Callable[[bytes], bytes]) -> None:
    """The newest good snapshot is what counts; a bad one is reported and left where it is."""
    good = box.snapshots.take(box.ledger)
    bad = box.snapshots.take(box.ledger)
    box.change_file(bad, damage)

    with capture_logs() as logs:
        newest = box.snapshots.newest_good()

    assert newest == good
    assert [(line["event"], line["snapshot"]) for line in logs] == [("snapshot.bad", bad.name)]
    assert bad.exists()


def test_no_snapshot_is_none(box: Box) -> None:
    """Without a folder, without snapshots, and with foreign files only, there is none."""
    seen = [box.snapshots.newest_good()]
    _folder(box).mkdir()
    (_folder(box) / "notes.db").write_bytes(b"")
    seen.append(box.snapshots.newest_good())

    assert seen == [None, None]


def test_a_newer_snapshot_is_not_passed_over(box: Box) -> None:
    """A snapshot of a newer version is refused, rather than one from before the update restored."""
    box.snapshots.take(box.ledger)
    path = box.snapshots.take(box.ledger)
    database = cipher_file.connect(path, box.key)
    cipher_file.execute(database, "INSERT INTO schema_version VALUES (?)", (LATEST + 1,))
    database.close()

    with pytest.raises(LedgerNewerError):
        box.snapshots.newest_good()


def test_a_snapshot_of_damage_is_none(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that does not pass its check is no snapshot; the ledger it was made of is to be looked at."""
    earlier = box.snapshots.take(box.ledger)

    def damaged(_path: Path, _key: bytes) -> None:
        raise LedgerDamagedError("the ledger is damaged")

    monkeypatch.setattr(cipher_file, "check", damaged)
    with pytest.raises(LedgerDamagedError):
        box.snapshots.take(box.ledger)

    assert list(_folder(box).iterdir()) == [earlier]
    assert rebuild_requested(box.data) is RebuildCause.DAMAGED


def test_a_full_disk_costs_older_snapshots_first(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older snapshots make room for the next one, and the newest never does."""
    made = [box.snapshots.take(box.ledger) for _ in range(3)]
    monkeypatch.setattr(
        "appliance.retain.snapshot.space", lambda _folder: Space(1 << 30, 0 if len(box.snapshots.all()) > 2 else 1 << 30, 9)
    )
    box.snapshots.take(box.ledger)
    after = box.snapshots.all()
    monkeypatch.setattr("appliance.retain.snapshot.space", lambda _folder: Space(1 << 30, 1000, 9))

    with pytest.raises(LedgerStorageError) as caught:
        box.snapshots.take(box.ledger)

    assert after[:2] == made[1:]
    assert caught.value.full
    assert box.snapshots.all() == after[-1:]


def test_the_reserve_is_left_alone(box: Box) -> None:
    """No snapshot is made into the space that is kept for other work."""
    snapshots = Snapshots(box.data, box.key, box.clock, reserve_bytes=1 << 60)

    with pytest.raises(LedgerStorageError) as caught:
        snapshots.take(box.ledger)

    assert caught.value.full


def test_not_inside_a_transaction(box: Box) -> None:
    """A snapshot is not made inside write() or read(), whose changes it could not see."""
    with pytest.raises(LedgerScopeError), box.ledger.write():
        box.snapshots.take(box.ledger)


def test_killed_at_every_step(tmp_path: Path) -> None:
    """Wherever making a snapshot is cut off, every snapshot that is there is good, and the next one is made."""
    cut, was_cut = 0, True
    while was_cut:
        cut += 1
        box = Box(tmp_path / str(cut))
        box.start()
        box.receive_and_route("1.2.3.1")
        earlier = box.snapshots.take(box.ledger)
        was_cut = False
        with crashing_at(cut):
            try:
                box.snapshots.take(box.ledger)
            except Crash:
                was_cut = True
        box.die()
        box.open()
        for snapshot in box.snapshots.all():
            cipher_file.check(snapshot, box.key)
        assert box.snapshots.all()[0] == earlier
        newest = box.snapshots.take(box.ledger)
        assert box.snapshots.newest_good() == newest
        assert not [path for path in _folder(box).iterdir() if ".new" in path.name]
        box.die()

    assert cut > 3
