"""The seal for any data: what goes in comes out, and what was touched never passes for whole."""

from __future__ import annotations

import io

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from appliance.spool.age import CHUNK_BYTES, SealDamagedError, SealError, SealReader, SealWriter
from tests.unit.spool.builders import OTHER_PRIVATE, PRIVATE, public_of

SEALED_CHUNK = CHUNK_BYTES + 16
# What the header of one recipient takes, nonce included: version line, stanza, MAC line.
HEADER = len(b"age-encryption.org/v1\n-> X25519 \n\n--- \n") + 43 + 43 + 43 + 16

# Around nothing, around a block of the cipher, and around the first three chunk borders.
sizes = st.one_of(
    st.integers(0, 200), *(st.integers(chunks * CHUNK_BYTES - 3, chunks * CHUNK_BYTES + 3) for chunks in (1, 2, 3)), st.integers(0, 200_000)
)
pieces = st.lists(st.integers(1, 2 * CHUNK_BYTES + 5), min_size=1, max_size=5)


def _data(size: int) -> bytes:
    """Return bytes in which no two chunks are alike."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


def _sealed(data: bytes, cuts: list[int], *privates: bytes) -> bytes:
    """Seal `data` written in pieces of the given sizes, again and again."""
    out = io.BytesIO()
    writer = SealWriter(out.write, [public_of(private) for private in privates])
    at = turn = 0
    while at < len(data):
        writer.write(memoryview(data)[at : at + cuts[turn % len(cuts)]])
        at, turn = at + cuts[turn % len(cuts)], turn + 1
    writer.finish()
    return out.getvalue()


def _released(content: bytes, size: int = 50_000) -> tuple[bytes, bool]:
    """Return what a reader gives of `content`, and whether it says that this is everything."""
    out = []
    try:
        reader = SealReader(io.BytesIO(content), [PRIVATE])
        while piece := reader.read(size):
            out.append(piece)
    except SealError:
        return b"".join(out), False
    return b"".join(out), True


@settings(max_examples=60, deadline=None)
@given(sizes, pieces, st.integers(1, 3 * CHUNK_BYTES))
def test_what_was_sealed_comes_back(size: int, cuts: list[int], read_size: int) -> None:
    """Any data, written and read in any pieces, come back whole, for each recipient's key."""
    data = _data(size)

    content = _sealed(data, cuts, OTHER_PRIVATE, PRIVATE)

    assert (data, True) == _released(content, max(read_size, size // 200 + 1))


@settings(max_examples=60, deadline=None)
@given(sizes, st.data())
def test_a_truncated_object_is_never_whole(size: int, data_of: st.DataObject) -> None:
    """Cut anywhere, what is released is a true beginning and the reader says that it is not all."""
    data = _data(size)
    content = _sealed(data, [CHUNK_BYTES], PRIVATE)
    borders = [HEADER + chunk * SEALED_CHUNK for chunk in range(4) if HEADER + chunk * SEALED_CHUNK < len(content)]
    cut = data_of.draw(st.one_of(st.integers(0, len(content) - 1), st.sampled_from([0, *borders])))

    released, whole = _released(content[:cut])

    assert not whole
    assert data.startswith(released)


@settings(max_examples=100, deadline=None)
@given(sizes, st.data())
def test_a_flipped_bit_is_found(size: int, data_of: st.DataObject) -> None:
    """One bit anywhere, header included, is found; what was released before is true."""
    data = _data(size)
    content = bytearray(_sealed(data, [CHUNK_BYTES], PRIVATE))
    at = data_of.draw(st.one_of(st.integers(0, len(content) - 1), st.integers(0, HEADER - 1)))
    content[at] ^= 1 << data_of.draw(st.integers(0, 7))

    released, whole = _released(bytes(content))

    assert not whole
    assert data.startswith(released)


@settings(max_examples=40, deadline=None)
@given(st.integers(2 * CHUNK_BYTES, 4 * CHUNK_BYTES), st.data())
def test_swapped_repeated_and_dropped_chunks_are_found(size: int, data_of: st.DataObject) -> None:
    """Chunks in any other order or number than they were sealed are found, within a file and between two."""
    data = _data(size)
    content = _sealed(data, [CHUNK_BYTES], PRIVATE)
    other = _sealed(data, [CHUNK_BYTES], PRIVATE)
    head, chunks = content[:HEADER], [content[at : at + SEALED_CHUNK] for at in range(HEADER, len(content), SEALED_CHUNK)]
    foreign = [other[at : at + SEALED_CHUNK] for at in range(HEADER, len(other), SEALED_CHUNK)]
    arranged = data_of.draw(st.lists(st.sampled_from([*chunks, foreign[0]]), max_size=len(chunks) + 1))
    assume(arranged != chunks)

    released, whole = _released(head + b"".join(arranged))

    assert not whole
    assert data.startswith(released)


@settings(max_examples=40, deadline=None)
@given(sizes, st.binary(min_size=1, max_size=100))
def test_bytes_behind_the_end_are_found(size: int, tail: bytes) -> None:
    """Nothing can be appended to an object."""
    data = _data(size)

    released, whole = _released(_sealed(data, [CHUNK_BYTES], PRIVATE) + tail)

    assert not whole
    assert data.startswith(released)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=500))
def test_noise_is_refused_and_nothing_else_is_raised(noise: bytes) -> None:
    """Whatever bytes stand in a file's place, only the seal's own errors come out."""
    for content in (noise, b"age-encryption.org/v1\n" + noise, b"age-encryption.org/v1\n-> X25519 " + noise):
        assert _released(content) == (b"", False)


def test_damage_is_called_damage() -> None:
    """A truncation is told as damage of the object, not as an unreadable format."""
    content = _sealed(_data(1000), [1000], PRIVATE)
    reader = SealReader(io.BytesIO(content[:-1]), [PRIVATE])

    with pytest.raises(SealDamagedError, match="chunk 0"):
        reader.read(1)
