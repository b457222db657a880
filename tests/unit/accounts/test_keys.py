"""The keys of the accounts: inherited in a memory file by the pages, derived from the root key by others, and never the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.keyring import ACCOUNTS_VARIABLE, accounts_keys, accounts_secret
from appliance.keys.root import create_root


def test_the_pages_inherit_what_others_derive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory file has the key of the accounts, then what signs cookies; whoever has the root key gets the same two."""
    root = create_root(tmp_path)
    derived = accounts_keys(tmp_path)
    file = os.memfd_create("accounts")
    os.write(file, accounts_secret(root))
    monkeypatch.setenv(ACCOUNTS_VARIABLE, str(file))
    (tmp_path / "keys" / "root.key").unlink()

    inherited = accounts_keys(tmp_path)

    os.close(file)
    assert inherited == derived
    assert [len(key) for key in derived] == [32, 32]
    assert derived[0] != derived[1]
