"""The room for what is derived: half a reserve further from full than reception's own marks."""

from __future__ import annotations

import pytest

from appliance.config.model import Retention
from appliance.opener.room import DerivedRoom
from appliance.spool.files import Space

GIB = 1 << 30


@pytest.mark.parametrize(
    ("space", "more", "expected"),
    [
        (Space(100 * GIB, 16 * GIB, 1 << 20), GIB, True),
        # Below the reserve and a half.
        (Space(100 * GIB, 15 * GIB, 1 << 20), GIB, False),
        # Of a large disk the share counts: a twentieth of it and half a reserve.
        (Space(1000 * GIB, 54 * GIB, 1 << 20), 0, False),
        (Space(1000 * GIB, 56 * GIB, 1 << 20), 0, True),
        (Space(100 * GIB, 50 * GIB, 512), 0, False),
    ],
)
def test_room_is_what_reception_does_not_need(space: Space, more: int, *, expected: bool) -> None:
    """With what is to be made on the disk, both marks of reception are still half a reserve away."""
    room = DerivedRoom(lambda: space, lambda: Retention(refuse_at=0.95, reserve=10 * GIB))

    assert expected == room.has(more)
