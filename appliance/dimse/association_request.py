"""What to ask for when an association is opened. Pure.

Promises: values only.
Failures: none.
Limits: `associate` checks what it is given.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.core.identity import AETitle, Uid
from appliance.dimse import pdu
from appliance.dimse.tls import TlsRequest


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """What to ask for: `contexts` pairs an abstract syntax with transfer syntaxes, at most 128; times in seconds; `tls` None is plain."""

    host: str
    port: int
    calling: AETitle
    called: AETitle
    contexts: tuple[tuple[Uid, tuple[Uid, ...]], ...]
    connect_s: float
    associate_s: float
    progress_s: float
    max_pdu: int = pdu.OFFERED_LENGTH
    tls: TlsRequest | None = None
