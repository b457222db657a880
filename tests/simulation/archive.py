"""An archive in virtual time, with moods: there or away, well or sick, as a script says.

Promises: what the archive stored, and when it was offered what, is written down; every tenth offered object is opened and read to its end.
Failures: what opening a sealed object raises, which the lane under test has to take.
Limits: no association is refused for a context, and a transfer takes the same time whatever its size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.deliver.task import Task
from appliance.deliver.transport import AssociationFailedError, Context, Outcome, Wanted
from appliance.deliver.verdict import Break, Verdict, judge_break, judge_store, judge_unreachable
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.simulation.world import World

# How long the box waits for a response that does not come: the setting [delivery] response, for small objects.
_PATIENCE_S = 60.0
# That every sealed object can be opened is shown elsewhere, at a quarter of a millisecond each.
_READ_EVERY = 10


@dataclass(frozen=True, slots=True)
class Mood:
    """How the archive is: `status` is what it answers, `rejects` why it lets nobody in, `is_there` whether anybody listens.

    `hangs`: it takes everything and answers nothing.
    """

    status: int = 0x0000
    rejects: Verdict | None = None
    is_there: bool = True
    hangs: bool = False


WELL = Mood()
AWAY = Mood(is_there=False)
HANGING = Mood(hangs=True)


@dataclass(frozen=True, slots=True)
class Offer:
    """An instance that was offered: when (boottime), which, of which study, and the flag of how that ended."""

    at: float
    uid: str
    study: str
    flag: str


@dataclass(slots=True)
class Archive:
    """A `deliver.transport.Transport`. `mood` may be changed at any time; `poisons` are never understood, whatever the mood."""

    world: World
    spool: Spool
    send_s: float
    mood: Mood = WELL
    poisons: set[str] = field(default_factory=set)
    offers: list[Offer] = field(default_factory=list)
    stored: Counter[str] = field(default_factory=Counter)
    knocks: int = 0
    on_taken: Callable[[Task], None] = lambda _task: None
    on_stored: Callable[[Task], None] = lambda _task: None

    def hello(self) -> None:
        """Be there or not."""
        self.knocks += 1
        self._be_there()

    def echo(self) -> None:
        """Answer."""
        self._be_there()

    def open(self, wanted: Wanted) -> Association:
        """Let in, or not."""
        self._be_there()
        if self.mood.rejects is not None:
            raise AssociationFailedError(self.mood.rejects)
        return Association(self, frozenset(wanted.contexts))

    def take(self, task: Task, *, has_served: bool) -> Outcome:
        """Take one instance, which takes its time."""
        self.on_taken(task)
        if len(self.offers) % _READ_EVERY == 0:
            self._read(task)
        self.world.sleep(self.send_s)
        outcome = self._outcome(task, has_served=has_served)
        claim = task.claim
        self.offers.append(Offer(self.world.now().boottime, claim.sop_instance_uid, claim.study_instance_uid, outcome.verdict.flag))
        return outcome

    def _outcome(self, task: Task, *, has_served: bool) -> Outcome:
        mood, uid = self.mood, task.claim.sop_instance_uid
        if not mood.is_there:
            return Outcome(judge_break(Break.CLOSED, after_first_pdv=True, association_proved=has_served))
        if mood.hangs:
            # Whether it kept the instance nobody can say; every second one it did.
            self._store(task, keeps=len(self.offers) % 2 == 0)
            self.world.sleep(_PATIENCE_S)
            return Outcome(judge_break(Break.TIMEOUT, after_first_pdv=True, association_proved=has_served))
        status = 0xC000 if uid in self.poisons else mood.status
        self._store(task, keeps=status == 0)
        return Outcome(judge_store(status, sent_before=task.sent_before), status)

    def _read(self, task: Task) -> None:
        name = SpoolName.parse(task.claim.spool_name)
        assert name is not None
        with self.spool.open(name) as sealed:
            assert len(sealed.read(sealed.length)) == sealed.length

    def _store(self, task: Task, *, keeps: bool) -> None:
        if keeps and task.claim.sop_instance_uid not in self.poisons:
            self.stored[task.claim.sop_instance_uid] += 1
            self.on_stored(task)

    def _be_there(self) -> None:
        if not self.mood.is_there:
            raise AssociationFailedError(judge_unreachable("connect", "refused"))


class Association:
    """One association with the archive."""

    def __init__(self, archive: Archive, contexts: frozenset[Context]) -> None:
        """Be open."""
        self._archive = archive
        self._contexts = contexts
        self._is_open = True
        self._has_served = False

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return self._is_open and self._archive.mood.is_there

    @property
    def answers(self) -> dict[Context, int]:
        """Take everything."""
        return dict.fromkeys(self._contexts, 0)

    def proposed(self, context: Context) -> bool:
        """Say whether it was proposed."""
        return context in self._contexts

    def refusal(self, _context: Context) -> Verdict | None:
        """Refuse nothing."""
        return None

    def send(self, task: Task) -> Outcome:
        """Hand over one instance."""
        assert self._is_open, "an association that had ended was used again"
        outcome = self._archive.take(task, has_served=self._has_served)
        self._has_served = True
        return outcome

    def release(self) -> None:
        """End in good order."""
        self._is_open = False

    def abort(self) -> None:
        """End at once."""
        self._is_open = False
