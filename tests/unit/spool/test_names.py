"""Names of sealed objects: what they say, where they lead, and what is not one."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from appliance.spool.names import ObjectIds, SpoolName, is_object_id

ID = "019b76daa8fa0123456789abcdef0123"
DIGEST = "ab" * 16


def _a_name(**parts: Any) -> SpoolName:
    whole: dict[str, Any] = {"object_id": ID, "generation": 3, "digest": DIGEST, "length": 1234, "kind": "i"}
    return SpoolName(**(whole | parts))


def test_a_name_reads_back() -> None:
    """The text holds every part."""
    name = _a_name()

    assert str(name) == f"{ID}-g3-{DIGEST}-1234.i.age"
    assert name == SpoolName.parse(str(name))


@pytest.mark.parametrize("parts", [{"length": 0}, {"generation": 999_999_999}, {"kind": "m"}, {"length": 10**18 - 1}])
def test_the_extremes_read_back(parts: dict[str, object]) -> None:
    """Empty data sets, late generations and messages have names too."""
    name = _a_name(**parts)

    assert name == SpoolName.parse(str(name))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x.age",
        f"{ID}-g3-{DIGEST}-1234.i.age\n",
        f"{ID}-g3-{DIGEST}-1234.i",
        f"{ID}-g3-{DIGEST}-1234.x.age",
        f"{ID}-g0-{DIGEST}-1234.i.age",
        f"{ID}-g03-{DIGEST}-1234.i.age",
        f"{ID}-g3-{DIGEST}-01234.i.age",
        f"{ID}-g3-{DIGEST}--1.i.age",
        f"{ID}-g3-{DIGEST}-.i.age",
        f"{ID}-g3-{DIGEST[:-1]}-1234.i.age",
        f"{ID.upper()}-g3-{DIGEST}-1234.i.age",
        f"{ID[:-1]}-g3-{DIGEST}-1234.i.age",
        f"../{ID}-g3-{DIGEST}-1234.i.age",
        f"{ID}-g3-{DIGEST}-\uff11\uff12.i.age",
        # A time after the year 9999, which has no folder.
        f"{'f' * 32}-g3-{DIGEST}-1234.i.age",
        f".{ID}-g3-{DIGEST}-1234.i.age.new",
    ],
)
def test_what_is_no_name_is_none(text: str) -> None:
    """Whatever an operator drops into the spool is told apart, and never raises."""
    assert SpoolName.parse(text) is None


@pytest.mark.parametrize(
    "parts", [{"object_id": "../etc"}, {"object_id": "f" * 32}, {"generation": 0}, {"digest": "AB" * 16}, {"length": -1}, {"kind": "/"}]
)
def test_an_impossible_name_is_a_defect(parts: dict[str, object]) -> None:
    """No part can bring a slash or anything else into a path."""
    with pytest.raises(ValueError, match="spool name"):
        _a_name(**parts)


def test_the_place_in_the_store_follows_from_the_name() -> None:
    """Generation, hour in UTC, first two characters of the digest."""
    object_id = f"{1_767_229_199_999:012x}" + "0" * 20

    directory = _a_name(object_id=object_id).store_directory()

    assert directory == "g3/2026010100/ab"


def test_names_sort_by_time() -> None:
    """The id leads the order, whatever stands behind it."""
    early, late = _a_name(object_id=f"{1:032x}", digest="ff" * 16), _a_name(object_id=f"{2:032x}", digest="00" * 16)

    assert [early, late] == sorted([late, early])


def test_an_id_says_its_time() -> None:
    """The first 12 digits are milliseconds since the epoch."""
    object_id = ObjectIds().next(1_767_225_600.25)

    assert is_object_id(object_id)
    assert int(object_id[:12], 16) == 1_767_225_600_250


@pytest.mark.parametrize("walls", [[5.0] * 500, [5.0, 4.0, 3.0, 0.0, 5.0], [1.0, 1.0005, 1.001]])
def test_ids_rise_whatever_the_clock_does(walls: list[float]) -> None:
    """A burst within a millisecond and a clock that steps back still give rising ids."""
    ids = ObjectIds()

    made = [ids.next(wall) for wall in walls]

    assert sorted(set(made)) == made


@pytest.mark.parametrize("byte", [b"\x00", b"\xff"])
def test_ids_rise_whatever_the_entropy_says(byte: bytes) -> None:
    """The smallest and the largest random numbers are no exception."""
    ids = ObjectIds(entropy=lambda size: byte * size)

    made = [ids.next(5.0) for _ in range(100)]

    assert sorted(set(made)) == made
    assert all(is_object_id(object_id) for object_id in made)


def test_threads_share_one_maker() -> None:
    """No two threads get the same id."""
    ids = ObjectIds()
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.extend([ids.next(5.0) for _ in range(500)])) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == 2000


@pytest.mark.parametrize("wall", [-1.0, 1e12])
def test_a_time_without_a_calendar_is_refused(wall: float) -> None:
    """A clock outside the years 1970 to 9999 gives no id."""
    with pytest.raises(ValueError, match="clock"):
        ObjectIds().next(wall)
