"""Files that hold a secret: only those that nobody else can read are used, and what they hold is in no message."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.config.secret_files import SecretFileError, read_secret


def a_secret_file(directory: Path, content: bytes = b"hunter2\n", mode: int = 0o600) -> Path:
    """Return a file with this content and mode."""
    path = directory / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("content", "expected"), [(b"hunter2\n", "hunter2"), (b"hunter2", "hunter2"), (b" a b \r\n", " a b "), (b"a\nb\n", "a\nb")]
)
def test_a_secret_is_what_the_file_says(tmp_path: Path, content: bytes, expected: str) -> None:
    """Nothing but the line break at the end is taken off."""
    secret = read_secret(str(a_secret_file(tmp_path, content)))

    assert secret == expected


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """A secret that a group or everybody can read or change is none."""
    with pytest.raises(SecretFileError, match="by other users") as caught:
        read_secret(str(a_secret_file(tmp_path, mode=mode)))

    assert "chmod 600" in caught.value.advice
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"hunter2" * 10_000, b"hunter2\xff"], ids=["empty", "blank", "large", "not text"])
def test_what_can_be_no_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, huge and unreadable files are refused, without a word of what they hold."""
    with pytest.raises(SecretFileError) as caught:
        read_secret(str(a_secret_file(tmp_path, content)))

    assert "hunter2" not in f"{caught.value}{caught.value.advice}{caught.value.__cause__}"


def test_a_named_pipe_holds_nobody_up(tmp_path: Path) -> None:
    """What is no file is refused at once."""
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(SecretFileError, match="is not a file"):
        read_secret(str(tmp_path / "pipe"))


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns the file can change the secret."""
    path = a_secret_file(tmp_path)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        os.chown(path, 12345, 12345)

    with pytest.raises(SecretFileError, match="belongs to another user"):
        read_secret(str(path))
