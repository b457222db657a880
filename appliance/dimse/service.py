"""An association for one service of a peer besides storage: queries, or storage commitment.

Promises: an association that is returned has the service's context; one without it was released.
Failures: `ServiceNotTakenError` (peer), and what `associate` raises.
Limits: explicit and implicit little endian are proposed, which every peer takes one of.
Standard: PS3.8 7.1.1.13 (contexts).
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import AETitle, Uid
from appliance.dimse.association import AssociationRequest, OutgoingAssociation, associate
from appliance.dimse.contexts import ABSTRACT_SYNTAX_NOT_SUPPORTED, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from appliance.dimse.tls import TlsRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePeer:
    """Whom to ask, and how long that may take (seconds); `response_s` until the next message comes. `tls` None is plain."""

    host: str
    port: int
    calling: AETitle
    called: AETitle
    connect_s: float
    associate_s: float
    progress_s: float
    response_s: float
    tls: TlsRequest | None = None


class ServiceNotTakenError(ApplianceError):
    """The peer does not take the service from this box; `is_final`: it says that it does not know it."""

    fault = Fault.PEER

    def __init__(self, peer: ServicePeer, name: str, result: int) -> None:
        """Keep what the peer said of the context (PS3.8 table 9-18)."""
        super().__init__(f"{peer.called} at {peer.host}:{peer.port} does not take {name} (context result {result})")
        self.is_final = result == ABSTRACT_SYNTAX_NOT_SUPPORTED


@dataclass(frozen=True, slots=True)
class Service:
    """An association, and its only context."""

    association: OutgoingAssociation
    syntax: Uid
    context_id: int


def open_service(peer: ServicePeer, sop_class: Uid, name: str) -> Service:
    """Associate for a SOP class, which an error calls `name`. Raises what `associate` raises, and `ServiceNotTakenError`."""
    request = AssociationRequest(
        host=peer.host,
        port=peer.port,
        calling=peer.calling,
        called=peer.called,
        contexts=((sop_class, (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN)),),
        connect_s=peer.connect_s,
        associate_s=peer.associate_s,
        progress_s=peer.progress_s,
        tls=peer.tls,
    )
    association = associate(request)
    granted = next(((syntax, number) for (_, syntax), number in association.accepted.items()), None)
    if granted is None:
        results = set(association.rejected.values())
        association.release(peer.associate_s)
        raise ServiceNotTakenError(peer, name, min(results, default=ABSTRACT_SYNTAX_NOT_SUPPORTED))
    return Service(association, *granted)
