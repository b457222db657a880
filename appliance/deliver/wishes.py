"""What a lane may claim now, put together from how its destination is, the terms on which it is served, and what the lane did so far.

Promises: a wish is made under the owner's lock and used outside it, where claims are made: it asks nothing that others change meanwhile.
Failures: none.
Limits: what has to wait is looked at again after the soft back-off.
"""

from __future__ import annotations

from appliance.deliver.destination import DestinationHealth
from appliance.deliver.key_objects import KEY_OBJECT_DOCUMENT, KeyObjects
from appliance.deliver.outbox import Wish
from appliance.deliver.plan import Plan, Surroundings
from appliance.deliver.schedule import soft_delay
from appliance.deliver.seeking import Look
from appliance.deliver.settlement import step_aside
from appliance.deliver.task import Task
from appliance.ledger.claims import EarlierOfStudy
from appliance.ledger.deliveries import Moved


class Wishes:
    """The wishes of one destination's lanes."""

    def __init__(self, plan: Plan, around: Surroundings) -> None:
        """Serve on the terms of `plan`."""
        self._plan = plan
        self._around = around
        self._key_objects = KeyObjects(plan.waits.soft)

    def aside(self, task: Task, reason: str) -> Moved:
        """Return what lets a task wait for a while, uncharged."""
        wait_s = soft_delay(task.claim.attempts + 1, self._plan.waits.soft, self._around.dice())
        return step_aside(reason, wait_s, self._around.clock.now())

    def wish(self, health: DestinationHealth, look: Look, *, source: str | None, alone: bool) -> Wish:
        """Return what may be claimed now; `source`: whose deliveries go first, `alone`: whether one that goes alone may go."""
        now = self._around.clock.now()
        refused = health.refused_titles(now)

        def aside(task: Task) -> Moved | None:
            calling = self._plan.calling(task.claim.calling_title)
            due = refused.get(calling.key)
            if due is None:
                return None
            return step_aside(f"the destination does not know this box as {calling}", due.remaining_s(now), now)

        def postpone(task: Task) -> Moved:
            return self.aside(task, "aborted three times in company: goes alone, when nothing else waits")

        def follow(task: Task, earlier: EarlierOfStudy) -> Moved | None:
            if not self._key_objects.must_wait(task.claim, earlier, self._around.clock.now()):
                return None
            return self.aside(task, "goes after the images of its study, of which it speaks")

        passes_over, strictly = health.passes_over(now)
        return Wish(
            aside=aside,
            postpone=postpone,
            follow=follow,
            followers=frozenset({KEY_OBJECT_DOCUMENT}),
            calling=source,
            alone=alone,
            passes_over=passes_over,
            strictly=strictly,
            small=look.small,
            urgent=not self._plan.is_open(now.wall),
            wall=now.wall,
        )
