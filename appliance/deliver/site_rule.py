"""The same failure on many instances is the destination's, not theirs (house.md section 7). Pure: the moments are arguments.

Promises: the rule is met by enough instances of enough studies that failed alike within the window, nothing delivered in between; then it
stands, and every further failure is the destination's, until something is delivered. Memory is bounded.
Failures: none.
Limits: knows its own run of the sender only; what it knows of the time before is whether the rule stood.
"""

from __future__ import annotations

from collections import OrderedDict

from appliance.deliver.schedule import site_rule_window
from appliance.deliver.verdict import Verdict
from appliance.runtime.clock import Instant

# Failures remembered a destination: far more than the rule asks for, little enough to forget about.
_EVIDENCE_LIMIT = 256


class SiteRule:
    """The rule of one destination. Not thread-safe."""

    def __init__(self, instances: int, studies: int, probe_s: float) -> None:
        """Be met by so many instances of so many studies; `probe_s` is the time between single probes, to which the window is tied."""
        self._instances = instances
        self._studies = studies
        self._window_s = site_rule_window(probe_s)
        self._evidence: OrderedDict[tuple[str, int], tuple[str, Instant]] = OrderedDict()
        self._accused: frozenset[int] = frozenset()
        self.stands = False
        """Whether what fails now is the destination's failure."""

    def recall(self) -> None:
        """Stand as it did before a restart."""
        self.stands = True

    def failed(self, verdict: Verdict, instance_id: int, study: str, now: Instant) -> bool:
        """Take note of a failure that is evidence; return whether the rule is met by it. Changes nothing while it stands."""
        if self.stands:
            return False
        self._evidence[verdict.likeness, instance_id] = (study, now)
        self._evidence.move_to_end((verdict.likeness, instance_id))
        while len(self._evidence) > _EVIDENCE_LIMIT:
            self._evidence.popitem(last=False)
        alike = {number: known for (likeness, number), known in self._evidence.items() if likeness == verdict.likeness}
        lately = [study for study, at in alike.values() if at.after(self._window_s).remaining_s(now) > 0]
        if len(lately) < self._instances or len(set(lately)) < self._studies:
            return False
        self._accused, self.stands = frozenset(alike), True
        self._evidence.clear()
        return True

    def delivered(self) -> None:
        """Take note that something was delivered, which ends every pattern that has not met the rule."""
        self._evidence.clear()

    def end(self) -> frozenset[int]:
        """Stand no longer; return the instances whose failures met the rule, which were charged with what was the destination's."""
        accused, self._accused, self.stands = self._accused, frozenset(), False
        return accused
