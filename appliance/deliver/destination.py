"""How one destination is, and what it may be given now: alive, throttled, dead, refusing or paused, and how many lanes.

A site's trouble lives here and nowhere else, so that it costs no delivery an attempt. The lanes report what happened; this object decides
whether a further lane may open and when to knock again. It holds no lock, starts nothing and reads no clock: its owner passes the moment in
and serialises the calls.

Promises: a destination that is not alive is given at most one lane, and none before its due time, but for one second opinion: an answer
about the site is tested at once with another instance, if there is one. A lane beyond the first opens only after the newest one has
delivered; a lane that fails while another one is served never makes the destination worse than having fewer lanes; back-off is reset by a
delivered instance, never by a connect; trouble that an answered C-ECHO does not disprove is shown until an instance is delivered.
Failures: none.
Limits: what is learned here about failures lives as long as the sender; only state, due time and back-off are kept in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.deliver.schedule import jittered, knock_delay, next_throttle
from appliance.deliver.site_rule import SiteRule
from appliance.deliver.site_state import Lanes, SiteState
from appliance.deliver.suspects import Suspects
from appliance.deliver.verdict import Verdict, Whose
from appliance.runtime.clock import Due, Instant

# Behind the reason of a trouble that lasts although somebody is there; also in the ledger.
_ECHOES = " (it answers C-ECHO)"


@dataclass(frozen=True, slots=True)
class Pacing:
    """The settings that pace one destination, all in seconds but `lanes` and the two counts."""

    lanes: int
    dead_hello: float
    throttled: tuple[float, float]
    refusing: float
    rule_instances: int
    rule_studies: int
    probe: float


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """What the ledger keeps and people see."""

    state: SiteState
    reason: str
    since: float
    due: Due | None
    lanes: int
    last_success: float | None
    backoff_s: float


class DestinationHealth:
    """The health of one destination. Not thread-safe: the owner holds a lock."""

    def __init__(self, pacing: Pacing, dice: Callable[[], float], now: Instant, known: HealthRecord | None = None) -> None:
        """Start from what the ledger knows; `dice` returns a number from -1 to 1.

        What was dead, refusing or paused is tried at once, and shown as it was until something was delivered; a throttle waits out its due
        time, because the destination is not less busy for our restart.
        """
        self._pacing = pacing
        self._dice = dice
        self.state = SiteState.ALIVE
        self.reason = ""
        self.since = now.wall
        self.due: Due | None = None
        self.allowed_lanes = pacing.lanes
        self.backoff_s = 0.0
        self.last_success: float | None = None
        self.epoch = 0
        """Grows with every change of state; what began under an older one says nothing about this one."""
        self._accused: frozenset[int] = frozenset()
        self._widen_due: Due | None = None
        self._widen_backoff_s = 0.0
        self._newest: object = None
        self._newest_delivered = True
        self._refused_titles: dict[str, Due] = {}
        self._served_since_refusal = True
        self._rule = SiteRule(pacing.rule_instances, pacing.rule_studies, pacing.probe)
        self._suspects = Suspects()
        self._wants_opinion = self._opinion_is_out = False
        # The reason of a dead site that answers C-ECHO, and whether it has done so since it was last found dead.
        self._outlives_echo = ""
        self._echoes = False
        if known is not None:
            self._recall(known, now)

    def _recall(self, known: HealthRecord, now: Instant) -> None:
        self.last_success = known.last_success
        if known.state is SiteState.ALIVE:
            return
        self.state, self.reason, self.since, self.due = known.state, known.reason, known.since, now.after(0)
        if known.state is SiteState.THROTTLED:
            self.due, self.backoff_s = known.due, known.backoff_s
        if known.state is SiteState.PAUSED:
            self._rule.recall()
        if known.reason.endswith(_ECHOES):
            self._outlives_echo = known.reason.removesuffix(_ECHOES)

    @property
    def record(self) -> HealthRecord:
        """What is to be kept of the present state; alive to nobody because it knows none of the titles is refusing."""
        alive_to_nobody = self.state is SiteState.ALIVE and self._refused_titles and not self._served_since_refusal
        state = SiteState.REFUSING if alive_to_nobody else self.state
        return HealthRecord(state, self.reason, self.since, self.due, self.allowed_lanes, self.last_success, self.backoff_s)

    # --- may something start? ---------------------------------------------------------------------------------------------------------

    def lane_may_open(self, now: Instant, lanes: int, *, beside_busy: bool = False) -> bool:
        """Say whether one more lane may start beside the `lanes` that run; `beside_busy`: even before the newest has delivered."""
        if self.state is SiteState.DEAD:
            return lanes == 0 and self._echoes
        if self.state is not SiteState.ALIVE:
            return lanes == 0 and (self._wants_opinion or self._may_be_tried(now))
        if lanes == 0:
            return True
        return (self._newest_delivered or beside_busy) and lanes < self._lanes_now(now)

    def passes_over(self, now: Instant) -> tuple[frozenset[int], bool]:
        """Return the deliveries that are better not taken now, and whether there is any other choice: True when nothing else is taken."""
        if self.state is SiteState.ALIVE:
            return frozenset(), False
        return self._suspects.deliveries, self._wants_opinion and not self._may_be_tried(now)

    @property
    def lane_may_go_on(self) -> bool:
        """Say whether a lane that has just finished an instance may take another one."""
        return self.state is SiteState.ALIVE

    def hello_is_due(self, now: Instant) -> bool:
        """Say whether it is time to see whether a dead destination is back."""
        return self.state is SiteState.DEAD and not self._echoes and self._may_be_tried(now)

    def refused_titles(self, now: Instant) -> dict[str, Due]:
        """Return the calling titles (compared form) that the destination does not know, with the time to try each again."""
        for title in [title for title, due in self._refused_titles.items() if due.is_due(now)]:
            del self._refused_titles[title]
        return dict(self._refused_titles)

    def wait_s(self, now: Instant) -> float | None:
        """Return the seconds until something here becomes due, 0 when a knock is, or None when nothing does."""
        if self.hello_is_due(now):
            return 0.0
        dues = [due for due in (self.due, self._widen_due, *self._refused_titles.values()) if due is not None]
        return min((due.remaining_s(now) for due in dues if not due.is_due(now)), default=None)

    def _may_be_tried(self, now: Instant) -> bool:
        return self.due is None or self.due.is_due(now)

    def _lanes_now(self, now: Instant) -> int:
        if self._widen_due is not None and self._widen_due.is_due(now):
            self._widen_due = None
            self.allowed_lanes = min(self._pacing.lanes, self.allowed_lanes * 2)
        return self.allowed_lanes

    # --- what happened ----------------------------------------------------------------------------------------------------------------

    def lane_opened(self, lane: object) -> None:
        """Note that `lane` is the newest one; no other opens before it has delivered or ended."""
        self._newest, self._newest_delivered = lane, False

    def lane_ended(self, lane: object) -> None:
        """Note that `lane` is gone."""
        if self._newest is lane:
            self._newest, self._newest_delivered = None, True

    def association_failed(self, verdict: Verdict, now: Instant, *, others_served: int, title: str | None) -> None:
        """Take note of an association that did not come about while `others_served` lanes hold one.

        `title` is the calling title (compared form) where the destination hears more than one, else None: a title that it does not know
        is the trouble of that title's source alone.
        """
        if verdict.flag == "calling_title_rejected" and title is not None:
            self._refused_titles[title] = now.after(jittered(self._pacing.refusing, self._dice()))
            self._served_since_refusal = False
            self.reason = verdict.text
            return
        if others_served > 0:
            self._narrow(self.allowed_lanes // 2 if verdict.lanes is Lanes.HALVE else others_served, now)
            return
        if verdict.lanes is Lanes.HALVE:
            self._narrow(self.allowed_lanes // 2, now)
        self._wants_opinion = False
        self._trouble(verdict, now)

    def site_failed(self, verdict: Verdict, now: Instant, epoch: int, delivery_id: int | None = None) -> int:
        """Take note of an answer that tells of the site; several lanes that began under the same `epoch` count once.

        Returns how often it was the trouble of `delivery_id` alone, which drew it again while others were delivered; 0: the site's.
        """
        if verdict.site_state is None:
            return 0
        times = 0 if delivery_id is None else self._suspects.offended(delivery_id)
        if not times and epoch == self.epoch:
            confirms, self._opinion_is_out = self._opinion_is_out, False
            self._trouble(verdict, now, doubles=not confirms)
            self._wants_opinion = self._suspects.is_single
        elif not self._suspects.is_single:
            self._wants_opinion = False
        return times

    def delivered(self, lane: object, now: Instant, epoch: int, *, others_served: int, delivery_id: int = 0) -> bool:
        """Take note of an instance delivered by `lane`, begun under `epoch`. Return whether a pause or other trouble ended by it."""
        self.last_success = now.wall
        self._served_since_refusal = True
        self._rule.delivered()
        self._suspects.delivered(delivery_id)
        self._wants_opinion = self._opinion_is_out = False
        if self._newest is lane:
            self._newest_delivered = True
            if others_served > 0:
                # The destination does serve one more lane: should it narrow again, the back-off starts from its base.
                self._widen_backoff_s = 0.0
        if epoch != self.epoch:
            return False
        self.backoff_s = 0.0
        self._outlives_echo, self._echoes = "", False
        if self.state is SiteState.ALIVE:
            return False
        if self._rule.stands:
            self._accused |= self._rule.end()
        self._become(SiteState.ALIVE, "", now, None)
        return True

    def instance_failed(self, verdict: Verdict, instance_id: int, study: str, now: Instant) -> bool:
        """Take note of an instance-level failure or an unknown outcome. Return True when it is the site's: a pause is, or was just, put on.

        The same failure on enough instances of enough studies within the window, with nothing delivered in between, pauses. As long as the
        pause is on, whatever fails and is no setting's or our own fault is the site's.
        """
        if not verdict.is_site_rule_evidence:
            return False
        stood = self._rule.stands
        if not stood and not self._rule.failed(verdict, instance_id, study, now):
            return False
        if self.state not in {SiteState.PAUSED, SiteState.DEAD}:
            # Lines that broke in mid-transfer, all at once, are what it looks like when a destination dies: that is looked into at once.
            first_probe_s = 0.0 if verdict.whose is Whose.UNKNOWN and not stood else self._pacing.probe
            self._become(SiteState.PAUSED, f"the same failure on many instances: {verdict.text}", now, now.after(first_probe_s))
        return True

    def take_accused(self) -> frozenset[int]:
        """Return the instances whose failures led to pauses that are over, each once."""
        accused, self._accused = self._accused, frozenset()
        return accused

    def probe_started(self, now: Instant) -> None:
        """Note that a lane is on its way: with a second opinion, or with the one instance of this probe interval."""
        self._wants_opinion, self._opinion_is_out = False, self._wants_opinion and not self._may_be_tried(now)
        if self.state is SiteState.PAUSED:
            self.due = now.after(self._pacing.probe)

    def hello_failed(self, verdict: Verdict, began: Instant) -> None:
        """Take note that a dead destination is still dead, perhaps in another way; the knock began at `began`, whatever it took."""
        self.reason = verdict.text
        self.due = began.after(knock_delay(self._pacing.dead_hello))

    def hello_answered(self, now: Instant) -> None:
        """Take note that a dead destination answers again; lanes open one by one, and the back-off stays until an instance is delivered.

        It is alive, unless it died of something that this does not disprove, or was paused before.
        """
        if self._outlives_echo:
            self._echoes = True
            self._become(SiteState.DEAD, self._outlives_echo + _ECHOES, now, None)
        elif self._rule.stands:
            self._become(SiteState.PAUSED, "the same failure on many instances before it went away", now, now.after(0))
        else:
            self._become(SiteState.ALIVE, "", now, None)

    def retry_now(self, now: Instant) -> None:
        """Forget due times: settings changed or the connection doctor found the destination well."""
        self._refused_titles.clear()
        self._widen_due = None
        self.allowed_lanes = self._pacing.lanes
        if self.due is not None:
            self.due = now.after(0)

    # --- inside -----------------------------------------------------------------------------------------------------------------------

    def _narrow(self, lanes: int, now: Instant) -> None:
        self.allowed_lanes = max(1, min(lanes, self._pacing.lanes))
        self._widen_backoff_s = next_throttle(self._widen_backoff_s, self._pacing.throttled)
        self._widen_due = now.after(jittered(self._widen_backoff_s, self._dice()))

    def _trouble(self, verdict: Verdict, now: Instant, *, doubles: bool = True) -> None:
        match verdict.site_state:
            case SiteState.DEAD:
                self._outlives_echo = verdict.text if verdict.outlives_echo else ""
                reason = verdict.text + _ECHOES if self._echoes and verdict.outlives_echo else verdict.text
                self._echoes = False
                self._become(SiteState.DEAD, reason, now, now.after(knock_delay(self._pacing.dead_hello)))
            case SiteState.THROTTLED:
                if doubles or not self.backoff_s:
                    self.backoff_s = next_throttle(self.backoff_s, self._pacing.throttled)
                wait_s = max(jittered(self.backoff_s, self._dice()), verdict.wait_s)
                self._become(SiteState.THROTTLED, verdict.text, now, now.after(wait_s))
            case SiteState.REFUSING:
                self._become(SiteState.REFUSING, verdict.text, now, now.after(jittered(self._pacing.refusing, self._dice())))
            case SiteState.ALIVE | SiteState.PAUSED | None:
                return

    def _become(self, state: SiteState, reason: str, now: Instant, due: Due | None) -> None:
        if state is not self.state:
            self.since = now.wall
        self.state, self.reason, self.due = state, reason, due
        self.epoch += 1
