"""Derived objects on their way out: what is sent, what is held, what goes as it was received and says so, and what is cleared away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from appliance.core.errors import ApplianceError
from appliance.core.identity import AETitle, Uid
from appliance.deliver.derived import Derivation, DerivingTransport, Recipe
from appliance.deliver.own_faults import judge_damaged
from appliance.deliver.task import Task
from appliance.deliver.transport import Batch, BatchChannel, Channel, Context, Outcome, Wanted
from appliance.deliver.verdict import Verdict, judge_context, judge_store
from appliance.dimse.lossless import JPEG_LS_LOSSLESS
from appliance.ledger.vocabulary import HoldClass
from appliance.runtime.deriving import DeriveReply, DeriveRequest
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.unit.deliver.test_settlement import a_task
from tests.unit.spool.builders import a_header, a_spool

CT = Uid("1.2.840.10008.5.1.4.1.1.2")
EXPLICIT, JPEG = Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2.4.50")
STEPS = (("prefix-patient-id", "KH-", ""),)


@dataclass
class FakeOpener:
    """Answers what it is told to."""

    reply: DeriveReply = field(default_factory=lambda: DeriveReply("derived", "", JPEG_LS_LOSSLESS))
    asked: list[DeriveRequest] = field(default_factory=list)
    is_there: bool = True

    def derive(self, request: DeriveRequest) -> DeriveReply:
        """Return the reply."""
        self.asked.append(request)
        if not self.is_there:
            raise ApplianceError("not there")
        return self.reply


@dataclass
class FakeChannel:
    """Takes the syntaxes that it is told to take, and answers what it is told to answer."""

    taken: Sequence[Uid]
    verdict: Verdict = field(default_factory=lambda: judge_store(0))
    sent: list[Task] = field(default_factory=list)
    wanted: Sequence[Context] = ()
    is_open: bool = True
    answers: Mapping[Context, int] = field(default_factory=dict)

    def proposed(self, context: Context) -> bool:
        """Say whether it was wanted."""
        return context in self.wanted

    def refusal(self, context: Context) -> Verdict | None:
        """Return what is said to what is not taken."""
        return None if context[1] in self.taken else judge_context(4, *context)

    def send(self, task: Task) -> Outcome:
        """Note the task."""
        self.sent.append(task)
        return Outcome(self.verdict, 0, "thanks")

    def release(self) -> None:
        """End."""
        self.is_open = False

    def abort(self) -> None:
        """End."""
        self.is_open = False


class FakeBatchChannel(FakeChannel):
    """The same, for several at once."""

    batch = Batch(10, 1 << 20)

    def send_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Note the tasks."""
        return [self.send(task) for task in tasks]


@dataclass
class FakeTransport:
    """Opens its one channel."""

    channel: FakeChannel

    def hello(self) -> None:
        """Be there."""

    def echo(self) -> None:
        """Be there."""

    def open(self, wanted: Wanted) -> Channel:
        """Return the channel."""
        self.channel.wanted = wanted.contexts
        return self.channel


class Bench:
    """A spool with one object and one thing derived from it, an opener, a channel, and the way through all of them."""

    def __init__(
        self, data: Path, channel: FakeChannel, *, transcode: str = "jpeg-ls", steps: tuple[tuple[str, str, str], ...] = ()
    ) -> None:
        """Prepare all of them."""
        self.spool: Spool = a_spool(data)
        self.recipe = Recipe("archive", transcode, steps)
        self.place = self.recipe.place(transcode)
        self.derived = self._derived()
        self.opener = FakeOpener(DeriveReply("derived", str(self.derived), JPEG_LS_LOSSLESS))
        self.inner = channel
        task = a_task()
        self.task = replace(task, claim=replace(task.claim, sop_class_uid=CT, transfer_syntax_uid=EXPLICIT))
        transport = DerivingTransport(FakeTransport(channel), Derivation(self.recipe, self.spool, self.opener))
        self.channel = transport.open(Wanted(AETitle("CT1"), [self.task.context, (CT, JPEG)]))

    def _derived(self) -> SpoolName:
        place = self.spool.derived(self.place)
        with self.spool.admit(a_header(), place) as admission:
            admission.write(b"derived")
            return admission.commit()

    @property
    def has_derived(self) -> bool:
        """Whether what was derived is still there."""
        return self.spool.derived(self.place).find(self.derived.object_id) is not None


def test_the_derived_object_is_sent_in_place_of_the_stored_one(tmp_path: Path) -> None:
    """What goes is the derived object in its own transfer syntax; delivered, it is removed; the outcome is the destination's."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS]))

    outcome = bench.channel.send(bench.task)

    (sent,) = bench.inner.sent
    assert (str(bench.derived), JPEG_LS_LOSSLESS, 7) == (sent.claim.spool_name, sent.claim.transfer_syntax_uid, sent.claim.length)
    assert replace(sent.claim, spool_name="", transfer_syntax_uid=EXPLICIT, length=0) == replace(bench.task.claim, spool_name="", length=0)
    assert Outcome(judge_store(0), 0, "thanks") == outcome
    assert not bench.has_derived
    assert [DeriveRequest(bench.task.claim.spool_name, "jpeg-ls", (), bench.place)] == bench.opener.asked


def test_both_forms_are_asked_for_the_wanted_one_first(tmp_path: Path) -> None:
    """A channel is asked for the wanted form and for the one in which the object is; what has no other form is asked for once."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS]))

    assert ((CT, JPEG_LS_LOSSLESS), (CT, EXPLICIT), (CT, JPEG)) == tuple(bench.inner.wanted)
    assert bench.channel.proposed((CT, EXPLICIT))
    assert not bench.channel.proposed((Uid("1.2"), EXPLICIT))


def test_what_the_destination_does_not_take_goes_as_it_was_received(tmp_path: Path) -> None:
    """Where JPEG-LS was refused the object goes as it is, nobody derives anything, and the outcome says why."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT]))

    outcome = bench.channel.send(bench.task)

    assert [bench.task] == bench.inner.sent
    assert [] == bench.opener.asked
    assert f"thanks (pixels as received: the destination does not take transfer syntax {JPEG_LS_LOSSLESS})" == outcome.comment


def test_what_cannot_be_transcoded_goes_as_it_was_received(tmp_path: Path) -> None:
    """Where opener says that it cannot be done the object goes as it is, and the outcome says why."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS]))
    bench.opener.reply = DeriveReply("as it is", reason="it has a palette")

    outcome = bench.channel.send(bench.task)

    assert [bench.task] == bench.inner.sent
    assert "thanks (pixels as received: it has a palette)" == outcome.comment


def test_what_has_no_lossless_way_is_not_given_to_opener(tmp_path: Path) -> None:
    """A lossy object goes as it is without a question, and says so; one that is JPEG-LS already goes without a word."""
    bench = Bench(tmp_path, FakeChannel([JPEG, JPEG_LS_LOSSLESS]))
    tasks = [replace(bench.task, claim=replace(bench.task.claim, transfer_syntax_uid=uid)) for uid in (JPEG, JPEG_LS_LOSSLESS)]

    lossy, done = (bench.channel.send(task).comment for task in tasks)

    assert [] == bench.opener.asked
    assert ("thanks (pixels as received: nothing here re-encodes its transfer syntax without loss)", "thanks") == (lossy, done)


def test_headers_are_changed_also_where_the_pixels_stay(tmp_path: Path) -> None:
    """A destination that refuses JPEG-LS gets the changed header all the same."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT]), steps=STEPS)
    bench.opener.reply = DeriveReply("derived", str(bench.derived), EXPLICIT)

    outcome = bench.channel.send(bench.task)

    (request,) = bench.opener.asked
    assert ("", STEPS) == (request.transcode, request.steps)
    # Elsewhere than what was made of it while the destination still took JPEG-LS: that would be found, and refused.
    assert bench.place != request.place
    assert {bench.place, request.place} == set(bench.recipe.places)
    assert [str(bench.derived)] == [task.claim.spool_name for task in bench.inner.sent]
    assert "pixels as received" in outcome.comment


@pytest.mark.parametrize(
    ("reply", "flag", "hold"),
    [
        (DeriveReply("refused", reason="too long"), "headers_refused", HoldClass.CONFIGURATION),
        (DeriveReply("as it is"), "headers_refused", HoldClass.CONFIGURATION),
        (DeriveReply("failed"), "not_derived", None),
        (DeriveReply("working"), "not_derived", None),
        (DeriveReply("what is this"), "not_derived", None),
        (DeriveReply("missing"), "missing_in_spool", HoldClass.VERDICT),
        (DeriveReply("damaged"), "damaged_in_spool", HoldClass.VERDICT),
        (DeriveReply("foreign"), "sealed_for_another_key", HoldClass.CONFIGURATION),
    ],
)
def test_nothing_leaves_with_a_header_that_was_not_changed(tmp_path: Path, reply: DeriveReply, flag: str, hold: HoldClass | None) -> None:
    """Whatever keeps opener from changing a header, nothing is sent, and the verdict is ours, never the destination's."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS]), steps=STEPS)
    bench.opener.reply = reply

    verdict = bench.channel.send(bench.task).verdict

    assert [] == bench.inner.sent
    assert (flag, hold, True) == (verdict.flag, verdict.hold, verdict.is_ours)


@pytest.mark.parametrize("reply", [None, DeriveReply("failed", reason="no room"), DeriveReply("working", reason="it took too long")])
def test_pixels_that_could_not_be_made_go_as_they_were_received(tmp_path: Path, reply: DeriveReply | None) -> None:
    """Without an opener, room or time the object goes as it is and says so: what waited for room would keep the disk full."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS]))
    bench.opener.is_there = reply is not None
    bench.opener.reply = reply or bench.opener.reply

    outcome = bench.channel.send(bench.task)

    assert [bench.task] == bench.inner.sent
    assert f"thanks (pixels as received: {reply.reason if reply else 'the opener did not answer'})" == outcome.comment


def test_an_end_of_the_sender_sends_nothing(tmp_path: Path) -> None:
    """When the sender is told to stop while an object is being made, the delivery waits for the next one."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS]))
    bench.opener.reply = DeriveReply("ending", reason="the sender is ending")

    assert ("not_derived", []) == (bench.channel.send(bench.task).verdict.flag, bench.inner.sent)


def test_an_opener_that_is_not_there_lets_changed_headers_wait(tmp_path: Path) -> None:
    """When nobody answers and the header is to be changed nothing is sent, and it is tried again."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS]), steps=STEPS)
    bench.opener.is_there = False

    verdict = bench.channel.send(bench.task).verdict

    assert ([], "not_derived", None) == (bench.inner.sent, verdict.flag, verdict.hold)


def test_what_was_derived_stays_until_it_is_delivered(tmp_path: Path) -> None:
    """A failure of the destination keeps what was derived for the next try."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS], verdict=judge_store(0xA700)))

    outcome = bench.channel.send(bench.task)

    assert "out_of_resources" == outcome.verdict.flag
    assert bench.has_derived


def test_a_damaged_derived_object_is_made_again_and_blames_no_original(tmp_path: Path) -> None:
    """When what was derived does not authenticate it is removed and tried again: the original must not be set apart for it."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS], verdict=judge_damaged()))

    outcome = bench.channel.send(bench.task)

    assert ("not_derived", False) == (outcome.verdict.flag, bench.has_derived)


def test_a_damaged_original_that_goes_as_it_is_is_called_damaged(tmp_path: Path) -> None:
    """When the stored object itself does not authenticate, that is the verdict."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT], verdict=judge_damaged()))

    assert "damaged_in_spool" == bench.channel.send(bench.task).verdict.flag


def test_a_context_that_is_refused_in_both_forms_is_refused(tmp_path: Path) -> None:
    """A channel says that an object may go in either form; where neither is taken it says so, and so does sending."""
    neither, wanted_only = (Bench(tmp_path / str(number), FakeChannel(taken)) for number, taken in enumerate(([], [JPEG_LS_LOSSLESS])))
    wanted_only.opener.reply = DeriveReply("as it is", reason="it has a palette")

    assert neither.channel.refusal((CT, EXPLICIT)) is not None
    assert wanted_only.channel.refusal((CT, EXPLICIT)) is None
    assert "syntax_rejected" == wanted_only.channel.send(wanted_only.task).verdict.flag
    assert [] == wanted_only.inner.sent


def test_several_go_together_and_each_has_its_own_outcome(tmp_path: Path) -> None:
    """Over a protocol that takes several at once, one whose header cannot be changed is held and the others go."""
    channel = FakeBatchChannel([EXPLICIT, JPEG_LS_LOSSLESS])
    bench = Bench(tmp_path, channel, steps=STEPS)
    other = replace(bench.task, claim=replace(bench.task.claim, delivery_id=bench.task.claim.delivery_id + 1, spool_name="other"))
    derive = bench.opener.derive

    def refusing(request: DeriveRequest) -> DeriveReply:
        return DeriveReply("refused") if request.spool_name == "other" else derive(request)

    bench.opener.derive = refusing  # type: ignore[method-assign]

    assert isinstance(bench.channel, BatchChannel)
    outcomes = bench.channel.send_together([other, bench.task])

    assert ["headers_refused", "success"] == [outcome.verdict.flag for outcome in outcomes]
    assert 1 == len(channel.sent)


def test_recipes_have_places_of_their_own() -> None:
    """Another destination, form or step has another place, and a place is a name that no path can leave."""
    recipes = [Recipe("a", "jpeg-ls", ()), Recipe("b", "jpeg-ls", ()), Recipe("a", "", ()), Recipe("a", "jpeg-ls", STEPS)]

    places = {recipe.place(recipe.transcode) for recipe in recipes}

    assert 4 == len(places)
    assert (1, 2) == (len(recipes[2].places), len(recipes[3].places))
    assert all(place.isalnum() for place in places)


def test_what_was_derived_for_what_is_held_is_removed(tmp_path: Path) -> None:
    """An object that the destination refuses is held for a day or for ever: what was derived of it is made again then."""
    bench = Bench(tmp_path, FakeChannel([EXPLICIT, JPEG_LS_LOSSLESS], judge_store(0x0118)))

    bench.channel.send(bench.task)

    assert not bench.has_derived
