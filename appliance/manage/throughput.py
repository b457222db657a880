"""How much came and went, by hour, day or month of the box's time zone.

Promises: every bucket is there, the empty ones too; costs what the time has in quarters of an hour, however much came.
Failures: those of the ledger; `ChoiceUnknownError` for a bucket that there is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from appliance.ledger.traffic import Traffic
from appliance.manage.answering import ChoiceUnknownError, Desk
from appliance.manage.box_time import Bucket, bounds, iso
from appliance.manage.remembering import Remembered
from appliance.runtime.control import Handler
from appliance.runtime.page_requests import ThroughputReply, ThroughputRequest, ThroughputRow


class Throughputs:
    """Answers how much came and went."""

    def __init__(self, desk: Desk) -> None:
        """Answer at `desk`."""
        self._desk = desk
        self._traffic = Traffic(desk.ledger)
        self._known = {bucket: Remembered[ThroughputReply](desk.clock) for bucket in Bucket}

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {ThroughputRequest: self._desk.answering(self.throughput)}

    def throughput(self, request: ThroughputRequest) -> ThroughputReply:
        """Return every bucket, oldest first."""
        if request.bucket not in set(Bucket):
            raise ChoiceUnknownError(f"nothing is counted by {request.bucket!r}", advice=f"Say one of: {', '.join(Bucket)}.")
        bucket = Bucket(request.bucket)
        return self._known[bucket].get(lambda: self._count(bucket))

    def _count(self, bucket: Bucket) -> ThroughputReply:
        names = self._desk.names()
        edges = bounds(bucket, self._desk.clock.now().wall, self._desk.zone)
        rows = []
        with self._desk.ledger.read():
            for since, until in pairwise(edges):
                instances, length = self._traffic.received(since, until)
                delivered = self._traffic.delivered(since, until)
                rows.append(
                    ThroughputRow(iso(since) or "", instances, length, {names.get(one, one): count for one, count in delivered.items()})
                )
        return ThroughputReply(tuple(rows))
