"""Secrets that somebody typed into a page: where they are kept, who can read them, and when they go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.config.model import Site
from appliance.config.secret_files import read_secret
from appliance.manage.typed_secrets import SecretUnusableError, SecretUnwritableError, forget_unused, keep_secret, secrets_folder
from tests.unit.config.texts import HOST_KEY


def test_a_secret_is_read_back_as_it_was_typed(tmp_path: Path) -> None:
    """What the sender reads is what was typed, from a file that nobody else can read."""
    path = keep_secret(tmp_path, " pa ss\tword ")

    assert " pa ss\tword " == read_secret(path)
    assert 0o600 == Path(path).stat().st_mode & 0o777
    assert 0o700 == secrets_folder(tmp_path).stat().st_mode & 0o777


def test_a_pasted_key_has_the_lines_of_a_file(tmp_path: Path) -> None:
    """Browsers end lines with two characters, which no reader of keys takes."""
    path = keep_secret(tmp_path, "-----BEGIN-----\r\nabc\r\n-----END-----\r\n")

    assert b"-----BEGIN-----\nabc\n-----END-----\n" == Path(path).read_bytes()


def test_no_two_secrets_share_a_file(tmp_path: Path) -> None:
    """The one that is in force stays what it is while another is tried."""
    assert keep_secret(tmp_path, "a") != keep_secret(tmp_path, "a")


@pytest.mark.parametrize("secret", ["", "  \n", "a\0b", "x" * 65536, "\ud800"], ids=["empty", "blank", "nul", "long", "no-text"])
def test_what_can_be_no_secret_is_refused(tmp_path: Path, secret: str) -> None:
    """Nothing is kept of it, and it is in no message."""
    with pytest.raises(SecretUnusableError) as raised:
        keep_secret(tmp_path, secret)

    assert not secrets_folder(tmp_path).exists()
    assert not secret.strip() or secret not in str(raised.value)


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    """Whoever typed it hears why, and that nothing was kept."""
    secrets_folder(tmp_path).write_text("in the way")

    with pytest.raises(SecretUnwritableError):
        keep_secret(tmp_path, "abc")


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    """Whoever types for ever does not fill the disk."""
    secrets_folder(tmp_path).mkdir()
    for number in range(200):
        (secrets_folder(tmp_path) / str(number)).touch()

    with pytest.raises(SecretUnusableError):
        keep_secret(tmp_path, "abc")


def test_what_nobody_uses_goes_after_a_day(tmp_path: Path) -> None:
    """What is a destination's stays for ever, what was typed today stays until tomorrow."""
    used, old, fresh = (Path(keep_secret(tmp_path, text)) for text in ("used", "old", "fresh"))
    now = fresh.stat().st_mtime
    for path in (used, old):
        os.utime(path, (now - 90_000, now - 90_000))
    account = {"name": "depot", "kind": "sftp", "host": "depot", "user": "edge", "host_key": HOST_KEY, "key_file": str(used)}

    forget_unused(tmp_path, Site.model_validate({"destination": [account]}), now)

    assert {used.name, fresh.name} == {path.name for path in secrets_folder(tmp_path).iterdir()}
