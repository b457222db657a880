"""What the pages ask beyond what the command line asks: searches with patients, timelines, rates, pictures. More of `requests`.

Promises: as there: keys may be added, never removed or renamed. Moments are ISO 8601 in UTC, spans seconds.
Failures: none.
Limits: whoever asks has been checked by the pages; daemons answer their own user alone (`runtime/control`).
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.runtime.requests import ObjectRow


@dataclass(frozen=True, slots=True)
class StudySearchRequest:
    """Which studies match, newest first? `words`: each must be in the patient's name or ID, the accession number or the description.

    Capitals and accents do not matter. `state` is that of something of the study, or "owed": anything that is to be delivered still.
    `after` is the Study Instance UID of the last row already seen; days are the box's, both included.
    """

    words: str = ""
    modality: str | None = None
    since: str | None = None
    until: str | None = None
    destination: str | None = None
    state: str | None = None
    limit: int = 50
    after: str | None = None


@dataclass(frozen=True, slots=True)
class StudyLine:
    """One study in a list; `destinations` maps a destination's name to its counts by delivery state."""

    study_instance_uid: str
    patient_name: str
    patient_id: str
    birth_date: str
    accession_number: str
    description: str
    study_date: str
    modality: str
    received: str
    instances: int
    destinations: dict[str, dict[str, int]]
    complete: str | None


@dataclass(frozen=True, slots=True)
class StudySearchReply:
    """A page of studies."""

    rows: tuple[StudyLine, ...]


@dataclass(frozen=True, slots=True)
class StudyRequest:
    """What about this study?"""

    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class StudyDelivery:
    """How far a study is with one destination; `proof` is what the destination must give (delivered, commitment, query).

    `reasons` say why something has not arrived, `held` what of it is held, by reason.
    """

    destination: str
    counts: dict[str, int]
    first_delivered: str | None
    last_delivered: str | None
    proof: str
    reasons: tuple[str, ...]
    held: tuple[HeldGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """One series: how many instances, and one of them to look at."""

    series_instance_uid: str
    modality: str
    instances: int
    sample: ObjectRow


@dataclass(frozen=True, slots=True)
class StudyReply:
    """One study from the acquisition to the proof; `acquired` is what the scanner's clock said, None where it did not."""

    study: StudyLine
    source: str
    called: str
    acquired_first: str | None
    acquired_last: str | None
    received_first: str
    received_last: str
    deliveries: tuple[StudyDelivery, ...]
    series: tuple[SeriesLine, ...]


@dataclass(frozen=True, slots=True)
class ActivityRequest:
    """What has each scanner sent lately?"""


@dataclass(frozen=True, slots=True)
class SourceActivity:
    """What came under one title from one address; `drift_s`: how far its clock is ahead of the box's (None: not to be told)."""

    calling: str
    address: str
    last_received: str
    today: int
    last_hour: int
    drift_s: float | None


@dataclass(frozen=True, slots=True)
class ActivityReply:
    """What each scanner has sent: those of the last 30 days."""

    rows: tuple[SourceActivity, ...]


@dataclass(frozen=True, slots=True)
class ThroughputRequest:
    """How much came and went in each `bucket` ("hour": of the last 48, "day": of the last 60, "month": of the last 24)?"""

    bucket: str = "hour"


@dataclass(frozen=True, slots=True)
class ThroughputRow:
    """One bucket; `delivered` maps a destination's name to its count."""

    start: str
    received: int
    received_bytes: int
    delivered: dict[str, int]


@dataclass(frozen=True, slots=True)
class ThroughputReply:
    """Every bucket, oldest first, the empty ones included."""

    rows: tuple[ThroughputRow, ...]


@dataclass(frozen=True, slots=True)
class BacklogRequest:
    """How long is each destination's queue, and when will it be empty?"""


@dataclass(frozen=True, slots=True)
class HeldGroup:
    """What is held for one reason; `sop_class` is the UID of the class of the first and the latest, empty where they differ."""

    destination: str
    hold_class: str
    code: str
    reason: str
    count: int
    studies: int
    since: str | None
    sop_class: str = ""


@dataclass(frozen=True, slots=True)
class BacklogRow:
    """One destination: `rate` in instances a second over the last ten minutes, `empty_in_s` None while nothing moves."""

    destination: str
    state: str
    waiting: int
    held: int
    oldest_s: float | None
    rate: float
    empty_in_s: float | None


@dataclass(frozen=True, slots=True)
class BacklogReply:
    """Every destination, and what is held, by reason."""

    rows: tuple[BacklogRow, ...]
    held: tuple[HeldGroup, ...]


@dataclass(frozen=True, slots=True)
class TodayRequest:
    """What came today (the box's day), and where is it?"""


@dataclass(frozen=True, slots=True)
class TodayReply:
    """`settled`: of the instances received today, those that nothing is owed of any more."""

    received: int
    settled: int
    studies: int
    bytes: int
    bytes_a_day: float
    """What came a day, on the average of the last seven that had any: for how long the free space will do."""


@dataclass(frozen=True, slots=True)
class ResendRequest:
    """Send a study, or these instances, to these destinations again. The router answers."""

    destinations: tuple[str, ...]
    who: str
    reason: str
    study_instance_uid: str | None = None
    sop_instance_uids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResendReply:
    """How many deliveries were made; `unchanged` were owed already."""

    made: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """A small picture of one frame of an object, at most `edge` pixels wide and high. The opener answers."""

    object: ObjectRow
    frame: int = 1
    edge: int = 256


@dataclass(frozen=True, slots=True)
class PreviewReply:
    """The picture as PNG in base64, or why there is none in `problem`."""

    png: str
    frames: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Bytes of an object as a plain DICOM file, from `offset`. The opener answers; `ticket` names a reading that goes on."""

    object: ObjectRow
    ticket: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ReadReply:
    """Up to 4 MiB in base64; empty at the end."""

    data: str


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """Seal what comes from now on to this recovery key of the hospital too (`age1…`). The keeper answers."""

    recipient: str


@dataclass(frozen=True, slots=True)
class RecoveryReply:
    """The recovery key that is set now."""

    recipient: str
