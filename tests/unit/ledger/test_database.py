"""The ledger's file: who may open it, what each kind of trouble says, and that nothing in it can be read without the key."""

from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from playhouse.sqlcipher_ext import SqlCipherDatabase

from appliance.core.errors import ApplianceError
from appliance.ledger import cipher_file, faults
from appliance.ledger.database import Ledger
from appliance.ledger.instances import InstanceState
from appliance.ledger.migrations import LATEST
from tests.unit.ledger.bench import KEY, Bench, facts, with_attributes

OTHER_KEY = bytes(32)
PLANTED = "PLANTEDNAME^OFNOBODY"

# A program that enters write(), changes something, says so, and stays inside until its standard input ends.
_STAYS_INSIDE = """
import sys
from pathlib import Path
from appliance.ledger.database import Ledger
ledger = Ledger.open(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), migrate=False)
with ledger.write():
    ledger.change("INSERT INTO study VALUES (NULL, '9.9', '', '', '', '', '', '', '', 0)")
    print("inside", flush=True)
    sys.stdin.read()
"""

# A program that, once told to go, makes many transactions, each reading a number and writing the next one.
_COUNTS = """
import sys
from pathlib import Path
from appliance.ledger.database import Ledger
ledger = Ledger.open(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), migrate=False)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(200):
    with ledger.write():
        number = ledger.rows("SELECT received_at FROM study")[0][0]
        ledger.change("UPDATE study SET received_at = ?", (number + 1,))
"""


def _start(program: str, data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(data), KEY.hex()]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _studies(ledger: Ledger) -> int:
    with ledger.read():
        return int(ledger.rows("SELECT count(*) FROM study")[0][0])


def _add_study(ledger: Ledger, uid: str) -> None:
    ledger.change("INSERT INTO study VALUES (NULL, ?, '', '', '', '', '', '', '', 0)", (uid,))


def _raw(data: Path, key: bytes = KEY) -> SqlCipherDatabase:
    return SqlCipherDatabase(str(data / "ledger" / "ledger.db"), passphrase=f"x'{key.hex()}'")


def test_a_new_ledger_is_for_its_owner_only(bench: Bench) -> None:
    """The directory is 0700 and every file in it 0600, the write-ahead log too."""
    with bench.ledger.write():
        _add_study(bench.ledger, "1.2.3")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (bench.data / "ledger").iterdir()}

    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}
    assert stat.S_IMODE((bench.data / "ledger").stat().st_mode) == 0o700
    assert stat.S_IMODE((bench.data / "ledger.lock").stat().st_mode) == 0o600


def test_commits_are_durable_and_references_kept(bench: Bench) -> None:
    """Each connection syncs every commit, checks references and keeps its temporary data in memory."""
    names = ("journal_mode", "synchronous", "foreign_keys", "temp_store")

    with bench.ledger.read():
        settings = [bench.ledger.rows(f"PRAGMA {name}")[0][0] for name in names]

    # SQLite's numbers: synchronous 2 is FULL, temp_store 2 is MEMORY.
    assert settings == ["wal", 2, 1, 2]


def test_nothing_is_in_clear_on_the_disk(bench: Bench) -> None:
    """A planted name is in no file under the data directory, neither in the write-ahead log nor after it was moved into the database."""
    with bench.ledger.write():
        for number in range(200):
            bench.instances.add(
                with_attributes(facts(number, study=f"1.2.{number}"), patient_name=PLANTED), version=1, state=InstanceState.STORED
            )
    before = {path.name: path.read_bytes() for path in bench.data.rglob("*") if path.is_file()}
    bench.ledger.close()
    after = {path.name: path.read_bytes() for path in bench.data.rglob("*") if path.is_file()}

    assert len(before["ledger.db-wal"]) > 100_000
    assert "ledger.db-wal" not in after
    for content in (*before.values(), *after.values()):
        assert PLANTED.encode() not in content
        assert b"CREATE TABLE" not in content
        assert not content.startswith(b"SQLite format")


def test_statements_are_never_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Even when every library logs everything, no value that was stored is in the log."""
    caplog.set_level(logging.DEBUG)

    with bench.ledger.write():
        bench.instances.add(with_attributes(facts(1), patient_name=PLANTED), version=1, state=InstanceState.STORED)

    assert PLANTED not in caplog.text


def _wrong_key(data: Path) -> None:
    _make(data, OTHER_KEY)


def _text_file(data: Path) -> None:
    _put(data, b"this is not a database " * 1000)


def _plain_database(data: Path) -> None:
    (data / "ledger").mkdir(parents=True)
    with closing(sqlite3.connect(data / "ledger" / "ledger.db")) as connection:
        connection.execute("CREATE TABLE somebody_elses (id)")


def _foreign_database(data: Path) -> None:
    (data / "ledger").mkdir(parents=True)
    raw = _raw(data)
    raw.execute_sql("CREATE TABLE somebody_elses (id)")
    raw.close()


def _newer(data: Path) -> None:
    _make(data)
    raw = _raw(data)
    raw.execute_sql("INSERT INTO schema_version VALUES (?)", (LATEST + 1,))
    raw.close()


def _empty(data: Path) -> None:
    _put(data, b"")


def _damaged_inside(data: Path) -> None:
    _make(data)
    path = data / "ledger" / "ledger.db"
    content = bytearray(path.read_bytes())
    # In the middle of every page after the first, so that it does not matter which of them are in use.
    for offset in range(4096 + 2000, len(content), 4096):
        content[offset] ^= 1
    path.write_bytes(content)


def _make(data: Path, key: bytes = KEY) -> None:
    Ledger.open(data, key, migrate=True).close()


def _put(data: Path, content: bytes) -> None:
    (data / "ledger").mkdir(parents=True)
    (data / "ledger" / "ledger.db").write_bytes(content)


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (_wrong_key, faults.LedgerKeyError),
        (_text_file, faults.LedgerKeyError),
        (_plain_database, faults.LedgerKeyError),
        (_foreign_database, faults.LedgerForeignError),
        (_newer, faults.LedgerNewerError),
        (_empty, faults.LedgerDamagedError),
        (_damaged_inside, faults.LedgerDamagedError),
    ],
)
def test_each_trouble_says_what_it_is(tmp_path: Path, trouble: Callable[[Path], None], error: type[ApplianceError]) -> None:
    """A ledger that cannot be used is refused with one line and advice, and is left as it was."""
    trouble(tmp_path)
    before = (tmp_path / "ledger" / "ledger.db").read_bytes()

    with pytest.raises(error) as caught:
        Ledger.open(tmp_path, KEY, migrate=True)

    assert "\n" not in str(caught.value)
    assert caught.value.advice
    assert caught.value.exit_code == 1
    assert (tmp_path / "ledger" / "ledger.db").read_bytes() == before


def test_a_missing_ledger_is_made_only_on_request(tmp_path: Path) -> None:
    """A daemon never makes a ledger; only the start of the box does."""
    with pytest.raises(faults.LedgerMissingError):
        Ledger.open(tmp_path, KEY, migrate=False)

    assert list(tmp_path.iterdir()) == []


def test_an_older_ledger_is_not_opened_without_migrating(tmp_path: Path) -> None:
    """A daemon never meets a schema that its code does not know."""
    _make(tmp_path)
    raw = _raw(tmp_path)
    raw.execute_sql("DELETE FROM schema_version WHERE version = ?", (LATEST,))
    raw.close()

    with pytest.raises(faults.LedgerOlderError):
        Ledger.open(tmp_path, KEY, migrate=False)


def test_a_ledger_that_was_never_finished_is_made_anew(tmp_path: Path) -> None:
    """A power cut while the ledger is made leaves nothing that stands in the way."""
    (tmp_path / "ledger").mkdir()
    for name in ("ledger.new", "ledger.new-wal", "ledger.db-wal", "ledger.db-shm"):
        (tmp_path / "ledger" / name).write_bytes(b"left over")

    ledger = Ledger.open(tmp_path, KEY, migrate=True)

    assert _studies(ledger) == 0
    ledger.close()
    assert [path.name for path in (tmp_path / "ledger").iterdir()] == ["ledger.db"]


def test_a_ledger_opens_again(bench: Bench) -> None:
    """What was committed is there after closing, for those who migrate and those who do not."""
    with bench.ledger.write():
        _add_study(bench.ledger, "1.2.3")
    bench.ledger.close()

    seen = []
    for migrate in (True, False):
        ledger = Ledger.open(bench.data, KEY, migrate=migrate)
        seen.append(_studies(ledger))
        ledger.close()

    assert seen == [1, 1]


def test_a_key_has_32_bytes(tmp_path: Path) -> None:
    """A short key is refused before anything is made."""
    with pytest.raises(ValueError, match="32 bytes"):
        Ledger.open(tmp_path, b"short", migrate=True)

    assert list(tmp_path.iterdir()) == []


def test_an_exception_undoes_everything(bench: Bench) -> None:
    """A write() that raises has changed nothing, and the next one works."""

    def fail() -> None:
        with bench.ledger.write():
            _add_study(bench.ledger, "1.2.3")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()

    with bench.ledger.write():
        _add_study(bench.ledger, "1.2.4")

    with bench.ledger.read():
        assert bench.ledger.rows("SELECT study_instance_uid FROM study") == [("1.2.4",)]


def test_a_refused_statement_is_our_fault_and_undoes_everything(bench: Bench) -> None:
    """A broken constraint comes out as an error of the ledger, without the values."""

    def add_twice() -> None:
        with bench.ledger.write():
            _add_study(bench.ledger, PLANTED)
            _add_study(bench.ledger, PLANTED)

    with pytest.raises(faults.LedgerStatementError) as caught:
        add_twice()

    assert str(caught.value) == "the ledger refused a statement: UNIQUE constraint failed: study.study_instance_uid"
    assert _studies(bench.ledger) == 0


def test_a_full_disk_is_told_and_undone(bench: Bench) -> None:
    """When no page can be added, the error says that the disk is full; the ledger stays usable."""
    with bench.ledger.read():
        bench.ledger.rows("PRAGMA max_page_count = 1")

    def add_many() -> None:
        with bench.ledger.write():
            for number in range(1000):
                _add_study(bench.ledger, f"1.2.{number}")

    with pytest.raises(faults.LedgerStorageError) as caught:
        add_many()

    assert caught.value.full
    assert _studies(bench.ledger) == 0


def test_no_lock_file_can_be_made(bench: Bench) -> None:
    """Trouble with the lock file is an error of the ledger too."""
    (bench.data / "ledger.lock").unlink()
    (bench.data / "ledger.lock").mkdir()

    with pytest.raises(faults.LedgerStorageError) as caught, bench.ledger.write():
        pytest.fail("entered without the lock")

    assert not caught.value.full


def test_errors_of_the_block_stay_what_they_are(bench: Bench) -> None:
    """An operating system error inside write() is not taken for the ledger's."""
    with pytest.raises(FileNotFoundError), bench.ledger.write():
        (bench.data / "nowhere").read_bytes()


def test_work_outside_a_transaction_is_refused(bench: Bench) -> None:
    """Reading needs read() or write(), changing needs write(), and neither nests."""
    with pytest.raises(faults.LedgerScopeError):
        bench.instances.counts()
    with pytest.raises(faults.LedgerScopeError), bench.ledger.read():
        bench.instances.quarantine(1)
    with pytest.raises(faults.LedgerScopeError), bench.ledger.write(), bench.ledger.write():
        pytest.fail("nested")
    with pytest.raises(faults.LedgerScopeError), bench.ledger.write(), bench.ledger.read():
        pytest.fail("nested")

    assert _studies(bench.ledger) == 0


def test_a_read_sees_one_moment(bench: Bench) -> None:
    """What another thread commits meanwhile is not seen before the read() ends, and the read() does not stop it."""

    def write_in_another_thread() -> None:
        with bench.ledger.write():
            _add_study(bench.ledger, "1.2.3")

    with bench.ledger.read():
        first = bench.ledger.rows("SELECT count(*) FROM study")
        thread = threading.Thread(target=write_in_another_thread)
        thread.start()
        thread.join()
        second = bench.ledger.rows("SELECT count(*) FROM study")

    assert (first, second) == ([(0,)], [(0,)])
    assert _studies(bench.ledger) == 1


def test_threads_write_one_at_a_time(bench: Bench) -> None:
    """Read-modify-write by eight threads loses no step."""
    with bench.ledger.write():
        _add_study(bench.ledger, "1.2.3")

    def count() -> None:
        for _ in range(25):
            with bench.ledger.write():
                number = bench.ledger.rows("SELECT received_at FROM study")[0][0]
                bench.ledger.change("UPDATE study SET received_at = ?", (number + 1,))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with bench.ledger.read():
        assert bench.ledger.rows("SELECT received_at FROM study") == [(200,)]


def test_a_threads_connection_ends_with_it(bench: Bench) -> None:
    """Threads that come and go leave no open database behind."""

    def look() -> None:
        assert _studies(bench.ledger) == 0

    def open_files() -> int:
        return sum("ledger.db" in str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())

    def look_in_threads() -> int:
        for _ in range(10):
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
        return open_files()

    # SQLite keeps a few descriptors for its next connections, so that the first threads are no measure.
    first = look_in_threads()
    second = look_in_threads()

    assert second <= first


def test_processes_write_one_at_a_time(bench: Bench) -> None:
    """Read-modify-write by two processes and this one loses no step and fails nobody."""
    with bench.ledger.write():
        _add_study(bench.ledger, "1.2.3")
    processes = [_start(_COUNTS, bench.data) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for _ in range(200):
        with bench.ledger.write():
            number = bench.ledger.rows("SELECT received_at FROM study")[0][0]
            bench.ledger.change("UPDATE study SET received_at = ?", (number + 1,))
    for process in processes:
        process.communicate()

    assert [process.returncode for process in processes] == [0, 0]
    with bench.ledger.read():
        assert bench.ledger.rows("SELECT received_at FROM study") == [(600,)]


def test_a_killed_writer_leaves_nothing_and_frees_the_lock(bench: Bench) -> None:
    """SIGKILL inside write() undoes it, and the next writer goes on at once."""
    process = _start(_STAYS_INSIDE, bench.data)
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"

    process.kill()
    process.communicate()
    with bench.ledger.write():
        _add_study(bench.ledger, "1.2.3")

    with bench.ledger.read():
        assert bench.ledger.rows("SELECT study_instance_uid FROM study") == [("1.2.3",)]


def test_another_programs_lock_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ignores the writers' line and keeps the database locked is named as the trouble."""
    monkeypatch.setattr(cipher_file, "_BUSY_S", 0.05)
    ledger = Ledger.open(bench.data, KEY, migrate=False)
    other = _raw(bench.data)
    other.execute_sql("BEGIN IMMEDIATE")

    with pytest.raises(faults.LedgerLockedError), ledger.write():
        pytest.fail("two writers")

    other.execute_sql("ROLLBACK")
    other.close()
    with ledger.write():
        _add_study(ledger, "1.2.3")
    ledger.close()
