"""Who may open an association, judged from the request alone. Pure.

Promises: every refusal names the answer of semantics.md 1.2 and what to log; a stranger, a known title from another address and a title
with invalid characters, or with another certificate than its own, get the same answer, so that nobody learns titles by trying.
Failures: none are raised.
Limits: caps that hold across workers are counted by the listener (`OVER_A_CAP`); whether an authority vouches for a certificate was
decided in the handshake.
Standard: PS3.8 9.3.4 table 9-21.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.config.certificates import ExpectedCertificate
from appliance.config.model import Site, Source
from appliance.config.reporters import find_reporter
from appliance.config.sources import find_source
from appliance.core.identity import AETitle, AETitleInvalidError, Uid, escaped
from appliance.dimse.acse import AssociateRequest
from appliance.dimse.commitment import COMMITMENT_PUSH_MODEL
from appliance.dimse.contexts import APPLICATION_CONTEXT, VERIFICATION, is_storage
from appliance.dimse.tls import Secured


@dataclass(frozen=True, slots=True)
class InvalidTitle:
    """A title that is none; `shown` is safe to log."""

    shown: str


Title = AETitle | InvalidTitle | None
"""A title of a request: None where it is blank."""


@dataclass(frozen=True, slots=True)
class AssociationFacts:
    """What a request for an association says, and whether the disk takes objects at the moment."""

    calling: Title
    called: Title
    address: str
    abstract_syntaxes: tuple[Uid, ...]
    version_supported: bool = True
    application_context: str = APPLICATION_CONTEXT
    storage_ok: bool = True
    secured: Secured | None = None

    @classmethod
    def of(cls, request: AssociateRequest, address: str, *, storage_ok: bool, secured: Secured | None = None) -> AssociationFacts:
        """Return the facts of a request as received."""
        return cls(
            calling=read_title(request.calling),
            called=read_title(request.called),
            address=address,
            abstract_syntaxes=tuple(context.abstract_syntax for context in request.contexts),
            version_supported=request.version_supported,
            application_context=request.application_context,
            storage_ok=storage_ok,
            secured=secured,
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """The caller may go on. `source` is None for a stranger whom the configuration lets in; `local` is the title it meant.

    `reporter`: the destination that it is (by name), whose commitment reports are taken; `only_reports`: it is nothing else.
    """

    source_name: str
    source: Source | None
    calling: AETitle
    called: AETitle
    local: AETitle
    reporter: str = ""
    only_reports: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The caller may not; result, source and reason for the wire, `detail` for the log only."""

    result: int
    source: int
    reason: int
    detail: str


@dataclass(frozen=True, slots=True)
class AssociationOrigin:
    """Where the objects of an association come from: titles as sent, the peer's address, and the source it was taken for.

    `secured`: what the TLS handshake showed, None in plain. `is_box`: the peer is one of ours, and says how many boxes its objects passed.
    """

    calling: AETitle
    called: AETitle
    address: str
    port: int
    source_name: str
    secured: Secured | None = None
    is_box: bool = False


LOOKS_LIKE_YOUR_ARCHIVE = "looks like your archive: it wants to report on storage commitment, and no also_calls_from lists this title"
"""Said in the log of a stranger that proposes what only an archive does (semantics.md 2.1)."""

OVER_A_CAP = Refused(2, 3, 2, "too many associations")


def admit(facts: AssociationFacts, site: Site) -> Admitted | Refused:
    """Return the judgement on a request."""
    if not facts.version_supported:
        return Refused(1, 2, 2, "protocol version not supported")
    if facts.application_context != APPLICATION_CONTEXT:
        return Refused(1, 1, 2, "application context is not DICOM's")
    if isinstance(facts.calling, InvalidTitle):
        return _stranger("calling title with invalid characters")
    if facts.calling is None:
        return _stranger("blank calling title")
    source = find_source(site, facts.calling.text, facts.address)
    asks_for_reports = COMMITMENT_PUSH_MODEL in facts.abstract_syntaxes
    reporter = find_reporter(site, facts.calling, facts.address) if asks_for_reports else None
    is_unknown = source is None and site.admission.unknown_sources == "refuse"
    if is_unknown and reporter is None:
        known = any(candidate.ae_title == facts.calling for candidate in site.sources)
        detail = "known title from another address" if known else "unknown calling title"
        return _stranger(f"{detail}; {LOOKS_LIKE_YOUR_ARCHIVE}" if asks_for_reports else detail)
    if source is not None and source.certificate is not None:
        fault = _certificate_fault(source.certificate, facts.secured)
        if fault is not None:
            return _stranger(fault)
    local = _find_local(facts.called, site)
    if local is None:
        return Refused(1, 1, 7, "called title is not one of ours")
    if not facts.storage_ok and not is_unknown and any(syntax != VERIFICATION and is_storage(syntax) for syntax in facts.abstract_syntaxes):
        return Refused(2, 3, 1, "no storage at the moment")
    name = source.name if source is not None else facts.calling.text
    return Admitted(
        source_name=f"reports of {reporter.name}" if is_unknown and reporter is not None else name,
        source=source,
        calling=facts.calling,
        called=facts.called if isinstance(facts.called, AETitle) else local,
        local=local,
        reporter="" if reporter is None else reporter.name,
        only_reports=is_unknown,
    )


def _certificate_fault(expected: ExpectedCertificate, secured: Secured | None) -> str | None:
    """Return how a caller fails to show what its title must show, or None."""
    if secured is None:
        return "known title without TLS, and its source has a certificate"
    shown_one = secured.certificate
    if shown_one is None:
        return "known title without a certificate"
    if expected.sha256:
        return None if shown_one.sha256 == expected.sha256 else "known title with another certificate"
    return None if shown_one.is_named(expected.name) else "known title with a certificate for another name"


def _stranger(detail: str) -> Refused:
    return Refused(1, 1, 3, detail)


def read_title(raw: bytes) -> Title:
    """Return what the 16 bytes of a title say."""
    try:
        return AETitle.from_wire(raw)
    except AETitleInvalidError:
        return InvalidTitle(escaped(raw.rstrip(b"\0 ")))


def shown(title: Title) -> str:
    """Return a title for the log."""
    match title:
        case AETitle():
            return escaped(title.text)
        case InvalidTitle():
            return title.shown
        case None:
            return ""


def _find_local(called: Title, site: Site) -> AETitle | None:
    """Return the title of ours that was called; the box's own where none was and that is allowed."""
    if called is None:
        return site.box.ae_title if site.admission.blank_called else None
    return next((title for title in site.local_titles if title == called), None)
