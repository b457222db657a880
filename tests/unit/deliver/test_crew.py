"""The lanes of a destination: when another one is wanted, and which one is too many."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from appliance.core.identity import AETitle
from appliance.deliver.crew import Crew
from appliance.deliver.destination import Pacing
from appliance.deliver.lane import Lane
from appliance.deliver.outbox import Given
from appliance.deliver.task import Task
from appliance.ledger.claims import LARGE_BYTES
from tests.fakes.clock import FakeClock
from tests.unit.deliver.bench import FakeDestination
from tests.unit.deliver.test_lane import FakeDesk, numbered

_PACING = Pacing(lanes=4, dead_hello=5, throttled=(30, 900), refusing=900, rule_instances=5, rule_studies=2, probe=60)
_IMAGE = numbered(1)
_CINE = Task(replace(_IMAGE.claim, length=LARGE_BYTES + 1))


class Served(Lane):
    """A lane that holds an association."""

    is_served = True


@pytest.fixture
def crew() -> Crew:
    """Return the lanes of a destination that takes four."""
    return Crew(_PACING, lambda: 0.0)


def _join(crew: Crew, task: Task) -> Lane:
    lane = Served(FakeDesk(FakeDestination()), FakeClock(), task, "lane")
    crew.look(None, FakeClock().now(), 4)
    crew.joined(lane, threading.Thread(), task)
    return lane


def test_a_lane_that_is_not_proved_to_help_is_the_only_one(crew: Crew) -> None:
    """Before anything was measured a second lane is not wanted."""
    now = FakeClock().now()
    first = crew.wants_another(now, 4)
    _join(crew, _IMAGE)

    assert (first, crew.wants_another(now, 4)) == (True, False)


def test_beside_a_cine_another_lane_is_wanted_for_what_is_small(crew: Crew) -> None:
    """While the only lane is busy with a large object, one more opens, which is no surplus; a third does not."""
    clock = FakeClock()
    _join(crew, _CINE)
    wanted = crew.wants_another(clock.now(), 4)
    look = crew.look(None, clock.now(), 4)
    second = Served(FakeDesk(FakeDestination()), clock, _IMAGE, "lane")
    crew.joined(second, threading.Thread(), _IMAGE)

    assert (wanted, look.small) == (True, True)
    assert not crew.wants_another(clock.now(), 4)
    assert not crew.is_surplus(second, clock.now())


def test_no_more_leave_than_are_too_many(crew: Crew) -> None:
    """When there are three and one helps, two leave, whoever asks first."""
    now = FakeClock().now()
    lanes = [_join(crew, _IMAGE) for _ in range(3)]

    leaving = []
    for lane in lanes:
        leaving.append(crew.is_surplus(lane, now))
        crew.leaves(lane, for_good=leaving[-1])

    assert leaving == [True, True, False]


def test_a_lane_that_rests_is_not_joined_by_another(crew: Crew) -> None:
    """As long as one has nothing to do, no other is wanted; when nothing is found, none is either."""
    now = FakeClock().now()
    lane = _join(crew, _CINE)
    crew.rests()
    resting = crew.wants_another(now, 4)
    crew.rested()
    crew.found(lane, crew.look(lane, now, 4), Given())
    crew.left(lane)

    assert (resting, crew.wants_another(now, 4), len(crew)) == (False, False, 0)


def test_titles_that_others_serve(crew: Crew) -> None:
    """Other lanes that hold an association are counted, and known by their title."""
    first, second = _join(crew, _IMAGE), _join(crew, _IMAGE)
    first.calling = second.calling = AETitle("CT1")

    assert (crew.others_served(first), crew.title_is_served(first)) == (1, True)
