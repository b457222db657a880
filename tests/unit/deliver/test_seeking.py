"""Looks for work: none is repeated for nothing, and one lane is kept free of large objects."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.deliver.seeking import Seeking


def test_nothing_new_is_not_looked_for_again() -> None:
    """After a look that found nothing another one is worth it when something came, and not before."""
    seeking = Seeking()
    look = seeking.begin("a", 4)
    seeking.found_nothing("a", look, for_sure=True)

    before = seeking.is_worth_it("a", 4)
    seeking.arrived()

    assert (before, seeking.is_worth_it("a", 4)) == (False, True)


def test_what_came_during_a_look_is_looked_for() -> None:
    """A look says nothing about what came after it began."""
    seeking = Seeking()
    look = seeking.begin("a", 4)
    seeking.arrived()
    seeking.found_nothing("a", look, for_sure=True)

    assert seeking.is_worth_it("a", 4)


def test_a_look_for_small_ones_says_nothing_about_large_ones() -> None:
    """Who may have a large object looks, although another one has just found nothing small."""
    seeking = Seeking()
    seeking.found("a", "a", large=True)
    kept_free = seeking.begin("b", 2)
    seeking.found_nothing("b", kept_free, for_sure=True)

    assert kept_free.small
    assert not seeking.is_worth_it("b", 2)
    assert seeking.is_worth_it("a", 2)


def test_the_end_of_a_large_one_lets_the_others_look_for_large_ones() -> None:
    """The lane that was kept free looks again when another one is free of large objects."""
    seeking = Seeking()
    seeking.found("a", "a", large=True)
    seeking.found_nothing("b", seeking.begin("b", 2), for_sure=True)

    seeking.left("a")

    assert seeking.is_worth_it("b", 2)
    assert not seeking.begin("b", 2).small


def test_a_single_lane_takes_everything() -> None:
    """A destination of one lane gets its large objects by that one."""
    seeking = Seeking()

    assert not seeking.begin("a", 1).small


_LANES = 4


class Looking(RuleBasedStateMachine):
    """Lanes that look, find and finish in any order."""

    def __init__(self) -> None:
        """Begin with lanes that do nothing."""
        super().__init__()
        self.seeking = Seeking()
        self.looks: dict[int, bool] = {}
        self.large: set[int] = set()

    @rule(lane=st.integers(0, _LANES - 1))
    def look(self, lane: int) -> None:
        """Finish what it has, and look."""
        if lane not in self.looks:
            self.large.discard(lane)
            self.seeking.left(lane)
            self.looks[lane] = self.seeking.begin(lane, _LANES).small

    @rule(lane=st.integers(0, _LANES - 1), large=st.booleans())
    def find(self, lane: int, large: bool) -> None:  # noqa: FBT001 (drawn)
        """Find something, large only where it may."""
        if lane in self.looks:
            is_large = large and not self.looks.pop(lane)
            self.looks.pop(lane, None)
            self.seeking.found(lane, lane, large=is_large)
            self.large |= {lane} if is_large else set()

    @invariant()
    def one_is_free(self) -> None:
        """Never are all lanes busy with large objects."""
        assert len(self.large) < _LANES


TestLooking = Looking.TestCase
TestLooking.settings = settings(max_examples=50, deadline=None)
