"""What daemons can be asked about one thing: a destination or a source that is tested, a delivery that is shown. More of `requests`.

Promises: as there: keys may be added, never removed or renamed.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DestinationTestRequest:
    """Would the destination of this name take what is sent to it? With `send` it is sent a test image of no patient, and proves it.

    `proposal`: the text of one `[[destination]]` that is not in force, instead of a name. With a `ticket`, which nobody can guess, the
    reply comes at once and without steps: `DestinationTestProgressRequest` shows them.
    """

    destination: str
    send: bool = False
    proposal: str = ""
    ticket: str = ""


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
class DestinationTestProgressRequest:
    """How far is the test with this ticket?"""

    ticket: str


@dataclass(frozen=True, slots=True)
class DestinationTestProgressReply:
    """What was found so far; `now` is the phase that is looked at. `problem` says why a test came to no end.

    `destination` is its name, `proposal` the text that was proposed.
    """

    steps: tuple[DoctorStep, ...]
    done: bool
    ok: bool
    destination: str = ""
    proposal: str = ""
    now: str = ""
    problem: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class LastTestsRequest:
    """What did the last test of each destination find?"""


@dataclass(frozen=True, slots=True)
class LastTest:
    """The last test of a destination; `at` is ISO 8601 in UTC. `detail` and `advice` are those of the step that failed."""

    destination: str
    at: str
    ok: bool
    detail: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class LastTestsReply:
    """Every destination that was tested since the sender was started."""

    rows: tuple[LastTest, ...]


@dataclass(frozen=True, slots=True)
class ForetellFileRequest:
    """What would become of a file that begins with `head` (base64) if it came from this caller? `called` empty: to the box's own title."""

    head: str
    calling: str
    called: str = ""
    address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ForetellStudyRequest:
    """What would become of what was received of this study if it came again now?"""

    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class ForetoldRoute:
    """Whether a route applies, and why."""

    name: str
    applies: bool
    because: str


@dataclass(frozen=True, slots=True)
class ForetoldDelivery:
    """One delivery that would be made; `takes`: whether the destination is known to take it (yes, converted, no, unknown)."""

    destination: str
    priority: str
    routes: tuple[str, ...]
    calling: str
    takes: str
    awaits_study: bool


@dataclass(frozen=True, slots=True)
class ForetoldWithheld:
    """One delivery that would not be made although routes ask for it."""

    destination: str
    reason: str


@dataclass(frozen=True, slots=True)
class ForetoldCase:
    """What would become of `count` objects that are alike; `refusal` says why the box would not take them, empty where it would."""

    count: int
    sop_class: str
    transfer_syntax: str
    modality: str
    source: str
    calling: str
    called: str
    refusal: str
    routes: tuple[ForetoldRoute, ...]
    deliveries: tuple[ForetoldDelivery, ...]
    withheld: tuple[ForetoldWithheld, ...]


@dataclass(frozen=True, slots=True)
class ForetellReply:
    """Every kind of object there is; `left_out` counts those beyond the first few kinds."""

    cases: tuple[ForetoldCase, ...]
    left_out: int = 0


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
