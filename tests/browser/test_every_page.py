"""Every page of a busy box, with hostile words planted by its peers: seen by everybody who may, run by nobody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests.fakes.script import Answer, always
from tests.support.browser import TABLET, WIDE, OpenBox, Visitor
from tests.support.demo_data import CT1, US2, Department, Study, a_department
from tests.support.site_map import BY_FORMS, every_page, page_endpoints

# Seeing every page takes most of a minute; the checker on a machine that does much else besides, several.
pytestmark = pytest.mark.timeout(900)

# Each would set window.canary where it were run: in a text, in an attribute, behind a quote.
_IN_TEXT = "<script>Object.assign(window,{canary:1})</script>"
_IN_ATTRIBUTE = '"><img src=x onerror=window.canary=2>'
# Sixteen characters, as much as a title may have.
_TITLES = ("<svg onload=c()>", "'onclick='c()")
# Those that no link leads to: what is shown before somebody has logged in, and the first start, which is over.
_BY_THEMSELVES = {"account.log_in": "/account/log-in"} | {
    f"wizard.{step}": f"/first-start/{step.replace('_', '-')}"
    for step in ("box", "time", "archive", "scanner", "image", "done", "site_file")
}
# The first start's pages for who has no account, which `test_first_start` sees, and what leads on to another page.
_NOT_HERE = {"wizard.code", "wizard.administrator", "wizard.index"}
_AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
# Both colours and both widths; the long form has each with each.
_GUISES: list[tuple[Literal["light", "dark"], tuple[int, int]]] = [("light", WIDE), ("dark", TABLET)]
if os.environ.get("LONG") == "1":
    _GUISES += [("dark", WIDE), ("light", TABLET)]


@dataclass
class Tour:
    """What the administrator saw on the way through every page."""

    pages: dict[str, str] = field(default_factory=dict)
    canaries: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def department(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """Run a department in which peers say what they should not."""
    assert browser.is_connected()
    with a_department(tmp_path_factory.mktemp("department")) as department:
        _plant(department)
        yield department


@pytest.fixture(scope="module")
def tour(browser: Browser, department: Department) -> Tour:
    """Let the administrator see every page, light and dark, wide and narrow."""
    seen = Tour()
    kim = OpenBox(department.box, browser).administrator()

    def look(endpoint: str, path: str) -> None:
        seen.texts[endpoint] = kim.page.locator("body").inner_text()
        if kim.page.evaluate("() => window.canary") is not None:
            seen.canaries.append(path)
        seen.violations += _violations(kim, path)

    seen.pages = every_page(kim, look) | BY_FORMS | _BY_THEMSELVES
    seen.pages["doctor.show"] = _test_a_destination(kim)
    for endpoint, path in seen.pages.items():
        if endpoint not in seen.texts:
            kim.go(path)
            look(endpoint, path)
    seen.faults = kim.faults
    kim.context.close()
    return seen


def test_every_page_is_seen(tour: Tour) -> None:
    """Every page of the application is reached by links from Home, or stands in the short list of those that are not."""
    assert set() == page_endpoints() - set(tour.pages) - _NOT_HERE


def test_nothing_that_a_peer_says_is_run(tour: Tour) -> None:
    """Names of patients, titles and comments with scripts in them are shown as text, and no page runs them."""
    assert [] == tour.canaries
    assert "<script>" in tour.texts["studies.index"]
    assert _TITLES[0] in tour.texts["scanners.index"]


def test_nothing_is_asked_of_anybody_else(tour: Tour) -> None:
    """No page asks anything of another origin, and the content security policy forbade nothing."""
    assert [] == tour.faults


def test_everybody_can_use_every_page(tour: Tour) -> None:
    """The accessibility checker finds nothing serious or critical on any page, in light and dark, at 1280 and 800 pixels."""
    assert [] == tour.violations


def test_a_viewer_is_refused_what_a_viewer_may_not(browser: Browser, department: Department) -> None:
    """Somebody without the right sees no button for it, is refused the page, and the refusal is written down."""
    password = department.box.cli("users", "add", "vu", "--full-name", "Vu Thi Hoa", "--role", "viewer")["password"]
    box = OpenBox(department.box, browser)

    with box.visitor() as vu, box.administrator() as kim:
        _take_own_password(vu, "vu", password)
        queue = vu.go("/queue/").locator("main").inner_text()
        people = vu.page.goto(f"{box.url}/people/")
        orders = vu.page.evaluate("async () => (await fetch('/queue/order', {method: 'POST', body: new FormData()})).status")
        journal = kim.go("/who-did-what/").locator("main").inner_text()

    assert "Retry" not in queue
    assert people is not None
    assert 403 == people.status
    assert 403 == orders
    assert "Vu Thi Hoa" in journal or "vu" in journal


def _plant(department: Department) -> None:
    """Let a scanner, a stranger and an archive say what would be run if it were not escaped."""
    study = Study(US2, _IN_TEXT, "<b>1</b>", "19700101", _IN_ATTRIBUTE[:64], 1)
    department.send(study, changes={"AccessionNumber": "<i>1</i>", "StationName": "<u>1</u>"})

    department.reading.mood = always(Answer(0xC123, comment=_IN_TEXT))
    department.send(Study(CT1, "MUSTER^Paul", "S-2001", "19700101", "CT", 1))
    for number, title in enumerate(_TITLES):
        department.knock(title, f"127.0.1.{30 + number}")


def _test_a_destination(kim: Visitor) -> str:
    kim.go("/destinations/show?name=archive")
    kim.page.locator("form[action$='/destinations/test'] button").first.click()
    kim.page.wait_for_url("**/doctor/*")
    return kim.page.url.removeprefix(kim.url)


def _violations(kim: Visitor, path: str) -> list[str]:
    """Return what is serious on the page that is open, in its guises."""
    kim.page.evaluate(_AXE)
    found = []
    for scheme, size in _GUISES:
        kim.page.set_viewport_size({"width": size[0], "height": size[1]})
        kim.page.emulate_media(color_scheme=scheme)
        result = kim.page.evaluate('axe.run({resultTypes: ["violations"]})')
        found += [
            f"{path} {scheme} {size[0]}: {violation['id']} ({violation['impact']}): {violation['nodes'][0]['html'][:200]}"
            for violation in result["violations"]
            if violation["impact"] in {"serious", "critical"}
        ]
    return found


def _take_own_password(visitor: Visitor, name: str, given: str) -> None:
    """Log in with a one-time password, and choose another."""
    visitor.log_in(name, given)
    for label, text in (("old", given), ("new", "another few quiet words"), ("again", "another few quiet words")):
        visitor.page.locator(f"input[name={label}]").fill(text)
    visitor.page.locator("input[name=again]").press("Enter")
    visitor.page.wait_for_url(lambda url: "/account/password" not in url)
