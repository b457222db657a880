"""The box's own files are no secrets of destinations: who may set destinations up may not send its keys away."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.generations import Generations
from appliance.config.load import ConfigInvalidError


def a_site(path: Path) -> str:
    """Return a configuration whose destination is shown the content of a file as password."""
    return f"""
[[destination]]
name = "elsewhere"
kind = "sftp"
host = "elsewhere.example.org"
user = "edge"
host_key = "SHA256:{"A" * 43}"
password_file = "{path}"
proof = "delivered"
"""


def a_secret(path: Path) -> Path:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("secret", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("way", ["keys/root.key", "secrets/link"])
def test_a_key_of_the_box_is_no_password(tmp_path: Path, way: str) -> None:
    """Directly or by a link, a file of the data directory is refused, and nothing is put in force."""
    a_secret(tmp_path / "keys" / "root.key")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "link").symlink_to(tmp_path / "keys" / "root.key")

    with pytest.raises(ConfigInvalidError, match="belongs to the box itself"):
        Generations(tmp_path).apply(a_site(tmp_path / way), "kim", "test")

    assert Generations(tmp_path).current() is None


@pytest.mark.parametrize("where", ["data/secrets/typed", "elsewhere/token"])
def test_a_secret_of_the_destination_is(tmp_path: Path, where: str) -> None:
    """What somebody typed, and a file beside the box's own, is."""
    secret = a_secret(tmp_path / where)

    applied = Generations(tmp_path / "data").apply(a_site(secret), "kim", "test")

    assert 1 == applied.number
