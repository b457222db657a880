"""The published age test vectors: every verdict as expected, and before a failure only what was authenticated."""

from __future__ import annotations

import hashlib
import io
import zlib
from pathlib import Path

import pytest

from appliance.keys.recipient import decode_identity
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError, SealReader

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "data" / "age-testvectors"
NAMES = sorted(path.name for path in VECTORS.iterdir()) if VECTORS.is_dir() else []
ABSENT = "the published vectors are not beside this checkout"


def _vector(name: str) -> tuple[dict[str, list[str]], bytes]:
    """Return the fields of a vector and the age file it describes."""
    head, _, content = (VECTORS / name).read_bytes().partition(b"\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.decode("ascii").splitlines():
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    return fields, zlib.decompress(content) if fields.get("compressed") == ["zlib"] else content


def _verdict(content: bytes, identities: list[bytes], size: int) -> tuple[str, bytes]:
    """Read an age file in pieces of `size` and say how that ended, in the vectors' words, with what came out before."""
    try:
        reader = SealReader(io.BytesIO(content), identities)
    except SealFormatError:
        return "header failure", b""
    except SealForeignError:
        return "no match", b""
    except SealDamagedError:
        return "HMAC failure", b""
    out = []
    try:
        while piece := reader.read(size):
            out.append(piece)
    except SealDamagedError:
        return "payload failure", b"".join(out)
    return "success", b"".join(out)


@pytest.mark.skipif(not NAMES, reason=ABSENT)
def test_the_vectors_are_there() -> None:
    """A folder that lost its files does not pass as a tested one."""
    assert len(NAMES) >= 60


@pytest.mark.parametrize("size", [1 << 20, 65536, 4096 - 1])
@pytest.mark.parametrize("name", NAMES or [pytest.param("none", marks=pytest.mark.skip(reason=ABSENT))])
def test_a_vector_ends_as_published(name: str, size: int) -> None:
    """Verdict and released payload are those of the vector, however the reader is asked."""
    fields, content = _vector(name)
    if "armored" in fields or "passphrase" in fields:
        pytest.skip("neither armour nor passphrases are read here")
    identities = [decode_identity(text) for text in fields.get("identity", [])]

    verdict, payload = _verdict(content, identities, size)

    assert fields["expect"] == [verdict]
    if "payload" in fields:
        assert fields["payload"] == [hashlib.sha256(payload).hexdigest()]
