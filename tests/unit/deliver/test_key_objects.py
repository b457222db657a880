"""Key object documents: after what they speak of, but not for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.core.identity import Uid
from appliance.deliver.key_objects import KEY_OBJECT_DOCUMENT, KeyObjects, bound_s
from appliance.ledger.claims import Claim, EarlierOfStudy
from appliance.ledger.vocabulary import Cause, Priority
from tests.fakes.clock import FakeClock

_MOVING = EarlierOfStudy(moving=True, stuck=False)
_STUCK = EarlierOfStudy(moving=False, stuck=True)
_NOTHING = EarlierOfStudy(moving=False, stuck=False)
_HOUR_S = 3600.0


@pytest.fixture
def notes() -> KeyObjects:
    """Return those of a destination with the usual waits."""
    return KeyObjects((5.0, 600.0))


@pytest.fixture
def note() -> Claim:
    """Return a claimed key object document."""
    return Claim(
        delivery_id=7,
        instance_id=7,
        destination_id="archive",
        owner="run-1",
        sop_class_uid=KEY_OBJECT_DOCUMENT,
        sop_instance_uid=Uid("1.2.3.7"),
        transfer_syntax_uid=Uid("1.2.840.10008.1.2.1"),
        study_instance_uid="1.2.3",
        calling_title="CT1",
        called_title="EDGE",
        spool_name="",
        length=2000,
        version=1,
        priority=Priority.ROUTINE,
        cause=Cause.ROUTE,
        attempts=0,
        soft_attempts=0,
        unknown_outcomes=0,
    )


def test_the_bound_is_an_hour() -> None:
    """With the usual waits, what is not understood is held after an hour; that long it is waited for."""
    assert bound_s((5.0, 600.0)) == _HOUR_S


def test_it_waits_as_long_as_its_study_moves(notes: KeyObjects, note: Claim) -> None:
    """What is queued or being sent comes first, however long that takes."""
    clock = FakeClock()

    waited = []
    for _ in range(10):
        waited.append(notes.must_wait(note, _MOVING, clock.now()))
        clock.advance(_HOUR_S)

    assert waited == [True] * 10


def _looks(notes: KeyObjects, note: Claim, clock: FakeClock, every_s: float) -> int:
    """Look every so many seconds until it goes; return how often it waited."""
    waited = 0
    while notes.must_wait(note, _STUCK, clock.now()):
        waited += 1
        clock.advance(every_s)
        assert waited < 1000
    return waited


def test_what_is_stuck_is_waited_for_an_hour(notes: KeyObjects, note: Claim) -> None:
    """From the moment when nothing of its study moves any more it waits for an hour."""
    clock = FakeClock()
    notes.must_wait(note, _MOVING, clock.now())
    clock.advance(10 * _HOUR_S)
    notes.must_wait(note, _MOVING, clock.now())
    clock.advance(60)

    waited = _looks(notes, note, clock, 60)

    assert waited == 60


def test_an_outage_counts_little(notes: KeyObjects, note: Claim) -> None:
    """While nothing was looked at because of a trouble of the destination, no more than the longest back-off is counted."""
    clock = FakeClock()
    notes.must_wait(note, _STUCK, clock.now())
    clock.advance(7 * 24 * _HOUR_S)

    waited = _looks(notes, note, clock, 60)

    assert waited == 50


def test_an_archive_that_flaps_does_not_postpone_it_without_end(notes: KeyObjects, note: Claim) -> None:
    """Where a trouble comes again before every look, it goes all the same after as many looks as the back-off makes in an hour."""
    assert _looks(notes, note, FakeClock(), 2 * _HOUR_S) == 6


def test_it_goes_when_nothing_is_owed_before_it(notes: KeyObjects, note: Claim) -> None:
    """With everything of its study there, it goes."""
    assert not notes.must_wait(note, _NOTHING, FakeClock().now())


def test_others_never_wait(notes: KeyObjects, note: Claim) -> None:
    """An image waits for none of its study."""
    image = replace(note, sop_class_uid=Uid("1.2.840.10008.5.1.4.1.1.2"))

    assert not notes.must_wait(image, _MOVING, FakeClock().now())
