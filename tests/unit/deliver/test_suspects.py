"""Telling one delivery's trouble from a destination's."""

from __future__ import annotations

from appliance.deliver.suspects import Suspects


def test_the_first_time_may_be_the_destinations() -> None:
    """Nobody knows yet, however often it is repeated with nothing delivered in between."""
    suspects = Suspects()

    assert [suspects.offended(7) for _ in range(3)] == [0, 0, 0]
    assert (suspects.deliveries, suspects.is_single) == (frozenset({7}), True)


def test_what_offends_while_others_are_delivered_is_alone_with_it() -> None:
    """Each time after something was delivered counts, and only then."""
    suspects = Suspects()
    suspects.offended(7)

    times = []
    for _ in range(2):
        suspects.delivered(8)
        times += [suspects.offended(7), suspects.offended(7)]

    assert times == [1, 0, 2, 0]


def test_two_speak_against_the_destination() -> None:
    """A second suspect since the last delivery makes it more than one instance's trouble."""
    suspects = Suspects()
    suspects.offended(7)
    suspects.offended(8)
    both = suspects.is_single

    suspects.delivered(9)

    assert (both, suspects.is_single, suspects.deliveries) == (False, False, frozenset({7, 8}))


def test_what_is_delivered_is_cleared() -> None:
    """A suspect that was delivered is none."""
    suspects = Suspects()
    suspects.offended(7)
    suspects.delivered(7)

    assert suspects.deliveries == frozenset()
    assert suspects.offended(7) == 0


def test_the_last_few_are_remembered() -> None:
    """A thousand suspects take a bounded memory; the last ones are in it."""
    suspects = Suspects()
    for number in range(1000):
        suspects.offended(number)

    assert suspects.deliveries == frozenset(range(984, 1000))
    assert not suspects.is_single
