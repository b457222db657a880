"""What the engine asks of a way out of the box: whatever the protocol, it can knock, open a channel, and send one delivery at a time.

Promises: every failure comes back as a verdict, so that the engine never sees a protocol's own errors.
Failures: `AssociationFailedError` (peer) where no channel comes about.
Limits: a channel is used by one lane, from one thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import AETitle, Uid
from appliance.deliver.task import Task
from appliance.deliver.verdict import Verdict

Context: TypeAlias = tuple[Uid, Uid]
"""A SOP class and a transfer syntax: what one presentation context is asked for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try ended: the verdict, the status as received (None where there was none), and the peer's own words."""

    verdict: Verdict
    status: int | None = None
    comment: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a channel is opened for: `contexts` in order of need, the one that is needed now first.

    `hurried`: another lane of ours is being served, so that a destination which wants this one too answers soon. `small_pdus`: the
    destination choked on a large one.
    """

    calling: AETitle
    contexts: Sequence[Context]
    hurried: bool = False
    small_pdus: bool = False


class AssociationFailedError(ApplianceError):
    """A destination did not let us in; `verdict` says what that means."""

    fault = Fault.PEER

    def __init__(self, verdict: Verdict) -> None:
        """Keep the verdict."""
        super().__init__(verdict.text)
        self.verdict = verdict


class Channel(Protocol):
    """An open way to a destination."""

    @property
    def is_open(self) -> bool:
        """Whether it can still be used, as far as can be known without sending."""

    @property
    def answers(self) -> Mapping[Context, int]:
        """What the peer said to each context that it was asked for, as a result of PS3.8 9.3.3.2: 0 is taken."""

    def proposed(self, context: Context) -> bool:
        """Say whether every way was asked for in which an object of this context may go."""

    def refusal(self, context: Context) -> Verdict | None:
        """Return what it means that no object of a proposed context may go, in whatever way, or None when it may."""

    def send(self, task: Task) -> Outcome:
        """Send the object of `task`, whose context has no refusal, and return how it ended.

        Never raises for a peer's or an object's fault.
        """

    def release(self) -> None:
        """End in good order. Never raises."""

    def abort(self) -> None:
        """End at once; nothing happens to what has ended. Never raises."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How much a channel takes in one request: so many instances, and so many bytes together unless it is one instance alone."""

    instances: int
    bytes: int


@runtime_checkable
class BatchChannel(Channel, Protocol):
    """A channel that takes several deliveries in one request and answers for each."""

    @property
    def batch(self) -> Batch:
        """How much may go together."""

    def send_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Send the objects of `tasks` and return how each ended, in their order; what does not go together goes one after the other.

        Never raises for a peer's or an object's fault.
        """


class Transport(Protocol):
    """The way to one destination."""

    def hello(self) -> None:
        """Return when somebody listens there. Raises `AssociationFailedError`."""

    def echo(self) -> None:
        """Return when somebody there speaks our protocol, even to refuse us. Raises `AssociationFailedError`."""

    def open(self, wanted: Wanted) -> Channel:
        """Return an open channel. Raises `AssociationFailedError`."""
