"""The engine on a real ledger with scripted destinations: what is sent, in which associations, and what every trouble does."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable

import pytest

from appliance.deliver.lane import STINT_INSTANCES
from appliance.deliver.own_faults import judge_damaged
from appliance.deliver.task import Task
from appliance.deliver.transport import Outcome, Wanted
from appliance.deliver.verdict import Break, Verdict, judge_break, judge_reject, judge_unreachable
from appliance.ledger.deliveries import Deliveries
from appliance.ledger.instances import InstanceState
from appliance.ledger.vocabulary import Cause, DeliveryState, HoldClass, Priority
from appliance.runtime.clock import SystemClock
from tests.support.eventually import eventually
from tests.unit.deliver.bench import (
    CT,
    EXPLICIT,
    MR,
    SHORT,
    SR,
    Books,
    Engine,
    FakeDestination,
    a_destination,
    a_site,
    broken,
    settled,
    status,
    success,
)

DELIVERED, HELD, QUEUED, DEFERRED = DeliveryState.DELIVERED, DeliveryState.HELD, DeliveryState.QUEUED, DeliveryState.DEFERRED

ABORT = judge_break(Break.ABORT_USER, after_first_pdv=True, association_proved=True)
LOST = judge_break(Break.CLOSED, after_first_pdv=True, association_proved=True)


def only_for(uid: str, answer: Callable[[Task], Outcome]) -> Callable[[Task], Outcome]:
    """Answer one instance so, and store the others."""
    return lambda task: answer(task) if task.claim.sop_instance_uid == uid else success(task)


# --- the ordinary way -----------------------------------------------------------------------------------------------------------------


def test_everything_is_delivered_once_and_in_order(books: Books) -> None:
    """One lane sends what is queued, each instance once, in order, over one association."""
    archive, uids = FakeDestination(), books.owe(count=20)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert archive.received == uids
    assert [visit.ended for visit in archive.visits] == ["release"]
    assert [attempt.status for attempt in books.attempts(uids[0])] == [0]


def test_the_urgent_goes_first(books: Books) -> None:
    """A stat delivery goes before what waited longer."""
    archive = FakeDestination()
    routine, stat = books.owe(count=3), books.owe(priority=Priority.STAT)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, routine + stat))

    assert archive.received == stat + routine


def test_new_work_finds_the_open_association(books: Books) -> None:
    """What arrives while an association lingers is sent over it."""
    archive, first = FakeDestination(), books.owe()

    with Engine(books, a_site(), {"archive": archive}) as engine:
        eventually(settled(books, first))
        second = books.owe()
        engine.hints.hint()
        eventually(settled(books, second))

    assert [visit.instances for visit in archive.visits] == [first + second]


def test_an_idle_association_is_released(books: Books) -> None:
    """With nothing left to send the association is released after a little while."""
    archive, uids = FakeDestination(), books.owe()

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))
        eventually(lambda: [visit.ended for visit in archive.visits] == ["release"])


def test_an_outcome_is_committed_before_the_next_instance(books: Books) -> None:
    """While an instance is being sent, no earlier one of its lane is unsettled in the ledger."""
    archive, uids = FakeDestination(), books.owe(count=10)
    sending: list[int] = []
    archive.on_send = lambda _task: sending.append(books.count(DeliveryState.SENDING))

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert sending == [1] * 10


# --- lanes ----------------------------------------------------------------------------------------------------------------------------


def slow(task: Task) -> Outcome:
    """Store it, in the time that lets a further lane be worth it."""
    threading.Event().wait(0.01)
    return success(task)


def test_lanes_open_one_by_one(books: Books) -> None:
    """A second lane opens only after the first has delivered, and there are never more than configured."""
    archive, uids = FakeDestination(), books.owe(count=300)
    archive.gate.clear()

    archive.answer = slow
    with Engine(books, a_site(a_destination(lanes=3)), {"archive": archive}) as engine:
        eventually(lambda: archive.sending == 1)
        engine.hints.hint()
        first = archive.most_sending
        archive.gate.set()
        eventually(settled(books, uids))

    assert first == 1
    assert archive.most_sending <= 3
    assert len(archive.visits) > 1
    assert Counter(archive.received) == Counter(uids)


def one_at_a_time(_wanted: Wanted, is_open: int) -> Verdict | None:
    """Let one in, and keep the others waiting until they give up."""
    return judge_unreachable("associate", "timeout") if is_open else None


def test_an_archive_that_serves_one_association_stays_alive(books: Books) -> None:
    """A further lane that is not answered while another one is served costs a lane, not the destination."""
    archive, uids = FakeDestination(), books.owe(count=100)
    archive.let_in, archive.answer = one_at_a_time, slow

    with Engine(books, a_site(a_destination(lanes=4)), {"archive": archive}):
        eventually(settled(books, uids))
        eventually(lambda: (found := books.destination()) and found.lanes < 4)

    found = books.destination()
    assert found is not None
    assert found.state == "alive"
    assert archive.knocks == 0
    assert sorted(archive.received) == sorted(uids)
    assert {len(books.attempts(uid)) for uid in uids} == {1}


# --- a destination in trouble ---------------------------------------------------------------------------------------------------------


def test_a_dead_destination_costs_nothing_and_comes_back_by_itself(books: Books) -> None:
    """While nobody listens deliveries stay queued without an attempt; then one C-ECHO, and everything goes."""
    archive, uids = FakeDestination(), books.owe(count=5)
    archive.is_there = False

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: archive.knocks >= 3)
        eventually(lambda: (found := books.destination()) and found.state == "dead")
        waiting, attempts = books.states(uids), [books.row(uid).attempts for uid in uids]
        archive.is_there = True
        eventually(settled(books, uids))
        eventually(lambda: (found := books.destination()) and found.state == "alive")

    assert waiting == [QUEUED] * 5
    assert attempts == [0] * 5
    assert archive.echoes == 1


def test_a_dead_destination_touches_no_other(books: Books) -> None:
    """With one destination dead and one that never answers, a third one gets everything."""
    dead, stuck, good = FakeDestination(), FakeDestination(), FakeDestination()
    dead.is_there = False
    stuck.gate.clear()
    books.owe("dead", count=3)
    books.owe("stuck", count=3)
    uids = books.owe("good", count=50)
    site = a_site(a_destination("dead"), a_destination("stuck"), a_destination("good"))

    with Engine(books, site, {"dead": dead, "stuck": stuck, "good": good}):
        eventually(settled(books, uids))
        stuck.gate.set()


def test_out_of_resources_throttles_and_costs_nothing(books: Books) -> None:
    """A700 leaves the delivery queued and uncharged; the destination waits, and is alive again with the next delivered instance."""
    archive, uids = FakeDestination(), books.owe(count=4)
    archive.answer = status(0xA700)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: (found := books.destination()) and found.state == "throttled" and found.backoff_s > 0.05)
        attempts = [books.row(uid).attempts for uid in uids]
        archive.answer = success
        eventually(settled(books, uids))
        eventually(lambda: (found := books.destination()) and (found.state, found.backoff_s) == ("alive", 0.0))

    assert attempts == [0] * 4


@pytest.mark.parametrize("reject", [(1, 1, 3), (1, 1, 7), (1, 1, 1), (2, 3, 1), (2, 3, 2)])
def test_a_reject_costs_nothing_and_is_outlived(books: Books, reject: tuple[int, int, int]) -> None:
    """Whatever the reject, deliveries stay queued without an attempt, and go by themselves once the destination lets us in."""
    archive, uids = FakeDestination(), books.owe(count=3)
    archive.let_in = lambda wanted, _open: judge_reject(*reject, calling=str(wanted.calling))

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: (found := books.destination()) and found.state in {"refusing", "throttled"})
        charged = [(row.state, row.attempts) for row in map(books.row, uids) if row.state is not DeliveryState.SENDING]
        archive.let_in = lambda _wanted, _open: None
        eventually(settled(books, uids))

    assert set(charged) <= {(QUEUED, 0)}
    assert archive.received == uids


def test_the_same_failure_everywhere_is_the_sites(books: Books) -> None:
    """0110 on five instances of two studies pauses; while it lasts one instance a probe interval is tried; one success resumes."""
    archive = FakeDestination()
    uids = books.owe(count=10, study="1.2.3") + books.owe(count=10, study="1.2.4")
    archive.answer = status(0x0110)
    # Long enough that on a busy machine, too, the second study comes before the first is tried again.
    site = a_site(delivery=SHORT.model_copy(update={"soft": (1.0, 1.0)}))

    with Engine(books, site, {"archive": archive}):
        eventually(lambda: (found := books.destination()) and found.state == "paused")
        offered = len(archive.received)
        archive.answer = success
        eventually(settled(books, uids))
        eventually(lambda: (found := books.destination()) and found.state == "alive")

    # One study's ten first, then the fifth instance of the second study at the latest.
    assert 5 <= offered <= 15


def test_failures_of_one_study_do_not_pause(books: Books) -> None:
    """The same failure on many instances of one study is theirs, and the others go on."""
    archive = FakeDestination()
    bad, good = books.owe(count=8, study="1.2.3"), books.owe(count=8, study="1.2.4")
    archive.answer = lambda task: status(0x0117)(task) if task.claim.study_instance_uid == "1.2.3" else success(task)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, good))
        eventually(settled(books, bad, HELD))

    found = books.destination()
    assert found is not None
    assert found.state == "alive"


# --- an instance in trouble -----------------------------------------------------------------------------------------------------------


def test_what_is_not_understood_is_held_after_three_tries(books: Books) -> None:
    """C000 is tried three times, then held with its reason; the others are delivered meanwhile."""
    archive, uids = FakeDestination(), books.owe(count=5)
    archive.answer = only_for(uids[1], status(0xC000))

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, [uids[1]], HELD))
        eventually(settled(books, [uids[0], *uids[2:]]))

    row = books.row(uids[1])
    assert (row.hold_class, row.attempts, row.due is not None) == (HoldClass.VERDICT, 3, True)
    assert row.reason == "the destination cannot understand the instance (C000)"
    assert Counter(archive.received)[uids[1]] == 3


def test_an_unknown_outcome_is_sent_again(books: Books) -> None:
    """A connection lost during an instance: the same instance goes again, counted, and the association is not used again."""
    archive, uids = FakeDestination(), books.owe(count=3)
    archive.answer = only_for(uids[0], lambda task: Outcome(LOST) if task.claim.unknown_outcomes < 2 else success(task))

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert Counter(archive.received) == {uids[0]: 3, uids[1]: 1, uids[2]: 1}
    assert books.row(uids[0]).unknown_outcomes == 2


def test_a_duplicate_after_an_unknown_outcome_is_delivered(books: Books) -> None:
    """0111 for what we may have sent already means that the destination has it."""
    archive, uids = FakeDestination(), books.owe()
    archive.answer = lambda task: status(0x0111)(task) if task.claim.unknown_outcomes else Outcome(LOST)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))


def test_poison_goes_alone_and_last_and_is_then_held(books: Books) -> None:
    """An instance that makes the archive abort three times goes a fourth time alone and last, then it is held."""
    archive = FakeDestination()
    (poison,) = books.owe()
    uids = books.owe(count=10)
    archive.answer = only_for(poison, broken(ABORT))

    with Engine(books, a_site(a_destination(lanes=2)), {"archive": archive}):
        eventually(settled(books, [poison], HELD), within=15)
        eventually(settled(books, uids))

    assert books.row(poison).hold_class is HoldClass.VERDICT
    assert [attempt.outcome for attempt in books.attempts(poison)] == ["aborted"] * 4
    assert [visit.contexts for visit in archive.visits if visit.instances == [poison]][-1] == ((CT, EXPLICIT),)
    assert archive.received[-1] == poison


def test_a_choking_protocol_machine_gets_smaller_pdus(books: Books) -> None:
    """A-ABORT source 2 is tried once more, in an association with small PDUs."""
    archive, uids = FakeDestination(), books.owe()
    choked = broken(judge_break(Break.ABORT_PROVIDER, after_first_pdv=True, association_proved=True))
    archive.answer = lambda task: success(task) if task.wants_small_pdus else choked(task)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert [visit.small_pdus for visit in archive.visits] == [False, True]


def test_a_damaged_object_is_quarantined_and_held(books: Books) -> None:
    """An object that does not authenticate is held with its reason, its instance quarantined, its association aborted; the others go."""
    archive, uids = FakeDestination(), books.owe(count=3)
    archive.answer = only_for(uids[1], broken(judge_damaged()))

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, [uids[1]], HELD))
        eventually(settled(books, [uids[0], uids[2]]))

    assert (books.row(uids[1]).hold_class, books.row(uids[1]).reason) == (HoldClass.VERDICT, "damaged in the spool")
    assert books.instance_state(uids[1]) is InstanceState.QUARANTINED
    assert next(visit.ended for visit in archive.visits if uids[1] in visit.instances) == "abort"


def test_a_fault_of_our_own_stays_with_one_instance(books: Books) -> None:
    """An exception during one transfer puts that instance aside; the others are delivered."""
    archive, uids = FakeDestination(), books.owe(count=3)

    def fail(task: Task) -> Outcome:
        if not task.claim.attempts:
            raise RuntimeError("a defect")
        return success(task)

    archive.answer = only_for(uids[1], fail)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert [attempt.outcome for attempt in books.attempts(uids[1])] == ["internal_fault", "success"]


# --- contexts -------------------------------------------------------------------------------------------------------------------------


def test_contexts_are_what_is_queued(books: Books) -> None:
    """An association proposes exactly the classes and syntaxes that wait, one context each."""
    archive = FakeDestination()
    uids = books.owe(count=2) + books.owe(sop_class=MR) + books.owe(count=2, sop_class=SR)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert [visit.contexts for visit in archive.visits] == [((CT, EXPLICIT), (MR, EXPLICIT), (SR, EXPLICIT))]


def test_a_refused_class_is_held_and_the_others_go(books: Books) -> None:
    """Context result 3 holds that class with a text that names it, over the same association that delivers the others."""
    archive = FakeDestination()
    archive.refused_contexts = {(SR, EXPLICIT): 3}
    reports, images = books.owe(count=3, sop_class=SR), books.owe(count=3)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, images))
        eventually(settled(books, reports, HELD))

    rows = [books.row(uid) for uid in reports]
    assert {row.hold_class for row in rows} == {HoldClass.CONFIGURATION}
    assert {row.reason for row in rows} == {f"the destination does not take SOP class {SR}"}
    assert len(archive.visits) == 1


def test_nothing_usable_never_loops(books: Books) -> None:
    """Where contexts are refused without a reason three tries are made, each in a new association, then it is held."""
    archive, uids = FakeDestination(), books.owe()
    archive.refused_contexts = {(CT, EXPLICIT): 1}

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids, HELD))

    assert books.row(uids[0]).attempts == 3
    assert archive.received == []
    assert len(archive.visits) <= 3


def test_a_context_that_was_not_proposed_means_a_new_association(books: Books) -> None:
    """Work of a class that was not proposed is sent over a new association, after the old one was released."""
    archive, first = FakeDestination(), books.owe()

    with Engine(books, a_site(), {"archive": archive}) as engine:
        eventually(settled(books, first))
        second = books.owe(sop_class=MR)
        engine.hints.hint()
        eventually(settled(books, second))

    assert [visit.contexts for visit in archive.visits] == [((CT, EXPLICIT),), ((MR, EXPLICIT),)]
    assert archive.visits[0].ended == "release"


# --- sources --------------------------------------------------------------------------------------------------------------------------


def test_sources_are_never_mixed(books: Books) -> None:
    """With calling_ae "source" every association carries the instances of one source, under its title."""
    archive, sources = FakeDestination(), {}
    for _ in range(5):
        for source in ("CT1", "MR1", "ct1"):
            sources.update(dict.fromkeys(books.owe(source=source), source.upper()))

    with Engine(books, a_site(a_destination(calling_ae="source", lanes=2)), {"archive": archive}):
        eventually(settled(books, list(sources)))

    assert {visit.calling.upper() for visit in archive.visits} == {"CT1", "MR1"}
    for visit in archive.visits:
        assert {sources[uid] for uid in visit.instances} == {visit.calling.upper()}


def test_a_backlog_of_one_source_lets_the_other_in(books: Books) -> None:
    """After 50 instances of one title an older delivery of another one goes first."""
    archive = FakeDestination()
    first = books.owe(count=1, source="CT1")
    other = books.owe(count=1, source="MR1")
    backlog = books.owe(count=2 * STINT_INSTANCES, source="CT1")

    with Engine(books, a_site(a_destination(calling_ae="source")), {"archive": archive}):
        eventually(settled(books, first + other + backlog))

    assert archive.received.index(other[0]) == STINT_INSTANCES


def test_a_title_that_is_not_known_stops_only_itself(books: Books) -> None:
    """1/1/3 for one source's title leaves the other sources alone, costs its own nothing, and is outlived."""
    archive = FakeDestination()
    archive.let_in = lambda wanted, _open: judge_reject(1, 1, 3, calling="CT9") if wanted.calling.key == "CT9" else None
    unknown, known = books.owe(count=3, source="CT9"), books.owe(count=3, source="CT1")

    with Engine(books, a_site(a_destination(calling_ae="source")), {"archive": archive}):
        eventually(settled(books, known))
        attempts = {books.row(uid).attempts for uid in unknown}
        archive.let_in = lambda _wanted, _open: None
        eventually(settled(books, unknown))

    assert attempts == {0}


def test_the_box_as_caller_mixes_sources(books: Books) -> None:
    """With calling_ae "box" one association serves every source, under the box's title."""
    archive = FakeDestination()
    uids = books.owe(source="CT1") + books.owe(source="MR1")

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert [(visit.calling, visit.instances) for visit in archive.visits] == [("EDGE", uids)]


# --- beginning and end ----------------------------------------------------------------------------------------------------------------


def test_claims_of_dead_runs_are_freed(books: Books) -> None:
    """What a run that no longer lives had claimed is sent by the next one at once."""
    archive, uids = FakeDestination(), books.owe(count=3)
    with books.ledger.write():
        Deliveries(books.ledger).claim("archive", owner="a run that died")

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert sorted(archive.received) == sorted(uids)


def test_claims_of_living_runs_are_theirs(books: Books) -> None:
    """A second sender on the same data takes nothing from a run that lives."""
    slow, archive = FakeDestination(), FakeDestination()
    slow.gate.clear()
    uids = books.owe(count=2)

    with Engine(books, a_site(), {"archive": slow}):
        eventually(lambda: slow.sending == 1)
        with Engine(books, a_site(), {"archive": archive}):
            eventually(settled(books, uids[1:]))
        slow.gate.set()
        eventually(settled(books, uids))

    assert (slow.received, archive.received) == (uids[:1], uids[1:])


def test_a_lane_finishes_its_instance_when_the_sender_stops(books: Books) -> None:
    """On stopping, the instance under way is delivered, the association released, the rest stays queued, and the lock is gone."""
    archive, uids = FakeDestination(), books.owe(count=5)
    archive.gate.clear()
    engine = Engine(books, a_site(), {"archive": archive})

    with engine:
        eventually(lambda: archive.sending == 1)
        engine.ask_to_stop()
        archive.gate.set()
        engine.stop()

    assert books.states(uids) == [DELIVERED] + [QUEUED] * 4
    assert [visit.ended for visit in archive.visits] == ["release"]
    assert list((books.data / "run" / "sender").iterdir()) == []


def test_nothing_is_left_running(books: Books) -> None:
    """When the sender has ended, none of its threads lives."""
    archive, uids = FakeDestination(), books.owe(count=20)
    before = set(threading.enumerate())

    with Engine(books, a_site(a_destination(lanes=4)), {"archive": archive}):
        eventually(settled(books, uids))

    assert set(threading.enumerate()) <= before


def test_bytes_sent_again_by_wish_may_be_there_already(books: Books) -> None:
    """A delivery made because somebody sent the same bytes again knows whether they went there before."""
    archive, uids = FakeDestination(), books.owe()
    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))
    number = books.row(uids[0]).instance_id
    with books.ledger.write():
        again = Deliveries(books.ledger).add(
            number, "archive", cause=Cause.RESEND, cause_ref="2", priority=Priority.ROUTINE, now=SystemClock().now()
        )
    archive.answer = status(0x0111)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: books.count(DELIVERED) == 2)

    with books.ledger.read():
        assert Deliveries(books.ledger).attempts(again or 0)[0].outcome == "duplicate_of_ours"


def test_a_thread_that_cannot_be_started_costs_a_moment(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the machine has no thread left for a lane, what was claimed for it goes back and is sent with the next look."""
    archive, uids = FakeDestination(), books.owe(count=2)
    start, refused = threading.Thread.start, list[str]()

    def scarce(thread: threading.Thread) -> None:
        if thread.name.startswith("lane ") and not refused:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))

    assert refused == ["lane archive/1"]
    assert sorted(archive.received) == sorted(uids)


def test_what_was_derived_a_day_ago_is_swept(books: Books) -> None:
    """What was derived for a delivery that was cancelled goes when it is a day old; what is younger stays."""
    place = books.data / "spool" / "derived" / "ab12"
    place.mkdir(parents=True)
    old, young = place / "old", place / "young"
    for path in (old, young):
        path.touch()
    os.utime(old, (1000, 1000))

    with Engine(books, a_site(), {"archive": FakeDestination()}):
        eventually(lambda: not old.exists())

    assert young.exists()
