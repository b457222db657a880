"""Queue: what waits, what is held, and what is done about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.roles import Role
from appliance.deliver.held_codes import ADVICE
from appliance.runtime.asking import NotRunningError
from appliance.runtime.page_requests import BacklogReply, BacklogRow, HeldGroup, StudyDelivery, StudyLine, StudyReply, ThroughputReply
from appliance.runtime.questions import DeliveryReply, TryRow
from appliance.runtime.requests import OrderReply, OrderRequest, QueueReply, QueueRow
from tests.support.pages import Pages, Said, pages_of
from tests.support.site import a_site, an_archive
from tests.unit.webui.test_scanners import Changes, Journal
from webui.held_groups import Key, mark_of
from webui.held_words import MEANINGS, meaning_of

CANARY = "<script>alert(1)</script>"
SINCE = "2026-11-24T19:50:00+00:00"
CT = "1.2.840.10008.5.1.4.1.1.2"
REFUSED = HeldGroup("archive", "verdict", "class_not_supported", f"0122 {CANARY}", 12, 2, SINCE, CT)
DEFECTIVE = HeldGroup("archive", "verdict", "data_set_mismatch", "A900", 3, 1, SINCE)
BY_HAND = HeldGroup("archive", "person", "held_by_person", "held by kim: wrong patient", 1, 1, SINCE)


def a_row(number: int, group: HeldGroup = REFUSED) -> QueueRow:
    """Return a delivery of the group."""
    return QueueRow(
        number, group.destination, "held", group.hold_class, "routine", "1.2.3", f"1.2.3.{number}", 2, None, group.reason, group.code, SINCE
    )


def a_delivery(number: int = 7) -> DeliveryReply:
    """Return everything about one held delivery."""
    return DeliveryReply(
        id=number,
        destination="archive",
        state="held",
        hold_class="verdict",
        code="class_not_supported",
        reason=f"0122 {CANARY}",
        advice="",
        held_since=SINCE,
        due=None,
        queued=SINCE,
        ended=None,
        priority="routine",
        cause="route",
        waits_for=None,
        attempts=2,
        unknown_outcomes=0,
        study_instance_uid="1.2.3",
        sop_instance_uid=f"1.2.3.{number}",
        version=1,
        sop_class="CT Image Storage",
        sop_class_uid=CT,
        transfer_syntax="1.2",
        source="CT1",
        received=SINCE,
        bytes=524288,
        tries=(TryRow(SINCE, "class_not_supported", "0122", CANARY),),
    )


def a_study(held: int) -> StudyReply:
    """Return a study of which so many are held at the archive."""
    line = StudyLine("1.2.3", "Doe^Jane", "4711", "", "", "", "", "CT", SINCE, 40, {}, None)
    delivery = StudyDelivery("archive", {"held": held, "delivered": 40 - held}, None, None, "delivered", ())
    return StudyReply(line, "CT1", "EDGE", None, None, SINCE, SINCE, (delivery,), ())


def queue(
    tmp_path: Path, *groups: HeldGroup, role: Role = Role.TECHNICIAN, held: int | None = None, rows: tuple[QueueRow, ...] = (), **told: Any
) -> tuple[Pages, Journal, Changes]:
    """Return the pages of a box whose archive holds these groups; `held` is what the archive holds in all."""
    backlog = BacklogReply(
        (BacklogRow("archive", "alive", 318, sum(one.count for one in groups) if held is None else held, 7200.0, 2.5, 127.2),), groups
    )

    def page(*, destination: str, state: str, limit: int, after: int) -> QueueReply:
        assert ("archive", "held") == (destination, state)
        return QueueReply(tuple(row for row in rows if row.id > after)[:limit])

    answers = {"backlog": backlog, "queue": page, "throughput": ThroughputReply(()), "order": OrderReply(2, 0, 0)} | told
    site = a_site(destinations=[an_archive(104)])
    changes, journal = Changes(site), Journal()
    pages = pages_of(tmp_path, role=role, site=site, control=Said(**answers), changes=Said(current=changes.current, apply=changes.apply))
    pages.accounts.changed = journal  # type: ignore[method-assign]
    return pages, journal, changes


def ordered(pages: Pages) -> list[OrderRequest]:
    """Return what was ordered."""
    return [arguments[0] for name, arguments, _ in pages.control.asked if name == "order"]


def test_what_waits_is_shown_with_when_it_is_done(tmp_path: Path) -> None:
    """Depth, age of the oldest, pace and the time it will take stand beside each destination."""
    pages, _, _ = queue(tmp_path)

    page = pages.get("/queue/")

    for text in (">318<", "2 h", ">150<", "2 min", "Nothing is held."):
        assert text in page


def test_a_destination_that_takes_nothing_has_no_end(tmp_path: Path) -> None:
    """Where nothing moves no time is invented."""
    backlog = BacklogReply((BacklogRow("archive", "dead", 318, 0, 7200.0, 0.0, None),), ())
    pages, _, _ = queue(tmp_path, backlog=backlog)

    assert "not known: nothing moves" in pages.get("/queue/now")


def test_held_groups_say_what_is_wrong_and_what_helps(tmp_path: Path) -> None:
    """Each group has its count, its code, a meaning, advice, what the destination said (as text), and a button that fits."""
    pages, _, _ = queue(tmp_path, REFUSED, BY_HAND)

    page = pages.get("/queue/")

    for text in (
        "13 images are held",
        "12 images for archive",
        "class_not_supported",
        "The destination does not take this kind of image.",
        "CT images",
        "Retry all 12",
        "Release it",
        "Never send this there",
    ):
        assert text in page, text
    assert CANARY not in page


def test_a_group_alone_in_its_kind_is_ordered_by_its_conditions(tmp_path: Path) -> None:
    """Everything that a destination refuses is retried with one order, without listing it."""
    pages, journal, _ = queue(tmp_path, REFUSED, BY_HAND, order=OrderReply(12, 1, 0))

    answer = pages.client.post("/queue/order", data=Key.of(REFUSED).fields | {"verb": "retry"})

    assert (303, "/queue/") == (answer.status_code, answer.headers["Location"])
    assert [OrderRequest("retry", "kim", "", destination="archive", hold_class="verdict", state="held")] == ordered(pages)
    assert [("queue.retry", "archive class_not_supported", "12 held", "12 moved, 1 busy")] == journal.rows
    page = pages.get("/queue/")
    assert "12 images are tried again." in page
    assert "1 is being sent at this moment" in page


@pytest.mark.parametrize(("groups", "held"), [((REFUSED, DEFECTIVE), None), ((REFUSED,), 99)])
def test_a_group_among_others_of_its_kind_is_ordered_by_number(groups: tuple[HeldGroup, ...], held: int | None, tmp_path: Path) -> None:
    """Where the conditions would move others too, also such as the list left out, the group's own deliveries are named."""
    rows = (a_row(5), a_row(6, DEFECTIVE), a_row(7))
    pages, _, _ = queue(tmp_path, *groups, held=held, rows=rows)

    pages.client.post("/queue/order", data=Key.of(REFUSED).fields | {"verb": "cancel", "reason": "useless"})

    assert [OrderRequest("cancel", "kim", "useless", ids=(5, 7), state="held")] == ordered(pages)


def test_thousands_are_ordered_in_parts(tmp_path: Path) -> None:
    """A large group is read page by page and ordered in several orders, whose outcomes are told together."""
    rows = tuple(a_row(number) for number in range(1, 5002))
    pages, journal, _ = queue(tmp_path, REFUSED, DEFECTIVE, rows=rows, order=lambda request: OrderReply(len(request.ids), 0, 0))

    pages.client.post("/queue/order", data=Key.of(REFUSED).fields | {"verb": "retry"})

    assert [5000, 1] == [len(order.ids or ()) for order in ordered(pages)]
    assert "5001 moved, 0 busy" == journal.rows[0][3]


def test_everything_at_a_destination_is_one_order(tmp_path: Path) -> None:
    """Where several groups are held for a destination, all of them can be retried, or cancelled after a question, at once."""
    pages, journal, _ = queue(tmp_path, REFUSED, BY_HAND)
    everything = Key("archive", "", "", "")

    page = pages.get("/queue/")
    asked = pages.client.get("/queue/decide", query_string=everything.fields).text
    pages.client.post("/queue/order", data=everything.fields | {"verb": "cancel"})

    assert "Try all 13 images for archive again, whatever they are held for?" in page
    assert "Cancel 13 images for archive?" in asked
    assert "They are of 0 studies" not in asked
    assert [OrderRequest("cancel", "kim", "", destination="archive", state="held")] == ordered(pages)
    assert [("queue.cancel", "archive", "13 held", "2 moved, 0 busy")] == journal.rows


def test_cancelling_asks_first(tmp_path: Path) -> None:
    """Before a group is cancelled a page says how many of how many studies, what it means, and asks why."""
    pages, _, _ = queue(tmp_path, REFUSED)

    page = pages.client.get("/queue/decide", query_string=Key.of(REFUSED).fields).text

    for text in (
        "Cancel 12 images for archive?",
        "They are of 2 studies.",
        "Why? (for the record)",
        "Cancel all 12",
        mark_of(REFUSED.reason),
    ):
        assert text in page
    assert [] == ordered(pages)
    assert CANARY not in page


@pytest.mark.parametrize("path", ["group", "decide"])
def test_a_group_that_is_gone_says_so(path: str, tmp_path: Path) -> None:
    """Who looks at a group that somebody else has released meanwhile is told so."""
    pages, _, _ = queue(tmp_path, DEFECTIVE)

    answer = pages.client.get(f"/queue/{path}", query_string=Key.of(REFUSED).fields)
    posted = pages.client.post("/queue/order", data=Key.of(REFUSED).fields | {"verb": "retry"})

    assert (303, 303, []) == (answer.status_code, posted.status_code, ordered(pages))
    assert "Nothing of this is held any more." in pages.get("/queue/")


def test_the_rows_of_a_group_come_in_pages(tmp_path: Path) -> None:
    """Fifty at a time, those of other groups left out; the next page begins where this one ended."""
    rows = tuple(a_row(number, REFUSED if number % 2 else DEFECTIVE) for number in range(1, 121))
    pages, _, _ = queue(tmp_path, REFUSED, DEFECTIVE, rows=rows)

    first = pages.client.get("/queue/group", query_string=Key.of(REFUSED).fields).text
    last = pages.client.get("/queue/group", query_string=Key.of(REFUSED).fields | {"after": "99"}).text

    assert (50, "after=99" in first) == (first.count("/queue/delivery/"), True)
    assert (10, False) == (last.count("/queue/delivery/"), "after=" in last.partition("<main")[2])
    assert CANARY not in first


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    """A number that no delivery can have is answered 400, not with a failure (hostile-inputs.md row 92)."""
    pages, _, _ = queue(tmp_path, REFUSED, delivery=a_delivery())

    for after in ("-1", "x", "9" * 19, "1" * 40):
        assert 400 == pages.client.get("/queue/group", query_string=Key.of(REFUSED).fields | {"after": after}).status_code
    assert 400 == pages.client.get("/queue/delivery/" + "9" * 19).status_code


def test_one_delivery_shows_its_tries(tmp_path: Path) -> None:
    """Why it is held, what was tried and answered, and what can be done are on its page, without its patient."""
    pages, _, _ = queue(tmp_path, REFUSED, delivery=a_delivery(), study=a_study(5))

    page = pages.get("/queue/delivery/7")

    for text in ("Delivery 7 to archive", "The destination does not take this kind of image.", "0122", "Retry all 5 held of this study"):
        assert text in page
    for text in (CANARY, "Doe", "4711"):
        assert text not in page


ONE = OrderRequest("cancel", "kim", "", ids=(7,))
STUDY = OrderRequest("cancel", "kim", "", study_instance_uid="1.2.3", destination="archive", state="held")
CLASS = OrderRequest("cancel", "kim", "", destination="archive", state="held", sop_class_uid=CT)


@pytest.mark.parametrize(
    ("reach", "wanted", "thing", "before"),
    [
        ("one", ONE, "archive 7", "1 held"),
        ("study", STUDY, "archive 1.2.3", "5 held"),
        ("class", CLASS, f"archive {CT}", "15 held"),
    ],
)
def test_one_delivery_its_study_or_its_kind(reach: str, wanted: OrderRequest, thing: str, before: str, tmp_path: Path) -> None:
    """From a delivery's page it is ordered what becomes of it, of its study there, or of its kind there."""
    pages, journal, _ = queue(tmp_path, REFUSED, DEFECTIVE, delivery=a_delivery(), study=a_study(5))

    pages.client.post("/queue/delivery/7/order", data={"verb": "cancel", "reach": reach})

    assert [wanted] == ordered(pages)
    assert [("queue.cancel", thing, before, "2 moved, 0 busy")] == journal.rows


def test_orders_that_are_none_are_refused(tmp_path: Path) -> None:
    """A word that no button says, or a reason that nobody could keep, orders nothing."""
    pages, _, _ = queue(tmp_path, REFUSED, delivery=a_delivery(), study=a_study(5))

    for bad in ({"verb": "hold"}, {"verb": ""}, {"verb": "retry", "reach": "all"}, {"verb": "retry", "reason": "x" * 201}):
        assert 400 == pages.client.post("/queue/delivery/7/order", data=bad).status_code
    assert [] == ordered(pages)


def test_never_send_this_there(tmp_path: Path) -> None:
    """After a question the class is on the destination's list, beside those that were there, and it is written down."""
    pages, journal, changes = queue(tmp_path, REFUSED)
    asked = {"destination": "archive", "sop_class": CT}

    page = pages.client.get("/queue/never", query_string=asked).text
    answer = pages.client.post("/queue/never", query_string=asked, data={"expected": "4"})

    assert "Never send CT images to archive?" in page
    assert 303 == answer.status_code
    assert (CT,) == changes.site.destinations[0].never
    assert [("destination.changed", "archive", "", CT)] == journal.rows


def test_never_on_an_old_page_changes_nothing(tmp_path: Path) -> None:
    """When the settings were changed since the question, the answer is refused."""
    pages, _, changes = queue(tmp_path, REFUSED)

    answer = pages.client.post("/queue/never", query_string={"destination": "archive", "sop_class": CT}, data={"expected": "3"})

    assert (409, ()) == (answer.status_code, changes.site.destinations[0].never)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MONITOR])
def test_who_only_looks_can_order_nothing(role: Role, tmp_path: Path) -> None:
    """Without the right to operate there is no button, and no way around it."""
    pages, _, _ = queue(tmp_path, REFUSED, role=role, delivery=a_delivery(), study=a_study(5))

    assert "<button" not in pages.get("/queue/").partition("<main")[2]
    assert "<button" not in pages.get("/queue/delivery/7").partition("<main")[2]
    paths = ("order", "delivery/7/order", "never?destination=archive&sop_class=1.2")
    assert {403} == {pages.client.post(f"/queue/{path}", data={"verb": "cancel"}).status_code for path in paths}
    assert [] == ordered(pages)


def test_a_silent_box_is_said(tmp_path: Path) -> None:
    """Where nobody answers the page says so, with the next thing to try."""
    pages, _, _ = queue(tmp_path, backlog=NotRunningError("no"))

    assert 503 == pages.client.get("/queue/").status_code


def test_every_code_has_a_meaning() -> None:
    """What docs/held.md lists has words on these pages, and nothing else has."""
    assert set(ADVICE) == set(MEANINGS)
    assert meaning_of("http_403") is meaning_of("failed_0110") is not None
    assert meaning_of("") is None
