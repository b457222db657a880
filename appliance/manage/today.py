"""What came today, and where it is.

Promises: one snapshot of the ledger; `settled` is never more than `received`. The day is the box's.
Failures: those of the ledger.
Limits: what was received and forgotten on the same day is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise

from appliance.ledger.backlog import Backlog, Day
from appliance.ledger.traffic import Traffic
from appliance.manage.answering import Desk
from appliance.manage.box_time import beginning_of, day_of
from appliance.manage.remembering import Remembered
from appliance.runtime.control import Handler
from appliance.runtime.page_requests import TodayReply, TodayRequest

# Of these days before today, the latest that had anything are averaged.
_LOOKED_BACK_DAYS = 30
_AVERAGED_DAYS = 7


class Today:
    """Answers what came today."""

    def __init__(self, desk: Desk) -> None:
        """Answer at `desk`."""
        self._desk = desk
        self._backlog = Backlog(desk.ledger)
        self._traffic = Traffic(desk.ledger)
        self._known = Remembered[TodayReply](desk.clock)

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {TodayRequest: self._desk.answering(self.today)}

    def today(self, _request: TodayRequest) -> TodayReply:
        """Return how much came, and how much of it is owed to nobody any more."""
        return self._known.get(self._count)

    def _count(self) -> TodayReply:
        zone = self._desk.zone
        today = day_of(self._desk.clock.now().wall, zone)
        edges = [beginning_of(today - timedelta(days=back), zone) for back in range(-1, _LOOKED_BACK_DAYS + 1)]
        with self._desk.ledger.read():
            first_id = self._traffic.first_since(edges[1])
            day = Day(0, 0, 0) if first_id is None else self._backlog.day(first_id, edges[1], edges[0])
            # The latest first, today before all others.
            lengths = [self._traffic.received(since, until)[1] for until, since in pairwise(edges)]
        # A day that is not over says too little, except where it is the first.
        full = [length for length in lengths[1:] if length][:_AVERAGED_DAYS] or lengths[:1]
        return TodayReply(day.instances, day.instances - day.owed, day.studies, lengths[0], sum(full) / len(full))
