"""Studies searched for by what people remember of them.

Promises: a search is one snapshot of the ledger; capitals, accents and the carets of names do not matter.
Failures: those of the ledger; `StateUnknownError`, `DestinationUnknownError`, `StudyDayInvalidError` and `StudyMissingError` for what is
asked in error.
Limits: at most `_MOST_ROWS` studies an answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.ledger.destinations import DestinationStates
from appliance.ledger.study_search import FoundStudy, StudyQuery, StudySearch
from appliance.ledger.vocabulary import DeliveryState
from appliance.ledger.words import words_in
from appliance.manage.answering import Desk
from appliance.manage.box_time import iso
from appliance.manage.overview import DestinationUnknownError, StateUnknownError
from appliance.manage.study_days import study_filter
from appliance.runtime.control import Handler
from appliance.runtime.page_requests import StudyLine, StudySearchReply, StudySearchRequest

OWED = "owed"
"""Stands for every state in which something is to be delivered still."""

# More than a page shows; whoever wants more goes on after the last.
_MOST_ROWS = 500


class Searching:
    """Answers searches."""

    def __init__(self, desk: Desk) -> None:
        """Search at `desk`."""
        self._desk = desk
        self._search = StudySearch(desk.ledger)

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {StudySearchRequest: self._desk.answering(self.find)}

    def find(self, request: StudySearchRequest) -> StudySearchReply:
        """Return a page of the studies that fit, newest first."""
        is_owed = request.state == OWED
        if request.state is not None and not is_owed and request.state not in set(DeliveryState):
            raise StateUnknownError(f"there is no delivery state {request.state!r}")
        days = study_filter(
            accession_number=None,
            modality=request.modality or None,
            since=request.since or None,
            until=request.until or None,
            timezone=self._desk.site.box.timezone,
        )
        with self._desk.ledger.read():
            wanted = StudyQuery(
                words_in(request.words),
                days,
                None if request.destination is None else self._id_of(request.destination),
                None if request.state is None or is_owed else DeliveryState(request.state),
                is_owed,
            )
            found = self._search.find(wanted, limit=min(max(request.limit, 1), _MOST_ROWS), after=request.after)
        names = self._desk.names()
        return StudySearchReply(tuple(line_of(study, names) for study in found))

    def _id_of(self, name: str) -> str:
        destinations = self._desk.site.destinations
        for destination in destinations:
            if destination.name == name:
                return destination.id
        if DestinationStates(self._desk.ledger).get(name) is not None:
            # One that was removed from the configuration is known by its id.
            return name
        known = ", ".join(destination.name for destination in destinations)
        raise DestinationUnknownError(f"there is no destination {name!r}", advice=f"Destinations are: {known}.")


def line_of(study: FoundStudy, names: Mapping[str, str]) -> StudyLine:
    """Return a study as a list shows it; `names` has those of the destinations by id."""
    return StudyLine(
        study_instance_uid=study.study_instance_uid,
        patient_name=study.patient_name,
        patient_id=study.patient_id,
        birth_date=study.birth_date,
        accession_number=study.accession_number,
        description=study.description,
        study_date=study.study_date,
        modality=study.modality,
        received=iso(study.received) or "",
        instances=study.instances,
        destinations={names.get(destination, destination): dict(counts) for destination, counts in study.destinations.items()},
        complete=iso(study.completed),
    )
