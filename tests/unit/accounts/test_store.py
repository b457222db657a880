"""The database of accounts on the disk: made, kept private, opened with one key only, and whole after whatever ended."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance.accounts import journal
from appliance.accounts.faults import AccountsDamagedError, AccountsKeyError, AccountsMissingError, AccountsNewerError
from appliance.accounts.journal import Entry
from appliance.accounts.person import Console
from appliance.accounts.store import AccountStore, ClashError, accounts_path

_KEY = bytes(range(32))


def a_store(data: Path, key: bytes = _KEY) -> AccountStore:
    """Return accounts that are ready."""
    store = AccountStore(data, key)
    store.prepare()
    return store


def test_nothing_of_it_can_be_read_without_the_key(tmp_path: Path) -> None:
    """Neither file nor log says what is in it, and nobody else on the machine may open them."""
    store = a_store(tmp_path)
    with store.write() as work:
        journal.write(work, 1.0, Console("ngocanh"), Entry("source.added", "CT1"))

    files = sorted(accounts_path(tmp_path).parent.iterdir())

    assert "accounts.db" in {file.name for file in files}
    assert all(b"ngocanh" not in file.read_bytes() and b"SQLite" not in file.read_bytes() for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(accounts_path(tmp_path).parent.stat().st_mode) == 0o700
    store.close()


def test_another_key_is_told_as_such(tmp_path: Path) -> None:
    """With another root key the error says what to put back, and nothing is changed."""
    a_store(tmp_path).close()
    before = accounts_path(tmp_path).read_bytes()

    with pytest.raises(AccountsKeyError) as refused:
        AccountStore(tmp_path, bytes(32)).prepare()

    assert "root key" in refused.value.advice
    assert accounts_path(tmp_path).read_bytes() == before


def test_a_box_that_never_started_has_none(tmp_path: Path) -> None:
    """Whoever only opens the accounts makes none."""
    with pytest.raises(AccountsMissingError), AccountStore(tmp_path, _KEY).read():
        pass

    assert not accounts_path(tmp_path).exists()


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    """An older version of the appliance refuses what a newer one wrote."""
    store = a_store(tmp_path)
    with store.write() as work:
        work.insert("INSERT INTO schema_version (version) VALUES (?)", (99,))
    store.close()

    with pytest.raises(AccountsNewerError):
        AccountStore(tmp_path, _KEY).prepare()


def test_damage_is_told_as_such(tmp_path: Path) -> None:
    """A page that was overwritten is found at the start."""
    store = a_store(tmp_path)
    with store.write() as work:
        for number in range(200):
            journal.write(work, float(number), Console("kim"), Entry("source.added", "x" * 500))
    store.close()
    with accounts_path(tmp_path).open("r+b") as file:
        file.seek(-6000, os.SEEK_END)
        file.write(bytes(2000))

    with pytest.raises(AccountsDamagedError):
        AccountStore(tmp_path, _KEY).prepare()


def test_a_half_made_one_is_made_anew(tmp_path: Path) -> None:
    """What a power cut left of the first start is no obstacle to the next."""
    draft = accounts_path(tmp_path).with_name("accounts.new")
    draft.parent.mkdir()
    draft.write_bytes(b"half")

    store = a_store(tmp_path)

    with store.read() as work:
        assert work.rows("SELECT count(*) FROM person") == [(0,)]
    assert not draft.exists()
    store.close()


def test_what_raises_leaves_nothing(tmp_path: Path) -> None:
    """A transaction that ends with an error changed nothing, and the next one works."""
    store = a_store(tmp_path)

    def written_and_failed() -> None:
        with store.write() as work:
            journal.write(work, 1.0, Console("kim"), Entry("source.added"))
            raise KeyError

    with pytest.raises(KeyError):
        written_and_failed()

    with store.read() as work:
        rows = work.rows("SELECT count(*) FROM journal")

    assert rows == [(0,)]
    store.close()


@pytest.mark.parametrize("statement", ["UPDATE journal SET who = 'lan'", "DELETE FROM journal"])
def test_the_journal_is_only_added_to(tmp_path: Path, statement: str) -> None:
    """The database itself refuses to change or remove what somebody did."""
    store = a_store(tmp_path)
    with store.write() as work:
        journal.write(work, 1.0, Console("kim"), Entry("source.added"))

    with pytest.raises(ClashError), store.write() as work:
        work.change(statement)

    with store.read() as work:
        assert work.rows("SELECT who FROM journal") == [("kim",)]
    store.close()
