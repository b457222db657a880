"""What each scanner has sent lately, and whether its clock is right.

Promises: costs what the last 30 days have in quarters of an hour, however many instances came.
Failures: those of the ledger.
Limits: a scanner is a title at an address; one that moved is two.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.ledger.traffic import Traffic
from appliance.manage.answering import Desk
from appliance.manage.box_time import DAY_S, HOUR_S, beginning_of, day_of, iso
from appliance.manage.drift import LOOKED_BACK_S, drift_of
from appliance.manage.remembering import Remembered
from appliance.runtime.control import Handler
from appliance.runtime.page_requests import ActivityReply, ActivityRequest, SourceActivity

_LATELY_S = 30 * DAY_S


class Activities:
    """Answers who sent what."""

    def __init__(self, desk: Desk) -> None:
        """Answer at `desk`."""
        self._desk = desk
        self._traffic = Traffic(desk.ledger)
        self._known = Remembered[ActivityReply](desk.clock)

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {ActivityRequest: self._desk.answering(self.activity)}

    def activity(self, _request: ActivityRequest) -> ActivityReply:
        """Return what came of each, the last to send first."""
        return self._known.get(self._look)

    def _look(self) -> ActivityReply:
        now, zone = self._desk.clock.now().wall, self._desk.zone
        today = beginning_of(day_of(now, zone), zone)
        with self._desk.ledger.read():
            callers = self._traffic.callers(now - _LATELY_S, today=today, last_hour=now - HOUR_S, lags_since=now - LOOKED_BACK_S)
        return ActivityReply(
            tuple(
                SourceActivity(
                    one.calling_title, one.source_address, iso(one.last_at) or "", one.today, one.last_hour, _rounded(drift_of(one.lags_s))
                )
                for one in callers
            )
        )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
