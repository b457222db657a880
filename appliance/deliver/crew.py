"""The lanes that work for one destination: who is there, idle, about to leave, or busy for long, and whether another one is wanted.

Promises: one lane beside those that help may open for what is small while all others are busy with large objects. A lane that is one too
many leaves after its instance, and no second one leaves for the same reason.
Failures: none.
Limits: not thread-safe: the owner holds a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from appliance.deliver.destination import Pacing
from appliance.deliver.lane import Lane
from appliance.deliver.lane_count import LaneCount
from appliance.deliver.outbox import Given
from appliance.deliver.seeking import Look, Seeking
from appliance.deliver.task import Task
from appliance.runtime.clock import Instant


class Crew:
    """The lanes of one destination."""

    def __init__(self, pacing: Pacing, dice: Callable[[], float]) -> None:
        """Begin with none."""
        self.count = LaneCount(pacing.lanes, pacing.throttled, dice)
        self._seeking = Seeking()
        self._lanes: dict[Lane, threading.Thread] = {}
        self._leaving: set[Lane] = set()
        self._idle = 0

    def __len__(self) -> int:
        """Return how many lanes there are."""
        return len(self._lanes)

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads of the lanes."""
        return list(self._lanes.values())

    # --- who is there -----------------------------------------------------------------------------------------------------------------

    def joined(self, lane: Lane, thread: threading.Thread, first: Task) -> None:
        """Note a new lane, whose first task somebody who opens lanes has found for it."""
        self._lanes[lane] = thread
        self._seeking.found(None, lane, large=first.claim.is_large)
        self.count.interrupted()

    def left(self, lane: Lane) -> None:
        """Note that a lane has ended."""
        self._lanes.pop(lane, None)
        self._leaving.discard(lane)
        self._seeking.left(lane)
        self.count.interrupted()

    def leaves(self, lane: Lane, *, for_good: bool) -> None:
        """Note that a lane takes nothing more, or does so all the same."""
        if for_good:
            self._leaving.add(lane)
        else:
            self._leaving.discard(lane)

    def rests(self) -> None:
        """Note that a lane has nothing to do."""
        self._idle += 1
        self.count.interrupted()

    def rested(self) -> None:
        """Note that a lane that had nothing to do has."""
        self._idle -= 1

    def delivered(self, task: Task, now: Instant) -> None:
        """Note that a lane has delivered."""
        self.count.delivered(now, len(self._lanes) - self._idle, task.claim.length)

    def others_served(self, lane: Lane) -> int:
        """Return how many other lanes hold an association."""
        return sum(other.is_served for other in self._lanes if other is not lane)

    def title_is_served(self, lane: Lane) -> bool:
        """Say whether another lane holds an association under the title of this one."""
        return any(other.is_served and other.calling == lane.calling for other in self._lanes if other is not lane)

    # --- is another one wanted? -------------------------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether every lane was let in and is busy with a large object."""
        return bool(self._lanes) and all(lane.is_served and self._seeking.is_heavy(lane) for lane in self._lanes)

    def wants_another(self, now: Instant, allowed: int) -> bool:
        """Say whether another lane would find work and help, where the destination takes `allowed`."""
        return (
            self._seeking.is_worth_it(None, self._limit(now, allowed))
            and self._idle == 0
            and not any(lane.alone for lane in self._lanes)
            and (self.is_busy or len(self._lanes) < self.count.lanes(now))
        )

    def is_surplus(self, lane: Lane, now: Instant) -> bool:
        """Say whether there are more lanes than help, and not only beside those that are busy for long."""
        staying = [other for other in self._lanes if other is lane or other not in self._leaving]
        beside = all(self._seeking.is_heavy(other) for other in staying if other is not lane)
        return len(staying) > self.count.lanes(now) and not beside

    # --- looks for work ---------------------------------------------------------------------------------------------------------------

    def arrived(self) -> None:
        """Note that there may be new work."""
        self._seeking.arrived()

    def is_worth_it(self, lane: Lane, now: Instant, allowed: int) -> bool:
        """Say whether a lane may find work."""
        return self._seeking.is_worth_it(lane, self._limit(now, allowed))

    def look(self, who: Lane | None, now: Instant, allowed: int) -> Look:
        """Return the look for work that a lane, or None for a new one, begins now."""
        return self._seeking.begin(who, self._limit(now, allowed))

    def found(self, lane: Lane, look: Look, given: Given) -> None:
        """Note what a lane's look found."""
        if given.task is None:
            self._seeking.found_nothing(lane, look, for_sure=not given.more)
        else:
            self._seeking.found(lane, lane, large=given.task.claim.is_large)

    def found_nothing(self, look: Look, *, for_sure: bool) -> None:
        """Note that there is nothing for a new lane."""
        self._seeking.found_nothing(None, look, for_sure=for_sure)

    def finished(self, lane: Lane) -> None:
        """Note that a lane is busy with nothing."""
        self._seeking.left(lane)

    def _limit(self, now: Instant, allowed: int) -> int:
        """Return how many lanes there may be, with one for what is small beside those that help."""
        return min(allowed, self.count.lanes(now) + 1)
