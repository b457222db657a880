"""The store in the order of arrival, where an object is, and the way back to `incoming/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.spool.names import SpoolName
from appliance.spool.stored import Place, StoredObjects


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Make the folders of a spool."""
    for place in Place:
        (tmp_path / "spool" / place).mkdir(parents=True)
    return tmp_path / "spool"


def _name(milliseconds: int, *, generation: int = 1, digest: str = "ab", kind: str = "i") -> SpoolName:
    name = SpoolName.parse(f"{milliseconds:012x}{0:020x}-g{generation}-{digest}{0:030x}-10.{kind}.age")
    assert name is not None
    return name


def _put(spool: Path, name: SpoolName, place: Place = Place.STORE) -> Path:
    folder = spool / place / name.store_directory() if place is Place.STORE else spool / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(name)).write_bytes(b"sealed")
    return folder / str(name)


def test_objects_come_in_the_order_of_arrival(tmp_path: Path, spool: Path) -> None:
    """Whatever hour, generation or folder they are in, objects come by their ids, messages among them."""
    hour = 3_600_000
    names = [
        _name(1, digest="ff"),
        _name(2, digest="00", kind="m"),
        _name(3, generation=2, digest="00"),
        _name(4, digest="77"),
        _name(hour, generation=2),
        _name(hour + 1),
        _name(30 * hour),
    ]
    for name in reversed(names):
        _put(spool, name)

    assert list(StoredObjects(tmp_path).in_order()) == names


def test_what_is_not_an_object_in_its_place_is_passed_over(tmp_path: Path, spool: Path) -> None:
    """Files of others, objects in a wrong folder, and links to folders are no objects of the store."""
    path = _put(spool, _name(1))
    (path.parent / "notes.txt").write_bytes(b"")
    (spool / "store" / "readme").write_bytes(b"")
    (path.parent / str(_name(7_200_000))).write_bytes(b"")
    (spool / "store" / "g9").symlink_to(spool / "store" / "g1")

    assert list(StoredObjects(tmp_path).in_order()) == [_name(1)]


def test_where_an_object_is(tmp_path: Path, spool: Path) -> None:
    """An object is found in each of its places, and nowhere when it is gone."""
    stored = StoredObjects(tmp_path)
    for number, place in enumerate(Place):
        _put(spool, _name(number), place)

    assert [stored.place(_name(number)) for number in range(4)] == [Place.STORE, Place.INCOMING, Place.QUARANTINE, None]


def test_an_empty_spool(tmp_path: Path, spool: Path) -> None:
    """A spool without objects is empty, with or without folders; one object anywhere, except in quarantine, ends that."""
    stored = StoredObjects(tmp_path)
    seen = [StoredObjects(tmp_path / "nowhere").is_empty(), stored.is_empty()]
    _put(spool, _name(1), Place.QUARANTINE)
    seen.append(stored.is_empty())
    path = _put(spool, _name(2))
    seen.append(stored.is_empty())
    path.unlink()
    _put(spool, _name(3), Place.INCOMING)
    seen.append(stored.is_empty())

    assert seen == [True, True, True, False, False]


def test_sending_back(tmp_path: Path, spool: Path) -> None:
    """Objects sent back wait again, the others stay; doing it again, or with one that waits already, does no harm."""
    stored = StoredObjects(tmp_path)
    names = [_name(number, digest=f"0{number}") for number in range(4)]
    for name in names:
        _put(spool, name)

    for _ in range(2):
        stored.send_back(names[:2])
    stored.send_back([])

    assert list(stored.in_order()) == names[2:]
    assert [stored.place(name) for name in names] == [Place.INCOMING, Place.INCOMING, Place.STORE, Place.STORE]
