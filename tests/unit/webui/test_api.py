"""`/api/v1`: who may ask, what is answered, and how it says no."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.person import Machine
from appliance.accounts.roles import Permission
from appliance.manage.control import LedgerRebuildingError
from appliance.manage.site_changes import SiteChanges
from appliance.runtime.asking import NotRunningError, RequestRefusedError
from appliance.runtime.clock import SystemClock
from appliance.runtime.page_requests import StudyLine, StudySearchReply
from appliance.runtime.questions import DestinationTestReply, DoctorStep
from appliance.runtime.requests import FindingReply, OrderReply, QueueReply, QueueRow, SpoolSpace, StatusReply
from tests.support.pages import Pages, Said, pages_of
from tests.unit.config.texts import a_destination, a_route, a_source

TOKEN = "dicom-edge_a-token-of-the-test"
SITE = a_source() + a_destination() + a_route('to = ["archive"]')
FINDING = FindingReply("disk_full", "error", "The disk is nearly full.", "Free some space.", "2026-01-01T00:00:00+00:00")
STATUS = StatusReply("1", True, "vinh-ct", 3, {"held": 1}, {"stored": 4}, None, SpoolSpace(0, 1 << 40), (), (FINDING,))
STUDY = StudyLine("1.2.3", "Nguyen^Lan", "4711", "19700101", "A-1", "Thorax", "20260101", "CT", "2026-01-01T00:00:00+00:00", 2, {}, None)


class Api:
    """The API over fakes, asked with a token that has some scopes."""

    def __init__(self, pages: Pages) -> None:
        """Ask through a client of its own, which has no cookie."""
        self.pages = pages
        self.client = pages.app.test_client(use_cookies=False)

    def ask(self, method: str, path: str, *, token: str = TOKEN, **named: Any) -> Any:
        """Return the answer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, base_url="https://localhost", **named)


def api_of(tmp_path: Path, *scopes: Permission, changes: Any = None, **control: Any) -> Api:
    """Return the API to a token with these scopes; `control` is what the box answers."""
    machine = Machine(1, "watcher", frozenset(scopes or {Permission.SEE}), 4e9)
    accounts = {"token": lambda secret, _address: machine if secret == TOKEN else None}
    return Api(pages_of(tmp_path, role=None, site=SITE, control=Said(**control), changes=changes, accounts=accounts))


def test_a_token_with_the_scope_is_answered(tmp_path: Path) -> None:
    """The state of the box, in the words of `status --json`."""
    answer = api_of(tmp_path, status=STATUS).ask("GET", "/status")

    assert (200, "application/json") == (answer.status_code, answer.mimetype)
    assert ("vinh-ct", {"held": 1}, "disk_full") == (answer.json["box"], answer.json["deliveries"], answer.json["findings"][0]["code"])


@pytest.mark.parametrize("token", ["", "dicom-edge_another", "a-session-of-the-test"])
def test_nobody_is_answered_without_a_token(tmp_path: Path, token: str) -> None:
    """No token, a wrong one, and the secret of a session get 401 with what to send; nothing is asked of the box."""
    api = api_of(tmp_path)

    answer = api.ask("GET", "/status", token=token)

    assert (401, "application/problem+json", "Bearer") == (answer.status_code, answer.mimetype, answer.headers["WWW-Authenticate"][:6])
    assert api.pages.control.asked == []


def test_a_cookie_counts_for_nothing(tmp_path: Path) -> None:
    """Somebody who is signed in on the pages is nobody to the API, so that no page can order anything in their name."""
    pages = pages_of(tmp_path, accounts={"token": None})

    answer = pages.client.post("/api/v1/queue/orders", json={"verb": "cancel", "state": "held"}, base_url="https://localhost")

    assert answer.status_code == 401


def test_a_token_without_the_scope_is_refused_and_it_is_written_down(tmp_path: Path) -> None:
    """403 names the scope, before anybody looks at the request."""
    api = api_of(tmp_path, Permission.SEE)

    answer = api.ask("POST", "/queue/orders", data="nonsense")

    assert (403, True) == (answer.status_code, "operate" in answer.json["detail"])
    assert [(who.name, permission) for who, _, permission in api.pages.accounts.refusals] == [("watcher", Permission.OPERATE)]


@pytest.mark.parametrize("scopes", [(Permission.SEE,), (Permission.SEE, Permission.SEE_PATIENTS)])
def test_patients_are_shown_to_their_scope_alone(tmp_path: Path, scopes: tuple[Permission, ...]) -> None:
    """Without it a study has no name, number, date of birth, accession number or description, and nobody searches for one."""
    api = api_of(tmp_path, *scopes, search_studies=StudySearchReply((STUDY,)))

    answer, search = api.ask("GET", "/studies"), api.ask("GET", "/studies?words=lan")

    is_shown = Permission.SEE_PATIENTS in scopes
    assert [is_shown] * 4 == [word in answer.text for word in ("Nguyen^Lan", "4711", "A-1", "Thorax")]
    assert (200 if is_shown else 403) == search.status_code


def test_a_page_says_where_the_next_begins(tmp_path: Path) -> None:
    """`next` is the last id of a full page, and null where there is no more."""
    row = QueueRow(7, "archive", "held", "verdict", "routine", "1.2", "1.2.3", 1, None, "refused", "refused")
    api = api_of(tmp_path, queue=QueueReply((row,)))

    full, last = api.ask("GET", "/queue?limit=1&destination=archive&state=held&after=3"), api.ask("GET", "/queue")

    assert (7, None) == (full.json["next"], last.json["next"])
    assert api.pages.control.asked[0] == ("queue", (), {"destination": "archive", "state": "held", "limit": 1, "after": 3})


def test_an_order_is_carried_out_and_written_down(tmp_path: Path) -> None:
    """The deliveries that meet every condition are moved, in the name of the token."""
    written: list[Any] = []
    api = api_of(tmp_path, Permission.OPERATE, order=OrderReply(2, 0, 1))
    api.pages.accounts.changed = lambda *what, **more: written.append((what[0].name, *what[1:], more))  # type: ignore[method-assign]

    answer = api.ask("POST", "/queue/orders", json={"verb": "release", "hold_class": "verdict", "reason": "mended"})

    assert {"moved": 2, "busy": 0, "unchanged": 1} == answer.json
    [(_, (request,), _)] = api.pages.control.asked
    assert ("release", "watcher", "mended", "verdict", None) == (request.verb, request.who, request.reason, request.hold_class, request.ids)
    assert [("watcher", "queue.release", "hold_class verdict", {"after": "2 deliveries", "reason": "mended"})] == written


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"verb": "release"}, ""),
        ({"verb": "explode", "state": "held"}, "verb"),
        ({"verb": "release", "state": "held", "role": "administrator"}, "role"),
        ({"verb": "release", "ids": [-1]}, "ids.0"),
        ({"verb": "release", "ids": [2**63]}, "ids.0"),
        ({"verb": "release", "ids": []}, "ids"),
        ({"verb": "release", "study_instance_uid": "1.2' OR 1=1"}, "study_instance_uid"),
        ({"verb": "release", "state": "held", "reason": "x" * 201}, "reason"),
    ],
)
def test_what_is_not_as_described_is_refused(tmp_path: Path, said: dict[str, Any], where: str) -> None:
    """422 says where and what; a key that is not known, numbers out of bounds and an order about everything are not taken (row 92)."""
    api = api_of(tmp_path, Permission.OPERATE)

    answer = api.ask("POST", "/queue/orders", json=said)

    assert (422, "application/problem+json") == (answer.status_code, answer.mimetype)
    assert where in [one["where"] for one in answer.json["problems"]]
    assert api.pages.control.asked == []


@pytest.mark.parametrize(
    ("named", "status"),
    [
        ({"data": "{}", "content_type": "text/plain"}, 415),
        ({"data": "verb=release", "content_type": "application/x-www-form-urlencoded"}, 415),
        ({"data": "{", "content_type": "application/json"}, 400),
        ({"data": "[" * 100_000, "content_type": "application/json"}, 400),
        ({"data": "[]", "content_type": "application/json"}, 422),
        ({"data": '"{}"', "content_type": "application/json"}, 422),
        ({"data": "null", "content_type": "application/json"}, 422),
        ({"data": "{}", "content_type": "application/json", "headers": {"Content-Encoding": "gzip"}}, 415),
        ({"data": " " * (3 << 20), "content_type": "application/json"}, 413),
    ],
    ids=["text", "form", "half", "deep", "list", "text in json", "null", "packed", "large"],
)
def test_a_body_that_is_no_json_object_is_refused(tmp_path: Path, named: dict[str, Any], status: int) -> None:
    """Nothing but JSON of a sensible size is read, and only an object."""
    named["headers"] = {"Authorization": f"Bearer {TOKEN}", **named.get("headers", {})}
    api = api_of(tmp_path, Permission.OPERATE)

    answer = api.client.post("/api/v1/queue/orders", base_url="https://localhost", **named)

    assert (status, "application/problem+json") == (answer.status_code, answer.mimetype)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotRunningError("the box is not running"), 503),
        (LedgerRebuildingError("the ledger is being rebuilt"), 503),
        (RequestRefusedError("there is no such thing", advice="Say another."), 422),
    ],
)
def test_what_the_box_says_is_passed_on_with_its_advice(tmp_path: Path, error: Exception, status: int) -> None:
    """An error of a daemon is a problem with its own words."""
    answer = api_of(tmp_path, status=error).ask("GET", "/status")

    assert (status, str(error)) == (answer.status_code, answer.json["detail"])
    assert answer.json["advice"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/queue/abc", 404), ("DELETE", "/status", 405), ("GET", "/queue/99999999999999999999", 422)],
)
def test_what_is_not_there_is_a_problem_too(tmp_path: Path, method: str, path: str, status: int) -> None:
    """Addresses and methods that do not exist are answered as programs read it."""
    answer = api_of(tmp_path).ask(method, path)

    assert (status, "application/problem+json") == (answer.status_code, answer.mimetype)


def test_what_nobody_foresaw_says_nothing_of_itself(tmp_path: Path) -> None:
    """A defect is 500 without a word of what went wrong."""
    answer = api_of(tmp_path, status=ValueError("Nguyen^Lan")).ask("GET", "/status")

    assert (500, False) == (answer.status_code, "Lan" in answer.text)


@pytest.mark.parametrize(
    ("ask", "answers"),
    [
        (lambda api: api.ask("GET", "/queue/7"), {"delivery": RequestRefusedError("no such delivery")}),
        (lambda api: api.ask("GET", "/studies/1.2.3"), {"study": RequestRefusedError("no such study")}),
        (lambda api: api.ask("GET", "/studies?after=1.2.3"), {"search_studies": RequestRefusedError("no such study")}),
        (lambda api: api.ask("POST", "/destinations/nowhere/test", json={}), {}),
    ],
)
def test_what_the_box_does_not_know_is_404(tmp_path: Path, ask: Callable[[Api], Any], answers: dict[str, Any]) -> None:
    """A number, a study or a destination that does not exist."""
    assert ask(api_of(tmp_path, Permission.SEE, Permission.OPERATE, **answers)).status_code == 404


def test_a_destination_is_tested(tmp_path: Path) -> None:
    """The doctor's steps come as they are."""
    reply = DestinationTestReply("archive", False, (DoctorStep("connect", False, "refused", "Start it.", 3.0),))
    api = api_of(tmp_path, Permission.OPERATE, test_destination=reply)

    answer = api.ask("POST", "/destinations/archive/test", json={"send": True})

    assert ("archive", False, "Start it.") == (answer.json["destination"], answer.json["ok"], answer.json["steps"][0]["advice"])
    assert api.pages.control.asked == [("test_destination", ("archive",), {"send": True})]


def test_the_configuration_is_read_changed_and_changed_by_one_at_a_time(tmp_path: Path) -> None:
    """What was read can be put in force, changed; whoever read before that gets 409, and a file with errors 422 with all of them."""
    real = SiteChanges(tmp_path, SystemClock())
    changes = Said(**{name: getattr(real, name) for name in ("current", "propose", "apply", "history", "pending")})
    api = api_of(tmp_path, Permission.SEE, Permission.SET_UP, changes=changes)

    first = api.ask("PUT", "/configuration", json={"text": SITE, "expected": 0, "reason": "new"})
    read = api.ask("GET", "/configuration")
    renamed = read.json["text"] + '[box]\nname = "renamed"\n'
    seen = api.ask("POST", "/configuration/proposals", json={"text": renamed})
    changed = api.ask("PUT", "/configuration", json={"text": renamed, "expected": read.json["generation"]})
    late = api.ask("PUT", "/configuration", json={"text": SITE, "expected": read.json["generation"]})
    wrong = api.ask("POST", "/configuration/proposals", json={"text": "[box]\nnmae = 1\n"})

    assert (1, SITE, ['box.name: "dicom-edge" → "renamed"']) == (first.json["generation"], read.json["text"], seen.json["changes"])
    assert (2, 409, 422) == (changed.json["generation"], late.status_code, wrong.status_code)
    assert ("box.nmae", "watcher") == (
        wrong.json["problems"][0]["where"],
        api.ask("GET", "/configuration/generations").json["rows"][0]["by"],
    )


def test_the_document_needs_no_token_and_is_the_one_that_is_printed(tmp_path: Path) -> None:
    """Programs are written against docs/openapi.json: it is what the box serves, and it holds nothing of a box."""
    answer = api_of(tmp_path).ask("GET", "/openapi.json", token="")

    printed = Path(__file__).parents[3] / "docs" / "openapi.json"
    assert answer.text == printed.read_text(encoding="utf-8"), "write what GET /api/v1/openapi.json answers into docs/openapi.json"


def test_every_operation_is_described_in_words(tmp_path: Path) -> None:
    """docs/api.md names each operation and its scope."""
    document = api_of(tmp_path).ask("GET", "/openapi.json").json
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")

    missing = [
        f"{method} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if f"| `{method.upper()} {path.removeprefix('/api/v1')}` | `{operation['security'][0]['token'][0]}` |" not in page
    ]
    assert missing == []
