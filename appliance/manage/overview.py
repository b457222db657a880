"""The answers to what a person asks, read from the ledger by the daemon that may.

Promises: every list is one consistent snapshot; every answer carries exactly the keys of `runtime/requests`. A status takes less than
0.3 s with a million rows in the ledger.
Failures: those of the ledger; `StateUnknownError`, `DestinationUnknownError` and `StudyMissingError` for what is asked in error.
Limits: numbers in `status` and `destinations` are as old as `counts` allows; the size of the spool is the sum of what the ledger knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance import __version__
from appliance.config.model import Destination, Site
from appliance.core.errors import ApplianceError, Fault
from appliance.deliver.held_codes import code_of
from appliance.ledger.database import Ledger
from appliance.ledger.delivery_details import held_since
from appliance.ledger.destinations import DestinationCondition, DestinationState, DestinationStates
from appliance.ledger.instances import InstanceState
from appliance.ledger.pauses import Pauses
from appliance.ledger.proofs import Proofs
from appliance.ledger.queue import Queue
from appliance.ledger.studies import Studies
from appliance.ledger.vocabulary import DeliveryState
from appliance.manage.counts import Counts, Owed
from appliance.manage.study_days import study_filter
from appliance.runtime.clock import Clock
from appliance.runtime.control import Handler
from appliance.runtime.requests import (
    DestinationReply,
    DestinationsReply,
    DestinationsRequest,
    ObjectRow,
    ObjectsReply,
    ObjectsRequest,
    QueueReply,
    QueueRequest,
    QueueRow,
    SpoolSpace,
    StatusReply,
    StatusRequest,
    StudiesReply,
    StudiesRequest,
    StudyRow,
)
from appliance.runtime.service import living
from appliance.spool.store import Spool

# What must be alive for the box to do its work; monitor, web and the rest only watch it.
_ESSENTIAL = ("receiver", "router", "sender")


class StateUnknownError(ApplianceError):
    """A delivery state that does not exist was asked for."""

    fault = Fault.OPERATOR
    exit_code = 2
    advice = "States are: " + ", ".join(DeliveryState) + "."


_LOSES_IMAGES = "says that it does not have {} images which it took: ask its administrator; a few are sent again as a sample"


class Overview:
    """Answers from one ledger; used by the control server's threads, one connection each."""

    def __init__(self, ledger: Ledger, spool: Spool, site: Callable[[], Site], run_dir: Path, clock: Clock) -> None:
        """Keep what is needed to answer; `site` gives the configuration in force."""
        self._ledger = ledger
        self._studies = Studies(ledger)
        self._queue = Queue(ledger)
        self._states = DestinationStates(ledger)
        self._proofs = Proofs(ledger)
        self._spool = spool
        self._current = site
        self._run_dir = run_dir
        self._clock = clock
        self._counts = Counts(ledger, clock, spool.waiting)

    @property
    def _site(self) -> Site:
        return self._current()

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {
            StatusRequest: self._answering(self.status),
            QueueRequest: self._answering(self.queue),
            StudiesRequest: self._answering(self.studies),
            DestinationsRequest: self._answering(self.destinations),
            ObjectsRequest: self._answering(self.objects),
        }

    def _answering(self, answer: Handler) -> Handler:
        def handler(request: object) -> object:
            try:
                return answer(request)
            finally:
                # The thread ends with this answer; its connection must not outlive it.
                self._ledger.close()

        return handler

    def status(self, _request: StatusRequest) -> StatusReply:
        """Return the state of the box in one page."""
        alive = {daemon.name for daemon in living(self._run_dir) if daemon.ready}
        # What was damaged before the router could record it is in no ledger, so both are counted where they are.
        counted = self._counts.get(self._destination_ids())
        apart = {"incoming": counted.incoming, InstanceState.QUARANTINED.value: self._spool.quarantined()}
        destinations = self._destinations(counted.owed)
        ages = [destination.oldest_s for destination in destinations if destination.oldest_s is not None]
        space = self._spool.space()
        return StatusReply(
            version=__version__,
            ready=all(name in alive for name in _ESSENTIAL),
            box=self._site.box.name,
            generation=self._site.generation,
            deliveries={state.value: counted.deliveries.get(state, 0) for state in _STATES_SHOWN},
            instances={state.value: count for state, count in counted.instances.counts.items()} | apart,
            oldest_undelivered_s=max(ages, default=None),
            spool=SpoolSpace(counted.instances.stored_bytes, space.free_bytes, space.total_bytes),
            destinations=destinations,
            findings=(),
        )

    def queue(self, request: QueueRequest) -> QueueReply:
        """Return a page of deliveries; without a state those that are still owed."""
        if request.state is not None and request.state not in set(DeliveryState):
            raise StateUnknownError(f"there is no delivery state {request.state!r}")
        state = DeliveryState(request.state) if request.state is not None else None
        destination = self._id_of(request.destination) if request.destination is not None else None
        names = {destination.id: destination.name for destination in self._site.destinations}
        with self._ledger.read():
            rows = self._queue.list(destination=destination, state=state, limit=request.limit, after=request.after)
            paused = {one: self._pause(one) for one in {row.destination for row in rows if row.state is DeliveryState.QUEUED}}
            held = {row.id: held_since(self._ledger, row.id) for row in rows if row.reason or row.hold_class}
        return QueueReply(
            tuple(
                QueueRow(
                    row.id,
                    names.get(row.destination, row.destination),
                    row.state.value,
                    row.hold_class.value if row.hold_class else None,
                    row.priority.name.lower(),
                    row.study_instance_uid,
                    row.sop_instance_uid,
                    row.attempts,
                    _iso(row.due),
                    (paused[row.destination] if row.state is DeliveryState.QUEUED else "") or row.reason,
                    code_of(row.state, row.hold_class, row.reason, held.get(row.id, (None, ""))[1]),
                    _iso(held[row.id][0]) if row.hold_class and row.id in held else None,
                )
                for row in rows
            )
        )

    def studies(self, request: StudiesRequest) -> StudiesReply:
        """Return a page of studies, newest first."""
        names = {destination.id: destination.name for destination in self._site.destinations}
        wanted = study_filter(
            accession_number=request.accession_number,
            modality=request.modality,
            since=request.since,
            until=request.until,
            timezone=self._site.box.timezone,
        )
        with self._ledger.read():
            rows = self._studies.find(wanted, limit=request.limit, after=request.after)
        return StudiesReply(
            tuple(
                StudyRow(
                    row.study_instance_uid,
                    row.accession_number,
                    row.modality,
                    _iso(row.received) or "",
                    row.instances,
                    row.delivered,
                    row.proved,
                    {names.get(destination, destination): dict(counts) for destination, counts in row.destinations.items()},
                    _iso(row.completed),
                )
                for row in rows
            )
        )

    def objects(self, request: ObjectsRequest) -> ObjectsReply:
        """Return every sealed object of a SOP instance or of a study."""
        with self._ledger.read():
            rows = self._studies.objects(request.uid, series=request.series_instance_uid)
        return ObjectsReply(tuple(ObjectRow(row.sop_instance_uid, row.version, row.spool_name) for row in rows))

    def destinations(self, _request: DestinationsRequest) -> DestinationsReply:
        """Return every configured destination."""
        return DestinationsReply(self._destinations(self._counts.get(self._destination_ids()).owed))

    def conditions(self) -> dict[str, str]:
        """Return how each configured destination is (by its id), as people see it; counts nothing."""
        with self._ledger.read():
            return {
                one.id: self._condition(one, self._states.get(one.id) or DestinationState(one.id))[0] for one in self._site.destinations
            }

    def _destination_ids(self) -> list[str]:
        return [destination.id for destination in self._site.destinations]

    def _destinations(self, owed: Mapping[str, Owed]) -> tuple[DestinationReply, ...]:
        with self._ledger.read():
            return tuple(self._destination(destination, owed[destination.id]) for destination in self._site.destinations)

    def _destination(self, destination: Destination, owed: Owed) -> DestinationReply:
        state = self._states.get(destination.id) or DestinationState(destination.id)
        condition, reason = self._condition(destination, state)
        withheld = self._proofs.withheld(destination.id)
        if withheld:
            reason = "; ".join(filter(None, [reason, _LOSES_IMAGES.format(withheld)]))
        return DestinationReply(
            name=destination.name,
            state=condition,
            queued=owed.waiting.deliveries,
            oldest_s=self._age_s(owed.waiting.oldest),
            last_success=_iso(state.last_success),
            held=owed.held,
            lanes=state.lanes,
            reason=reason,
            address=destination.address,
            unproved=self._proofs.waiting(destination.id),
            # What a person ordered is newer than the state below it, and its moment is in the reason.
            since=_iso(state.since) if state.since and condition == state.state.value else None,
        )

    def _condition(self, destination: Destination, state: DestinationState) -> tuple[str, str]:
        """Return how a destination is and why, as people see it: what a person ordered comes first, its hours last."""
        wall = self._clock.now().wall
        paused = self._pause(destination.id)
        if paused:
            return DestinationCondition.PAUSED.value, paused
        window = destination.window
        if state.state is DestinationCondition.ALIVE:
            is_open = window is None or window.holds(wall, ZoneInfo(self._site.box.timezone))
            return state.state.value, "" if is_open or window is None else f"outside its window {window.text}: only STAT is sent"
        return state.state.value, state.reason

    def _pause(self, destination_id: str) -> str:
        """Return what a person ordered about a destination, "" where nobody paused it."""
        pause = Pauses(self._ledger).get(destination_id, self._clock.now().wall)
        if pause is None:
            return ""
        until = f" until {_iso(pause.until)}" if pause.until is not None else ""
        return f"paused by {pause.who}{until}" + (f": {pause.reason}" if pause.reason else "")

    def _age_s(self, wall: float | None) -> float | None:
        return None if wall is None else round(max(0.0, self._clock.now().wall - wall), 1)

    def _id_of(self, name: str) -> str:
        for destination in self._site.destinations:
            if destination.name == name:
                return destination.id
        with self._ledger.read():
            # One that was removed from the configuration is known by its id.
            if self._states.get(name) is not None:
                return name
        raise DestinationUnknownError(f"there is no destination {name!r}", advice=self._names())

    def _names(self) -> str:
        return "Destinations are: " + ", ".join(destination.name for destination in self._site.destinations) + "."


class DestinationUnknownError(ApplianceError):
    """A destination that is not configured was asked for."""

    fault = Fault.OPERATOR


_STATES_SHOWN = (
    DeliveryState.QUEUED,
    DeliveryState.SENDING,
    DeliveryState.DEFERRED,
    DeliveryState.HELD,
    DeliveryState.DELIVERED,
    DeliveryState.PROVED,
    DeliveryState.CANCELLED,
    DeliveryState.EXPIRED,
)


def _iso(wall: float | None) -> str | None:
    return None if wall is None else datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")
