"""`route explain`: what the box would do with a file if a scanner sent it now, and why.

Promises: the same functions judge as when an object arrives: `receive.admission` who calls, `route.rules` and `route.planner` where it
goes. Nothing is sent, stored or asked of anybody. The explanation holds no patient's name, ID or birth date.
Failures: `FileNotDicomError` (operator) for the file.
Limits: what arrived earlier is not looked at (`duplicates`), nor are limits on associations and the disk. What a destination takes is
what was seen in real associations; nothing seen is `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from appliance.config.model import Destination, DicomDestination, FolderDestination, Route, SftpDestination, Site
from appliance.config.sources import find_source
from appliance.core.identity import AETitle, Uid
from appliance.dimse.contexts import NEVER_ACCEPTED, UNCOMPRESSED, is_storage, named
from appliance.dimse.conversion import convertible
from appliance.dimse.file_source import FileSource
from appliance.dimse.learned import Learned, decode
from appliance.receive.admission import Admitted, AssociationFacts, Refused, admit
from appliance.route.attributes import read_attributes
from appliance.route.planner import Planned, plan, routes_for
from appliance.route.rules import Condition, RoutingFacts, explain

_NOTHING_LEARNED = Learned()


class Takes(StrEnum):
    """Whether a destination is known to take an instance."""

    YES = "yes"
    CONVERTED = "converted"
    """In another encoding only, to which the box converts by itself."""
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who would send the file: titles as a scanner would send them (`called` None for a blank one), and its address."""

    calling: AETitle
    called: AETitle | None
    address: str


@dataclass(frozen=True, slots=True)
class ExplainedRoute:
    """One route: whether it is switched on and the called title allows for it, what it asks for, and whether it applies."""

    name: str
    is_allowed: bool
    applies: bool
    conditions: tuple[Condition, ...]
    to: tuple[str, ...]
    priority: str
    keep_s: float | None
    when_complete: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ExplainedDelivery:
    """One delivery that would be made: to a destination by name, because of these routes, under this calling title.

    With `awaits_study` it would wait until the study is complete.
    """

    destination: str
    priority: str
    routes: tuple[str, ...]
    calling_title: str
    takes: Takes
    awaits_study: bool = False


@dataclass(frozen=True, slots=True)
class ExplainedWithheld:
    """One delivery that would not be made although routes ask for it: to a destination by name, and why not."""

    destination: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it. `source` is empty for a caller that is not listed; `refusal` is empty where the box would take it."""

    sop_class_uid: Uid
    sop_class: str
    sop_instance_uid: Uid
    transfer_syntax_uid: Uid
    transfer_syntax: str
    modality: str
    station_name: str
    source: str
    called_title: str
    local_title: str
    refusal: str
    routes: tuple[ExplainedRoute, ...]
    deliveries: tuple[ExplainedDelivery, ...]
    withheld: tuple[ExplainedWithheld, ...] = ()

    @property
    def is_unrouted(self) -> bool:
        """Say whether no route applies, so that the instance would be kept for a person to look at."""
        return not any(route.applies for route in self.routes)


@dataclass(frozen=True, slots=True)
class Object:
    """What of an object decides where it goes."""

    sop_class_uid: Uid
    sop_instance_uid: Uid
    transfer_syntax_uid: Uid
    modality: str
    station_name: str
    hops: int = 0


def explain_file(path: Path, caller: Caller, site: Site, known: Mapping[str, Learned]) -> Explanation:
    """Return what would become of the file at `path`. `known` is what destinations were seen to take, by destination id."""
    source = FileSource.open(path)
    try:
        attributes = read_attributes(source.read, source.transfer_syntax_uid)
    finally:
        source.close()
    uids = (source.sop_class_uid, source.sop_instance_uid, source.transfer_syntax_uid)
    return explain_object(Object(*uids, attributes.modality, attributes.station_name), caller, site, known)


def explain_object(source: Object, caller: Caller, site: Site, known: Mapping[str, Learned]) -> Explanation:
    """Return what would become of an object that `caller` sent. `known` is what destinations were seen to take, by destination id."""
    judgement = _admission(caller, site, source.sop_class_uid)
    listed = find_source(site, caller.calling.text, caller.address)
    facts = RoutingFacts(
        source=listed.name if listed is not None else "",
        calling_title=caller.calling.text,
        called_title=_called_title(caller, judgement, site),
        sop_class_uid=source.sop_class_uid,
        modality=source.modality,
        station_name=source.station_name,
        source_address=caller.address,
        hops=source.hops,
    )
    return Explanation(
        sop_class_uid=source.sop_class_uid,
        sop_class=named(source.sop_class_uid),
        sop_instance_uid=source.sop_instance_uid,
        transfer_syntax_uid=source.transfer_syntax_uid,
        transfer_syntax=named(source.transfer_syntax_uid),
        modality=source.modality,
        station_name=source.station_name,
        source=facts.source,
        called_title=facts.called_title,
        local_title=judgement.local.text if isinstance(judgement, Admitted) else "",
        refusal=_refusal(judgement, source.sop_class_uid, source.transfer_syntax_uid),
        routes=_routes(site, facts),
        deliveries=_deliveries(site, facts, source.transfer_syntax_uid, known),
        withheld=_withheld(site, facts),
    )


def known_acceptance(run_dir: Path) -> Mapping[str, Learned]:
    """Return what the sender has published about its destinations, nothing where it has not."""
    try:
        return decode((run_dir / "acceptance.json").read_bytes())
    except OSError:
        return {}


def takes(learned: Learned, sop_class: Uid, transfer_syntax: Uid) -> Takes:
    """Return whether a destination of which this is known takes instances of this class in this encoding."""
    if (sop_class, transfer_syntax) in learned.taken:
        return Takes.YES
    if any((sop_class, target) in learned.taken and convertible(transfer_syntax, target) for target in UNCOMPRESSED):
        return Takes.CONVERTED
    if sop_class in learned.refused_classes or (sop_class, transfer_syntax) in learned.refused:
        return Takes.NO
    return Takes.UNKNOWN


def _admission(caller: Caller, site: Site, sop_class: Uid) -> Admitted | Refused:
    return admit(AssociationFacts(caller.calling, caller.called, caller.address, (sop_class,)), site)


def _refusal(judgement: Admitted | Refused, sop_class: Uid, transfer_syntax: Uid) -> str:
    """Return why the box would not take the instance, or "" where it would."""
    if isinstance(judgement, Refused):
        return judgement.detail
    if not is_storage(sop_class):
        return "the SOP class is not one of storage"
    if transfer_syntax in NEVER_ACCEPTED:
        return "the pixels of this transfer syntax are not in the object"
    return ""


def _called_title(caller: Caller, judgement: Admitted | Refused, site: Site) -> str:
    """Return the called title that rules see: as sent, or the title that a blank one stands for."""
    if isinstance(judgement, Admitted):
        return judgement.called.text
    return (caller.called or site.box.ae_title).text


def _routes(site: Site, facts: RoutingFacts) -> tuple[ExplainedRoute, ...]:
    allowed = {route.name for route in routes_for(site, facts.called_title)}
    applied = set(plan(site, facts).routes)
    return tuple(_explained(route, facts, is_allowed=route.name in allowed, applies=route.name in applied) for route in site.routes)


def _explained(route: Route, facts: RoutingFacts, *, is_allowed: bool, applies: bool) -> ExplainedRoute:
    conditions = tuple(condition for condition in explain(route, facts) if condition.wanted)
    return ExplainedRoute(
        name=route.name,
        is_allowed=is_allowed,
        applies=applies,
        conditions=conditions,
        to=route.to,
        priority=route.priority,
        keep_s=route.keep,
        when_complete=route.when_complete,
        enabled=route.enabled,
    )


def _deliveries(site: Site, facts: RoutingFacts, transfer_syntax: Uid, known: Mapping[str, Learned]) -> tuple[ExplainedDelivery, ...]:
    planned = plan(site, facts)
    destinations = {destination.id: destination for destination in site.destinations}
    applied = [route for route in site.routes if route.name in planned.routes]
    return tuple(
        _delivery(one, destinations[one.destination_id], applied, site, facts, transfer_syntax, known) for one in planned.deliveries
    )


def _withheld(site: Site, facts: RoutingFacts) -> tuple[ExplainedWithheld, ...]:
    names = {destination.id: destination.name for destination in site.destinations}
    return tuple(ExplainedWithheld(names[one.destination_id], one.reason) for one in plan(site, facts).withheld)


def _calling_title(destination: Destination, facts: RoutingFacts, site: Site) -> str:
    """Return the title under which the box would call, or "" where no title is said."""
    if not isinstance(destination, DicomDestination):
        return ""
    return destination.calling_title(AETitle.parse(facts.calling_title), site.box.ae_title).text


def _delivery(
    planned: Planned,
    destination: Destination,
    applied: list[Route],
    site: Site,
    facts: RoutingFacts,
    transfer_syntax: Uid,
    known: Mapping[str, Learned],
) -> ExplainedDelivery:
    return ExplainedDelivery(
        destination=destination.name,
        priority=planned.priority.name.lower(),
        routes=tuple(route.name for route in applied if destination.name in route.to),
        calling_title=_calling_title(destination, facts, site),
        takes=Takes.YES
        if isinstance(destination, SftpDestination | FolderDestination)
        else takes(known.get(destination.id, _NOTHING_LEARNED), facts.sop_class_uid, transfer_syntax),
        awaits_study=planned.awaits_study,
    )


def why(route: ExplainedRoute) -> str:
    """Return in words why a route applies, or does not."""
    if not route.enabled:
        return "it is switched off"
    if not route.is_allowed:
        return "the called title has routes of its own"
    parts = [
        f"{one.name} {one.found or 'not said'} {'is' if one.holds else 'is not'} {' or '.join(one.wanted)}" for one in route.conditions
    ]
    return "; ".join(parts) or "it asks for nothing"
