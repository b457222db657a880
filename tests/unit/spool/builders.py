"""Builders for spool tests: keys made once, headers, and a spool with everything it needs."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.core.identity import Uid
from appliance.keys.generations import Recipients
from appliance.spool.age import SealReader, SealWriter
from appliance.spool.files import create_unnamed
from appliance.spool.heads import HeadPost
from appliance.spool.part10 import ObjectHeader
from appliance.spool.store import Spool

PRIVATE = bytes([7]) * 32
OTHER_PRIVATE = bytes([9]) * 32
DIGEST_KEY = bytes([5]) * 32
# 2026-01-01 00:00:00 UTC.
RECEIVED_AT = 1_767_225_600.25
OBJECT_ID = "019b76da" + "a8fa" + "0123456789abcdef0123"


def public_of(private: bytes) -> bytes:
    """Return the public half."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def a_header(
    *, reception_id: str = "", calling_title: str = "CT1", called_title: str = "EDGE", sop_instance_uid: str = "1.2.826.0.1.1"
) -> ObjectHeader:
    """Return the header of a CT instance."""
    return ObjectHeader(
        sop_class_uid=Uid("1.2.840.10008.5.1.4.1.1.2"),
        sop_instance_uid=Uid(sop_instance_uid),
        transfer_syntax_uid=Uid("1.2.840.10008.1.2.1"),
        calling_title=calling_title,
        called_title=called_title,
        peer_address="10.0.0.7",
        reception_id=reception_id,
        received_at=RECEIVED_AT,
    )


def a_spool(
    data: Path,
    *,
    generation: int = 1,
    private: bytes = PRIVATE,
    unnamed: Callable[[Path], int | None] = create_unnamed,
    heads: HeadPost | None = None,
) -> Spool:
    """Return a prepared spool that can receive and open."""
    spool = Spool(
        data,
        recipients=lambda: Recipients(generation, public_of(private), None),
        digest_key=DIGEST_KEY,
        identities={generation: private},
        unnamed=unnamed,
        heads=heads,
    )
    spool.prepare()
    return spool


def sealed(data: bytes, *privates: bytes) -> bytes:
    """Return `data` as an age file for these keys."""
    out = io.BytesIO()
    writer = SealWriter(out.write, [public_of(private) for private in privates or (PRIVATE,)])
    writer.write(data)
    writer.finish()
    return out.getvalue()


def opened(content: bytes, *privates: bytes) -> bytes:
    """Return what an age file holds, read in one go and to its authenticated end."""
    reader = SealReader(io.BytesIO(content), privates or (PRIVATE,))
    data = reader.read(len(content))
    assert reader.read(1) == b""
    return data


def files_under(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return sorted(path for path in folder.rglob("*") if not path.is_dir())
