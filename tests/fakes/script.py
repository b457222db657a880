"""What a scripted archive can be told to do: values for every answer and break, and moods that choose among them.

Promises: a mood is asked once a C-STORE request and a greeting once an association request, under the archive's lock, so that one with a
memory needs no lock of its own.
Failures: none.
Limits: C-ECHO has no mood, only a status; nothing but C-STORE and C-ECHO is spoken.
Standard: semantics.md 1.1 to 1.3 and hostile-inputs.md C name what a destination may do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

# PS3.4 B.2-1: what a destination has kept if it answers so.
KEPT = frozenset({0x0000, 0xB000, 0xB006, 0xB007})


class End(StrEnum):
    """How an association ends without anybody's consent."""

    CLOSE = "close"
    """FIN."""
    RESET = "reset"
    """RST."""
    ABORT_USER = "abort by the user"
    ABORT_PROVIDER = "abort by the provider"
    RELEASE = "release"
    """A-RELEASE-RQ from this side, wherever the other one is."""
    HANG = "hang"
    """Nothing is read or written any more; over when the peer gives up, or at `resume` or `stop`."""


class Stage(StrEnum):
    """Where a C-STORE breaks."""

    COMMAND = "command"
    """The command set is here; nothing of the data set was read."""
    DATA = "data"
    """So many bytes of the data set were read."""
    COMPLETE = "complete"
    """Everything was read; no response is sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A C-STORE response.

    `status` None leaves it out; `message_id` and `sop_instance_uid` are the request's unless given; `command` is sent instead of a command
    set. `after_bytes` answers as soon as so many bytes of the data set were read, instead of at its end. `keeps` says whether the instance
    is kept afterwards; None is as the status says, so a liar is `Answer(keeps=False)`. `then` ends the association behind the response.
    """

    status: int | None = 0x0000
    comment: str = ""
    offending: tuple[int, ...] = ()
    message_id: int | None = None
    sop_instance_uid: str | None = None
    command: bytes | None = None
    times: int = 1
    after_bytes: int | None = None
    delay_s: float = 0.0
    keeps: bool | None = None
    then: End | None = None

    @property
    def is_kept(self) -> bool:
        """Whether the archive has the instance after this answer."""
        return self.status in KEPT if self.keeps is None else self.keeps


@dataclass(frozen=True, slots=True)
class Break:
    """No response: the association ends at this stage; `after_bytes` belongs to `Stage.DATA`, `reason` to an abort by the provider."""

    end: End
    stage: Stage = Stage.COMPLETE
    after_bytes: int = 0
    reason: int = 0
    keeps: bool = False


Action: TypeAlias = Answer | Break


@dataclass(frozen=True, slots=True)
class Offer:
    """A C-STORE request as seen.

    `attempt` counts the offers of this instance (1 the first), `count` those of this archive, `nth` those in this association; `at` is in
    seconds of the archive's clock since it was made.
    """

    calling: str
    called: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    message_id: int
    attempt: int
    count: int
    nth: int
    at: float


Mood: TypeAlias = Callable[[Offer], Action]

ContextChoice: TypeAlias = Callable[[str, Sequence[str]], tuple[int, str] | None]
"""Abstract syntax and transfer syntaxes to result and transfer syntax, or to None to leave the context out of the answer."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An association request as seen; `count` is 1 for this archive's first, `at` as in `Offer`."""

    calling: str
    called: str
    abstract_syntaxes: tuple[str, ...]
    count: int
    at: float


def take_first(abstract_syntax: str, transfer_syntaxes: Sequence[str]) -> tuple[int, str] | None:
    """Accept everything in the requestor's first transfer syntax."""
    del abstract_syntax
    return 0, transfer_syntaxes[0]


@dataclass(frozen=True, slots=True)
class Welcome:
    """What an association request gets; by default it is accepted.

    `reject` is (result, source, reason); `end` is instead of an answer, `raw` bytes instead of an A-ASSOCIATE-AC, `then` right behind one.
    `repeats_ids` answers each context twice. `echo` is the status of C-ECHO, None for silence.
    """

    reject: tuple[int, int, int] | None = None
    contexts: ContextChoice = take_first
    max_length: int = 131072
    end: End | None = None
    raw: bytes | None = None
    then: End | None = None
    repeats_ids: bool = False
    echo: int | None = 0x0000
    answers_release: bool = True
    delay_s: float = 0.0


Greeting: TypeAlias = Callable[[Caller], Welcome]


# -- moods ---------------------------------------------------------------------------------------------------------------------------------


def good(_offer: Offer) -> Action:
    """Keep everything."""
    return Answer()


def always(action: Action) -> Mood:
    """Do the same to every offer."""
    return lambda _offer: action


def in_turn(*actions: Action) -> Mood:
    """Do one after the other to each instance as it is offered again, and the last one ever after."""
    return lambda offer: actions[min(offer.attempt, len(actions)) - 1]


def losing_one_of(count: int) -> Mood:
    """Answer 0000 to everything, and keep all but every `count`th."""
    return lambda offer: Answer(keeps=offer.count % count != 0)


def by_instance(moods: Mapping[str, Mood], otherwise: Mood = good) -> Mood:
    """Have a mood of its own for some SOP instance UIDs."""
    return lambda offer: moods.get(offer.sop_instance_uid, otherwise)(offer)


def by_time(*chapters: tuple[float, Mood], otherwise: Mood = good) -> Mood:
    """Have each mood until the second it is given with, and then `otherwise`."""

    def choose(offer: Offer) -> Action:
        return next((mood for until, mood in chapters if offer.at < until), otherwise)(offer)

    return choose


# -- greetings -----------------------------------------------------------------------------------------------------------------------------


def open_door(_caller: Caller) -> Welcome:
    """Accept every association."""
    return Welcome()


def welcome(answer: Welcome) -> Greeting:
    """Answer every association request alike."""
    return lambda _caller: answer


def greetings_in_turn(*answers: Welcome) -> Greeting:
    """Answer one association request after the other so, and the last way ever after."""
    return lambda caller: answers[min(caller.count, len(answers)) - 1]


def refuse_storage(answer: Welcome) -> Greeting:
    """Answer so whoever proposes more than verification, and accept the others."""
    return lambda caller: Welcome() if caller.abstract_syntaxes == ("1.2.840.10008.1.1",) else answer


def refuse(result: int, *, classes: Sequence[str] = (), syntaxes: Sequence[str] = ()) -> ContextChoice:
    """Refuse contexts of these SOP classes, and those that offer nothing but these transfer syntaxes, with this result."""

    def choose(abstract_syntax: str, transfer_syntaxes: Sequence[str]) -> tuple[int, str] | None:
        left = [syntax for syntax in transfer_syntaxes if syntax not in syntaxes]
        if abstract_syntax in classes or not left:
            return result, transfer_syntaxes[0]
        return 0, left[0]

    return choose


def prefer(*syntaxes: str) -> ContextChoice:
    """Take the first of these transfer syntaxes that is offered, else the requestor's first."""

    def choose(_abstract_syntax: str, transfer_syntaxes: Sequence[str]) -> tuple[int, str] | None:
        return 0, next((syntax for syntax in syntaxes if syntax in transfer_syntaxes), transfer_syntaxes[0])

    return choose


def with_contexts(choice: ContextChoice, base: Welcome | None = None) -> Welcome:
    """Return a welcome that chooses contexts so."""
    return replace(base or Welcome(), contexts=choice)
