"""The model: one frozen snapshot of `site.toml`, as every other package sees it. Pure.

Promises: a `Site` cannot be changed; every value in it was checked; durations are seconds, sizes bytes, titles `AETitle`s; defaults are
those of docs/configuration.md; written as JSON or TOML and read again it is equal.
Failures: pydantic's ValidationError, which only `config.check` and `config.load` see and put into plain words.
Limits: what needs two sections to judge (a route's destination, a title used twice) is in `consistency`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, PrivateAttr, model_validator

from appliance.config.addresses import BoxName, Host, Listen, ListenAddress, PeerNetwork, Port, WebListen
from appliance.config.certificates import PeerCertificate, PemFile
from appliance.config.completion import Completion
from appliance.config.destinations import (
    AlsoCallsFrom,
    AnyDestination,
    Destination,
    DicomDestination,
    FolderDestination,
    SftpDestination,
    StowDestination,
)
from appliance.config.names import Modality, Name, SopClass, SourceTitle, Timezone, Title
from appliance.config.problem import refusal
from appliance.config.quantities import BackOff, Duration, DurationOrZero, Seconds, Share, SiteRule, Size, WholeNumber
from appliance.config.section import Section, one_of, read_switch
from appliance.core.identity import AETitle

__all__ = [
    "Admission",
    "AlsoCallsFrom",
    "AnyDestination",
    "Box",
    "Completion",
    "Delivery",
    "Destination",
    "DicomDestination",
    "FolderDestination",
    "Listeners",
    "LocalAE",
    "Reply",
    "Retention",
    "Route",
    "Section",
    "SftpDestination",
    "Site",
    "Source",
    "StowDestination",
    "Tls",
    "When",
]

# A typing mistake beyond this: one process a core is enough, and a small appliance has few.
_MOST_WORKERS = 16
# Each association is a thread; the default is 128, and this is far beyond any site.
_MOST_ASSOCIATIONS = 4096


class Box(Section):
    """Who the box is."""

    name: BoxName = "dicom-edge"
    ae_title: Title = AETitle("EDGE")
    timezone: Timezone = "UTC"


class LocalAE(Section):
    """A title the box answers to beside its own; with `routes`, only these apply to what is sent to it."""

    ae_title: Title
    routes: tuple[Name, ...] | None = None


class Listeners(Section):
    """Where the box listens, and with how many receiver processes."""

    dicom: tuple[Listen, ...] = (ListenAddress("0.0.0.0", 11112),)  # noqa: S104 (a scanner comes from outside)
    dicom_tls: tuple[Listen, ...] = ()
    web: WebListen = ListenAddress("0.0.0.0", 8443)  # noqa: S104 (a tablet comes from outside)
    workers: Annotated[int, PlainValidator(WholeNumber(1, _MOST_WORKERS))] = 2

    @model_validator(mode="after")
    def _needs_a_listener(self) -> Self:
        """Refuse a box that no scanner can reach."""
        if not self.dicom and not self.dicom_tls:
            raise refusal(
                "names no address, so no scanner could reach the box", 'Write at least one, for example ["0.0.0.0:11112"].', key="dicom"
            )
        return self


class Tls(Section):
    """How the box speaks TLS, on both sides: its own certificate (not set: the one it made), and whom it trusts."""

    profile: Annotated[Literal["bcp195", "modified"], one_of("bcp195", "modified")] = "bcp195"
    certificate: PemFile | None = None
    key: PemFile | None = None
    authorities: tuple[PemFile, ...] = ()
    client_certificates: Annotated[Literal["off", "required"], one_of("off", "required")] = "off"

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        """Refuse one half of an identity, and a demand that nothing could meet."""
        if (self.certificate is None) != (self.key is None):
            missing, present = ("key", "certificate") if self.key is None else ("certificate", "key")
            raise refusal(f"is missing, and {present} is set", f"Name both files, or neither: remove {present}.", key=missing)
        if self.client_certificates == "required" and not self.authorities:
            raise refusal(
                "is needed to check the certificates that are required",
                'Name the file of the authority that signs the scanners\' certificates: authorities = ["/…/ca.pem"].',
                key="authorities",
            )
        return self


class Admission(Section):
    """Who may open associations and how many, and how large an object may be; `idle` in seconds, `largest_object` in bytes."""

    unknown_sources: Annotated[Literal["refuse", "accept"], one_of("refuse", "accept")] = "refuse"
    associations: Annotated[int, PlainValidator(WholeNumber(1, _MOST_ASSOCIATIONS))] = 128
    per_source: Annotated[int, PlainValidator(WholeNumber(1, _MOST_ASSOCIATIONS))] = 16
    unauthenticated_per_address: Annotated[int, PlainValidator(WholeNumber(1, _MOST_ASSOCIATIONS))] = 32
    idle: Duration = 3600.0
    blank_called: Annotated[bool, PlainValidator(read_switch)] = False
    largest_object: Size | None = None

    @model_validator(mode="after")
    def _source_within_all(self) -> Self:
        """Refuse a share that is larger than the whole."""
        if self.per_source > self.associations:
            raise refusal(
                f"lets one source have {self.per_source} associations, more than the {self.associations} of all together",
                "Lower per_source or raise associations.",
                key="per_source",
            )
        return self


class Reply(Section):
    """Where commitment reports for a source go."""

    ae_title: Title
    host: Host
    port: Port = 104
    association: Annotated[Literal["new", "same-first"], one_of("new", "same-first")] = "new"


class Source(Section):
    """A peer that sends to the box: `ae_title` None is any title from `address`; `patience` and `idle` in seconds."""

    name: Name
    ae_title: SourceTitle
    address: PeerNetwork | None = None
    certificate: PeerCertificate | None = None
    modality: Modality | None = None
    idle: Duration | None = None
    accept: Annotated[Literal["choose", "strict", "all"], one_of("choose", "strict", "all")] = "choose"
    commitment: Annotated[Literal["archive", "local", "off"], one_of("archive", "local", "off")] = "archive"
    patience: DurationOrZero = 86400.0
    then: Annotated[Literal["wait", "local", "fail"], one_of("wait", "local", "fail")] = "wait"
    reply: Reply | None = None
    worklist_text: Annotated[Literal["as is", "ascii"], one_of("as is", "ascii")] = "as is"

    @model_validator(mode="after")
    def _known_by_something(self) -> Self:
        """Refuse a source that would be everybody."""
        if self.ae_title is None and self.address is None:
            raise refusal(
                'is missing, and with ae_title = "*" it is the only thing to know this source by', "Add its address.", key="address"
            )
        return self


class When(Section):
    """The conditions of a route: each that is not empty must hold, and holds when one of its words does."""

    source: tuple[Name, ...] = ()
    modality: tuple[Modality, ...] = ()
    called: tuple[Title, ...] = ()
    sop_class: tuple[SopClass, ...] = ()
    station: tuple[Name, ...] = ()


class Route(Section):
    """A rule: where instances go that meet `when`; with no destination, `keep` (seconds) says how long they stay.

    One that is not `enabled` applies to nothing.
    With `when_complete` they go once nothing new has come of their study for a while (`Completion`).
    """

    name: Name
    enabled: Annotated[bool, PlainValidator(read_switch)] = True
    to: tuple[Name, ...] = ()
    keep: Duration | None = None
    priority: Annotated[Literal["stat", "routine", "bulk"], one_of("stat", "routine", "bulk")] = "routine"
    when_complete: Annotated[bool, PlainValidator(read_switch)] = False
    when: When = When()

    @model_validator(mode="after")
    def _goes_or_stays(self) -> Self:
        """Refuse a route that says neither where to, nor for how long; or both."""
        if not self.to and self.keep is None:
            raise refusal("names no destination", 'Name one in to = ["…"], or say how long to keep instances: keep = "2 days".', key="to")
        if self.to and self.keep is not None:
            raise refusal("is for routes without destinations", "Remove keep, or make it a route of its own with to = [].", key="keep")
        if len(set(self.to)) < len(self.to):
            raise refusal("names a destination twice", "Remove one of the two.", key="to")
        if self.when_complete and not self.to:
            raise refusal("is for routes with destinations", "Remove when_complete, or name a destination.", key="when_complete")
        return self


class Retention(Section):
    """When instances leave the disk and when the box refuses new ones: shares of the disk, `reserve` bytes, `keep_at_least` seconds."""

    evict_at: Share = 0.85
    refuse_at: Share = 0.95
    reserve: Size = 5 << 30
    keep_at_least: DurationOrZero = 72 * 3600.0
    requires: Annotated[Literal["settled", "delivered"], one_of("settled", "delivered")] = "settled"

    @model_validator(mode="after")
    def _evicts_before_it_refuses(self) -> Self:
        """Refuse watermarks in the wrong order: the box would refuse images while it could still make room."""
        if self.evict_at >= self.refuse_at:
            raise refusal(
                f"must be above evict_at: it is {self.refuse_at}, and evict_at is {self.evict_at}",
                "The box must make room before it refuses, for example evict_at = 0.85 and refuse_at = 0.95.",
                key="refuse_at",
            )
        return self


class Delivery(Section):
    """Deadlines and waits of the sender, in seconds; pairs are the first and the longest wait (semantics.md 1.4)."""

    connect: Seconds = 10.0
    associate: Seconds = 30.0
    progress: Seconds = 60.0
    response: Seconds = 60.0
    probe: Seconds = 5.0
    dead_hello: Seconds = 5.0
    throttled: BackOff = (30.0, 900.0)
    refusing: Seconds = 900.0
    soft: BackOff = (5.0, 600.0)
    held: Seconds = 86400.0
    site_rule: SiteRule = (5, 2, 60.0)
    proof_after: Seconds = 300.0
    proof_again: BackOff = (600.0, 3600.0)
    proof_silence: Seconds = 86400.0


class Site(Section):
    """The whole configuration."""

    box: Box = Box()
    local_ae: tuple[LocalAE, ...] = ()
    listen: Listeners = Listeners()
    tls: Tls = Tls()
    admission: Admission = Admission()
    sources: tuple[Source, ...] = Field(default=(), validation_alias="source", serialization_alias="source")
    destinations: tuple[AnyDestination, ...] = Field(default=(), validation_alias="destination", serialization_alias="destination")
    routes: tuple[Route, ...] = Field(default=(), validation_alias="route", serialization_alias="route")
    completion: Completion = Completion()
    retention: Retention = Retention()
    delivery: Delivery = Delivery()

    @property
    def local_titles(self) -> tuple[AETitle, ...]:
        """Every title the box answers to, its own first."""
        return (self.box.ae_title, *(local.ae_title for local in self.local_ae))

    def idle_of(self, source: Source | None) -> float:
        """Return for how many seconds an association of this source may be silent; None is somebody whom nothing lists."""
        return self.admission.idle if source is None or source.idle is None else source.idle

    # Which generation this is, is no part of what the file says: two sites that say the same are equal, whatever their numbers.
    _generation: int = PrivateAttr(default=0)

    @property
    def generation(self) -> int:
        """The number of this configuration; 0 as long as it was not put in force as a numbered one (house.md section 9)."""
        return self._generation

    def numbered(self, generation: int) -> Self:
        """Return the same configuration as generation `generation`."""
        copy = self.model_copy()
        copy._generation = generation  # noqa: SLF001 (a copy of its own kind)
        return copy

    def __eq__(self, other: object) -> bool:
        """Compare what is configured; spellings of titles that differ in capitals are the same title."""
        return isinstance(other, Site) and dict(self) == dict(other)

    def __hash__(self) -> int:
        """Hash what is compared."""
        return hash(tuple(dict(self).values()))
