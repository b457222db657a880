"""Debian's age tools as the independent witness: they open what the box sealed, and the box opens what they sealed."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from appliance.keys.derive import Label, derive
from appliance.keys.generations import active_recipients, create_generation, ensure_keys, recovery, set_recovery, unlock
from appliance.keys.recipient import RecipientInvalidError, decode_identity, decode_recipient, encode_identity, encode_recipient
from appliance.keys.root import create_root
from appliance.spool.age import CHUNK_BYTES, SealDamagedError, SealReader
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.unit.spool.builders import a_header

pytestmark = pytest.mark.skipif(
    shutil.which("age") is None or shutil.which("age-keygen") is None, reason="the age and age-keygen commands are not installed"
)

# SOP Instance UID and pixel data, explicit little endian.
DATA_SET = b"\x08\x00\x18\x00UI\x0e\x001.2.826.0.1.1\x00\xe0\x7f\x10\x00OW\x00\x00\x00\x00\x03\x00" + bytes(range(256)) * 768
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 300_000]


def _run(*command: str | Path, content: bytes = b"") -> bytes:
    """Return the standard output of a command that succeeds."""
    done = subprocess.run([str(word) for word in command], input=content, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _identity_file(path: Path, private: bytes) -> Path:
    path.write_text(f"# of a test\n{encode_identity(private)}\n")
    return path


class _KeyedBox:
    """A data directory with keys and a spool."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.root = create_root(data)
        ensure_keys(data, self.root)
        self.spool = Spool(
            data,
            recipients=lambda: active_recipients(data),
            digest_key=derive(self.root.material, Label.DIGEST),
            identities=unlock(data, self.root),
        )
        self.spool.prepare()

    def receive(self, data_set: bytes) -> tuple[SpoolName, Path]:
        """Return the name and the path of a received object."""
        with self.spool.admit(a_header()) as entry:
            entry.write(data_set)
            name = entry.commit()
        return name, self.data / "spool/incoming" / str(name)


@pytest.fixture
def box(tmp_path: Path) -> _KeyedBox:
    """A box on its first start."""
    return _KeyedBox(tmp_path / "data")


def test_age_opens_a_received_object_as_a_dicom_file(box: _KeyedBox, tmp_path: Path) -> None:
    """`age -d` with the box's key yields a DICOM file with the data set as it was received."""
    _, path = box.receive(DATA_SET)
    key = _identity_file(tmp_path / "box.key", unlock(box.data, box.root)[1])

    content = _run("age", "-d", "-i", key, path)

    ds = pydicom.dcmread(io.BytesIO(content))
    assert content.endswith(DATA_SET)
    assert (ds.SOPInstanceUID, ds.file_meta.TransferSyntaxUID) == ("1.2.826.0.1.1", "1.2.840.10008.1.2.1")
    assert len(ds.PixelData) == 256 * 768


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_objects_of_every_size(box: _KeyedBox, tmp_path: Path, size: int) -> None:
    """Around chunk borders the tool and the box agree on every byte."""
    data_set = os.urandom(size)
    _, path = box.receive(data_set)
    key = _identity_file(tmp_path / "box.key", unlock(box.data, box.root)[1])

    content = _run("age", "-d", "-i", key, path)

    assert data_set == content[len(content) - size :]


def test_the_hospitals_recovery_key_opens_what_the_box_sealed(box: _KeyedBox, tmp_path: Path) -> None:
    """A key pair made by age-keygen, of which the box knows the public half only, opens objects without the box's keys."""
    _, before = box.receive(DATA_SET)
    key = tmp_path / "recovery.key"
    _run("age-keygen", "-o", key)
    set_recovery(box.data, _run("age-keygen", "-y", key).decode())
    name, after = box.receive(DATA_SET)

    assert _run("age", "-d", "-i", key, after).endswith(DATA_SET)
    with box.spool.open(name) as sealed:
        assert sealed.read(len(DATA_SET)) == DATA_SET
    refused = subprocess.run(["age", "-d", "-i", str(key), str(before)], capture_output=True, check=False, timeout=60)
    assert refused.returncode != 0


def test_every_generation_opens_its_own_objects(box: _KeyedBox, tmp_path: Path) -> None:
    """After a rotation the old key opens old objects, the new key new ones."""
    _, old = box.receive(DATA_SET)
    create_generation(box.data, box.root)
    name, new = box.receive(DATA_SET)
    keys = {number: _identity_file(tmp_path / f"{number}.key", private) for number, private in unlock(box.data, box.root).items()}

    assert name.generation == 2
    assert _run("age", "-d", "-i", keys[1], old).endswith(DATA_SET)
    assert _run("age", "-d", "-i", keys[2], new).endswith(DATA_SET)


@pytest.mark.parametrize("size", SIZES)
def test_the_box_opens_what_age_sealed(box: _KeyedBox, size: int) -> None:
    """A file sealed by the tool to the box's recipient reads here, whatever other recipients it has."""
    data = os.urandom(size)
    recipients = active_recipients(box.data)
    stranger = _run("age-keygen", "-y", content=_run("age-keygen")).decode().strip()

    content = _run("age", "-r", stranger, "-r", encode_recipient(recipients.box), content=data)

    reader = SealReader(io.BytesIO(content), unlock(box.data, box.root).values())
    assert data == reader.read(size + 1)
    assert reader.read(1) == b""


def test_a_file_that_age_refuses_is_refused_here_too(box: _KeyedBox, tmp_path: Path) -> None:
    """Tool and box agree that a truncated object is no object."""
    name, path = box.receive(DATA_SET)
    key = _identity_file(tmp_path / "box.key", unlock(box.data, box.root)[1])
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)

    refused = subprocess.run(["age", "-d", "-i", str(key), str(path)], capture_output=True, check=False, timeout=60)

    assert refused.returncode != 0
    with box.spool.open(name) as sealed, pytest.raises(SealDamagedError):
        sealed.read(len(DATA_SET))


def test_the_documented_way_out_needs_nothing_of_ours(box: _KeyedBox, tmp_path: Path) -> None:
    """The lines printed in docs/formats.md, with the root key and a generation file, give `age` what it needs."""
    _, path = box.receive(DATA_SET)
    text = (Path(__file__).resolve().parents[2] / "docs/formats.md").read_text(encoding="utf-8")
    program = tmp_path / "unwrap.py"
    program.write_text(text.partition("```python\n")[2].partition("```")[0], encoding="utf-8")

    key = _run(sys.executable, "-I", program, box.data / "keys/root.key", box.data / "keys/generation-1.json")

    (tmp_path / "box.key").write_bytes(key)
    assert _run("age", "-d", "-i", tmp_path / "box.key", path).endswith(DATA_SET)


def test_keys_that_age_keygen_made_read_here(tmp_path: Path) -> None:
    """The texts of both halves decode to a pair, and encode to the same texts."""
    for number in range(5):
        key = tmp_path / f"{number}.key"
        _run("age-keygen", "-o", key)
        (private_text,) = [line for line in key.read_text().splitlines() if not line.startswith("#")]
        public_text = _run("age-keygen", "-y", key).decode().strip()

        assert private_text == encode_identity(decode_identity(private_text))
        assert public_text == encode_recipient(decode_recipient(public_text))


def test_the_private_half_by_mistake_is_refused(box: _KeyedBox) -> None:
    """An administrator who pastes the file of age-keygen does not put the private key on the box."""
    text = _run("age-keygen").decode()

    with pytest.raises(RecipientInvalidError):
        set_recovery(box.data, text)
    with pytest.raises(RecipientInvalidError):
        set_recovery(box.data, text.splitlines()[-1])
    assert recovery(box.data) is None


def test_nothing_received_is_on_the_disk_in_clear(box: _KeyedBox) -> None:
    """A planted name is in no file of the data directory."""
    box.receive(b"PLANTED^NAME" * 30_000)

    leaks = [path for path in box.data.rglob("*") if path.is_file() and b"PLANTED^NAME" in path.read_bytes()]

    assert leaks == []
