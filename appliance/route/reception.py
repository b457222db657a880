"""One received object opened and understood: what it is, and where it has to go.

Promises: `read_reception` reads the sealed header and the head of the data set, never the pixel data. An instance whose attributes make no
sense is still understood: it is routed by what its header says.
Failures: what opening a sealed object raises (`Spool.open`), and what reading it raises (`SealDamagedError`, `OSError`).
Limits: damage behind the head is not seen here; whoever reads the whole object sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from appliance.config.model import Site
from appliance.config.sources import find_source
from appliance.ledger.instances import Attributes, InstanceFacts
from appliance.route.attributes import attributes_in, read_attributes
from appliance.route.planner import Plan, plan
from appliance.route.rules import RoutingFacts
from appliance.spool.heads import HeadListener
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from appliance.spool.store import Spool


@dataclass(frozen=True, slots=True)
class Reception:
    """A received object, ready to be recorded."""

    name: SpoolName
    facts: InstanceFacts
    plan: Plan


def read_reception(spool: Spool, site: Site, name: SpoolName, heads: HeadListener | None = None) -> Reception:
    """Return what the object is and where it has to go, from its head where `heads` has it. Raises what opening and reading it raises."""
    zone = ZoneInfo(site.box.timezone)
    header, attributes = _from_head(name, heads, zone) or _from_disk(spool, name, zone)
    source = find_source(site, header.calling_title, header.peer_address)
    facts = InstanceFacts(
        object_id=name.object_id,
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=header.transfer_syntax_uid,
        study_instance_uid=attributes.study_instance_uid,
        series_instance_uid=attributes.series_instance_uid,
        calling_title=header.calling_title,
        source_address=header.peer_address,
        called_title=header.called_title,
        spool_name=str(name),
        digest=name.digest,
        length=name.length,
        received_at=header.received_at,
        attributes=attributes,
        hops=header.hops,
    )
    asked = RoutingFacts(
        source=source.name if source else "",
        calling_title=header.calling_title,
        called_title=header.called_title,
        sop_class_uid=header.sop_class_uid,
        modality=attributes.modality,
        station_name=attributes.station_name,
        source_address=header.peer_address,
        hops=header.hops,
    )
    return Reception(name, facts, plan(site, asked))


def _from_head(name: SpoolName, heads: HeadListener | None, zone: ZoneInfo) -> tuple[ObjectHeader, Attributes] | None:
    head = None if heads is None else heads.take(name.object_id)
    if head is None:
        return None
    attributes = attributes_in(head.data, head.header.transfer_syntax_uid, zone, is_whole=len(head.data) == name.length)
    return None if attributes is None else (head.header, attributes)


def _from_disk(spool: Spool, name: SpoolName, zone: ZoneInfo) -> tuple[ObjectHeader, Attributes]:
    with spool.open(name) as sealed:
        return sealed.header, read_attributes(sealed.read, sealed.header.transfer_syntax_uid, zone)
