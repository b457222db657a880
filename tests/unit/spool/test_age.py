"""The age stream: what is written, what is held back, and what a reader may ask of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from appliance.spool.age import CHUNK_BYTES, SealDamagedError, SealForeignError, SealFormatError, SealReader, SealWriter
from tests.unit.spool.builders import OTHER_PRIVATE, PRIVATE, opened, public_of, sealed

THIRD_PRIVATE = bytes([11]) * 32


def _counting_entropy() -> Callable[[int], bytes]:
    """Return an entropy source whose answers all differ and are the same in each run."""
    calls = iter(range(1, 256))
    return lambda size: bytes([next(calls)]) * size


class _FailingFile(io.BytesIO):
    """A file that fails once, after so many reads."""

    def __init__(self, content: bytes, good_reads: int) -> None:
        super().__init__(content)
        self._good_reads = good_reads

    def read(self, size: int | None = -1) -> bytes:
        self._count()
        return super().read(size)

    def readinto(self, buffer: Any) -> int:
        self._count()
        return super().readinto(buffer)

    def _count(self) -> None:
        self._good_reads -= 1
        if self._good_reads < 0:
            raise OSError(5, "Input/output error")


@pytest.mark.parametrize("private", [PRIVATE, OTHER_PRIVATE])
def test_each_recipient_opens_alone(private: bytes) -> None:
    """The box's key and the recovery key both open the same object."""
    content = sealed(b"data", PRIVATE, OTHER_PRIVATE)

    assert opened(content, private) == b"data"


def test_several_identities_may_be_tried() -> None:
    """A reader with keys of several generations finds the one that fits."""
    assert opened(sealed(b"data", PRIVATE), THIRD_PRIVATE, OTHER_PRIVATE, PRIVATE) == b"data"


def test_another_key_is_foreign() -> None:
    """Without the right key nothing is read, and the error says whose trouble it is."""
    with pytest.raises(SealForeignError):
        SealReader(io.BytesIO(sealed(b"data", PRIVATE)), [OTHER_PRIVATE])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"age-encryption.org/v1", id="no line end"),
        pytest.param(b"age-encryption.org/v2\n", id="other version"),
        pytest.param(b"DICM", id="something else"),
        pytest.param(b"age-encryption.org/v1\n--- AAAA\n", id="no stanza"),
        pytest.param(b"age-encryption.org/v1\n" + b"-> x\n\n" * 20_000, id="endless"),
    ],
)
def test_what_is_no_age_file_is_refused(content: bytes) -> None:
    """A header that is none, or never ends, is a format error and costs bounded memory."""
    with pytest.raises(SealFormatError):
        SealReader(io.BytesIO(content), [PRIVATE])


def test_nobody_to_seal_to_is_a_defect() -> None:
    """An object that nobody could open is not written."""
    with pytest.raises(ValueError, match="somebody"):
        SealWriter(io.BytesIO().write, [])


def test_the_same_entropy_gives_the_same_file() -> None:
    """All randomness comes from the argument, so a test can pin a stream."""
    files = []
    for _ in range(2):
        out = io.BytesIO()
        writer = SealWriter(out.write, [public_of(PRIVATE)], entropy=_counting_entropy())
        writer.write(b"x" * 100_000)
        writer.finish()
        files.append(out.getvalue())

    assert files[0] == files[1]


def test_two_files_share_no_key() -> None:
    """The same data sealed twice look different everywhere behind the version line."""
    first, second = sealed(b"data"), sealed(b"data")

    assert first != second
    assert first[-20:] != second[-20:]


@pytest.mark.parametrize("piece", [1000, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 131_060])
def test_the_pieces_written_do_not_matter(piece: int) -> None:
    """PDVs of any size give the chunks that one big write gives."""
    data = bytes(range(256)) * 1200
    out = io.BytesIO()
    writer = SealWriter(out.write, [public_of(PRIVATE)], entropy=_counting_entropy())
    for start in range(0, len(data), piece):
        writer.write(memoryview(data)[start : start + piece])
    writer.finish()
    whole = io.BytesIO()
    writer = SealWriter(whole.write, [public_of(PRIVATE)], entropy=_counting_entropy())
    writer.write(data)
    writer.finish()

    assert whole.getvalue() == out.getvalue()


def test_the_caller_may_use_its_buffer_again() -> None:
    """What was written does not change when the caller's buffer does."""
    out = io.BytesIO()
    writer = SealWriter(out.write, [public_of(PRIVATE)])
    buffer = bytearray(b"a" * 1000)
    writer.write(memoryview(buffer))
    buffer[:] = b"b" * 1000
    writer.finish()

    assert opened(out.getvalue()) == b"a" * 1000


def test_no_more_than_a_chunk_is_held_back() -> None:
    """Everything but the last chunk is on its way out while data arrive."""
    out = io.BytesIO()
    writer = SealWriter(out.write, [public_of(PRIVATE)])
    before = len(out.getvalue())

    writer.write(bytes(3 * CHUNK_BYTES))

    assert len(out.getvalue()) - before == 2 * (CHUNK_BYTES + 16)


def test_a_finished_stream_takes_nothing_more() -> None:
    """Writing or finishing after the end is a defect."""
    writer = SealWriter(io.BytesIO().write, [public_of(PRIVATE)])
    writer.finish()

    with pytest.raises(ValueError, match="finished"):
        writer.write(b"x")
    with pytest.raises(ValueError, match="finished"):
        writer.finish()


@pytest.mark.parametrize("size", [1, 1000, CHUNK_BYTES, 100_000])
def test_a_read_is_short_only_at_the_end(size: int) -> None:
    """A reader gets what it asks for across chunk borders until the data end."""
    data = bytes(range(256)) * (3 if size == 1 else 600)
    reader = SealReader(io.BytesIO(sealed(data)), [PRIVATE])

    pieces = []
    while piece := reader.read(size):
        pieces.append(piece)

    assert all(len(piece) == size for piece in pieces[:-1])
    assert data == b"".join(pieces)


def test_a_read_of_nothing_is_nothing() -> None:
    """Asking for no bytes neither reads nor ends anything."""
    reader = SealReader(io.BytesIO(sealed(b"data")), [PRIVATE])

    assert reader.read(0) == b""
    assert reader.read(10) == b"data"


def test_damage_stays_damage() -> None:
    """What stood before the damage is given first; from then on every call raises."""
    content = bytearray(sealed(bytes(CHUNK_BYTES) + b"tail"))
    content[-1] ^= 1
    reader = SealReader(io.BytesIO(content), [PRIVATE])

    assert reader.read(10 * CHUNK_BYTES) == bytes(CHUNK_BYTES)
    for _ in range(3):
        with pytest.raises(SealDamagedError):
            reader.read(1)


def test_an_error_of_the_disk_is_not_damage() -> None:
    """EIO comes through as what it is, so that a sick disk is not taken for a forged file."""
    reader = SealReader(_FailingFile(sealed(bytes(2 * CHUNK_BYTES)), good_reads=2), [PRIVATE])

    assert reader.read(CHUNK_BYTES) == bytes(CHUNK_BYTES)
    with pytest.raises(OSError, match="Input/output"):
        reader.read(1)
