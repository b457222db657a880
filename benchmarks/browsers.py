"""Browsers before the pages: who is logged in, asks for pages as a browser does, and lets their live parts renew themselves.

Promises: every answer that is not the page it should be raises.
Failures: `RunInvalidError`.
Limits: one connection a browser, kept open; pictures and style sheets, which a browser keeps, are not asked for.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
import time
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from appliance.keyring import accounts_keys
from appliance.manage.accounts import Accounts, prepare
from appliance.runtime.clock import SystemClock
from benchmarks.failures import RunInvalidError

_NAME, _PASSWORD = "bench", "measuring pages on a quiet machine"
_ANSWER_S = 60.0
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')
_LINK = re.compile(r'href="(/[^"#?]*)"')
_LIVE = re.compile(r'data-live="([^"]+)" data-every="(\d+)"')
_OK, _SEEN_ELSEWHERE = 200, (302, 303)


def add_administrator(data: Path) -> None:
    """Give the box at `data`, which does not run, somebody who may see every page."""
    clock, (key, _) = SystemClock(), accounts_keys(data)
    code = prepare(data, key, clock)
    if code is not None:
        Accounts(data, key, clock).create_first(code, _NAME, "Bench", _PASSWORD)


class Browser:
    """Somebody who is logged in."""

    def __init__(self, data: Path) -> None:
        """Log in at the box that runs at `data`."""
        listening = json.loads((data / "run" / "listening.json").read_text(encoding="utf-8"))
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        host, port = listening["web"][0]
        self._connection = http.client.HTTPSConnection(host, port, timeout=_ANSWER_S, context=unverified)
        self._cookie = ""
        form = self.page("/account/log-in")
        token = _TOKEN.search(form)
        if token is None:
            raise RunInvalidError("the log-in page has no form")
        answer = self._ask("POST", "/account/log-in", urlencode({"csrf_token": token[1], "name": _NAME, "password": _PASSWORD}))
        if answer[0] not in _SEEN_ELSEWHERE:
            raise RunInvalidError(f"logging in was answered {answer[0]}")

    def page(self, path: str) -> str:
        """Return a page. Raises `RunInvalidError` where it is not there."""
        status, text = self._ask("GET", path, None)
        if status != _OK:
            raise RunInvalidError(f"{path} was answered {status}")
        return text

    def timed(self, path: str) -> float:
        """Return how many seconds a page took."""
        began = time.monotonic()
        self.page(path)
        return time.monotonic() - began

    def places(self) -> list[str]:
        """Return the paths that the navigation leads to."""
        found = set(_LINK.findall(self.page("/")))
        return sorted(link for link in found if "/static/" not in link and not link.startswith(("/account", "/studies/2.25.")))

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        headers = {"Cookie": self._cookie, "Referer": f"https://{self._connection.host}:{self._connection.port}/"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise RunInvalidError(f"{path} was not answered: {error}") from error
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self._cookie = cookie.partition(";")[0]
        return answer.status, text


class Watchers:
    """Browsers that are left open on Home, each renewing its live parts as often as the page says."""

    def __init__(self, data: Path, count: int) -> None:
        """Open `count` of them."""
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(Browser(data),), daemon=True) for _ in range(count)]
        self.renewed = 0
        self._failures: list[str] = []

    def __enter__(self) -> Self:
        """Begin to look."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close them. Raises `RunInvalidError` where one did not get what it asked for."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise RunInvalidError(self._failures[0])

    def _watch(self, browser: Browser) -> None:
        try:
            live = [(path, float(every)) for path, every in _LIVE.findall(browser.page("/"))]
            due = {path: time.monotonic() + every for path, every in live}
            while not self._over.wait(0.1):
                for path, every in live:
                    if time.monotonic() >= due[path]:
                        browser.page(path)
                        self.renewed += 1
                        due[path] += every
        except RunInvalidError as error:
            self._failures.append(str(error))
