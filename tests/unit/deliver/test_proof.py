"""What an archive's word means, row by row of semantics.md 2.1, and what holds however the rows follow each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.deliver.proof import (
    FAILURE_REASONS,
    MOST_RESENDS,
    AskAgain,
    FallBack,
    History,
    Hold,
    Meaning,
    ProofWaits,
    Prove,
    SendAgain,
    meaning_of,
    next_step,
)

WAITS = ProofWaits(300.0, (600.0, 3600.0), (30.0, 900.0), 86400.0)


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        (None, Meaning.THERE),
        (0x0110, Meaning.BUSY),
        (0x0112, Meaning.MISSING),
        (0x0119, Meaning.CONFLICT),
        (0x0122, Meaning.CANNOT),
        (0x0131, Meaning.BUSY),
        (0x0213, Meaning.BUSY),
        (0xA700, Meaning.BUSY),
    ],
)
def test_every_failure_reason_has_a_meaning(reason: int | None, meaning: Meaning) -> None:
    """Each failure reason means what semantics.md says, and one that nobody knows is asked again."""
    assert meaning == meaning_of(reason)


def test_what_is_missing_is_asked_for_twice_then_sent_again() -> None:
    """0112 asks again after 10 minutes and after an hour, then sends again and counts the loss."""
    first = next_step(Meaning.MISSING, History(), WAITS)
    second = next_step(Meaning.MISSING, History(misses=1), WAITS)
    third = next_step(Meaning.MISSING, History(misses=2), WAITS)

    assert [AskAgain(600.0, History(misses=1)), AskAgain(3600.0, History(misses=2)), SendAgain(History(losses=1))] == [first, second, third]


def test_what_is_lost_again_and_again_is_held() -> None:
    """After two re-sends the third loss is held, and says that the archive loses images."""
    step = next_step(Meaning.MISSING, History(misses=2, losses=MOST_RESENDS), WAITS)

    assert isinstance(step, Hold)
    assert "loses images" in step.reason


@pytest.mark.parametrize(("failures", "wait_s"), [(0, 30.0), (1, 60.0), (4, 480.0), (5, 900.0), (1000, 900.0)])
def test_who_cannot_say_is_asked_less_and_less_often(failures: int, wait_s: float) -> None:
    """The back-off doubles from its first wait to its longest, and stays there."""
    assert AskAgain(wait_s, History(failures=failures + 1)) == next_step(Meaning.BUSY, History(failures=failures), WAITS)


def test_a_conflict_is_held_and_an_unknown_class_falls_back() -> None:
    """0119 is held with its reason, 0122 stays delivered with its reason, and what is there is proved."""
    assert isinstance(next_step(Meaning.CONFLICT, History(), WAITS), Hold)
    assert isinstance(next_step(Meaning.CANNOT, History(), WAITS), FallBack)
    assert Prove() == next_step(Meaning.THERE, History(2, 3, 1), WAITS)


@given(st.lists(st.sampled_from([None, *FAILURE_REASONS, 0xC000]), max_size=60))
def test_no_image_is_flooded_or_given_up(reasons: list[int | None]) -> None:
    """Whatever an archive says in whatever order: two re-sends at most, each after three times 0112; all waits are bounded."""
    history, resends, misses = History(), 0, 0

    for reason in reasons:
        misses = misses + 1 if reason == 0x0112 else misses
        step = next_step(meaning_of(reason), history, WAITS)
        match step:
            case AskAgain(wait_s, history):
                assert 30.0 <= wait_s <= 3600.0
            case SendAgain(history):
                assert misses >= 3
                resends, misses = resends + 1, 0
            case _:
                break

    assert resends <= MOST_RESENDS
