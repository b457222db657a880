"""What the API takes and gives: the same words as `--json` on the command line, checked.

Promises: what is taken has no key that is not here, and bounds on everything; what is given may get more keys, and loses none.
Failures: pydantic's.
Limits: moments are ISO 8601 in UTC, spans are seconds.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

State = Literal["queued", "sending", "deferred", "held", "delivered", "proved", "cancelled", "expired"]
HoldClass = Literal["verdict", "configuration", "person", "rebuilt"]

Uid = Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Word = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}$")]
# SQLite counts rows in 63 bits.
Number = Annotated[int, Field(ge=1, le=2**63 - 1)]
Limit = Annotated[int, Field(ge=1, le=1000)]
Reason = Annotated[str, Field(max_length=200)]


class Taken(BaseModel):
    """What is taken: no key that is not described."""

    model_config = ConfigDict(extra="forbid")


class Given(BaseModel):
    """What is given, made from a reply of a daemon."""

    model_config = ConfigDict(from_attributes=True)


class Space(Given):
    """Bytes of data sets kept, and bytes free on their disk."""

    bytes: int
    free_bytes: int


class Destination(Given):
    """One destination: `reason` is empty while it is alive; `unproved`: delivered, and waiting for its proof."""

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


class Finding(Given):
    """Something a person should know."""

    code: str
    severity: str
    text: str
    advice: str
    since: str


class Status(Given):
    """The state of the box."""

    version: str
    ready: bool
    box: str
    generation: int
    deliveries: dict[str, int]
    instances: dict[str, int]
    oldest_undelivered_s: float | None
    spool: Space
    destinations: list[Destination]
    findings: list[Finding]


class Findings(Given):
    """What is found now, the worst first."""

    findings: list[Finding]


class Destinations(Given):
    """Every destination."""

    destinations: list[Destination]


class QueueQuery(Taken):
    """Which deliveries: those that are not finished, or those in a state."""

    destination: Name | None = None
    state: State | None = None
    limit: Limit = 100
    after: Annotated[int, Field(ge=0, le=2**63 - 1, description="The id of the last row already seen.")] = 0


class QueueRow(Given):
    """One delivery; `code` is explained in docs/held.md."""

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
    code: str
    held_since: str | None


class Queue(Given):
    """A page of deliveries in id order; `next` is the `after` of the following page, null at the end."""

    rows: list[QueueRow]
    next: int | None = None


class DeliveryPath(BaseModel):
    """Which delivery."""

    number: Number


class Try(Given):
    """One try."""

    at: str
    outcome: str
    status: str | None
    comment: str


class Delivery(Given):
    """One delivery with everything that is known of it, patients excepted."""

    id: int
    destination: str
    state: str
    hold_class: str | None
    code: str
    reason: str
    advice: str
    held_since: str | None
    due: str | None
    queued: str
    ended: str | None
    priority: str
    cause: str
    waits_for: int | None
    attempts: int
    study_instance_uid: str
    sop_instance_uid: str
    version: int
    sop_class: str
    sop_class_uid: str
    transfer_syntax: str
    received: str
    bytes: int
    tries: list[Try]


class Order(Taken):
    """Retry, hold, release or cancel the deliveries that meet every condition given; at least one must be."""

    verb: Literal["retry", "hold", "release", "cancel"]
    reason: Reason = ""
    ids: Annotated[list[Number], Field(min_length=1, max_length=1000)] | None = None
    study_instance_uid: Uid | None = None
    destination: Name | None = None
    hold_class: HoldClass | None = None
    state: State | None = None
    sop_class_uid: Uid | None = None

    @model_validator(mode="after")
    def _is_about_something(self) -> Self:
        if not any((self.ids, self.study_instance_uid, self.destination, self.hold_class, self.state, self.sop_class_uid)):
            raise ValueError("at least one of ids, study_instance_uid, destination, hold_class, state and sop_class_uid must be said")
        return self


class OrderDone(Given):
    """Deliveries that were moved, that are being sent just now (ask again), and that stood so that there was nothing to do."""

    moved: int
    busy: int
    unchanged: int


class StudiesQuery(Taken):
    """Which studies, the newest first; days are the box's. `words` needs the scope see-patients."""

    words: Annotated[
        str, Field(max_length=100, description="Each word is in the patient's name or number, the accession number or the description.")
    ] = ""
    modality: Word | None = None
    since: dt.date | None = None
    until: dt.date | None = None
    destination: Name | None = None
    state: State | None = None
    limit: Limit = 50
    after: Annotated[Uid, Field(description="The Study Instance UID of the last row already seen.")] | None = None


class Patient(Given):
    """Whose study it is, as the scanner said."""

    name: str
    id: str
    birth_date: str
    accession_number: str
    description: str


class Study(BaseModel):
    """One study; `destinations` maps a destination's name to its deliveries by state. `patient` is null without the scope see-patients."""

    study_instance_uid: str
    modality: str
    study_date: str
    received: str
    complete: str | None
    instances: int
    destinations: dict[str, dict[str, int]]
    patient: Patient | None


class Studies(BaseModel):
    """A page of studies; `next` is the `after` of the following page, null at the end."""

    rows: list[Study]
    next: str | None = None


class StudyPath(BaseModel):
    """Which study."""

    uid: Uid


class StudyDelivery(Given):
    """How far a study is with one destination; `proof` is what the destination must give."""

    destination: str
    counts: dict[str, int]
    first_delivered: str | None
    last_delivered: str | None
    proof: str
    reasons: list[str]


class StudyState(BaseModel):
    """One study from the acquisition to the proof."""

    study: Study
    source: str
    called: str
    acquired_first: str | None
    acquired_last: str | None
    received_first: str
    received_last: str
    deliveries: list[StudyDelivery]


class DestinationPath(BaseModel):
    """Which destination."""

    name: Name


class Test(Taken):
    """How to test: with `send`, a test image of no patient is sent and its proof is asked for."""

    send: bool = False


class Step(Given):
    """One phase of a test; `ms` is how long it took."""

    phase: str
    ok: bool
    detail: str
    advice: str
    ms: float


class Tested(Given):
    """What a test found, step by step."""

    destination: str
    ok: bool
    steps: list[Step]
