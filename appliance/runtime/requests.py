"""What daemons can be asked, and what they answer: the vocabulary of `runtime/asking` and `runtime/control`.

Promises: replies carry exactly the keys of the stable JSON contract (house.md section 10); keys may be added, never removed or renamed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """How is the box?"""


@dataclass(frozen=True, slots=True)
class QueueRequest:
    """Which deliveries are there? `after` is the id of the last row already seen."""

    destination: str | None = None
    state: str | None = None
    limit: int = 100
    after: int = 0


@dataclass(frozen=True, slots=True)
class StudiesRequest:
    """Which studies are there, newest first? `after` is the Study Instance UID of the last row already seen.

    The filters hold together; `since` and `until` are days, both included, in the box's time zone.
    """

    limit: int = 100
    after: str | None = None
    accession_number: str | None = None
    modality: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class DestinationsRequest:
    """How is each destination?"""


@dataclass(frozen=True, slots=True)
class SpoolSpace:
    """Bytes of data sets kept, and bytes free on the file system that holds them; `total_bytes`: its size, 0 where nobody said."""

    bytes: int
    free_bytes: int
    total_bytes: int = 0


@dataclass(frozen=True, slots=True)
class DestinationReply:
    """One destination. Times are ISO 8601 in UTC; `reason` is empty while it is alive; `unproved`: delivered, and waiting for its proof.

    `since`: when it came into its state, None where that is not known.
    """

    name: str
    state: str
    queued: int
    oldest_s: float | None
    last_success: str | None
    held: int
    lanes: int
    reason: str
    address: str
    unproved: int
    since: str | None = None


@dataclass(frozen=True, slots=True)
class FindingReply:
    """Something a person should know."""

    code: str
    severity: str
    text: str
    advice: str
    since: str


@dataclass(frozen=True, slots=True)
class StatusReply:
    """The state of the box in one page."""

    version: str
    ready: bool
    box: str
    generation: int
    deliveries: dict[str, int]
    instances: dict[str, int]
    oldest_undelivered_s: float | None
    spool: SpoolSpace
    destinations: tuple[DestinationReply, ...]
    findings: tuple[FindingReply, ...]


@dataclass(frozen=True, slots=True)
class DestinationsReply:
    """Every destination."""

    destinations: tuple[DestinationReply, ...]


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One delivery. `due` is ISO 8601 in UTC while it waits for a time, `held_since` while it is held; codes: docs/held.md."""

    id: int
    destination: str
    state: str
    hold_class: str | None
    priority: str
    study_instance_uid: str
    sop_instance_uid: str
    attempts: int
    due: str | None
    reason: str
    code: str = ""
    held_since: str | None = None


@dataclass(frozen=True, slots=True)
class QueueReply:
    """A page of the queue, in id order."""

    rows: tuple[QueueRow, ...]


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study; `destinations` maps a destination's name to its counts by delivery state.

    `received` and `complete` are ISO 8601 in UTC; `complete` is None while more of the study is expected.
    """

    study_instance_uid: str
    accession_number: str
    modality: str
    received: str
    instances: int
    delivered: int
    proved: int
    destinations: dict[str, dict[str, int]]
    complete: str | None = None


@dataclass(frozen=True, slots=True)
class StudiesReply:
    """A page of studies, newest first."""

    rows: tuple[StudyRow, ...]


@dataclass(frozen=True, slots=True)
class ObjectsRequest:
    """Which sealed objects hold this SOP instance, or this study, or of this study this series?"""

    uid: str
    series_instance_uid: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """One sealed object: the version of its SOP instance that it is, and its name in the spool."""

    sop_instance_uid: str
    version: int
    spool_name: str


@dataclass(frozen=True, slots=True)
class ObjectsReply:
    """Every object, older versions included."""

    rows: tuple[ObjectRow, ...]


@dataclass(frozen=True, slots=True)
class ExportItem:
    """An object to export, and the name its file gets."""

    object: ObjectRow
    file: str


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Write these objects as plain DICOM files into a folder."""

    items: tuple[ExportItem, ...]
    folder: str
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class ExportRow:
    """What became of one file; `problem` is empty when it is there."""

    file: str
    outcome: str
    problem: str


@dataclass(frozen=True, slots=True)
class ExportReply:
    """What became of each."""

    rows: tuple[ExportRow, ...]


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Authenticate a part of what is sealed, `subset` as n/t, for about `seconds`; `after` is the `next` of the reply before."""

    subset: str = "1/1"
    after: str = ""
    seconds: float = 2.0
    quarantine: bool = False


@dataclass(frozen=True, slots=True)
class VerifyRow:
    """An object that is not as it should be."""

    where: str
    condition: str
    problem: str
    quarantined: bool


@dataclass(frozen=True, slots=True)
class VerifyReply:
    """How many objects were looked at, which of them are not sound, and where to go on; `next` is empty at the end."""

    checked: int
    objects: int
    bytes: int
    rows: tuple[VerifyRow, ...]
    next: str


@dataclass(frozen=True, slots=True)
class RotateRequest:
    """Make the next key generation."""


@dataclass(frozen=True, slots=True)
class RotateReply:
    """The generation before, the one in use now, and its public key."""

    before: int
    generation: int
    recipient: str


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """Make a new TLS key with a self-signed certificate for these names (empty: the box's own), or, with `sign`, ask for one to be signed.

    `replace`: although there is a key already. `install`: nothing of that; this signed certificate (PEM) is to be used.
    """

    names: tuple[str, ...] = ()
    replace: bool = False
    sign: bool = False
    install: str = ""


@dataclass(frozen=True, slots=True)
class CertificateReply:
    """The new certificate, or the request to be signed, in PEM, and the names in it."""

    pem: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """Hold, release, retry or cancel the deliveries that meet every condition given; `destination` is a name."""

    verb: str
    who: str
    reason: str = ""
    ids: tuple[int, ...] | None = None
    study_instance_uid: str | None = None
    destination: str | None = None
    hold_class: str | None = None
    state: str | None = None
    sop_class_uid: str | None = None


@dataclass(frozen=True, slots=True)
class OrderReply:
    """Deliveries that were moved, that are being sent just now (ask again), and that stood so that there was nothing to do."""

    moved: int
    busy: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class PauseRequest:
    """Pause a destination (its name), until a moment (UTC) or until it is resumed; or resume it."""

    destination: str
    who: str
    reason: str = ""
    until: float | None = None
    resume: bool = False


@dataclass(frozen=True, slots=True)
class PauseReply:
    """Whether that changed anything."""

    changed: bool


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """Ask the routes of today about instances received between two moments (seconds since 1970, UTC); add what is missing."""

    since: float
    until: float
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ReplayReply:
    """Instances looked at, and deliveries that were, or would be, added."""

    instances: int
    deliveries: int
