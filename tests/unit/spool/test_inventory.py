"""The inventory: everything that lies in the spool is met once, in one order, and what does not belong there is told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.spool.inventory import Found, Inventory
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.unit.spool.builders import RECEIVED_AT, a_header, a_spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Make a spool that can receive."""
    return a_spool(tmp_path)


def _received(spool: Spool, count: int = 1, *, hours: int = 0) -> list[SpoolName]:
    names = []
    for number in range(count):
        with spool.admit(replace(a_header(), received_at=RECEIVED_AT + 3600 * hours)) as admission:
            admission.write(f"{hours} {number}".encode())
            names.append(admission.commit())
    return names


def _stored(spool: Spool, count: int = 1, *, hours: int = 0) -> list[SpoolName]:
    names = _received(spool, count, hours=hours)
    spool.move_to_store(names)
    return names


def _place(tmp_path: Path, name: SpoolName) -> Path:
    return tmp_path / "spool" / "store" / name.store_directory() / str(name)


def test_everything_is_met_once(spool: Spool, tmp_path: Path) -> None:
    """What waits and what is stored is found, under the path where it lies."""
    stored, waiting = _stored(spool, 20) + _stored(spool, 5, hours=30), _received(spool, 3)

    found = list(Inventory(tmp_path).files())

    assert sorted([*stored, *waiting]) == sorted(one.name for one in found if one.name is not None)
    assert all((tmp_path / "spool" / one.where).is_file() for one in found)
    assert [f"incoming/{name}" for name in waiting] == [one.where for one in found[:3]]


def test_a_walk_goes_on_behind_any_file(spool: Spool, tmp_path: Path) -> None:
    """Wherever a walk ended, the next one yields exactly the rest, in the same order, strange files included."""
    names = [*_stored(spool, 12), *_stored(spool, 6, hours=30), *_received(spool, 3)]
    for folder in (tmp_path / "spool/incoming", tmp_path / "spool/store", _place(tmp_path, names[0]).parent):
        for strange in ("0", "zz"):
            (folder / strange).touch()
    inventory = Inventory(tmp_path)

    found = list(inventory.files())

    assert len(names) + 6 == len(found)
    assert [found[number + 1 :] for number in range(len(found))] == [list(inventory.files(one.where)) for one in found]


def test_strange_files_are_named_by_their_inode(spool: Spool, tmp_path: Path) -> None:
    """A file that is no object of ours, lies in the wrong folder, or is a folder, is met without its name."""
    (name,) = _stored(spool)
    place = _place(tmp_path, name)
    strange = [tmp_path / "spool/incoming/QUARTZVOLE", tmp_path / "spool/store/QUARTZVOLE", place.with_name(f"{name}.bak")]
    for path in strange:
        path.touch()
    misplaced = tmp_path / "spool/store" / str(name)
    misplaced.write_bytes(b"")
    folder = tmp_path / "spool/store/g1/QUARTZVOLE"
    folder.mkdir()
    (folder / "file").touch()

    found = list(Inventory(tmp_path).files())

    expected = {f"{path.parent.relative_to(tmp_path / 'spool')}/inode {path.stat().st_ino}" for path in (*strange, misplaced, folder)}
    assert expected == {one.where for one in found if one.name is None}
    assert [name] == [one.name for one in found if one.name is not None]


def test_an_object_that_moves_meanwhile_is_met_once(spool: Spool, tmp_path: Path) -> None:
    """The router moves objects while they are walked over; none is missed and none comes twice."""
    names = _received(spool, 10)
    walk = Inventory(tmp_path).files()

    met = [next(walk)]
    spool.move_to_store(names)
    met += walk

    assert names == [one.name for one in met]


def test_a_folder_that_cannot_be_read_is_met_as_that(spool: Spool, tmp_path: Path) -> None:
    """Where the store's place is no folder, that is said, and the rest is met all the same."""
    (name,) = _received(spool)
    (tmp_path / "spool/store").rmdir()
    (tmp_path / "spool/store").touch()

    found = list(Inventory(tmp_path).files())

    assert [Found(f"incoming/{name}", name), Found("store", None, 20)] == found


def test_an_empty_data_directory_holds_nothing(tmp_path: Path) -> None:
    """Before the first start there is nothing to meet."""
    assert [] == list(Inventory(tmp_path).files())


def test_objects_that_wait_are_counted(spool: Spool, tmp_path: Path) -> None:
    """The spool counts what waits without reading it; what is no object is not counted."""
    _received(spool, 3)
    (tmp_path / "spool/incoming/letter.txt").touch()

    assert spool.waiting() == 3
