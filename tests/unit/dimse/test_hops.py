"""The count of boxes in the ids of C-STORE messages."""

from __future__ import annotations

import pytest

from appliance.dimse.hops import MOST, MessageIds, hops_of


@pytest.mark.parametrize("hops", range(MOST + 1))
def test_a_count_is_read_as_it_was_written(hops: int) -> None:
    """Whatever the message's number, the count comes out."""
    ids = MessageIds()

    assert {hops_of(ids.next(hops)) for _ in range(5000)} == {hops}


def test_more_than_there_is_room_for() -> None:
    """A count that does not fit is the highest that does."""
    assert hops_of(MessageIds().next(99)) == MOST


def test_ids_in_a_row_differ_and_are_ids() -> None:
    """4095 ids in a row differ, none is 0, and all have 16 bits, whatever the counts."""
    ids = MessageIds()

    given = [ids.next(number % (MOST + 1)) for number in range(4095)]

    assert len(set(given)) == 4095
    assert (min(given) > 0, max(given) <= 0xFFFF) == (True, True)


def test_without_a_count_ids_begin_at_one() -> None:
    """What is no C-STORE is numbered as ever, and begins again after the last."""
    ids = MessageIds()

    given = [ids.next() for _ in range(4096)]

    assert (given[:2], given[-2:]) == ([1, 2], [4095, 1])
