"""What can be done to a study: asked about first with counts, then done, told, and written down with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.roles import Permission, Role
from appliance.runtime.asking import RequestRefusedError
from appliance.runtime.page_requests import ResendReply, ResendRequest
from appliance.runtime.requests import OrderReply, OrderRequest
from tests.support.pages import Pages, Said, pages_of
from tests.unit.webui.a_study import SITE, UID, a_delivery, a_study

_MIXED = a_study(a_delivery(counts={"proved": 100, "queued": 5, "deferred": 7, "held": 8}))
_ORDERS = f"/studies/{UID}/orders"
_CANARY = "<script>alert(1)</script>"


class _Journal:
    """Takes down what was changed."""

    def __init__(self, pages: Pages) -> None:
        self.entries: list[tuple[str, str, dict[str, str]]] = []
        pages.accounts.changed = lambda _person, action, thing, **more: self.entries.append((action, thing, more))  # type: ignore[method-assign]


def _pages(tmp_path: Path, role: Role = Role.TECHNICIAN, *, site: str = SITE, **answers: Any) -> Pages:
    answers.setdefault("study", _MIXED)
    return pages_of(tmp_path, role=role, site=site, control=Said(**answers))


def _told(pages: Pages) -> str:
    return pages.get(f"/studies/{UID}")


@pytest.mark.parametrize(
    ("verb", "count"), [("retry", "15 images"), ("release", "8 held images"), ("hold", "12 images"), ("cancel", "20 images")]
)
def test_it_is_asked_first_with_a_count(tmp_path: Path, verb: str, count: str) -> None:
    """The page before an order says how many images it is about, and that alone moves nothing."""
    pages = _pages(tmp_path)

    page = pages.get(f"{_ORDERS}/{verb}?destination=archive")

    assert count in page
    assert "csrf_token" in page or 'method="post"' in page
    assert ["study"] == [name for name, _, _ in pages.control.asked]


@pytest.mark.parametrize("verb", ["retry", "release", "hold", "cancel"])
@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.VENDOR])
def test_an_order_is_given_told_and_written_down(tmp_path: Path, role: Role, verb: str) -> None:
    """The order reaches the sender for this study and destination alone, with who and why; the page then says what became of it."""
    pages = _pages(tmp_path, role, order=OrderReply(8, 2, 0))
    journal = _Journal(pages)

    answer = pages.client.post(f"{_ORDERS}/{verb}", data={"destination": "archive", "reason": " scanner test "})
    page = _told(pages)

    wanted = OrderRequest(verb, "kim", "scanner test", study_instance_uid=UID, destination="archive")
    actions = {"retry": "study.retried", "release": "study.released", "hold": "study.held", "cancel": "study.cancelled"}
    assert (303, f"/studies/{UID}") == (answer.status_code, answer.headers["Location"])
    assert [wanted] == [arguments[0] for name, arguments, _ in pages.control.asked if name == "order"]
    assert "Done for 8 images." in page
    assert "2 images are being sent at this moment" in page
    ((action, thing, more),) = journal.entries
    assert (actions[verb], UID, "scanner test") == (action, thing, more["reason"])
    assert "archive: 7 deferred, 8 held, 100 proved, 5 queued" == more["before"]


def test_an_order_that_moved_nothing_says_so(tmp_path: Path) -> None:
    """Where the images have moved on meanwhile, nobody is told that something was done."""
    pages = _pages(tmp_path, order=OrderReply(0, 0, 20))

    pages.client.post(f"{_ORDERS}/retry", data={"destination": "archive"})

    assert "There was nothing to do" in _told(pages)


@pytest.mark.parametrize(
    ("verb", "reason"), [("hold", ""), ("hold", "  "), ("cancel", ""), ("cancel", "x" * 201), ("retry", "x" * 201), ("retry", "a\x1bb")]
)
def test_a_reason_that_is_missing_or_cannot_be_kept_is_asked_for_again(tmp_path: Path, verb: str, reason: str) -> None:
    """Holding and giving up need a reason, every reason is short and printable; until then nothing is ordered."""
    pages = _pages(tmp_path)

    answer = pages.client.post(f"{_ORDERS}/{verb}", data={"destination": "archive", "reason": reason})

    assert 200 == answer.status_code
    assert "is-invalid" in answer.text
    assert ["study"] == [name for name, _, _ in pages.control.asked]


@pytest.mark.parametrize("path", [f"{_ORDERS}/delete?destination=archive", f"{_ORDERS}/hold?destination=nowhere", f"{_ORDERS}/hold"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_does_not_exist_cannot_be_ordered(tmp_path: Path, method: str, path: str) -> None:
    """An order that is none, and a destination that the study does not go to, are not found."""
    assert 404 == getattr(_pages(tmp_path).client, method)(path).status_code


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """A GET with everything filled in orders nothing: only a form that was sent does."""
    pages = _pages(tmp_path)

    pages.client.get(f"{_ORDERS}/hold?destination=archive&reason=because")
    pages.client.get(f"/studies/{UID}/resend?destinations=archive&reason=because")

    assert {"study"} == {name for name, _, _ in pages.control.asked}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MONITOR])
@pytest.mark.parametrize("path", [f"{_ORDERS}/hold", f"/studies/{UID}/resend"])
def test_who_may_only_look_cannot_order(tmp_path: Path, role: Role, path: str) -> None:
    """A viewer and a monitor get 403, the box is not asked, and the refusal is written down."""
    pages = _pages(tmp_path, role)

    codes = [pages.client.get(path).status_code, pages.client.post(path, data={"destination": "archive", "reason": "x"}).status_code]

    assert [403, 403] == codes
    assert [] == pages.control.asked
    assert [Permission.OPERATE] * 2 == [permission for _, _, permission in pages.accounts.refusals]


def test_a_study_is_sent_again_to_several_destinations(tmp_path: Path) -> None:
    """The page says how many images it is about; what was chosen reaches the router, and the journal has where to, how much and why."""
    pages = _pages(tmp_path, resend=ResendReply(230, 10))
    journal = _Journal(pages)

    asked = pages.get(f"/studies/{UID}/resend")
    answer = pages.client.post(f"/studies/{UID}/resend", data={"destinations": ["archive", "workstation"], "reason": "second opinion"})
    page = _told(pages)

    assert "120 images of this study" in asked
    assert 303 == answer.status_code
    assert [ResendRequest(("archive", "workstation"), "kim", "second opinion", study_instance_uid=UID)] == [
        arguments[0] for name, arguments, _ in pages.control.asked if name == "resend"
    ]
    assert "230 images are on their way again" in page
    assert "10 images were on their way already" in page
    assert [("study.resent", UID, {"after": "archive, workstation: 230 made", "reason": "second opinion"})] == journal.entries


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"destinations": ["archive"]},
        {"reason": "x"},
        {"destinations": ["elsewhere"], "reason": "x"},
        {"destinations": [_CANARY], "reason": _CANARY},
    ],
)
def test_nothing_is_sent_again_without_a_place_and_a_reason(tmp_path: Path, data: dict[str, Any]) -> None:
    """A destination that exists must be chosen and a reason given; what was typed comes back as text."""
    pages = _pages(tmp_path)

    answer = pages.client.post(f"/studies/{UID}/resend", data=data)

    assert 200 == answer.status_code
    assert "invalid-feedback" in answer.text
    assert _CANARY not in answer.text
    assert ["study"] == [name for name, _, _ in pages.control.asked]


def test_without_destinations_there_is_nowhere_to_send(tmp_path: Path) -> None:
    """On a box without destinations the page says so and has no form."""
    page = _pages(tmp_path, site="[box]\nname = 'vinh-ct'").get(f"/studies/{UID}/resend")

    assert "no destination to send to" in page


def test_what_the_box_refuses_is_told_with_advice_and_not_written_down(tmp_path: Path) -> None:
    """An order that the daemon refuses becomes a page with its words, escaped; the journal has nothing that did not happen."""
    refused = RequestRefusedError(f"the box has no image of this study any more {_CANARY}", advice="Send it from the scanner.")
    pages = _pages(tmp_path, order=refused, resend=refused)
    journal = _Journal(pages)

    answers = [
        pages.client.post(f"{_ORDERS}/retry", data={"destination": "archive"}),
        pages.client.post(f"/studies/{UID}/resend", data={"destinations": ["archive"], "reason": "x"}),
    ]

    assert [422, 422] == [answer.status_code for answer in answers]
    assert all("Send it from the scanner." in answer.text and _CANARY not in answer.text for answer in answers)
    assert [] == journal.entries
