"""What daemons can be asked about one thing: a destination or a source that is tested, a delivery that is shown. More of `requests`.

Promises: as there: keys may be added, never removed or renamed.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DestinationTestRequest:
    """Would the destination of this name take what is sent to it? With `send` it is sent a test image of no patient, and proves it."""

    destination: str
    send: bool = False


@dataclass(frozen=True, slots=True)
class DoctorStep:
    """One phase of the test; `ms` is how long it took."""

    phase: str
    ok: bool
    detail: str
    advice: str
    ms: float


@dataclass(frozen=True, slots=True)
class DestinationTestReply:
    """What the test found, step by step."""

    destination: str
    ok: bool
    steps: tuple[DoctorStep, ...]


@dataclass(frozen=True, slots=True)
class SourceTestRequest:
    """Has the source of this name called, what was it answered, and could it be called back?"""

    source: str


@dataclass(frozen=True, slots=True)
class SourceTestReply:
    """What the test found, step by step."""

    source: str
    ok: bool
    steps: tuple[DoctorStep, ...]


@dataclass(frozen=True, slots=True)
class DeliveryRequest:
    """What about the delivery of this number?"""

    id: int


@dataclass(frozen=True, slots=True)
class TryRow:
    """One try: the outcome as a constant word, the status in hexadecimal digits, and what the destination said besides."""

    at: str
    outcome: str
    status: str | None
    comment: str


@dataclass(frozen=True, slots=True)
class DeliveryReply:
    """One delivery, and its instance. Moments are ISO 8601 in UTC; `code` and `advice` say why it waits and what to do (docs/held.md).

    `waits_for` is the number of the earlier version's delivery, which goes first; `source` is who sent it, from where, to which title.
    """

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
    unknown_outcomes: int
    study_instance_uid: str
    sop_instance_uid: str
    version: int
    sop_class: str
    sop_class_uid: str
    transfer_syntax: str
    source: str
    received: str
    bytes: int
    tries: tuple[TryRow, ...]
