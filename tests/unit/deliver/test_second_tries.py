"""The engine in the trouble of one instance or one class, and what is tried once more when something changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from appliance.deliver.known_settings import settings_of, with_settings
from appliance.deliver.task import Task
from appliance.deliver.transport import Outcome
from appliance.deliver.verdict import Break, judge_break, judge_unreachable
from appliance.ledger.deliveries import Deliveries, Moved
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.runtime.clock import SystemClock
from tests.support.eventually import eventually
from tests.unit.deliver.bench import (
    CT,
    EXPLICIT,
    MR,
    SHORT,
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
# So long that nothing in these tests is tried again for it.
LONG = SHORT.model_copy(update={"refusing": 3600.0, "throttled": (3600.0, 3600.0)})


def only_for(uids: list[str], answer: Callable[[Task], Outcome]) -> Callable[[Task], Outcome]:
    """Answer some instances so, and store the others."""
    return lambda task: answer(task) if task.claim.sop_instance_uid in uids else success(task)


def site_state(books: Books) -> str:
    """Return how the archive is shown."""
    found = books.destination()
    return "" if found is None else found.state.value


def hold(books: Books, uids: list[str], hold_class: HoldClass) -> None:
    """Hold these for a day."""
    numbers = [books.row(uid).id for uid in uids]
    due = SystemClock().now().after(86400)
    with books.ledger.write():
        for number in numbers:
            Deliveries(books.ledger).settle(number, Moved(HELD, hold_class, due, reason="it said no"))


def serve_once(books: Books) -> None:
    """Serve the archive on the usual terms, so that these are not new any more."""
    uids = books.owe()
    with Engine(books, a_site(), {"archive": FakeDestination()}):
        eventually(settled(books, uids))


# --- one instance draws an answer about the site --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0xA700, 0x0213, 0x0124, 0x0214])
def test_one_instance_stops_no_other(books: Books, code: int) -> None:
    """However long the destination's waits are, the others are delivered at once, and those that come later too; nothing is charged."""
    archive, (poison, *others) = FakeDestination(), books.owe(count=6)
    archive.answer = only_for([poison], status(code))

    with Engine(books, a_site(delivery=LONG), {"archive": archive}) as engine:
        eventually(settled(books, others))
        later = books.owe(count=3)
        engine.hints.hint()
        eventually(settled(books, later))
        row = books.row(poison)

    assert (row.attempts, row.state is HELD) == (0, False)


def test_one_instance_alone_is_shown_as_the_sites(books: Books) -> None:
    """Where nothing else is there to ask, the destination is what it says it is."""
    archive, (poison, *others) = FakeDestination(), books.owe(count=2)
    archive.answer = only_for([poison], status(0x0124))

    with Engine(books, a_site(delivery=LONG), {"archive": archive}):
        eventually(settled(books, others))
        eventually(lambda: site_state(books) == "refusing")

    assert Counter(archive.received)[poison] <= 4


def test_a_destination_that_is_full_is_asked_twice(books: Books) -> None:
    """A700 to a first and to a second instance, and then not before the wait is over."""
    archive = FakeDestination()
    books.owe(count=5)
    archive.answer = status(0xA700)

    with Engine(books, a_site(delivery=LONG), {"archive": archive}) as engine:
        eventually(lambda: site_state(books) == "throttled" and len(archive.received) == 2)
        for _ in range(3):
            engine.hints.hint()
        books.owe()

    assert len(archive.received) == 2


# --- aborts ---------------------------------------------------------------------------------------------------------------------------


def test_who_aborts_everything_holds_nothing(books: Books) -> None:
    """Aborts of two studies pause the destination; what is aborted from then on is uncharged, and its bytes may have arrived."""
    archive = FakeDestination()
    uids = books.owe(count=4, study="1.2.3") + books.owe(count=4, study="1.2.4")
    archive.answer = broken(ABORT)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: site_state(books) == "paused" and len(archive.received) >= 16)
        rows = [books.row(uid) for uid in uids]
        offered = Counter(archive.received)
        archive.answer = success
        eventually(settled(books, uids))
        eventually(lambda: site_state(books) == "alive")

    assert HELD not in {row.state for row in rows}
    assert sum(row.attempts for row in rows) < sum(row.unknown_outcomes for row in rows) <= sum(offered.values())


# --- silence --------------------------------------------------------------------------------------------------------------------------


def test_who_answers_no_storage_association_is_not_called_alive(books: Books) -> None:
    """C-ECHO is answered, storage is not: the destination is dead, with the reason, until it has taken an instance."""
    archive, uids = FakeDestination(), books.owe(count=2)
    silent = judge_unreachable("associate", "timeout")
    archive.let_in = lambda _wanted, _open: silent
    seen = set()

    def look() -> bool:
        found = books.destination()
        if found is not None:
            seen.add((found.state.value, found.reason))
        return archive.echoes >= 4

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: site_state(books) == "dead")
        eventually(look)
        archive.let_in = lambda _wanted, _open: None
        eventually(settled(books, uids))
        eventually(lambda: site_state(books) == "alive")

    assert {state for state, _ in seen} == {"dead"}
    assert {reason.removesuffix(" (it answers C-ECHO)") for _, reason in seen} == {silent.text}


# --- second chances -------------------------------------------------------------------------------------------------------------------


def test_a_class_that_is_taken_again_takes_the_held_along(books: Books) -> None:
    """The first instance of a refused class that is delivered releases the held ones of that class, and no others."""
    serve_once(books)
    archive = FakeDestination()
    archive.refused_contexts = {(MR, EXPLICIT): 3}
    refused, of_a_person, other = books.owe(count=3, sop_class=MR), books.owe(sop_class=MR), books.owe()
    hold(books, of_a_person, HoldClass.PERSON)
    hold(books, other, HoldClass.CONFIGURATION)

    with Engine(books, a_site(), {"archive": archive}) as engine:
        eventually(settled(books, refused, HELD))
        archive.refused_contexts = {}
        later = books.owe(sop_class=MR)
        engine.hints.hint()
        eventually(settled(books, refused + later))

    assert books.states(of_a_person + other) == [HELD, HELD]


def test_ordinary_successes_release_nothing(books: Books) -> None:
    """What is held for a verdict stays held while others of its class are delivered."""
    archive, (poison, *others) = FakeDestination(), books.owe(count=4)
    archive.answer = only_for([poison], status(0x0117))

    with Engine(books, a_site(), {"archive": archive}) as engine:
        eventually(settled(books, [poison], HELD))
        later = books.owe(count=3)
        engine.hints.hint()
        eventually(settled(books, others + later))

    assert Counter(archive.received)[poison] == 1


def test_a_class_that_was_refused_before_a_restart_is_remembered(books: Books) -> None:
    """A new sender knows from the ledger what was refused, and releases it at the first success."""
    archive = FakeDestination()
    archive.refused_contexts = {(MR, EXPLICIT): 3}
    refused = books.owe(count=2, sop_class=MR)
    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, refused, HELD))
    archive.refused_contexts = {}
    later = books.owe(sop_class=MR)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, refused + later))


def test_what_led_to_a_pause_is_released_when_it_is_over(books: Books) -> None:
    """0117 holds four instances before it is seen to be the site's; when the destination is well again, they go without a hand."""
    archive = FakeDestination()
    uids = books.owe(count=4, study="1.2.3") + books.owe(count=4, study="1.2.4")
    archive.answer = status(0x0117)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: site_state(books) == "paused")
        held = [uid for uid in uids if books.row(uid).state is HELD]
        archive.answer = success
        eventually(settled(books, uids))

    assert len(held) == 4


def test_new_settings_release_what_the_old_ones_held(books: Books) -> None:
    """Another port: what was held for a verdict is tried at once, what a person holds is not; equal settings release nothing."""
    archive, uids, person = FakeDestination(), books.owe(count=3), books.owe()
    archive.answer = only_for(uids, status(0x0117))
    hold(books, person, HoldClass.PERSON)
    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids, HELD))
    archive.answer = success
    newcomer = books.owe()
    with Engine(books, a_site(), {"archive": archive}) as engine:
        eventually(settled(books, newcomer))
        before = books.states(uids)
        engine.site = a_site(a_destination().model_copy(update={"port": 11113}))
        eventually(settled(books, uids))

    assert before == [HELD] * 3
    assert books.states(person) == [HELD]


# --- removal --------------------------------------------------------------------------------------------------------------------------


def test_what_waits_for_a_removed_destination_is_held_until_it_is_back(books: Books) -> None:
    """Its deliveries are held with the reason; when it returns, as it was, they go."""
    archive, reading = FakeDestination(), FakeDestination()
    archive.is_there = False
    uids = books.owe(count=3)
    both = a_site(a_destination(), a_destination("reading"))

    with Engine(books, both, {"archive": archive, "reading": reading}) as engine:
        eventually(lambda: site_state(books) == "dead")
        engine.site = a_site(a_destination("reading"))
        eventually(settled(books, uids, HELD))
        rows = [books.row(uid) for uid in uids]
        archive.is_there = True
        engine.site = both
        eventually(settled(books, uids))

    assert {(row.hold_class, row.reason, row.attempts) for row in rows} == {(HoldClass.CONFIGURATION, "the destination was removed", 0)}


def test_a_destination_that_was_removed_while_nobody_looked(books: Books) -> None:
    """A sender that starts without the destination holds what waits for it; one that starts with it again sends it."""
    archive, uids = FakeDestination(), books.owe(count=2)
    with Engine(books, a_site(a_destination("reading")), {"reading": FakeDestination()}):
        eventually(settled(books, uids, HELD))

    with Engine(books, a_site(), {"archive": archive}):
        eventually(settled(books, uids))


# --- the mark -------------------------------------------------------------------------------------------------------------------------


def test_the_mark_stands_beside_what_was_learned() -> None:
    """It is read as it was written, changes nothing else, and can be taken away."""
    learned = f'{{"accepted": [["{CT}", "{EXPLICIT}"]], "refused": []}}'

    marked = with_settings(with_settings(learned, "1"), "2")

    assert [settings_of(text) for text in (learned, marked, with_settings(marked, None))] == [None, "2", None]
    assert with_settings(marked, None) == learned


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": 5}'])
def test_a_text_that_says_nothing_knows_no_settings(text: str) -> None:
    """What cannot be read is no mark."""
    assert settings_of(text) is None
