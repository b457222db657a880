"""One study from the acquisition to the proof, as the ledger knows it.

Promises: changes nothing; costs what the study holds.
Failures: `StudyMissingError`; `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: when a delivery was made is that of the last time that it was (a loss that an archive reports begins it again).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from appliance.ledger.backlog import Backlog, HeldTogether
from appliance.ledger.database import Ledger
from appliance.ledger.study_search import FoundStudy, StudySearch
from appliance.ledger.vocabulary import DeliveryState

# What a person reads before looking at the queue itself.
_MOST_REASONS = 5

_INSTANCES = """
    SELECT id, sop_instance_uid, version, state, series_instance_uid, modality, spool_name, calling_title, source_address, called_title,
        received_at, acquired_at
    FROM instance WHERE study_id = ? ORDER BY id
"""
_DELIVERIES = """
    SELECT d.destination_id, d.state, count(*), min(d.ended_at), max(d.ended_at)
    FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id
    WHERE i.study_id = ? GROUP BY d.destination_id, d.state ORDER BY min(d.id)
"""
_REASONS = """
    SELECT d.destination_id, d.reason
    FROM instance i CROSS JOIN delivery d ON d.instance_id = i.id
    WHERE i.study_id = ? AND d.reason <> '' AND d.state NOT IN ('delivered', 'proved')
    GROUP BY d.destination_id, d.reason ORDER BY count(*) DESC
"""


@dataclass(frozen=True, slots=True)
class Span:
    """The first and the last moment of something (wall times, UTC), None where there is none."""

    first: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class Way:
    """How far a study is with one destination (its id); `delivered` is when, `reasons` why the rest is not, the most frequent first.

    `held`: what of it is held, by reason.
    """

    destination_id: str
    counts: dict[str, int]
    delivered: Span
    reasons: tuple[str, ...] = field(repr=False)
    held: tuple[HeldTogether, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One object: which version of which SOP instance, and the name of its sealed file."""

    sop_instance_uid: str
    version: int
    spool_name: str


@dataclass(frozen=True, slots=True)
class Series:
    """One series: how many SOP instances, and one from its middle."""

    series_instance_uid: str
    modality: str
    instances: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class Timeline:
    """A study with everything that is known of its way. The source is that of its first instance."""

    study: FoundStudy
    calling_title: str
    source_address: str
    called_title: str
    acquired: Span
    received: Span
    ways: tuple[Way, ...]
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class _Instance:
    id: int
    sop_instance_uid: str
    version: int
    state: str
    series_instance_uid: str
    modality: str
    spool_name: str
    calling_title: str
    source_address: str
    called_title: str
    received_at: float
    acquired_at: float | None

    @property
    def is_kept(self) -> bool:
        return self.state in {"stored", "unrouted"}


def timeline_of(ledger: Ledger, study_instance_uid: str) -> Timeline:
    """Return everything about a study, inside `read()` or `write()`. Raises `StudyMissingError`."""
    study = StudySearch(ledger).get(study_instance_uid)
    instances = [_Instance(*row) for row in ledger.rows(_INSTANCES, (study.id,))]
    # What is damaged tells nothing, except where all is.
    counted = [one for one in instances if one.state != "quarantined"] or instances
    first = counted[0]
    return Timeline(
        study,
        first.calling_title,
        first.source_address,
        first.called_title,
        _span(one.acquired_at for one in counted),
        _span(one.received_at for one in counted),
        _ways(ledger, study.id),
        _series(counted),
    )


def _ways(ledger: Ledger, study_id: int) -> tuple[Way, ...]:
    reasons: dict[str, list[str]] = {}
    for destination_id, reason in ledger.rows(_REASONS, (study_id,)):
        reasons.setdefault(destination_id, []).append(reason)
    held: dict[str, list[HeldTogether]] = {}
    for one in Backlog(ledger).held_of_study(study_id):
        held.setdefault(one.destination_id, []).append(one)
    counts: dict[str, dict[str, int]] = {}
    moments: dict[str, list[float | None]] = {}
    for destination_id, state, count, first, last in ledger.rows(_DELIVERIES, (study_id,)):
        counts.setdefault(destination_id, {})[state] = count
        if state in {DeliveryState.DELIVERED, DeliveryState.PROVED}:
            moments.setdefault(destination_id, []).extend((first, last))
    return tuple(
        Way(
            destination_id,
            found,
            _span(moments.get(destination_id, ())),
            tuple(reasons.get(destination_id, ())[:_MOST_REASONS]),
            tuple(held.get(destination_id, ())),
        )
        for destination_id, found in counts.items()
    )


def _series(instances: list[_Instance]) -> tuple[Series, ...]:
    found: dict[str, list[_Instance]] = {}
    for one in instances:
        found.setdefault(one.series_instance_uid, []).append(one)
    return tuple(_one_series(uid, of_it) for uid, of_it in found.items())


def _one_series(uid: str, instances: list[_Instance]) -> Series:
    latest = {one.sop_instance_uid: one for one in instances}
    shown = [one for one in latest.values() if one.is_kept] or list(latest.values())
    middle = shown[len(shown) // 2]
    sample = Sample(middle.sop_instance_uid, middle.version, middle.spool_name)
    return Series(uid, next((one.modality for one in instances if one.modality), ""), len(latest), sample)


def _span(moments: Iterable[float | None]) -> Span:
    known = [moment for moment in moments if moment is not None]
    return Span(min(known, default=None), max(known, default=None))
