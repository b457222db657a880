"""Blanks: files made ready for the next object, and that one made for other keys, or not made at all, changes nothing."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.keys.generations import Recipients
from appliance.spool.files import create_unnamed
from appliance.spool.store import Spool, SpoolWriteError
from tests.unit.spool.builders import DIGEST_KEY, OTHER_PRIVATE, PRIVATE, a_header, files_under, public_of

DATA = b"\1\2" * 50_000


class Making:
    """Makes unnamed files, counts them, and fails when it is told to."""

    def __init__(self) -> None:
        """Fail not yet."""
        self.made: list[int] = []
        self.fails = False

    def __call__(self, folder: Path) -> int | None:
        """Make one."""
        if self.fails:
            raise OSError(errno.ENOSPC, "full")
        descriptor = create_unnamed(folder)
        assert descriptor is not None
        self.made.append(descriptor)
        return descriptor


class Keys:
    """The recipients in force, which a test changes."""

    def __init__(self) -> None:
        """Begin with the first generation."""
        self.now = Recipients(1, public_of(PRIVATE), None)

    def __call__(self) -> Recipients:
        """Return them."""
        return self.now


@pytest.fixture
def making() -> Making:
    """What makes the files."""
    return Making()


@pytest.fixture
def keys() -> Keys:
    """The keys."""
    return Keys()


@pytest.fixture
def spool(tmp_path: Path, making: Making, keys: Keys) -> Iterator[Spool]:
    """A spool that opens what it seals."""
    spool = Spool(tmp_path, recipients=keys, digest_key=DIGEST_KEY, identities={1: PRIVATE, 2: OTHER_PRIVATE}, unnamed=making)
    spool.prepare()
    yield spool
    spool.close()


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _received(spool: Spool) -> bytes:
    with spool.admit(a_header()) as entry:
        entry.write(DATA)
        name = entry.commit()
    with spool.open(name) as sealed:
        return sealed.read(len(DATA))


def test_the_next_object_takes_what_was_made_ready(spool: Spool, making: Making) -> None:
    """An object uses the blank that waits, whole and readable, and no second file is made for it; the one after it makes its own."""
    spool.make_ready()

    first = _received(spool)
    made_for_first = len(making.made)
    second = _received(spool)

    assert (first, second) == (DATA, DATA)
    assert (made_for_first, len(making.made)) == (1, 2)


def test_a_blank_of_other_keys_is_never_used(spool: Spool, making: Making, keys: Keys) -> None:
    """After a rotation of the keys the next object is sealed to the new ones, under the new generation, and the old blank is closed."""
    spool.make_ready()
    keys.now = Recipients(2, public_of(OTHER_PRIVATE), None)

    received = _received(spool)

    assert received == DATA
    assert len(making.made) == 2
    assert [name.generation for name in spool.incoming()] == [2]
    assert not _is_open(making.made[0])


def test_a_full_disk_is_told_to_the_next_object_only(spool: Spool, making: Making) -> None:
    """Making ready fails silently; the object that needs the file then says why it cannot be taken."""
    making.fails = True
    spool.make_ready()

    with pytest.raises(SpoolWriteError) as refused:
        spool.admit(a_header())

    assert refused.value.full


def test_a_thread_has_one_and_takes_it_along(spool: Spool, making: Making, tmp_path: Path) -> None:
    """However often an association makes ready, one file waits, nothing of it can be seen, and it is closed when its thread ends."""
    before = files_under(tmp_path)
    open_ones: list[int] = []

    def serve() -> None:
        for _ in range(3):
            spool.make_ready()
        open_ones.extend(descriptor for descriptor in set(making.made) if _is_open(descriptor))

    association = threading.Thread(target=serve)
    association.start()
    association.join()

    assert len(open_ones) == 1
    assert files_under(tmp_path) == before
    assert not _is_open(open_ones[0])


def test_threads_do_not_share_one(spool: Spool, making: Making) -> None:
    """What one association made ready, another does not get."""
    spool.make_ready()

    other = threading.Thread(target=_received, args=[spool])
    other.start()
    other.join()

    assert len(making.made) == 2


def test_files_that_need_a_name_are_not_made_ahead(tmp_path: Path) -> None:
    """On a file system without nameless files nothing waits in a folder where only a sweep would find it."""
    spool = Spool(tmp_path, recipients=Keys(), digest_key=DIGEST_KEY, unnamed=lambda _: None)
    spool.prepare()
    before = files_under(tmp_path)

    spool.make_ready()

    assert files_under(tmp_path) == before
    spool.close()
