"""Objects of several key generations in one spool, opened by a process that started before the newer keys were made."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.keys.derive import Label, derive
from appliance.keys.generations import RememberedRecipients, ensure_keys
from appliance.keys.identities import RememberedIdentities
from appliance.keys.root import RootKey
from appliance.keys.rotation import rotate
from appliance.spool.age import SealForeignError
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.unit.spool.builders import a_header

ROOT = RootKey(bytes(range(32)))
DIGEST = derive(ROOT.material, Label.DIGEST)


def _received(spool: Spool, data: bytes) -> SpoolName:
    with spool.admit(a_header()) as admission:
        admission.write(data)
        return admission.commit()


def _content(spool: Spool, name: SpoolName) -> bytes:
    with spool.open(name) as sealed:
        content = sealed.read(name.length)
        assert sealed.read(1) == b""
    return content


def test_rotation_while_objects_are_opened(tmp_path: Path) -> None:
    """A receiver seals to the new generation at once, and a reader that lives since before opens old and new ones, also one half read."""
    ensure_keys(tmp_path, ROOT)
    receiver = Spool(tmp_path, recipients=RememberedRecipients(tmp_path), digest_key=DIGEST)
    receiver.prepare()
    reader = Spool(tmp_path, digest_key=DIGEST, identities=RememberedIdentities(tmp_path, ROOT))
    old = bytes(range(256)) * 1000
    names = [_received(receiver, old)]

    with reader.open(names[0]) as half_read:
        begun = half_read.read(100)
        rotate(tmp_path, ROOT)
        names.append(_received(receiver, b"new"))
        rotate(tmp_path, ROOT)
        names.append(_received(receiver, b"newer"))
        contents = [_content(reader, name) for name in names]
        begun += half_read.read(len(old))

    assert [1, 2, 3] == [name.generation for name in names]
    assert [old, b"new", b"newer"] == contents
    assert old == begun


def test_an_object_of_a_generation_that_is_nowhere_is_foreign(tmp_path: Path) -> None:
    """Without its key file an object is foreign, not damaged: the file may be put back, and then it opens."""
    ensure_keys(tmp_path, ROOT)
    spool = Spool(tmp_path, recipients=RememberedRecipients(tmp_path), digest_key=DIGEST, identities=RememberedIdentities(tmp_path, ROOT))
    spool.prepare()
    rotate(tmp_path, ROOT)
    name = _received(spool, b"data")
    key = tmp_path / "keys" / "generation-2.json"
    content = key.read_bytes()
    key.unlink()

    with pytest.raises(SealForeignError, match="no key of generation 2"):
        spool.open(name)
    key.write_bytes(content)

    assert b"data" == _content(spool, name)
