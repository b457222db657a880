"""What a destination is sent where it asks for pixels in another form or for changed headers: a derived object in place of the stored one.

Promises: nothing leaves with a header that was not changed as asked. Pixels that cannot be transcoded, or not in time, go as they were
received, and the outcome's comment and the log say why. The delivery stays what it was: its instance, digest and UIDs are the
original's; what was derived is removed once it was delivered or is held.
Failures: verdicts, like every transport's.
Limits: an association is idle while the first object for it is derived.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from appliance.core.errors import ApplianceError
from appliance.core.identity import Uid
from appliance.deliver.own_faults import (
    SPOOL_FAULTS,
    judge_damaged,
    judge_foreign_key,
    judge_missing,
    judge_not_derived,
    judge_refused_headers,
)
from appliance.deliver.plan import Terms
from appliance.deliver.task import Task
from appliance.deliver.transport import Batch, BatchChannel, Channel, Context, Outcome, Transport, Wanted
from appliance.deliver.verdict import Verdict, Whose
from appliance.dimse.lossless import is_wanted_form, lossless_target
from appliance.runtime.asking import ask
from appliance.runtime.deriving import DeriveReply, DeriveRequest
from appliance.runtime.logging import get_logger
from appliance.spool.names import SpoolName
from appliance.spool.store import SealedObject, Spool

log = get_logger(__name__)

# Opener says every ten seconds that it is at work; it starts with the first question, which takes a second or two.
_ANSWER_S = 30.0
# A cine of two gigabytes takes some minutes on an old machine; what takes longer is stuck behind others.
_PATIENCE_ROUNDS = 180
_PLACE_DIGITS = 16
_COMMENT_CHARACTERS = 200

Steps = tuple[tuple[str, str, str], ...]
OpenObject = Callable[[SpoolName], SealedObject]


class Opener(Protocol):
    """Who derives (`OpenerDesk`)."""

    def derive(self, request: DeriveRequest) -> DeriveReply:
        """Return what became of it. Raises `ApplianceError`."""


class OpenerDesk:
    """The daemon `opener`, asked until it is done or nobody wants it any more."""

    def __init__(self, run_dir: Path, ending: threading.Event) -> None:
        """Ask the opener of this box, until `ending`."""
        self._run_dir = run_dir
        self._ending = ending

    def derive(self, request: DeriveRequest) -> DeriveReply:
        """Return what became of it. Raises `ApplianceError`."""
        for _ in range(_PATIENCE_ROUNDS):
            reply = ask(self._run_dir, "opener", request, DeriveReply, deadline_s=_ANSWER_S)
            if reply.outcome != "working":
                return reply
            if self._ending.is_set():
                return DeriveReply("ending", reason="the sender is ending")
        return DeriveReply("working", reason="it took too long")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a destination asks for: the form of pixels ("" for any), and the header steps in their order."""

    destination_id: str
    transcode: str
    steps: Steps

    def place(self, transcode: str) -> str:
        """Return the name of the place for what is derived for this destination with its steps and `transcode`."""
        text = json.dumps([self.destination_id, transcode, self.steps])
        return hashlib.sha256(text.encode()).hexdigest()[:_PLACE_DIGITS]

    @property
    def places(self) -> tuple[str, ...]:
        """Every place in which something for this destination can be: a destination may refuse the form that is asked for."""
        return tuple(self.place(transcode) for transcode in dict.fromkeys((self.transcode, "")))


def recipe_of(terms: Terms) -> Recipe | None:
    """Return what the destination of these terms asks for, or None where everything goes as it was received."""
    destination = terms.destination
    steps = tuple((operation.do, operation.value, operation.issuer or "") for operation in destination.headers)
    if destination.transcode is None and not steps:
        return None
    return Recipe(destination.id, destination.transcode or "", steps)


def with_derived(terms: Terms, spool: Spool, opener: Opener, way: Callable[[OpenObject], Transport]) -> Transport:
    """Return the way to the destination of `terms`, as `way` makes it, through `opener` where the destination asks for that."""
    recipe = recipe_of(terms)
    if recipe is None:
        return way(spool.open)
    places = recipe.places
    return DerivingTransport(way(lambda name: spool.open_derived(places, name)), Derivation(recipe, spool, opener))


@dataclass(frozen=True, slots=True)
class Derivation:
    """Derives for one destination."""

    recipe: Recipe
    spool: Spool
    opener: Opener

    def target(self, context: Context) -> Context | None:
        """Return in which context an object of `context` is wanted, where that is another one."""
        syntax = lossless_target(context[1], self.recipe.transcode)
        return None if syntax is None else (context[0], syntax)

    def prepare(self, task: Task, channel: Channel) -> tuple[Task, str] | Verdict:
        """Return what is to be sent for `task`, and why it is not in the form that is asked for ("" where it is); or why nothing is."""
        transcode, reason = self._possible(task, channel)
        if not transcode and not self.recipe.steps:
            return task, reason
        claim = task.claim
        request = DeriveRequest(claim.spool_name, transcode, self.recipe.steps, self.recipe.place(transcode))
        try:
            reply = self.opener.derive(request)
        except ApplianceError as error:
            log.warning("derived.opener_failed", delivery_id=claim.delivery_id, error=type(error).__name__)
            reply = DeriveReply("failed", reason="the opener did not answer")
        match reply.outcome:
            case "derived":
                return _derived(task, reply), reason or reply.reason
            # Also a full disk: what waited for room would keep it full.
            case "as it is" | "failed" | "working" if not self.recipe.steps:
                return task, reply.reason
            case "missing":
                return judge_missing()
            case "damaged":
                return judge_damaged()
            case "foreign":
                return judge_foreign_key()
            case "refused" | "as it is":
                return judge_refused_headers(reply.reason)
            case _:
                return judge_not_derived(reply.reason)

    def settled(self, task: Task, outcome: Outcome) -> Outcome:
        """Return the outcome of what was sent for `task`, having removed what was derived for it and is of no more use."""
        name = SpoolName.parse(task.claim.spool_name)
        is_spoilt = outcome.verdict.flag in SPOOL_FAULTS
        is_over = outcome.verdict.whose is Whose.DELIVERED or outcome.verdict.holds_after(len(task.outcomes) + 1)
        if name is None or not (is_spoilt or is_over):
            return outcome
        was_derived = self.spool.remove_derived(self.recipe.places, name)
        # What was derived is made again; nothing is wrong with the original, which must not be set apart for it.
        return Outcome(judge_not_derived("it was damaged before it was sent")) if is_spoilt and was_derived else outcome

    def _possible(self, task: Task, channel: Channel) -> tuple[str, str]:
        """Return to what the pixels are transcoded, or "" and why not."""
        transcode = self.recipe.transcode
        wanted = self.target(task.context)
        if wanted is None:
            own = task.claim.transfer_syntax_uid
            return "", "" if is_wanted_form(own, transcode) else "nothing here re-encodes its transfer syntax without loss"
        if channel.refusal(wanted) is not None:
            return "", f"the destination does not take transfer syntax {wanted[1]}"
        return transcode, ""


def _derived(task: Task, reply: DeriveReply) -> Task:
    name = SpoolName.parse(reply.spool_name)
    length = task.claim.length if name is None else name.length
    claim = replace(task.claim, spool_name=reply.spool_name, transfer_syntax_uid=Uid(reply.transfer_syntax), length=length)
    return replace(task, claim=claim)


class DerivingTransport:
    """A way to a destination, for derived objects."""

    def __init__(self, inner: Transport, derivation: Derivation) -> None:
        """Send through `inner` what `derivation` makes."""
        self._inner = inner
        self._derivation = derivation

    def hello(self) -> None:
        """Return when somebody listens there. Raises `AssociationFailedError`."""
        self._inner.hello()

    def echo(self) -> None:
        """Return when somebody there speaks our protocol. Raises `AssociationFailedError`."""
        self._inner.echo()

    def open(self, wanted: Wanted) -> Channel:
        """Return a channel that is asked for both forms of what is wanted. Raises `AssociationFailedError`."""
        both = [way for context in wanted.contexts for way in (self._derivation.target(context), context) if way is not None]
        channel = self._inner.open(replace(wanted, contexts=tuple(dict.fromkeys(both))))
        if isinstance(channel, BatchChannel):
            return DerivingBatchChannel(channel, self._derivation)
        return DerivingChannel(channel, self._derivation)


class DerivingChannel:
    """An open way to a destination, for derived objects."""

    def __init__(self, inner: Channel, derivation: Derivation) -> None:
        """Send through `inner` what `derivation` makes."""
        self._inner = inner
        self._derivation = derivation

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return self._inner.is_open

    @property
    def answers(self) -> Mapping[Context, int]:
        """What the peer said to each context that it was asked for."""
        return self._inner.answers

    def proposed(self, context: Context) -> bool:
        """Say whether an object of this context was asked for in both forms."""
        target = self._derivation.target(context)
        return self._inner.proposed(context) and (target is None or self._inner.proposed(target))

    def refusal(self, context: Context) -> Verdict | None:
        """Return what it means that an object of this context may go in neither form, or None when it may."""
        target = self._derivation.target(context)
        return None if target is not None and self._inner.refusal(target) is None else self._inner.refusal(context)

    def send(self, task: Task) -> Outcome:
        """Send what is derived for `task` and return how that ended."""
        (outcome,) = self._send([task], lambda tasks: [self._inner.send(one) for one in tasks])
        return outcome

    def release(self) -> None:
        """End in good order."""
        self._inner.release()

    def abort(self) -> None:
        """End at once."""
        self._inner.abort()

    def _send(self, tasks: Sequence[Task], send: Callable[[Sequence[Task]], list[Outcome]]) -> list[Outcome]:
        """Send what is derived for each task, together; a task for which nothing can be sent has its verdict."""
        outcomes: dict[int, Outcome] = {}
        ready: list[tuple[Task, str]] = []
        for task in tasks:
            prepared = self._prepared(task)
            if isinstance(prepared, Verdict):
                outcomes[task.claim.delivery_id] = Outcome(prepared)
            else:
                ready.append(prepared)
        if ready:
            for (task, reason), outcome in zip(ready, send([task for task, _ in ready]), strict=True):
                outcomes[task.claim.delivery_id] = self._derivation.settled(task, _explained(outcome, reason))
        return [outcomes[task.claim.delivery_id] for task in tasks]

    def _prepared(self, task: Task) -> tuple[Task, str] | Verdict:
        prepared = self._derivation.prepare(task, self._inner)
        if isinstance(prepared, Verdict):
            return prepared
        refusal = self._inner.refusal(prepared[0].context)
        if refusal is not None:
            return refusal
        if prepared[1]:
            log.info("derived.as_received", delivery_id=task.claim.delivery_id, reason=prepared[1])
        return prepared


class DerivingBatchChannel(DerivingChannel):
    """The same, for a protocol that takes several deliveries in one request."""

    def __init__(self, inner: BatchChannel, derivation: Derivation) -> None:
        """Send through `inner` what `derivation` makes."""
        super().__init__(inner, derivation)
        self._together = inner

    @property
    def batch(self) -> Batch:
        """How much may go together."""
        return self._together.batch

    def send_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Send what is derived for `tasks` and return how each ended, in their order."""
        return self._send(tasks, self._together.send_together)


def _explained(outcome: Outcome, reason: str) -> Outcome:
    """Return the outcome with why the pixels went as they were received."""
    if not reason:
        return outcome
    return replace(outcome, comment=f"{outcome.comment} (pixels as received: {reason})".strip()[:_COMMENT_CHARACTERS])
