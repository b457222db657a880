"""The root key: where it is read from, what is refused, and when a new one may be made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.core.errors import Fault
from appliance.keys.root import CREDENTIAL, RootKey, RootKeyExistsError, RootKeyMissingError, RootKeyUnreadableError, create_root, load_root

KEY = bytes(range(32))


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def test_a_new_root_is_read_back_and_private(tmp_path: Path) -> None:
    """What was created is loaded, in a file and a folder that only the owner may use."""
    root = create_root(tmp_path)

    path = tmp_path / "keys" / "root.key"
    assert root == load_root(tmp_path, None)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path] == list(path.parent.iterdir())


def test_two_new_roots_differ(tmp_path: Path) -> None:
    """Each box has its own."""
    assert create_root(tmp_path / "a") != create_root(tmp_path / "b")


def test_the_credential_comes_before_the_file(tmp_path: Path) -> None:
    """On the box the service manager's credential counts, whatever its mode bits look like."""
    create_root(tmp_path)
    credentials = tmp_path / "credentials"
    _write(credentials / CREDENTIAL, KEY.hex().encode() + b"\n", mode=0o440)

    root = load_root(tmp_path, credentials)

    assert RootKey(KEY) == root


def test_without_the_credential_the_file_counts(tmp_path: Path) -> None:
    """A credentials directory for other things does not hide the file."""
    (tmp_path / "credentials").mkdir()
    root = create_root(tmp_path)

    assert root == load_root(tmp_path, tmp_path / "credentials")


def test_a_missing_root_says_so_in_one_line(tmp_path: Path) -> None:
    """The message names the file, the advice says what to restore, the process ends with 1."""
    with pytest.raises(RootKeyMissingError) as missing:
        load_root(tmp_path, None)

    error = missing.value
    assert (error.fault, error.exit_code) == (Fault.OPERATOR, 1)
    assert str(tmp_path / "keys" / "root.key") in str(error)
    assert "\n" not in str(error)
    assert error.advice


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", KEY, KEY.hex().encode()[:-1], KEY.hex().encode() + b"00", KEY.hex().encode() + b"\n\n", b"g" * 64, b"-----BEGIN"],
)
def test_a_root_that_is_not_64_digits_is_unreadable(tmp_path: Path, content: bytes) -> None:
    """Wrong length and wrong characters are told apart from a missing key."""
    _write(tmp_path / "keys" / "root.key", content)

    with pytest.raises(RootKeyUnreadableError):
        load_root(tmp_path, None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_root_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """A key file with any bit for group or others is not used."""
    _write(tmp_path / "keys" / "root.key", KEY.hex().encode(), mode)

    with pytest.raises(RootKeyUnreadableError, match="others"):
        load_root(tmp_path, None)


def test_a_root_that_is_no_file_is_unreadable(tmp_path: Path) -> None:
    """A folder or a pipe in the key's place neither hangs nor passes."""
    (tmp_path / "keys").mkdir()
    os.mkfifo(tmp_path / "keys" / "root.key", 0o600)

    with pytest.raises(RootKeyUnreadableError, match="not a file"):
        load_root(tmp_path, None)


def test_the_key_shows_in_no_representation() -> None:
    """A root key in a traceback or a log line tells nothing."""
    assert repr(RootKey(KEY)) == "RootKey()"


@pytest.mark.parametrize(
    "protected",
    [
        "ledger/ledger.db",
        "accounts/accounts.db",
        "keys/generation-1.json",
        "spool/incoming/some.age",
        "spool/store/g1/2026010100/aa/some.age",
        "spool/quarantine/some.age",
    ],
)
def test_no_new_root_while_something_needs_the_old_one(tmp_path: Path, protected: str) -> None:
    """A new root would make what is there unreadable for ever, so none is made."""
    _write(tmp_path / protected, b"x")

    with pytest.raises(RootKeyMissingError):
        create_root(tmp_path)

    assert not (tmp_path / "keys" / "root.key").exists()


def test_a_root_is_never_replaced(tmp_path: Path) -> None:
    """Making a root where there is one changes nothing."""
    root = create_root(tmp_path)

    with pytest.raises(RootKeyExistsError):
        create_root(tmp_path)

    assert root == load_root(tmp_path, None)


def test_empty_folders_do_not_stand_in_the_way(tmp_path: Path) -> None:
    """A prepared data directory without objects takes its first root."""
    (tmp_path / "spool" / "incoming").mkdir(parents=True)

    root = create_root(tmp_path)

    assert root == load_root(tmp_path, None)
