"""A browser in front of a box: Debian's Chromium, driven by Playwright, that notices whatever a page must not do.

Promises: `Visitor.close` fails the test where a page asked anything of another origin, wrote an error to the console (what the content
security policy forbids shows there), or threw one. A closed browser leaves no process behind.
Failures: a missing Chromium skips the test on a laptop and fails it where CI=true; `AssertionError` for the rest.
Limits: Chromium alone; certificates are not looked at, a box's own is nobody's authority.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.support.box import Box

WIDE = (1280, 800)
TABLET = (800, 1280)

# Where Debian's package puts it; never one that Playwright would fetch.
_CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
# Two busy cores: a page that is there in 50 ms elsewhere; nothing but a hang takes this long.
_PATIENCE_MS = 30_000
_PAGES_LINE = re.compile(r"^pages: (https://\S+?)/?(?:\s+set-up code (\S+))?$", re.MULTILINE)
# Of a page on which a test failed.
_SHOWN_CHARACTERS = 3000
# What a person in front of the box would choose.
ADMINISTRATOR, PASSWORD = "kim", "four quiet words here"


def require_chromium() -> None:
    """Go on only where Chromium is installed: skip on a laptop, fail where CI=true."""
    if shutil.which(_CHROMIUM) is not None:
        return
    reason = "not installed: chromium (Debian package: chromium)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Run Chromium for as long as the block lasts."""
    require_chromium()
    with sync_playwright() as playwright:
        # The arguments say headless=new themselves; Playwright's own switch is for its own build.
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """One person in front of a box: a page, and what it did that no page may do."""

    url: str
    context: BrowserContext
    page: Page
    faults: list[str] = field(default_factory=list)
    clicks: int = 0
    """How often something was clicked or chosen, for tests that count."""

    @classmethod
    def of(
        cls, browser: Browser, url: str, *, size: tuple[int, int] = WIDE, dark: bool = False, locale: str = "en-GB", scripts: bool = True
    ) -> Self:
        """Open a window of this size, for a person who reads `locale` and likes it dark or not."""
        context = browser.new_context(
            ignore_https_errors=True,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            locale=locale,
            timezone_id="Asia/Ho_Chi_Minh",
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        context.set_default_timeout(_PATIENCE_MS)
        visitor = cls(url, context, context.new_page())
        visitor._watch()
        return visitor

    def __enter__(self) -> Self:
        """Look."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Close the window; where nothing failed before, nothing may have been forbidden. A failure shows what was on the screen."""
        if kind is not None:
            print(f"on the screen: {self.page.url}\n{self.page.locator('body').inner_text()[:_SHOWN_CHARACTERS]}")
        self.context.close()
        if kind is None:
            assert [] == self.faults

    def go(self, path: str) -> Page:
        """Open a page of the box."""
        self.page.goto(self.url + path)
        return self.page

    def click(self, name: str, *, role: str = "button", exact: bool = False) -> None:
        """Click what is called `name`."""
        self.clicks += 1
        self.page.get_by_role(role, name=name, exact=exact).first.click()  # type: ignore[arg-type] # a role is one of many words

    def fill(self, label: str, text: str) -> None:
        """Type into the field with this label."""
        self.page.get_by_label(label, exact=False).first.fill(text)

    def choose(self, label: str, value: str) -> None:
        """Choose an entry of a list."""
        self.clicks += 1
        self.page.get_by_label(label).first.select_option(value)

    def log_in(self, name: str = ADMINISTRATOR, password: str = PASSWORD) -> None:
        """Log in by the form."""
        self.go("/account/log-in")
        self.page.locator("input[name=name]").fill(name)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("input[name=password]").press("Enter")
        self.page.wait_for_url(lambda url: "/account/log-in" not in url)

    def paths(self, *, but: Sequence[str] = ()) -> list[str]:
        """Return the addresses of this box that the page links to, each once."""
        found = self.page.eval_on_selector_all("a[href]", "links => links.map(link => link.getAttribute('href'))")
        return [path for path in dict.fromkeys(found) if path.startswith("/") and not path.startswith(tuple(but) or "\0")]

    def _watch(self) -> None:
        def asked(request: Request) -> None:
            if not request.url.startswith((f"{self.url}/", "data:")):
                self.faults.append(f"asked elsewhere: {request.url}")

        def said(message: ConsoleMessage) -> None:
            # A page that answers 403 or 404 on purpose is no fault of the page.
            if message.type == "error" and "Failed to load resource" not in message.text:
                self.faults.append(f"console: {message.text}")

        # Whoever is asked "really?" says yes; Playwright itself would say no.
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.on("request", asked)
        self.page.on("console", said)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))


@dataclass(frozen=True)
class OpenBox:
    """A running box with pages."""

    box: Box
    browser: Browser

    @property
    def url(self) -> str:
        """The origin of its pages."""
        return f"https://127.0.0.1:{self.box.web_port}"

    @property
    def setup_code(self) -> str:
        """The code that its latest start printed, "" where it printed none."""
        found = _PAGES_LINE.search(self.box.stdout_path.read_text(encoding="utf-8"))
        assert found is not None, f"no line about pages in {self.box.output()[-2000:]}"
        return found[2] or ""

    def visitor(self, *, size: tuple[int, int] = WIDE, dark: bool = False, locale: str = "en-GB", scripts: bool = True) -> Visitor:
        """Return somebody in front of it, who has logged in nowhere."""
        return Visitor.of(self.browser, self.url, size=size, dark=dark, locale=locale, scripts=scripts)

    def administrator(self, *, size: tuple[int, int] = WIDE, dark: bool = False, locale: str = "en-GB", scripts: bool = True) -> Visitor:
        """Return the administrator in front of it, logged in; made where there was none, with the rest of the first start left."""
        visitor = self.visitor(size=size, dark=dark, locale=locale, scripts=scripts)
        visitor.go("/")
        if "/first-start/" in visitor.page.url:
            enter_code(visitor, self.setup_code)
            make_administrator(visitor)
            visitor.page.locator("form[action$='/leave'] button").click()
        else:
            visitor.log_in()
        return visitor


def enter_code(visitor: Visitor, code: str) -> None:
    """Enter the set-up code, by keyboard."""
    visitor.page.locator("input[name=code]").fill(code)
    visitor.page.locator("input[name=code]").press("Enter")
    visitor.page.wait_for_url("**/first-start/administrator")


def make_administrator(visitor: Visitor, *, name: str = ADMINISTRATOR, password: str = PASSWORD) -> None:
    """Make the first account, by keyboard."""
    for field_name, value in (("name", name), ("full_name", "Kim Nguyen"), ("password", password), ("again", password)):
        visitor.page.locator(f"input[name={field_name}]").fill(value)
    visitor.page.locator("input[name=again]").press("Enter")
    visitor.page.wait_for_url("**/first-start/box")
