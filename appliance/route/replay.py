"""`route replay`: today's routes asked about what was received before they were made.

Promises: an instance gets a delivery (cause `route`) for each destination that its routes name now and that it never had a delivery to,
and is kept for as long as they say; nothing else changes, whatever became of the deliveries that there are: what was cancelled stays
cancelled, also where the box itself held back what would have gone round. Only the newest version of a SOP instance is asked about, and
only while its object is kept. Doing it again adds nothing.
Failures: what the ledger raises; what was added before stays.
Limits: what a replay added after the last snapshot is not known to a ledger rebuilt from it; replaying again adds it again. Walks over all
recorded instances (seconds for a million).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.config.model import Site
from appliance.config.sources import find_source
from appliance.ledger.completions import Completions
from appliance.ledger.database import Ledger
from appliance.ledger.deliveries import Deliveries
from appliance.ledger.instances import InstanceFacts, Instances, InstanceState, StoredInstance
from appliance.ledger.vocabulary import Cause
from appliance.route.planner import Planned, plan
from appliance.route.rules import RoutingFacts
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# house.md section 6: at most 50 rows a transaction; an instance rarely has more than one new delivery.
_PAGE = 50


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many instances of the time were looked at, how many of them get something, and how many deliveries that is, by destination id."""

    instances: int
    changed: int
    deliveries: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Missing:
    """What an instance lacks of what routes ask for: deliveries, and being kept until then."""

    planned: tuple[Planned, ...]
    keep_until: float | None

    def __bool__(self) -> bool:
        return bool(self.planned) or self.keep_until is not None


class Replay:
    """Replays routes over one ledger."""

    def __init__(self, ledger: Ledger, site: Site, clock: Clock, wake_sender: Callable[[], None]) -> None:
        """Ask the routes of `site`; `wake_sender` is called after each commit that made deliveries."""
        self._ledger = ledger
        self._site = site
        self._clock = clock
        self._wake_sender = wake_sender
        self._instances = Instances(ledger)
        self._deliveries = Deliveries(ledger)
        self._completions = Completions(ledger)

    def run(self, since: float, until: float, *, dry_run: bool) -> Replayed:
        """Replay what was received from the wall time `since` (UTC) until before `until`; with `dry_run` only say what that would do."""
        looked = changed = after = 0
        added: dict[str, int] = {}
        while True:
            scope = self._ledger.read() if dry_run else self._ledger.write()
            with scope:
                page = self._instances.received_between(since, until, after=after, limit=_PAGE)
                missing = [(stored, self._missing(stored)) for stored in page]
                if not dry_run:
                    for stored, lacks in missing:
                        self._add(stored, lacks)
            for _, lacks in missing:
                for delivery in lacks.planned:
                    added[delivery.destination_id] = added.get(delivery.destination_id, 0) + 1
            looked, changed = looked + len(page), changed + sum(bool(lacks) for _, lacks in missing)
            if not dry_run and any(lacks.planned for _, lacks in missing):
                self._wake_sender()
            if len(page) < _PAGE:
                break
            after = page[-1].id
        log.info("route.replayed", instances=looked, changed=changed, deliveries=sum(added.values()), dry_run=dry_run)
        return Replayed(looked, changed, added)

    def _missing(self, stored: StoredInstance) -> _Missing:
        had = {row.destination_id for row in self._deliveries.of_instance(stored.id)}
        asked = plan(self._site, self._asked(stored.facts))
        keep_until = asked.keep_until(stored.facts.received_at)
        if keep_until is not None and stored.keep_until is not None and keep_until <= stored.keep_until:
            keep_until = None
        return _Missing(tuple(delivery for delivery in asked.deliveries if delivery.destination_id not in had), keep_until)

    def _is_complete(self, stored: StoredInstance) -> bool:
        study = self._completions.find(stored.facts.study_instance_uid) if stored.facts.study_instance_uid else None
        return study is None or study.is_complete

    def _asked(self, facts: InstanceFacts) -> RoutingFacts:
        source = find_source(self._site, facts.calling_title, facts.source_address)
        return RoutingFacts(
            source=source.name if source else "",
            calling_title=facts.calling_title,
            called_title=facts.called_title,
            sop_class_uid=facts.sop_class_uid,
            modality=facts.attributes.modality,
            station_name=facts.attributes.station_name,
            source_address=facts.source_address,
            hops=facts.hops,
        )

    def _add(self, stored: StoredInstance, lacks: _Missing) -> None:
        now = self._clock.now()
        for delivery in lacks.planned:
            made = self._deliveries.add(
                stored.id, delivery.destination_id, cause=Cause.ROUTE, cause_ref="", priority=delivery.priority, now=now
            )
            if made is not None and delivery.awaits_study and not self._is_complete(stored):
                self._completions.defer(made)
        if lacks.keep_until is not None:
            self._instances.keep(stored.id, lacks.keep_until)
        if lacks and stored.state is InstanceState.UNROUTED:
            self._instances.routed(stored.id)
