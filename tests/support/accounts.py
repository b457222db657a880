"""Accounts for tests: the real ones, with hashes that take no time; and the pages over them, seen by a browser.

Promises: `accounts_in` returns the façade over a real database, ready; `an_administrator` and `somebody` make people who have `PASSWORD`;
`Browser` sends forms with the token against forgery that stands in them.
Failures: none.
Limits: the parameters of argon2id are the smallest there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from argon2 import PasswordHasher
from flask import Flask
from werkzeug.test import TestResponse

from appliance.accounts.passwords import Passwords
from appliance.accounts.person import Person
from appliance.accounts.roles import Role
from appliance.config.check import check
from appliance.manage.accounts import Accounts
from appliance.runtime.clock import Clock, SystemClock
from tests.support.pages import Said
from webui.app import create_app
from webui.services import _KEY, Services

KEY = bytes(range(32))
PASSWORD = "four words in a row"
TABLET = "10.0.0.5"
_BASE = "https://localhost"
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


def accounts_in(data: Path, clock: Clock, key: bytes = KEY) -> Accounts:
    """Return the accounts under `data`, made where they are missing."""
    accounts = Accounts(data, key, clock, Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)))
    accounts.prepare()
    return accounts


def an_administrator(accounts: Accounts, name: str = "kim") -> Person:
    """Return the first administrator, made as at the first start, with `PASSWORD`."""
    return accounts.create_first(accounts.setup_code(), name, "Kim Nguyen", PASSWORD, TABLET)


def somebody(accounts: Accounts, name: str, role: Role = Role.TECHNICIAN, expires_at: float | None = None) -> Person:
    """Return another person, who has chosen `PASSWORD`."""
    person, one_time = accounts.add_person(accounts.named("kim"), Person(0, name, name.title(), role, expires_at=expires_at))
    _, signed_in = accounts.log_in(name, one_time, TABLET)
    accounts.set_password(signed_in, one_time, PASSWORD)
    accounts.end_session(person, signed_in.session_id)
    return accounts.person(person.id)


class Browser:
    """A browser with a cookie jar, which reads forms and sends them as they are meant to be."""

    def __init__(self, app: Flask, address: str = TABLET) -> None:
        """Look at `app` from an address."""
        self.client = app.test_client()
        self.client.environ_base.update({"wsgi.url_scheme": "https", "REMOTE_ADDR": address})

    def get(self, path: str, **named: Any) -> TestResponse:
        """Ask for a page."""
        return self.client.get(path, base_url=_BASE, **named)

    def post(self, path: str, page: str, fields: Mapping[str, Any] | None = None, **named: Any) -> TestResponse:
        """Send a form that stands on `page`, with the token against forgery that it has there."""
        found = _TOKEN.search(self.get(page).text)
        assert found is not None, f"{page} has no form"
        return self.send(path, {"csrf_token": found[1], **(fields or {})}, **named)

    def send(self, path: str, fields: Mapping[str, Any], **named: Any) -> TestResponse:
        """Send fields as they are, from a page of ours."""
        headers = {"Referer": f"{_BASE}/", "Origin": _BASE, **named.pop("headers", {})}
        return self.client.post(path, base_url=_BASE, data=fields, headers=headers, **named)

    def log_in(self, name: str, password: str = PASSWORD) -> TestResponse:
        """Log in at the page for it."""
        return self.post("/account/log-in", "/account/log-in", {"name": name, "password": password})

    @property
    def cookie(self) -> str:
        """The cookie that the pages set."""
        found = self.client.get_cookie("dicom-edge")
        return found.value if found is not None else ""


def pages_for_all(data: Path) -> Flask:
    """Return the pages over nobody's accounts, with tokens against forgery and limits: for all tests of a file, with `over`."""
    site = check("", where="test").site
    assert site is not None
    services = Services(
        data=data,
        control=cast("Any", Said()),
        accounts=cast("Any", Said()),
        changes=cast("Any", Said(pending=None)),
        site=lambda: site,
        calls=list,
        clock=SystemClock(),
    )
    return create_app(services, secret=b"0" * 32)


def over(app: Flask, accounts: Accounts, clock: Clock) -> Flask:
    """Let the pages be over these accounts, as if they had just started: making them anew takes longer than most tests."""
    vars(app.extensions[_KEY]).update(accounts=accounts, clock=clock)
    for limiter in app.extensions["limiter"]:
        limiter.reset()
    return app
