"""A configuration that changes while the sender works: what changes begins anew, what does not is not touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.config.model import Site
from appliance.core.identity import AETitle
from appliance.deliver.acceptance import Acceptance
from appliance.deliver.doctor import Diagnosis
from appliance.deliver.publication import FILE_NAME
from appliance.deliver.verdict import judge_reject
from appliance.dimse.learned import Learned, decode
from appliance.ledger.deliveries import Deliveries, Moved
from appliance.ledger.destinations import DestinationState, DestinationStates
from appliance.ledger.vocabulary import DeliveryState, HoldClass
from appliance.runtime.clock import SystemClock
from tests.support.eventually import eventually
from tests.unit.deliver.bench import CT, EXPLICIT, MR, SHORT, Books, Engine, FakeDestination, a_destination, a_site

DELIVERED, HELD = DeliveryState.DELIVERED, DeliveryState.HELD
STRANGER = judge_reject(1, 1, 3)
FOR_EVER = SHORT.model_copy(update={"refusing": 3600.0})


def delivered(books: Books, uids: list[str]) -> Callable[[], bool]:
    """Return the question whether all these are delivered."""
    return lambda: books.states(uids) == [DELIVERED] * len(uids)


def published(books: Books) -> dict[str, Learned]:
    """Return what the receivers are told, by destination."""
    path = books.data / "run" / FILE_NAME
    if not path.exists():
        return {}
    return decode(path.read_bytes())


def hold(books: Books, uids: list[str], hold_class: HoldClass) -> None:
    """Hold these for a day."""
    due = SystemClock().now().after(86400)
    for number in [books.row(uid).id for uid in uids]:
        with books.ledger.write():
            Deliveries(books.ledger).settle(number, Moved(HELD, hold_class, due, reason="as told"))


def is_ending(engine: Engine) -> bool:
    """Say whether the archive's service on older settings has not come to its end."""
    roster = engine.sender._roster
    return roster is not None and "archive" in roster.ending


def moved(name: str) -> Site:
    """Return the site whose archive was moved to where another scripted destination is; its id stays."""
    return a_site(a_destination(name).model_copy(update={"id": "archive"}))


def test_a_destination_that_is_added_is_served(books: Books) -> None:
    """What is owed to a destination that comes into the configuration is sent; the others keep their associations."""
    archive, reading = FakeDestination(), FakeDestination()
    first, later = books.owe(), books.owe("reading")

    with Engine(books, a_site(), {"archive": archive, "reading": reading}) as engine:
        eventually(delivered(books, first))
        engine.site = a_site(a_destination(), a_destination("reading"))
        eventually(delivered(books, later))
        second = books.owe()
        engine.hints.hint()
        eventually(delivered(books, second))

    assert engine.engaged == ["archive", "reading"]
    assert [visit.instances for visit in archive.visits] == [first + second]


def test_a_destination_that_changes_does_not_touch_the_others(books: Books) -> None:
    """While one destination begins anew, the instance that another one is taking goes on, in its association."""
    archive, reading = FakeDestination(), FakeDestination()
    archive.gate.clear()
    images, reports = books.owe(count=2), books.owe("reading")

    with Engine(books, a_site(a_destination(), a_destination("reading")), {"archive": archive, "reading": reading}) as engine:
        eventually(lambda: archive.sending == 1)
        engine.site = a_site(a_destination(), a_destination("reading", lanes=2))
        eventually(lambda: engine.engaged == ["archive", "reading", "reading"])
        archive.gate.set()
        eventually(delivered(books, images + reports))

    assert [visit.instances for visit in archive.visits] == [images]


def test_a_change_waits_for_the_instance_that_is_being_sent(books: Books) -> None:
    """An instance in progress ends where it began; only then the new settings hold, and the rest goes by them."""
    old, new = FakeDestination(), FakeDestination()
    old.gate.clear()
    uids = books.owe(count=4)

    with Engine(books, a_site(), {"archive": old, "new archive": new}) as engine:
        eventually(lambda: old.sending == 1)
        engine.site = moved("new archive")
        later = books.owe("archive")
        eventually(lambda: is_ending(engine))
        before = (list(engine.engaged), new.received)
        old.gate.set()
        eventually(delivered(books, uids + later))

    assert before == (["archive"], [])
    assert (old.received, new.received) == (uids[:1], uids[1:] + later)
    assert [visit.ended for visit in old.visits] == ["release"]


def test_a_change_back_and_forth_ends_as_it_was(books: Books) -> None:
    """Settings that change twice while one instance takes its time are those of the last change."""
    old, new = FakeDestination(), FakeDestination()
    old.gate.clear()
    uids = books.owe(count=3)

    with Engine(books, a_site(), {"archive": old, "new archive": new}) as engine:
        eventually(lambda: old.sending == 1)
        engine.site = moved("new archive")
        eventually(lambda: is_ending(engine))
        engine.site = a_site()
        old.gate.set()
        eventually(delivered(books, uids))

    assert (old.received, new.received) == (uids, [])
    assert engine.engaged == ["archive", "archive"]


def test_a_destination_that_is_removed_gets_nothing_more(books: Books) -> None:
    """Its lane finishes the instance, and what else is owed to it is held and says why; when it returns, it gets the rest."""
    archive, reading = FakeDestination(), FakeDestination()
    archive.gate.clear()
    uids = books.owe(count=3)

    with Engine(books, a_site(), {"archive": archive, "reading": reading}) as engine:
        eventually(lambda: archive.sending == 1)
        engine.site = a_site(a_destination("reading"))
        eventually(lambda: is_ending(engine))
        archive.gate.set()
        eventually(lambda: not is_ending(engine) and books.count(HELD) == 2)
        rows = [books.row(uid) for uid in uids]
        engine.site = a_site()
        eventually(delivered(books, uids))

    assert [row.state for row in rows] == [DELIVERED, HELD, HELD]
    assert {(row.hold_class, row.due, row.reason) for row in rows[1:]} == {(HoldClass.CONFIGURATION, None, "the destination was removed")}
    assert sorted(archive.received) == sorted(uids)


def test_a_destination_that_returns_while_the_box_is_off_gets_what_was_held(books: Books) -> None:
    """A sender that starts releases what was held because of a removal; what a person holds stays."""
    archive, uids, by_person = FakeDestination(), books.owe(count=2), books.owe()
    hold(books, by_person, HoldClass.PERSON)
    with Engine(books, a_site(a_destination("reading")), {"reading": FakeDestination()}):
        eventually(lambda: books.count(HELD) == 3)

    with Engine(books, a_site(), {"archive": archive}):
        eventually(delivered(books, uids))

    assert sorted(archive.received) == sorted(uids)
    assert books.states(by_person) == [HELD]


def test_new_settings_release_what_is_held(books: Books) -> None:
    """On a change of its settings a destination is tried again with what it refused; what a person holds stays, and others' stays."""
    archive, reading = FakeDestination(), FakeDestination()
    refused, unusable, by_person, elsewhere = books.owe(), books.owe(), books.owe(), books.owe("reading")
    site = a_site(a_destination(), a_destination("reading"))

    with Engine(books, site, {"archive": archive, "reading": reading}) as engine:
        eventually(delivered(books, refused + unusable + by_person + elsewhere))
        hold(books, refused, HoldClass.VERDICT)
        hold(books, unusable, HoldClass.CONFIGURATION)
        hold(books, by_person, HoldClass.PERSON)
        hold(books, elsewhere, HoldClass.VERDICT)
        engine.site = a_site(a_destination(lanes=2), a_destination("reading"))
        eventually(delivered(books, refused + unusable))

    assert books.states(by_person + elsewhere) == [HELD, HELD]


@pytest.mark.parametrize(
    "changed",
    [
        a_site(delivery=SHORT.model_copy(update={"soft": (0.1, 0.2)})),
        a_site().model_copy(update={"box": a_site().box.model_copy(update={"ae_title": AETitle("edge")})}),
        a_site(a_destination().model_copy(update={"ae_title": AETitle("Archive")})),
        a_site(a_destination().model_copy(update={"port": 105})),
    ],
    ids=["settings of delivery", "spelling of the box", "spelling of the archive", "port"],
)
def test_whatever_a_peer_could_notice_is_a_change(books: Books, changed: Site) -> None:
    """Settings under [delivery], the box's own title and a title's spelling are changes as well as an address is."""
    with Engine(books, a_site(), {"archive": FakeDestination()}) as engine:
        eventually(lambda: engine.engaged == ["archive"])
        engine.site = changed
        eventually(lambda: engine.engaged == ["archive", "archive"])


def test_a_generation_that_changes_nothing_here_touches_nobody(books: Books) -> None:
    """Another generation with other routes and sources, and the same destinations, begins nothing anew."""
    archive, uids = FakeDestination(), books.owe()

    with Engine(books, a_site(), {"archive": archive}) as engine:
        eventually(delivered(books, uids))
        engine.site = a_site().model_copy(update={"box": a_site().box.model_copy(update={"name": "other-box"})}).numbered(2)
        later = books.owe()
        engine.hints.hint()
        eventually(delivered(books, later))

    assert engine.engaged == ["archive"]
    assert len(archive.visits) == 1


def test_new_settings_end_a_refusal(books: Books) -> None:
    """A destination that did not know the box is asked again as soon as its settings change."""
    archive, uids = FakeDestination(), books.owe()
    archive.let_in = lambda wanted, _open: None if str(wanted.calling) == "EDGE2" else STRANGER

    with Engine(books, a_site(delivery=FOR_EVER), {"archive": archive}) as engine:
        eventually(lambda: (known := books.destination()) is not None and known.state == "refusing")
        engine.site = a_site(a_destination(calling_ae="EDGE2"), delivery=FOR_EVER)
        eventually(delivered(books, uids))


def test_the_end_does_not_wait_for_a_new_beginning(books: Books) -> None:
    """A sender that is stopped while a destination changes lets the instance finish and begins nothing."""
    old, new = FakeDestination(), FakeDestination()
    old.gate.clear()
    uids = books.owe(count=2)

    with Engine(books, a_site(), {"archive": old, "new archive": new}) as engine:
        eventually(lambda: old.sending == 1)
        engine.site = moved("new archive")
        eventually(lambda: is_ending(engine))
        engine.stopping.set()
        engine.hints.hint()
        old.gate.set()

    assert books.states(uids) == [DELIVERED, DeliveryState.QUEUED]
    assert engine.engaged == ["archive"]


# --- what is learned ------------------------------------------------------------------------------------------------------------------


def test_what_is_known_is_published_from_the_start(books: Books) -> None:
    """The receivers find what the ledger keeps of every destination in the configuration, and of no other."""
    learned = Acceptance()
    learned.note([(CT, EXPLICIT)], taken=True)
    with books.ledger.write():
        for name in ("archive", "gone"):
            DestinationStates(books.ledger).put(DestinationState(name, learned=learned.as_json()))

    with Engine(books, a_site(a_destination(), a_destination("reading")), {"archive": FakeDestination(), "reading": FakeDestination()}):
        eventually(lambda: set(published(books)) == {"archive", "reading"})

    assert published(books) == {"archive": learned.learned, "reading": Learned()}


def test_what_is_learned_is_published(books: Books) -> None:
    """What an association accepts and refuses is found by the receivers soon afterwards; a removed destination is forgotten."""
    archive, uids = FakeDestination(), books.owe()
    archive.refused_contexts = {(MR, EXPLICIT): 3}
    books.owe(sop_class=MR)

    with Engine(books, a_site(), {"archive": archive, "reading": FakeDestination()}) as engine:
        eventually(delivered(books, uids))
        eventually(lambda: (CT, EXPLICIT) in published(books)["archive"].taken)
        known = published(books)["archive"]
        engine.site = a_site(a_destination("reading"))
        eventually(lambda: set(published(books)) == {"reading"})

    assert known == Learned(taken=frozenset({(CT, EXPLICIT)}), refused=frozenset({(MR, EXPLICIT)}), refused_classes=frozenset({MR}))


# --- the doctor -----------------------------------------------------------------------------------------------------------------------


def test_a_good_examination_ends_a_refusal(books: Books) -> None:
    """After the doctor was let in the destination is tried at once, and what it answered is known and kept."""
    archive, uids = FakeDestination(), books.owe()
    archive.let_in = lambda _wanted, _open: STRANGER
    diagnosis = Diagnosis("archive", True, (), ends_refusal=True, answers={(CT, EXPLICIT): 0, (MR, EXPLICIT): 4})

    with Engine(books, a_site(delivery=FOR_EVER), {"archive": archive}) as engine:
        eventually(lambda: (known := books.destination()) is not None and known.state == "refusing")
        archive.let_in = lambda _wanted, _open: None
        engine.sender.examined("archive", diagnosis)
        eventually(delivered(books, uids))

    known = books.destination()
    assert known is not None
    assert Acceptance(known.learned).learned.refused == {(MR, EXPLICIT)}


def test_a_class_that_the_doctor_finds_accepted_is_tried_again(books: Books) -> None:
    """What was held because its SOP class was refused goes when an examination finds the class accepted; other classes stay held."""
    archive, reports, images = FakeDestination(), books.owe(sop_class=MR), books.owe()
    archive.refused_contexts = {(MR, EXPLICIT): 3, (CT, EXPLICIT): 3}

    with Engine(books, a_site(), {"archive": archive}) as engine:
        eventually(lambda: books.count(HELD) == 2)
        archive.refused_contexts = {}
        engine.sender.examined("archive", Diagnosis("archive", True, (), answers={(MR, EXPLICIT): 0, (CT, EXPLICIT): 3}))
        eventually(delivered(books, reports))

    assert books.states(images) == [HELD]


def test_a_bad_examination_changes_nothing(books: Books) -> None:
    """A destination that still refuses, or is served by nobody, is left as it is."""
    archive = FakeDestination()
    archive.let_in = lambda _wanted, _open: STRANGER
    books.owe()

    with Engine(books, a_site(delivery=FOR_EVER), {"archive": archive}) as engine:
        eventually(lambda: (known := books.destination()) is not None and known.state == "refusing")
        engine.sender.examined("archive", Diagnosis("archive", False, ()))
        engine.sender.examined("elsewhere", Diagnosis("elsewhere", True, (), ends_refusal=True))

    known = books.destination()
    assert known is not None
    assert known.state == "refusing"
