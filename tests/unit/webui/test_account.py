"""Logging in and out, over real accounts: rows 86, 90 and 91 of hostile-inputs.md, and what somebody sets for themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from appliance.accounts.roles import Role
from appliance.manage.accounts import Accounts
from tests.fakes.clock import FakeClock
from tests.support.accounts import PASSWORD, TABLET, Browser, somebody
from webui.browsers import browser_name
from webui.identity import SESSION_KEY

_MINE = "/account/"


def test_logging_in_leads_back(app: Flask) -> None:
    """Whoever logs in comes to where they wanted to go, and sees their name there."""
    browser = Browser(app)

    answer = browser.post("/account/log-in", "/account/log-in", {"name": "Kim", "password": PASSWORD, "next": _MINE})

    assert (answer.status_code, answer.location) == (303, _MINE)
    assert "Kim Nguyen" in browser.get(_MINE).text


def test_a_wrong_password_is_said_in_words(app: Flask) -> None:
    """The typed name stays, the password does not, and after several tries the seconds to wait are there."""
    browser = Browser(app, "10.9.9.9")

    for _ in range(2):
        browser.log_in("kim", "a wrong password")
    answer = browser.log_in("kim", "a wrong password")

    assert answer.status_code == 422
    assert 'value="kim"' in answer.text
    assert "a wrong password" not in answer.text
    assert "Wait 1 second before the next try." in answer.text


def test_an_unknown_name_is_answered_with_the_same_page(app: Flask) -> None:
    """Row 89: the answer for a name that exists and one that does not differ in nothing but the name that was typed."""
    pages = [Browser(app, f"10.9.9.{number}").log_in(name, "a wrong password") for number, name in enumerate(("kim", "lan"))]

    assert pages[0].status_code == pages[1].status_code
    known, unknown = (_without_token(page.text) for page in pages)
    assert known.replace('value="kim"', "") == unknown.replace('value="lan"', "")


def _without_token(page: str) -> str:
    return "\n".join(line for line in page.splitlines() if "csrf_token" not in line)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "evil",
        "",
    ],
)
def test_row_88_nobody_is_led_elsewhere(app: Flask, target: str) -> None:
    """What stands in `next` and is no path of ours leads Home, before and after logging in."""
    browser = Browser(app)

    answer = browser.post("/account/log-in", "/account/log-in", {"name": "kim", "password": PASSWORD, "next": target})

    assert (answer.status_code, answer.location) == (303, "/")
    assert browser.get("/account/log-in", query_string={"next": target}).location == "/"


def test_a_one_time_password_leads_to_another(app: Flask, accounts: Accounts) -> None:
    """Whoever was given a password sees nothing but the form for another one until they have chosen it."""
    lan = somebody(accounts, "lan")
    one_time = accounts.reset_password(accounts.named("kim"), lan.id)
    browser = Browser(app)
    browser.log_in("lan", one_time)
    assert browser.get(_MINE).location == "/account/password"

    fields = {"old": one_time, "new": "quite another sentence", "again": "quite another sentence"}
    answer = browser.post("/account/password", "/account/password", fields)

    assert (answer.status_code, answer.location) == (303, "/")
    assert browser.get(_MINE).status_code == 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"old": "wrong password", "new": "quite another sentence", "again": "quite another sentence"}, "not the password so far"),
        ({"old": PASSWORD, "new": "short", "again": "short"}, "at least 10 characters"),
        ({"old": PASSWORD, "new": "password123", "again": "password123"}, "among the first"),
        ({"old": PASSWORD, "new": "quite another sentence", "again": "something else"}, "not the same"),
    ],
)
def test_a_password_that_will_not_do_is_explained(kim: Browser, app: Flask, fields: dict[str, str], words: str) -> None:
    """What is wrong with another password stands on the page, and the old one stays."""
    answer = kim.post("/account/password", "/account/password", fields)

    assert answer.status_code == 422
    assert words in answer.text
    assert Browser(app).log_in("kim").status_code == 303


def test_the_language_stays_with_the_person(kim: Browser, app: Flask, accounts: Accounts) -> None:
    """A choice holds for this browser and, for who is signed in, everywhere; what is no language changes nothing."""
    answer = kim.post("/account/language", _MINE, {"language": "fr", "next": _MINE})
    kim.post("/account/language", _MINE, {"language": "xx"})

    assert (answer.status_code, answer.location) == (303, _MINE)
    assert '<html lang="fr">' in kim.get(_MINE).text
    assert accounts.named("kim").language == "fr"
    nobody = Browser(app)
    nobody.post("/account/language", "/account/log-in", {"language": "vi"})
    assert '<html lang="vi">' in nobody.get("/account/log-in").text


def test_somebody_ends_their_other_sessions(kim: Browser, app: Flask, accounts: Accounts) -> None:
    """The list shows where one is logged in; ending one puts that browser out."""
    other = Browser(app, "10.0.0.6")
    other.log_in("kim")
    number = next(row.id for row in accounts.sessions() if row.address == "10.0.0.6")
    assert "10.0.0.6" in kim.get(_MINE).text

    kim.post(f"/account/sessions/{number}/end", _MINE)

    assert other.get(_MINE).status_code == 302
    assert kim.get(_MINE).status_code == 200


def test_too_many_tries_from_one_address_are_not_heard(app: Flask) -> None:
    """One address tries at most so many passwords a minute, whatever names it gives; others are not affected."""
    browser = Browser(app, "10.9.9.9")
    fields = {"name": "", "password": ""}
    answers = [browser.post("/account/log-in", "/account/log-in", fields) for _ in range(31)]

    assert answers[29].status_code == 422
    assert answers[30].status_code == 429
    assert int(answers[30].headers["Retry-After"]) > 0
    assert browser.get("/account/log-in").status_code == 200
    assert Browser(app).log_in("kim").status_code == 303


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.0 Safari/604.1", "Safari on iPad"),
        ("<script>alert(1)</script>", ""),
        ("", ""),
    ],
)
def test_a_browser_is_called_what_people_call_it(header: str, name: str) -> None:
    """Of what a browser says only the names that people know are kept."""
    assert browser_name(header) == name


# Row 86


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({}, {}),
        ({"csrf_token": ""}, {}),
        ({"csrf_token": "IjAwMDAi.Z.x"}, {}),
        ({"csrf_token": "good"}, {"Origin": "https://evil.example"}),
        ({"csrf_token": "good"}, {"Origin": "null"}),
        ({"csrf_token": "good"}, {"Referer": "https://evil.example/"}),
        ({"csrf_token": "good"}, {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_row_86_a_forged_form_changes_nothing(kim: Browser, fields: dict[str, str], headers: dict[str, str]) -> None:
    """Without the token of this browser's session, or from a page of somebody else, the answer is 403 and nothing happened."""
    if fields.get("csrf_token") == "good":
        page = kim.get(_MINE).text
        fields = {"csrf_token": page.split('name="csrf_token" value="')[1].split('"')[0]}

    answer = kim.send("/account/log-out", fields, headers=headers)

    assert answer.status_code == 403
    assert kim.get(_MINE).status_code == 200


def test_row_86_a_token_from_before_the_log_in_is_old(app: Flask) -> None:
    """Logging in makes the tokens of the pages before it worthless."""
    browser = Browser(app)
    page = browser.get("/account/log-in").text
    token = page.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    browser.log_in("kim")

    answer = browser.send("/account/log-out", {"csrf_token": token})

    assert answer.status_code == 403
    assert browser.get(_MINE).status_code == 200


def test_row_86_no_other_way_of_sending_is_taken_for_a_form(kim: Browser) -> None:
    """JSON called text, and a GET that says it is a POST, are no forms."""
    as_text = kim.client.post(
        "/account/log-out", base_url="https://localhost", data='{"csrf_token": ""}', headers={"Content-Type": "text/plain"}
    )
    override = kim.get(
        "/account/log-out", headers={"X-HTTP-Method-Override": "POST", "X-HTTP-Method": "POST"}, query_string={"_method": "POST"}
    )

    assert (as_text.status_code, override.status_code) == (403, 405)
    assert kim.get(_MINE).status_code == 200


# Row 90


def test_row_90_a_session_is_new_at_the_log_in(app: Flask) -> None:
    """Whatever the cookie said before, after logging in it is another, for this site's requests and no script."""
    browser = Browser(app)
    browser.get("/account/log-in")
    before = browser.cookie

    answer = browser.log_in("kim")

    assert before
    assert browser.cookie not in {"", before}
    (cookie,) = [line for line in answer.headers.getlist("Set-Cookie") if line.startswith("dicom-edge=")]
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Expires" not in cookie


def test_row_90_a_planted_cookie_is_nobodys(app: Flask, accounts: Accounts) -> None:
    """A session that an attacker has is not the one that somebody who then logs in gets."""
    somebody(accounts, "lan")
    attacker, victim = Browser(app), Browser(app)
    attacker.log_in("lan")
    victim.client.set_cookie("dicom-edge", attacker.cookie, domain="localhost", secure=True, httponly=True)
    victim.post("/account/log-out", _MINE)
    victim.log_in("kim")

    assert "Kim Nguyen" in victim.get(_MINE).text
    assert attacker.get(_MINE).status_code == 302


@pytest.mark.parametrize("how", ["log out", "another password", "disabled", "idle", "ended by the administrator"])
def test_row_90_a_stolen_cookie_ends_with_its_session(how: str, app: Flask, accounts: Accounts, clock: FakeClock) -> None:
    """A copy of the cookie opens nothing once the session has ended, however it did, and nothing that the thief kept helps."""
    lan = somebody(accounts, "lan")
    here, thief = Browser(app), Browser(app, "10.6.6.6")
    here.log_in("lan")
    thief.client.set_cookie("dicom-edge", here.cookie, domain="localhost", secure=True, httponly=True)
    assert thief.get(_MINE).status_code == 200

    match how:
        case "log out":
            here.post("/account/log-out", _MINE)
        case "another password":
            other = Browser(app)
            other.log_in("lan")
            fields = {"old": PASSWORD, "new": "quite another sentence", "again": "quite another sentence"}
            other.post("/account/password", "/account/password", fields)
        case "disabled":
            accounts.change_person(accounts.named("kim"), replace(lan, is_enabled=False))
        case "idle":
            clock.advance(1801)
        case _:
            accounts.end_session(accounts.named("kim"), accounts.sessions(lan)[0].id)

    assert thief.get(_MINE).status_code == 302
    assert thief.get(_MINE, headers={"X-Live": "1"}).status_code == 302


def test_row_90_an_open_page_keeps_nobody_signed_in(kim: Browser, clock: FakeClock) -> None:
    """A left tablet whose page renews itself every few seconds is logged off after half an hour all the same."""
    for _ in range(31):
        assert kim.get(_MINE, headers={"X-Live": "1"}).status_code == 200
        clock.advance(58)

    clock.advance(60)

    assert kim.get(_MINE, headers={"X-Live": "1"}).status_code == 302


def test_row_90_logging_out_is_written_down(kim: Browser, accounts: Accounts) -> None:
    """The journal says who logged out, and from where they had logged in."""
    kim.post("/account/log-out", _MINE)

    newest = accounts.journal(limit=1)[0]

    assert (newest.who, newest.action, newest.address) == ("kim", "session.end", TABLET)


# Row 91


def _signed(app: Flask, secret: bytes, content: dict[str, Any]) -> str:
    other = Flask("other")
    other.secret_key = secret
    serializer = SecureCookieSessionInterface().get_signing_serializer(other)
    assert serializer is not None
    assert app.secret_key != secret or secret == b"0" * 32
    return str(serializer.dumps(content))


@pytest.mark.parametrize(
    "forgery", ["other key", "truncated", "huge", "no signature", "jwt", "own key, no session", "own key, a number", "nul"]
)
def test_row_91_a_forged_cookie_is_nobodys(forgery: str, kim: Browser, app: Flask, accounts: Accounts) -> None:
    """Cookies that the pages did not make, or that name no session, are as good as none."""
    secret, _ = accounts.log_in("kim", PASSWORD, TABLET)
    cookie = {
        "other key": _signed(app, b"1" * 32, {SESSION_KEY: secret}),
        "truncated": kim.cookie[:-5],
        "huge": "x" * 1_000_000,
        "no signature": kim.cookie.rpartition(".")[0],
        "jwt": "eyJhbGciOiJub25lIn0.eyJfdXNlcl9pZCI6MX0.",
        "own key, no session": _signed(app, b"0" * 32, {SESSION_KEY: "1"}),
        "own key, a number": _signed(app, b"0" * 32, {SESSION_KEY: 1}),
        "nul": "\\000\\377",
    }[forgery]
    forger = app.test_client(use_cookies=False)

    answer = forger.get(_MINE, base_url="https://localhost", headers={"Cookie": f"dicom-edge={cookie}"})

    assert (answer.status_code, answer.location) == (302, "/account/log-in?next=/account/")


def test_an_engineer_from_outside_has_an_account_too(app: Flask, accounts: Accounts, clock: FakeClock) -> None:
    """A vendor sees their own page, with the word for what they are."""
    somebody(accounts, "engineer", Role.VENDOR, clock.now().wall + 86400)
    browser = Browser(app)
    browser.log_in("engineer")

    assert "engineer of a vendor" in browser.get(_MINE).text
