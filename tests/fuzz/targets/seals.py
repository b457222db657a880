"""`spool/age.SealReader`: no byte that was not sealed, in its order, and no end that was not sealed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from hashlib import shake_128

from appliance.spool.age import CHUNK_BYTES, TAG_BYTES, SealError, SealReader, SealWriter
from tests.fuzz.target import Bound, Script, Target, record
from tests.unit.spool.builders import OTHER_PRIVATE, PRIVATE, public_of

_SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES
_SHORT = b"what was sealed"
# Three chunks and a bit, no two alike.
_LONG = shake_128(b"long").digest(3 * CHUNK_BYTES + 100)

REPLACE, DELETE, INSERT, COPY, CUT, GRAFT = range(6)


@cache
def _sealed(which: int) -> tuple[bytes, bytes]:
    """Return what was sealed, and the file: short for us, for another, for both, empty, exactly a chunk, or long."""
    data, *privates = (
        (_SHORT, PRIVATE), (_SHORT, OTHER_PRIVATE), (_SHORT, OTHER_PRIVATE, PRIVATE), (b"", PRIVATE), (_LONG[:CHUNK_BYTES], PRIVATE),
        (_LONG, PRIVATE),
    )[which]  # fmt: skip
    out, counter = io.BytesIO(), iter(range(1 << 30))
    # The same file each time, so that an input means the same tomorrow.
    writer = SealWriter(
        out.write,
        [public_of(private) for private in privates],
        entropy=lambda size: shake_128(b"%d %d" % (which, next(counter))).digest(size),
    )
    writer.write(data)
    writer.finish()
    return data, out.getvalue()


def _header_bytes(sealed: bytes) -> int:
    """Return how long a file's header is: the line with the MAC and the nonce end it."""
    return sealed.index(b"--- ") + len(b"--- ") + 43 + len(b"\n") + 16


def _run(data: bytes) -> None:
    script = Script(data)
    which, size = script.byte(), 300 + 31 * script.byte() ** 2
    # With the upper bit the bytes themselves: nobody who does not hold a file can make one that opens.
    content = script.rest() if which >= 128 else _edited(_sealed(which % 6)[1], script)
    released, is_whole, problem = _released(content, size)
    assert is_whole != bool(problem)
    # A script may put one object in the other's place; that is for the name and the digest to find (`spool/sealed`).
    begun = [other for other in map(_sealed, range(6)) if content.startswith(other[1][: _header_bytes(other[1])])]
    plain, sealed = begun[0] if begun else (b"", b"")
    assert plain.startswith(released), "bytes came out that were not sealed"
    if is_whole:
        assert (released, content) == (plain, sealed), "a changed object passes for whole"
    elif begun and content == sealed:
        assert begun[0] == _sealed(1), problem


def _released(content: bytes, size: int) -> tuple[bytes, bool, str]:
    out = bytearray()
    try:
        reader = SealReader(io.BytesIO(content), [PRIVATE])
    except SealError as error:
        return b"", False, str(error)
    try:
        while piece := reader.read(size):
            assert len(piece) <= size
            out += piece
    except SealError as error:
        try:
            assert not reader.read(size), "it goes on after damage"
        except SealError:
            return bytes(out), False, str(error)
        raise AssertionError("damage looks like an end at the next call") from None
    assert reader.read(size) == b""
    return bytes(out), True, ""


def _edited(sealed: bytes, script: Script) -> bytes:
    """Return the file changed by a script; positions count from the beginning, or from a border of the chunks."""
    out = bytearray(sealed)
    header = _header_bytes(sealed)
    for kind, content in script.records():
        if len(content) < 4:
            continue
        at = int.from_bytes(content[1:3], "big") + (header + content[0] % 4 * _SEALED_CHUNK if content[0] >= 128 else 0)
        length = content[3] if content[3] < 128 else _SEALED_CHUNK * (content[3] % 4)
        at = min(at, len(out))
        match kind % 6:
            case 0:
                out[at : at + len(content) - 4] = content[4:]
            case 1:
                del out[at : at + length]
            case 2:
                out[at:at] = content[4:]
            case 3:
                out[at:at] = out[at : at + length]
            case 4:
                del out[at:]
            case _:
                # A piece of another object, sealed to the same key.
                out[at : at + length] = _sealed(5)[1][at : at + length]
    return bytes(out[: 8 * _SEALED_CHUNK])


def _seeds() -> Iterator[bytes]:
    for which in range(6):
        yield bytes([which, 200])
        if which < 4:
            # 132 is a multiple of six.
            yield bytes([132 + which, 200]) + _sealed(which)[1]
    yield bytes([5, 200]) + record(REPLACE, b"\0\0\x30\0A")
    yield bytes([5, 20]) + record(COPY, b"\x81\0\0\x81")
    yield bytes([5, 99]) + record(DELETE, b"\x81\0\0\x81") + record(CUT, b"\x82\0\0\0")
    yield bytes([2, 200]) + record(INSERT, b"\0\0\x16\0-> X a b\n\n") + record(GRAFT, b"\x80\0\0\x81")


# 64 KiB of header are read line by line; every X25519 stanza costs an exchange of keys, whose lines are few.
SEAL = Target(
    "seal",
    _run,
    _seeds,
    (b"-> X25519 ", b"\n", b"--- ", b"-> ", b"age-encryption.org/v1\n", b"=", b"A" * 64 + b"\n", b"A" * 43, b" "),
    steps=Bound(40_000, 60),
    memory=Bound(3 << 20, 64),
    longest=2048,
)
