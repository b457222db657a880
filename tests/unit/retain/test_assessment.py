"""Whether a ledger has to be rebuilt: what is damaged, what is missing, and what is somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.ledger import cipher_file, faults
from appliance.ledger.access import RebuildCause, rebuild_requested, request_rebuild
from appliance.ledger.cipher_file import connect, execute
from appliance.ledger.database import Ledger
from appliance.ledger.migrations import LATEST
from appliance.retain.assessment import is_in_doubt, is_proven
from appliance.retain.snapshot import Snapshots
from tests.unit.retain.bench import Box

OTHER_KEY = bytes(32)


def test_the_first_start_makes_a_ledger(tmp_path: Path) -> None:
    """A new box gets an empty ledger and no rebuild."""
    box = Box(tmp_path)

    assert box.marked() is None
    assert box.ledger_file.exists()
    assert rebuild_requested(tmp_path) is None


def test_a_good_ledger_is_left_alone(box: Box) -> None:
    """A ledger that can be used is not rebuilt, and what it holds is there."""
    box.receive_and_route("1.2.3.1")
    box.die()

    assert box.start() is None
    assert box.stands("1.2.3.1") == "queued"


def _random(_content: bytes) -> bytes:
    return os.urandom(40_000)


def _text(_content: bytes) -> bytes:
    return b"this is not a database " * 1000


def _flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    for offset in range(4096 + 2000, len(changed), 4096):
        changed[offset] ^= 1
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "random bytes": _random,
    "text": _text,
    "empty": lambda _content: b"",
    "a piece of a page": lambda content: content[:1000],
    "one page": lambda content: content[:4096],
    "half": lambda content: content[: len(content) // 2],
    "half, not at a page": lambda content: content[: len(content) // 2 + 1000],
    "last page gone": lambda content: content[:-4096],
    "flipped bits": _flipped,
    "first page random": lambda content: os.urandom(4096) + content[4096:],
    "first bytes flipped": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_found(box: Box, damage: Callable[[bytes], bytes]) -> None:
    """Whatever happened to the file, it is found and marked, and the file is left as it is for the rebuild."""
    box.receive_and_route(*(f"1.2.3.{number}" for number in range(20)))
    box.die()
    box.change_file(box.ledger_file, damage)
    before = box.ledger_file.read_bytes()

    cause = box.marked()

    assert cause is RebuildCause.DAMAGED
    assert rebuild_requested(box.data) is RebuildCause.DAMAGED
    assert box.ledger_file.read_bytes() == before


def _only_snapshots(box: Box) -> None:
    box.keeper.round()


def _only_incoming(box: Box) -> None:
    box.receive("1.2.3.1")


def _only_store(box: Box) -> None:
    box.receive_and_route("1.2.3.1")


@pytest.mark.parametrize("left", [_only_snapshots, _only_incoming, _only_store])
def test_a_missing_ledger_is_missed(box: Box, left: Callable[[Box], None]) -> None:
    """Where there is anything that a ledger knew, a missing one is rebuilt and not made empty."""
    left(box)
    box.lose()

    assert box.marked() is RebuildCause.MISSING
    assert not box.ledger_file.exists()


def _other_box(box: Box) -> None:
    """Put the ledger of a box with another key in the place of this one's."""
    content = _ledger_of(box.data.parent / "other", OTHER_KEY)
    box.ledger_file.write_bytes(content)


def _ledger_of(data: Path, key: bytes) -> bytes:
    Ledger.open(data, key, migrate=True).let_go()
    return (data / "ledger" / "ledger.db").read_bytes()


def test_a_wrong_key_is_refused_where_nothing_proves_the_right_one(box: Box) -> None:
    """A ledger that does not open in a box that holds nothing else is refused, and nothing is marked or touched."""
    box.die()
    _other_box(box)
    before = box.ledger_file.read_bytes()

    with pytest.raises(faults.LedgerKeyError) as caught:
        box.marked()

    assert caught.value.advice
    assert rebuild_requested(box.data) is None
    assert box.ledger_file.read_bytes() == before


def test_a_wrong_root_key_destroys_nothing(box: Box) -> None:
    """With another root key in the whole box nothing is marked, moved or removed, whatever is asked."""
    box.receive_and_route("1.2.3.1")
    box.keeper.round()
    box.receive("1.2.3.2")
    box.die()
    before = _everything(box.data)
    foreign = Box(box.data.parent / "foreign")
    box.spool._identities = foreign.spool._identities
    box.key = foreign.key
    box.snapshots = Snapshots(box.data, foreign.key, box.clock)

    with pytest.raises(faults.LedgerKeyError):
        box.marked()
    with pytest.raises(faults.LedgerKeyError):
        box.rebuild().run()

    assert _everything(box.data) == before


def _everything(data: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in data.rglob("*") if path.is_file()}


# A box's process that records a study and is killed before it could close the ledger.
_KILLED = """
import os, sys
from pathlib import Path
from appliance.ledger.database import Ledger
ledger = Ledger.open(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), migrate=False)
with ledger.write():
    ledger.change("INSERT INTO study VALUES (NULL, '9.9', '', '', '', '', '', '', '', 0)")
os._exit(9)
"""


def test_a_wrong_key_spares_the_write_ahead_log(box: Box) -> None:
    """What was committed and not yet moved into the database is still there after somebody came with another key."""
    box.die()
    subprocess.run([sys.executable, "-c", _KILLED, str(box.data), box.key.hex()], check=False)
    assert box.ledger_file.with_name("ledger.db-wal").stat().st_size > 0
    key, box.key = box.key, OTHER_KEY

    with pytest.raises(faults.LedgerKeyError):
        box.marked()

    box.key = key
    assert box.marked() is None
    box.open()
    with box.ledger.read():
        assert box.ledger.rows("SELECT study_instance_uid FROM study") == [("9.9",)]


def test_a_proven_key_says_that_the_file_is_damaged(box: Box) -> None:
    """In a box whose objects open, a ledger that does not is damaged, even when it is another box's."""
    box.receive_and_route("1.2.3.1")
    box.die()
    _other_box(box)

    assert box.marked() is RebuildCause.DAMAGED


def test_what_proves_a_key(box: Box) -> None:
    """A snapshot or any object that opens proves the key; objects that do not open speak against it; nothing says nothing."""
    seen = [is_proven(box.spool, box.data, box.snapshots)]
    name = box.receive("1.2.3.1")
    seen.append(is_proven(box.spool, box.data, box.snapshots))
    box.change_file(box.data / "spool" / "incoming" / str(name), lambda content: content[:100])
    seen.append(is_proven(box.spool, box.data, box.snapshots))
    box.receive("1.2.3.2")
    seen.append(is_proven(box.spool, box.data, box.snapshots))

    assert seen == [None, True, False, True]


def test_a_snapshot_proves_the_key(box: Box) -> None:
    """A snapshot that opens is proof even when every object is damaged."""
    name = box.receive("1.2.3.1")
    box.change_file(box.data / "spool" / "incoming" / str(name), lambda content: content[:100])
    box.keeper.round()

    assert is_proven(box.spool, box.data, box.snapshots) is True


def test_a_check_that_finds_nothing_takes_the_mark_away(box: Box) -> None:
    """Damage that somebody met and that a check of the whole file does not find is no reason to rebuild."""
    box.die()
    request_rebuild(box.data, RebuildCause.DAMAGED)
    left = box.data / "ledger" / "ledger.rebuilding"
    left.write_bytes(b"left over")

    assert box.marked() is None
    assert rebuild_requested(box.data) is None
    assert not left.exists()


def test_what_a_person_asks_for_is_done(box: Box) -> None:
    """A rebuild that was asked for is done whatever state the ledger is in."""
    box.die()
    request_rebuild(box.data, RebuildCause.REQUESTED)

    assert box.marked() is RebuildCause.REQUESTED


def test_a_locked_ledger_is_not_damaged(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that keeps the database to itself is named as the trouble; nothing is marked, and later the ledger is as it was."""
    box.receive_and_route("1.2.3.1")
    box.die()
    monkeypatch.setattr(cipher_file, "_BUSY_S", 0.05)
    other = connect(box.ledger_file, box.key)
    for statement in ("PRAGMA locking_mode = exclusive", "BEGIN IMMEDIATE", "UPDATE study SET received_at = 1"):
        execute(other, statement)

    with pytest.raises(faults.LedgerLockedError):
        box.marked()

    execute(other, "ROLLBACK")
    other.close()
    assert rebuild_requested(box.data) is None
    assert box.start() is None
    assert box.stands("1.2.3.1") == "queued"


def test_doubt_is_cheap_to_ask_about(box: Box) -> None:
    """A ledger is in doubt when it is marked or missing, and not otherwise."""
    seen = [is_in_doubt(box.data)]
    box.die()
    request_rebuild(box.data, RebuildCause.DAMAGED)
    seen.append(is_in_doubt(box.data))
    box.marked()
    seen.append(is_in_doubt(box.data))
    box.ledger_file.unlink()
    seen.append(is_in_doubt(box.data))

    assert seen == [False, True, False, True]


def test_a_newer_ledger_is_refused(box: Box) -> None:
    """A ledger of a newer version is neither opened nor rebuilt."""
    box.receive_and_route("1.2.3.1")
    box.die()
    database = connect(box.ledger_file, box.key)
    execute(database, "INSERT INTO schema_version VALUES (?)", (LATEST + 1,))
    database.close()

    with pytest.raises(faults.LedgerNewerError):
        box.marked()

    assert rebuild_requested(box.data) is None
