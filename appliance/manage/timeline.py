"""One study from the acquisition to the proof, as a page shows it.

Promises: one snapshot of the ledger. Moments of the acquisition are the scanner's, all others the box's.
Failures: those of the ledger; `StudyMissingError` for a study that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.config.sources import find_source
from appliance.ledger.study_timeline import Timeline, Way, timeline_of
from appliance.manage.answering import Desk
from appliance.manage.backlog import held_groups
from appliance.manage.box_time import iso
from appliance.manage.searching import line_of
from appliance.runtime.control import Handler
from appliance.runtime.page_requests import SeriesLine, StudyDelivery, StudyReply, StudyRequest
from appliance.runtime.requests import ObjectRow


class Timelines:
    """Answers what became of a study."""

    def __init__(self, desk: Desk) -> None:
        """Answer at `desk`."""
        self._desk = desk

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {StudyRequest: self._desk.answering(self.study)}

    def study(self, request: StudyRequest) -> StudyReply:
        """Return everything about one study."""
        with self._desk.ledger.read():
            found = timeline_of(self._desk.ledger, request.study_instance_uid)
        source = find_source(self._desk.site, found.calling_title, found.source_address)
        return StudyReply(
            study=line_of(found.study, self._desk.names()),
            source=source.name if source else found.calling_title,
            called=found.called_title,
            acquired_first=iso(found.acquired.first),
            acquired_last=iso(found.acquired.last),
            received_first=iso(found.received.first) or "",
            received_last=iso(found.received.last) or "",
            deliveries=self._deliveries(found),
            series=tuple(
                SeriesLine(
                    one.series_instance_uid,
                    one.modality,
                    one.instances,
                    ObjectRow(one.sample.sop_instance_uid, one.sample.version, one.sample.spool_name),
                )
                for one in found.series
            ),
        )

    def _deliveries(self, found: Timeline) -> tuple[StudyDelivery, ...]:
        """Return the deliveries in the order of the configuration, those to destinations that were removed last."""
        ways = {way.destination_id: way for way in found.ways}
        known = [(one.id, one.name, one.proof) for one in self._desk.site.destinations if one.id in ways]
        removed = [(one, one, "delivered") for one in ways if one not in self._desk.names()]
        return tuple(_delivery(ways[destination_id], name, proof) for destination_id, name, proof in (*known, *removed))


def _delivery(way: Way, name: str, proof: str) -> StudyDelivery:
    held = held_groups(way.held, {way.destination_id: name})
    return StudyDelivery(name, way.counts, iso(way.delivered.first), iso(way.delivered.last), proof, way.reasons, held)
