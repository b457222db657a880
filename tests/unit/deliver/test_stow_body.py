"""The body of a STOW-RS request: its length, its pieces, and what it never holds."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from appliance.core.identity import Uid
from appliance.deliver.bandwidth import Bandwidth, shaped
from appliance.deliver.task import Task
from appliance.deliver.transports.stow_body import Body, Part, prepare
from appliance.spool.age import SealDamagedError
from appliance.spool.names import SpoolName
from tests.fakes.clock import FakeClock
from tests.support import part10
from tests.support.stow_way import IMPLICIT, SealedTasks

# (0010,0010) PN in implicit little endian, then two bytes of (7FE0,0010).
IMPLICIT_DATA = b"\x10\x00\x10\x00\x02\x00\x00\x00AB" + b"\xe0\x7f\x10\x00\x02\x00\x00\x00\x01\x02"


@pytest.fixture
def sealed(tmp_path: Path) -> SealedTasks:
    """An empty spool."""
    return SealedTasks(tmp_path)


def a_part(sealed: SealedTasks, task: Task) -> Part:
    """Return the part of a task."""
    name = SpoolName.parse(task.claim.spool_name)
    assert name is not None
    return prepare(task, name, sealed.spool.open)


def a_body(sealed: SealedTasks, *tasks: Task) -> Body:
    """Return the body of these."""
    return Body([a_part(sealed, task) for task in tasks], sealed.spool.open)


@pytest.mark.parametrize("sizes", [(1,), (65536,), (65537, 2, 300_000)])
def test_the_length_is_what_comes_out(sealed: SealedTasks, sizes: tuple[int, ...]) -> None:
    """The length that is known before the first byte is that of all the pieces."""
    body = a_body(sealed, *(sealed.add(bytes(size)) for size in sizes))

    assert sum(map(len, body.pieces())) == body.length
    assert body.stored_bytes == sum(sizes)


def test_the_length_of_what_is_converted_is_known(sealed: SealedTasks) -> None:
    """An implicit data set is longer in explicit little endian; the body knows by how much before it begins."""
    part = a_part(sealed, sealed.add(IMPLICIT_DATA, syntax=IMPLICIT))
    body = Body([part], sealed.spool.open)

    content = b"".join(body.pieces())

    assert len(content) == body.length
    assert (part.syntax, part.length) == (Uid("1.2.840.10008.1.2.1"), len(IMPLICIT_DATA) + 4)
    assert b"\x10\x00\x10\x00PN\x02\x00AB" in content


def test_pieces_are_small(sealed: SealedTasks) -> None:
    """However large an object is, no piece holds more than 64 KiB of it, and memory does not grow with it."""
    body = a_body(sealed, sealed.add(bytes(16 << 20)))

    tracemalloc.start()
    largest = max(map(len, body.pieces()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert largest == 65536
    assert peak < 2 << 20


def test_boundaries_are_not_used_twice(sealed: SealedTasks) -> None:
    """Two bodies of the same object have other boundaries, so that nobody can know one beforehand."""
    task = sealed.add(b"x")

    assert a_body(sealed, task).content_type != a_body(sealed, task).content_type


def test_the_end_of_a_damaged_object_never_comes(sealed: SealedTasks) -> None:
    """The last piece of an object that is not whole is never given, and the body knows whose it was."""
    good, damaged = sealed.add(bytes(1000)), sealed.add(bytes(200_000))
    body = a_body(sealed, good, damaged)
    sealed.damage(damaged)

    came: list[bytes] = []
    with pytest.raises(SealDamagedError):
        came.extend(body.pieces())

    assert body.current is damaged
    assert 1000 < sum(map(len, came)) < body.length - 1000


def test_what_is_to_be_converted_is_read_before(sealed: SealedTasks) -> None:
    """Damage in an object whose length must be found first is met before anything is sent."""
    damaged = sealed.add(IMPLICIT_DATA + b"\xfc\xff\xfc\xff\x00\x00\x02\x00" + bytes(0x20000), syntax=IMPLICIT)
    sealed.damage(damaged)

    with pytest.raises(SealDamagedError):
        a_part(sealed, damaged)


def test_reading_for_the_length_costs_no_bandwidth(sealed: SealedTasks) -> None:
    """An object that is read twice, once for its length, waits for its destination's bandwidth only as it is sent."""
    data = IMPLICIT_DATA + b"\xfc\xff\xfc\xff\x00\x40\x00\x00" + bytes(0x4000)
    task, clock = sealed.add(data, syntax=IMPLICIT), FakeClock()
    name = SpoolName.parse(task.claim.spool_name)
    assert name is not None
    slow = shaped(sealed.spool.open, Bandwidth(len(data), clock))

    before = clock.now()
    body = Body([prepare(task, name, slow)], slow)
    prepared = clock.now()
    b"".join(body.pieces())

    assert prepared == before
    assert clock.now() != prepared


def test_the_file_is_a_dicom_file(sealed: SealedTasks) -> None:
    """Behind its head each part is a file with the identity of its instance."""
    task = sealed.add(b"data")
    first, *_ = a_body(sealed, task).pieces()

    meta, rest = part10.split(first.partition(b"\r\n\r\n")[2])

    assert (meta[part10.SOP_CLASS], meta[part10.SOP_INSTANCE]) == (task.claim.sop_class_uid, task.claim.sop_instance_uid)
    assert rest == b""
