"""People, sessions and tokens in the browser, over real accounts; row 92 of hostile-inputs.md: who asks for what is not theirs."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from appliance.accounts.roles import Permission, Role
from appliance.manage.accounts import Accounts
from tests.fakes.clock import FakeClock
from tests.support.accounts import Browser, somebody

_PLACE = "/people/"
_ONE_TIME = re.compile(r'id="one-time">([A-Z0-9-]+)<')
_SECRET = re.compile(r'id="token">([A-Za-z0-9_-]+)<')


def _day(clock: FakeClock, days: int) -> str:
    return (datetime.fromtimestamp(clock.now().wall, UTC) + timedelta(days=days)).date().isoformat()


def test_somebody_is_added(kim: Browser, app: Flask) -> None:
    """A new account's one-time password is shown once, in the answer and not in the cookie, and opens the box."""
    fields = {"full_name": " Lan  Trần", "name": "Lan.Tran", "role": "technician", "ends": ""}

    answer = kim.post("/people/add", "/people/add", fields)

    found = _ONE_TIME.search(answer.text)
    assert found is not None
    assert answer.headers["Cache-Control"] == "no-store"
    assert found[1] not in kim.cookie
    assert "Lan Trần" in kim.get(_PLACE).text
    assert found[1] not in kim.get(_PLACE).text
    assert Browser(app).log_in("lan.tran", found[1]).status_code == 303


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "lan tran"}, "64 letters and digits"),
        ({"name": ""}, "This is needed."),
        ({"name": "KIM"}, "has this name already"),
        ({"full_name": "x" * 81}, "80 characters"),
        ({"role": "vendor"}, "two weeks"),
        ({"role": "vendor", "ends": "9999-12-31"}, "two weeks"),
        ({"ends": "tomorrow"}, "Not a valid date"),
        ({"role": "monitor"}, "Not a valid choice"),
        ({"role": "god"}, "Not a valid choice"),
    ],
)
def test_what_cannot_be_an_account_is_explained(kim: Browser, accounts: Accounts, fields: dict[str, str], words: str) -> None:
    """What is wrong stands at its field, and nobody was added."""
    answer = kim.post("/people/add", "/people/add", {"full_name": "Lan Tran", "name": "lan", "role": "viewer", "ends": "", **fields})

    assert answer.status_code == 422
    assert words in answer.text
    assert len(accounts.people()) == 1


def test_an_account_is_changed(kim: Browser, accounts: Accounts, clock: FakeClock) -> None:
    """Role, end and whether somebody may log in are changed with a reason, and the journal has what was before."""
    lan = somebody(accounts, "lan")
    page = f"/people/{lan.id}"
    fields = {"full_name": "Lan", "role": "vendor", "ends": _day(clock, 3), "is_enabled": "y", "reason": "helps at the CT"}

    answer = kim.post(page, page, fields)

    assert (answer.status_code, answer.location) == (303, _PLACE)
    changed = accounts.person(lan.id)
    assert (changed.role, changed.is_enabled) == (Role.VENDOR, True)
    assert changed.expires_at == datetime(2024, 3, 4, tzinfo=UTC).timestamp()
    assert _day(clock, 3) in kim.get(page).text
    newest = accounts.journal(limit=1)[0]
    assert (newest.who, newest.thing, newest.reason) == ("kim", "lan", "helps at the CT")


def test_the_last_administrator_is_not_shut_out(kim: Browser, accounts: Accounts) -> None:
    """Disabling, demoting or removing the last administrator is refused in words, and they stay signed in."""
    number = accounts.named("kim").id
    page = f"/people/{number}"

    demoted = kim.post(page, page, {"full_name": "Kim", "role": "viewer", "ends": "", "is_enabled": "y"})
    disabled = kim.post(page, page, {"full_name": "Kim", "role": "administrator", "ends": ""})
    removed = kim.post(f"{page}/remove", page)

    assert (demoted.status_code, disabled.status_code, removed.location) == (422, 422, page)
    assert "last administrator" in demoted.text
    assert "last administrator" in kim.get(page).text


def test_a_reset_and_a_removal(kim: Browser, app: Flask, accounts: Accounts) -> None:
    """A one-time password puts somebody out and lets them in again; removing them is for good."""
    lan = somebody(accounts, "lan")
    browser = Browser(app)
    browser.log_in("lan")

    answer = kim.post(f"/people/{lan.id}/reset", f"/people/{lan.id}")
    found = _ONE_TIME.search(answer.text)
    assert found is not None
    assert browser.get("/account/").status_code == 302
    assert Browser(app).log_in("lan", found[1]).status_code == 303
    removed = kim.post(f"/people/{lan.id}/remove", f"/people/{lan.id}")

    assert (removed.status_code, removed.location) == (303, _PLACE)
    assert [account.person.name for account in accounts.people()] == ["kim"]


def test_anybodys_session_is_ended(kim: Browser, app: Flask, accounts: Accounts) -> None:
    """The list of sessions has everybody's; ending one puts that browser out."""
    lan = somebody(accounts, "lan")
    browser = Browser(app, "10.0.0.77")
    browser.log_in("lan")
    assert "10.0.0.77" in kim.get(_PLACE).text

    kim.post(f"/people/sessions/{accounts.sessions(lan)[0].id}/end", _PLACE)

    assert browser.get("/account/").status_code == 302


def test_a_token_is_made_and_ended(kim: Browser, accounts: Accounts, clock: FakeClock) -> None:
    """A token's secret is shown once; it opens what was ticked until somebody ends it."""
    fields = {"name": "monitoring", "scopes": ["see", "operate"], "ends": _day(clock, 30)}
    answer = kim.post("/people/tokens/add", "/people/tokens/add", fields)
    found = _SECRET.search(answer.text)
    assert found is not None
    machine = accounts.token(found[1])
    assert machine is not None
    assert machine.permissions == {Permission.SEE, Permission.OPERATE}
    assert found[1] not in kim.get(_PLACE).text

    kim.post(f"/people/tokens/{machine.id}/end", _PLACE)

    assert accounts.token(found[1]) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x", "scopes": ["administer"], "ends": "2024-03-30"},
        {"name": "x", "scopes": [], "ends": "2024-03-30"},
        {"name": "x", "scopes": ["see"], "ends": ""},
        {"name": "x", "scopes": ["see"], "ends": "2030-01-01"},
        {"name": "<script>", "scopes": ["see"], "ends": "2024-03-30"},
    ],
)
def test_what_cannot_be_a_token_is_explained(kim: Browser, accounts: Accounts, fields: dict[str, str | list[str]]) -> None:
    """A token without a name, an end or a scope that tokens have is not made."""
    answer = kim.post("/people/tokens/add", "/people/tokens/add", fields)

    assert answer.status_code == 422
    assert accounts.tokens() == []


# Row 92


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TECHNICIAN, Role.VENDOR])
def test_row_92_nobody_else_administers(role: Role, app: Flask, accounts: Accounts, clock: FakeClock) -> None:
    """Whoever is no administrator gets 403 from every page about people and the journal, nothing happens, and it is written down."""
    lan = somebody(accounts, "lan", role, clock.now().wall + 86400)
    kim = accounts.named("kim")
    browser = Browser(app)
    browser.log_in("lan")
    fields = {"full_name": "Lan", "role": "administrator", "is_enabled": "y"}

    seen = [browser.get(path).status_code for path in (_PLACE, "/people/add", f"/people/{kim.id}", "/who-did-what/")]
    sent = [
        browser.post(path, "/account/", fields).status_code
        for path in ("/people/add", f"/people/{lan.id}", f"/people/{kim.id}/reset", f"/people/{kim.id}/remove", "/people/sessions/1/end")
    ]

    assert set(seen + sent) == {403}
    assert accounts.person(lan.id).role is role
    refused = [row.thing for row in accounts.journal() if row.outcome == "refused"]
    assert "POST people.reset" in refused


def test_row_92_nobody_gives_themselves_a_role(app: Flask, accounts: Accounts) -> None:
    """Fields that a form does not have are not taken: no own page changes a role, a name or an end."""
    lan = somebody(accounts, "lan", Role.VIEWER)
    browser = Browser(app)
    browser.log_in("lan")
    extra = {"role": "administrator", "is_enabled": "y", "name": "kim", "id": "1", "person_id": "1", "expires_at": ""}

    browser.post("/account/language", "/account/", {"language": "fr", **extra})
    browser.post("/account/password", "/account/password", {"old": "four words in a row", "new": "quite another sentence",
                                                            "again": "quite another sentence", **extra})  # fmt: skip

    changed = accounts.person(lan.id)
    assert (changed.role, changed.name, changed.language) == (Role.VIEWER, "lan", "fr")
    assert accounts.log_in("kim", "four words in a row", "10.0.0.5")


def test_row_92_a_name_is_not_changed(kim: Browser, accounts: Accounts) -> None:
    """An administrator's form has no name either: what is in the journal stays whose it was."""
    lan = somebody(accounts, "lan")

    kim.post(f"/people/{lan.id}", f"/people/{lan.id}", {"full_name": "Lan", "role": "viewer", "is_enabled": "y", "name": "root", "id": "1"})

    assert accounts.person(lan.id).name == "lan"
    assert accounts.named("kim").role is Role.ADMINISTRATOR


_NUMBERS = ("0", "-1", "999999", "9223372036854775807", "9223372036854775808", "1e3", "1.0", "x", "1%00")
_NUMBERED = ("/people/{}", "/people/{}/reset", "/people/{}/remove", "/people/sessions/{}/end", "/people/tokens/{}/end",
             "/account/sessions/{}/end")  # fmt: skip


def test_row_92_numbers_of_nobody(kim: Browser) -> None:
    """A number that is nobody's, negative, too large or none at all is answered 404 or 422, never with an error of ours."""
    fields = {"full_name": "X", "role": "viewer"}

    answers = {
        path.format(number): kim.post(path.format(number), "/account/", fields).status_code for path in _NUMBERED for number in _NUMBERS
    }

    assert {path: code for path, code in answers.items() if code not in {404, 422}} == {}


def test_row_92_one_does_not_end_anothers_session(app: Flask, accounts: Accounts) -> None:
    """The number of somebody else's session on one's own page ends nothing."""
    somebody(accounts, "lan")
    secret, kims = accounts.log_in("kim", "four words in a row", "10.0.0.5")
    browser = Browser(app)
    browser.log_in("lan")

    answer = browser.post(f"/account/sessions/{kims.session_id}/end", "/account/")

    assert answer.status_code == 422
    assert accounts.session(secret) is not None
