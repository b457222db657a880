"""Virtual time: threads that run one at a time, and a clock that moves only when all of them wait.

The loops under test are the product's own, in threads of their own. Whatever they wait on is made by a `World`: conditions, hints, sleeps,
the ends of threads. A thread that waits hands the turn to the next one that can go on; when none can, the clock jumps to the moment at
which the first of them is to wake.

Promises: the same run gives the same order of events. Virtual time passes in waits and nowhere else, so that what the box computes costs
none of it. Nobody waits for a time or another thread while holding a condition (house.md P6: no lock is held over a network call).
Failures: `AssertionError` for that, and for a wait that nothing can end; an exception that leaves a thread is raised by `pass_time`.
Limits: whoever blocks on anything else (a file lock, a socket) stops the world for as long, which is right for what takes no time.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from appliance.runtime.clock import Instant

# 2024-02-29, noon UTC.
_NOON = 1_709_208_000.0


class _Turn:
    """One thread's place in the world."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.gate = threading.Lock()
        self.gate.acquire()
        self.waits = 0
        """Grows with every wait, so that the alarm of an earlier one is known to be stale."""
        self.is_waiting = False
        self.holds = 0


class World:
    """The time of one simulation, and its threads. Also a `runtime.clock.Clock`."""

    def __init__(self, wall: float = _NOON, boottime: float = 1000.0) -> None:
        """Begin at this moment, with the calling thread as the first one."""
        self._wall_ahead = wall - boottime
        self._now = Instant(wall, boottime, "boot-1")
        self._running = _Turn("driver")
        self._ready: deque[_Turn] = deque()
        self._alarms: list[tuple[float, int, int, _Turn]] = []
        self._order = itertools.count()
        self._failures: list[BaseException] = []

    # --- a clock ----------------------------------------------------------------------------------------------------------------------

    def now(self) -> Instant:
        """Return the moment."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Wait until `seconds` have passed."""
        self.wait(seconds)

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock on (or back); CLOCK_BOOTTIME goes on as it did, and nobody is told."""
        self._wall_ahead += seconds
        self._move_to(self._now.boottime)

    def set_wall(self, wall: float) -> None:
        """Set the wall clock; the rest as `jump_wall`."""
        self.jump_wall(wall - self._now.wall)

    # --- its threads ------------------------------------------------------------------------------------------------------------------

    def thread(self, *, target: Callable[[], object], name: str, daemon: bool = True) -> VirtualThread:
        """Return a thread of this world, not started."""
        return VirtualThread(self, target, name, daemon=daemon)

    def condition(self) -> VirtualCondition:
        """Return a condition of this world."""
        return VirtualCondition(self)

    def pass_time(self, seconds: float) -> None:
        """Let `seconds` pass for everybody; raises what a thread of this world died of. For the thread that made the world."""
        self.wait(seconds)
        if self._failures:
            raise self._failures[0]

    def wait(self, seconds: float | None) -> bool:
        """Let the others go on until somebody wakes the calling thread, or `seconds` have passed; say whether it was woken."""
        mine = self._running
        assert not mine.holds, f"{mine.name} waits while it holds a condition"
        mine.waits += 1
        mine.is_waiting = True
        if seconds is not None:
            heapq.heappush(self._alarms, (self._now.boottime + max(0.0, seconds), next(self._order), mine.waits, mine))
        self._hand_over(mine)
        woken, mine.is_waiting = not mine.is_waiting, False
        return woken

    def wake(self, turn: _Turn) -> None:
        """End the wait of a thread, if it waits."""
        if turn.is_waiting:
            turn.is_waiting = False
            self._ready.append(turn)

    @property
    def running(self) -> _Turn:
        """The place of the calling thread."""
        return self._running

    def begin(self, turn: _Turn) -> None:
        """Let a new thread have its turn when it comes."""
        self._ready.append(turn)

    def end(self, failure: BaseException | None) -> None:
        """Hand the turn on for good."""
        if failure is not None:
            self._failures.append(failure)
        self._hand_over(None)

    def _hand_over(self, mine: _Turn | None) -> None:
        following = self._next()
        if following is mine:
            return
        self._running = following
        following.gate.release()
        if mine is not None:
            mine.gate.acquire()

    def _next(self) -> _Turn:
        if self._ready:
            return self._ready.popleft()
        while self._alarms:
            due, _, wait, turn = heapq.heappop(self._alarms)
            if turn.is_waiting and turn.waits == wait:
                self._move_to(due)
                return turn
        raise AssertionError("everybody waits for somebody else")

    def _move_to(self, boottime: float) -> None:
        boottime = max(boottime, self._now.boottime)
        self._now = Instant(boottime + self._wall_ahead, boottime, self._now.boot_id)


class VirtualThread(threading.Thread):
    """A thread that runs when it is its turn."""

    def __init__(self, world: World, target: Callable[[], object], name: str, *, daemon: bool) -> None:
        """Prepare."""
        super().__init__(name=name, daemon=daemon)
        self._world = world
        self._work = target
        self._turn = _Turn(name)
        self._joining: list[_Turn] = []
        self._is_over = False

    def is_alive(self) -> bool:
        """Say whether it was started and has not come to its end."""
        return self.ident is not None and not self._is_over

    def start(self) -> None:
        """Begin at the next turn that is free."""
        self._world.begin(self._turn)
        super().start()

    def run(self) -> None:
        """Work, then let those go on who wait for the end."""
        self._turn.gate.acquire()
        failure: BaseException | None = None
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # boundary: `pass_time` raises it where the test sees it
            failure = error
        self._is_over = True
        for turn in self._joining:
            self._world.wake(turn)
        self._world.end(failure)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end, in virtual time."""
        if not self._is_over:
            self._joining.append(self._world.running)
            self._world.wait(timeout)


class VirtualCondition(threading.Condition):
    """A condition whose waits are virtual. Only one thread runs at a time, so that holding it is a matter of form, which is checked."""

    def __init__(self, world: World) -> None:
        """Be held by nobody."""
        super().__init__()
        self._world = world
        self._sleeping: list[_Turn] = []

    def __enter__(self) -> bool:
        """Hold it."""
        assert not self._world.running.holds, "a condition was entered inside another"
        self._world.running.holds += 1
        return True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let it go."""
        self._world.running.holds -= 1

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Return what `predicate` says as soon as it is true, or after `timeout` virtual seconds."""
        world, mine = self._world, self._world.running
        assert mine.holds == 1, "a wait on a condition that is not held"
        end = None if timeout is None else world.now().boottime + timeout
        while not (result := predicate()):
            left = None if end is None else end - world.now().boottime
            if left is not None and left <= 0:
                break
            self._sleeping.append(mine)
            mine.holds = 0
            world.wait(left)
            mine.holds = 1
            if mine in self._sleeping:
                self._sleeping.remove(mine)
        return result

    def notify_all(self) -> None:
        """Let everybody who waits look again."""
        sleeping, self._sleeping = self._sleeping, []
        for turn in sleeping:
            self._world.wake(turn)


class Hints:
    """What wakes a loop of the box (as `runtime.wakeup.HintListener` does), in virtual time."""

    def __init__(self, world: World, *, tick_s: float = 0.0) -> None:
        """Have no hint. A tick takes at least `tick_s`: an idle week of one-second ticks is work for the machine and news to nobody."""
        self._changed = world.condition()
        self._tick_s = tick_s
        self._hinted = False

    def hint(self) -> None:
        """Wake whoever waits, or comes to wait."""
        self._hinted = True
        with self._changed:
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Return True for a hint, False after the time."""
        with self._changed:
            hinted = bool(self._changed.wait_for(lambda: self._hinted, max(timeout_s, self._tick_s)))
        self._hinted = False
        return hinted
