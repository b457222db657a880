"""Fair lanes: who waits for whom at one destination, and what a person or the clock keeps from being sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config.shaping import Hours
from appliance.core.identity import Uid
from appliance.deliver.key_objects import KEY_OBJECT_DOCUMENT
from appliance.deliver.task import Task
from appliance.deliver.transport import Outcome
from appliance.ledger.claims import LARGE_BYTES
from appliance.ledger.orders import Order, OrderVerb
from appliance.ledger.pauses import Pauses
from appliance.ledger.vocabulary import DeliveryState, Priority
from appliance.runtime.clock import SystemClock
from tests.support.eventually import eventually
from tests.unit.deliver.bench import Books, Engine, FakeDestination, a_destination, a_site, status, success

_CINE_BYTES = LARGE_BYTES + 1


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """Return an empty ledger."""
    (tmp_path / "run").mkdir()
    books = Books(tmp_path)
    yield books
    books.ledger.close()


class SlowForLarge(FakeDestination):
    """A destination at the end of a line on which large objects take as long as the test lasts."""

    def __init__(self) -> None:
        """Let nothing large through yet."""
        super().__init__()
        self.through = threading.Event()
        self.large = 0
        self.most_large = 0
        self.answer = self._answer

    def _answer(self, task: Task) -> Outcome:
        if task.claim.is_large:
            with self._lock:
                self.large += 1
                self.most_large = max(self.most_large, self.large)
            self.through.wait()
            with self._lock:
                self.large -= 1
        return success(task)


@pytest.mark.parametrize("lanes", [2, 3])
def test_long_cines_do_not_stop_the_others(books: Books, lanes: int) -> None:
    """With cines before and behind it, a CT is delivered while no cine is through; in the end everything is."""
    archive = SlowForLarge()
    cines = books.owe(count=4, length=_CINE_BYTES)
    images = books.owe(count=30, study="1.2.4")
    urgent = books.owe(priority=Priority.STAT, study="1.2.5")

    with Engine(books, a_site(a_destination(lanes=lanes)), {"archive": archive}):
        eventually(lambda: set(books.states(images + urgent)) == {DeliveryState.DELIVERED})
        meanwhile = archive.large
        archive.through.set()
        eventually(lambda: set(books.states(cines)) == {DeliveryState.DELIVERED})

    assert meanwhile >= 1
    assert archive.most_large < lanes


def test_one_lane_takes_cines_too(books: Books) -> None:
    """A destination of one association gets its cines by it."""
    archive = SlowForLarge()
    archive.through.set()
    cines = books.owe(count=3, length=_CINE_BYTES)

    with Engine(books, a_site(a_destination(lanes=1)), {"archive": archive}):
        eventually(lambda: set(books.states(cines)) == {DeliveryState.DELIVERED})

    assert archive.most_large == 1


def test_a_rejection_note_goes_after_its_study(books: Books) -> None:
    """A key object document that was owed after the images of its study is sent after all of them, although they failed at first."""
    archive = FakeDestination()
    images = books.owe(count=3)
    note = books.owe(sop_class=KEY_OBJECT_DOCUMENT)
    other = books.owe(study="1.2.4")
    fails = iter([True, True])
    archive.answer = lambda task: status(0x0110)(task) if next(fails, False) else success(task)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: set(books.states(images + note + other)) == {DeliveryState.DELIVERED})

    assert archive.received[-1:] == note
    assert archive.received.count(note[0]) == 1


def test_a_note_does_not_wait_for_what_is_held_for_ever(books: Books) -> None:
    """Where an image of the study is held, the note goes when the bound is over (here 1.2 s)."""
    archive = FakeDestination()
    image = books.owe()
    note = books.owe(sop_class=KEY_OBJECT_DOCUMENT)
    archive.answer = lambda task: success(task) if task.claim.sop_class_uid == KEY_OBJECT_DOCUMENT else status(0x0117)(task)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: books.states(image + note) == [DeliveryState.HELD, DeliveryState.DELIVERED])

    assert archive.received == image + note


def _all_but_this_hour() -> Hours:
    now = int(SystemClock().now().wall // 60) % (24 * 60)
    return Hours((now + 60) % (24 * 60), (now - 60) % (24 * 60))


def test_outside_its_window_a_destination_gets_stat_only(books: Books) -> None:
    """By the clock of the box's time zone only STAT is sent; new hours let the rest go."""
    archive = FakeDestination()
    routine, urgent = books.owe(), books.owe(priority=Priority.STAT)
    closed = a_site(a_destination().model_copy(update={"window": _all_but_this_hour()}))

    with Engine(books, closed, {"archive": archive}) as engine:
        eventually(lambda: books.states(urgent) == [DeliveryState.DELIVERED])
        late = books.owe(priority=Priority.STAT)
        eventually(lambda: books.states(late) == [DeliveryState.DELIVERED])
        before = books.states(routine)
        engine.site = a_site()
        engine.hints.hint()
        eventually(lambda: books.states(routine) == [DeliveryState.DELIVERED])

    assert before == [DeliveryState.QUEUED]
    assert archive.received == [*urgent, *late, *routine]


def _order(books: Books, verb: OrderVerb, until: float | None = None) -> None:
    with books.ledger.write():
        Pauses(books.ledger).follow(Order(verb, "anna", "", 1.0, 1, (), "archive", until))


def test_a_paused_destination_gets_nothing_until_it_is_resumed(books: Books) -> None:
    """Nothing goes to it, STAT neither; another destination does not notice; resumed, it gets everything."""
    archive, reading = FakeDestination(), FakeDestination()
    _order(books, OrderVerb.HOLD)
    owed = books.owe() + books.owe(priority=Priority.STAT)
    elsewhere = books.owe("reading")

    with Engine(books, a_site(a_destination(), a_destination("reading")), {"archive": archive, "reading": reading}) as engine:
        eventually(lambda: books.states(elsewhere) == [DeliveryState.DELIVERED])
        engine.hints.hint()
        before = books.states(owed)
        _order(books, OrderVerb.RELEASE)
        engine.hints.hint()
        eventually(lambda: set(books.states(owed)) == {DeliveryState.DELIVERED})

    assert before == [DeliveryState.QUEUED] * 2


def test_a_pause_ends_at_its_moment(books: Books) -> None:
    """What is paused until a moment that is over is not paused."""
    archive = FakeDestination()
    _order(books, OrderVerb.HOLD, until=SystemClock().now().wall + 0.5)
    owed = books.owe()

    with Engine(books, a_site(), {"archive": archive}):
        eventually(lambda: books.states(owed) == [DeliveryState.DELIVERED])

    assert archive.received == owed


def test_key_objects_are_told_by_their_class() -> None:
    """The class is that of PS3.4 B.5 for key object selection documents."""
    assert Uid("1.2.840.10008.5.1.4.1.1.88.59") == KEY_OBJECT_DOCUMENT
