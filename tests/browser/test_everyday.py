"""What a technician does on an ordinary day, by mouse, by keyboard alone, and in three languages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation
from pynetdicom import AE

from tests.fakes.script import Answer, always
from tests.support.browser import ADMINISTRATOR, PASSWORD, OpenBox, Visitor
from tests.support.demo_data import Department, a_department
from tests.support.eventually import eventually

# More presses of the Tab key than any page has places to stop at.
_MOST_STOPS = 80
_DELIVERED_S = 60.0


@pytest.fixture(scope="module")
def department(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """Run a department that has an administrator."""
    with a_department(tmp_path_factory.mktemp("department")) as department:
        OpenBox(department.box, browser).administrator().context.close()
        yield department


def test_a_device_that_knocked_is_let_in(browser: Browser, department: Department) -> None:
    """A device nobody listed is accepted with one click, and its next call is taken."""
    box = OpenBox(department.box, browser)

    with box.administrator() as kim:
        kim.go("/scanners/")
        kim.click("Add it as MG1")
        listed = kim.page.get_by_role("row", name="MG1")
        listed.first.wait_for()

    assert _is_taken(department, "MG1", "127.0.1.20")


def test_what_is_held_goes_when_its_reason_is_gone(browser: Browser, department: Department) -> None:
    """Images that the reading room refused are tried again by one click once it takes them, and nothing is held any more."""
    box = OpenBox(department.box, browser)
    department.reading.mood = always(Answer())

    with box.administrator() as kim:
        kim.go("/queue/")
        kim.click("Retry all 4")
        kim.page.get_by_text("Nothing is held.").wait_for()

    eventually(lambda: department.box.count("held") == 0, within=_DELIVERED_S, message="what was held to be delivered")


def test_the_keyboard_is_enough(browser: Browser, department: Department) -> None:
    """Logging in, letting a moved scanner in and holding a study are done without a mouse, and the place where one is can be seen."""
    box = OpenBox(department.box, browser)

    with box.visitor() as kim:
        kim.go("/account/log-in")
        _tab_to(kim, "input[name=name]")
        kim.page.keyboard.type(ADMINISTRATOR)
        _tab_to(kim, "input[name=password]")
        kim.page.keyboard.type(PASSWORD)
        kim.page.keyboard.press("Enter")
        kim.page.wait_for_url(f"{box.url}/")
        _tab_to(kim, "a[href='/scanners/']")
        kim.page.keyboard.press("Enter")
        kim.page.wait_for_url("**/scanners/")
        _tab_to(kim, "form[action$='/scanners/accept'] button")
        kim.page.keyboard.press("Enter")
        kim.page.wait_for_load_state()
        kim.page.get_by_text("127.0.1.19").first.wait_for()
        # The last thing that a person looks for: the way out.
        _tab_to(kim, "button:has-text('Kim Nguyen')")
        kim.page.keyboard.press("Enter")
        _tab_to(kim, "form[action$='/account/log-out'] button")
        kim.page.keyboard.press("Enter")
        kim.page.wait_for_url("**/account/log-in*")

    assert _is_taken(department, "XA1", "127.0.1.19")


@pytest.mark.parametrize(
    ("locale", "code", "word"), [("en-GB", "en", "Scanners"), ("vi-VN", "vi", "Máy chụp"), ("fr-FR", "fr", "Appareils")]
)
def test_a_browser_is_answered_in_its_language(browser: Browser, department: Department, locale: str, code: str, word: str) -> None:
    """Whoever has chosen no language reads that of the browser, and the page says which it is."""
    box = OpenBox(department.box, browser)

    with box.administrator(locale=locale) as kim:
        language = kim.page.locator("html").get_attribute("lang")
        places = kim.page.locator("header nav").inner_text()

    assert code == language
    assert word in places


def test_without_scripts_everything_is_there(browser: Browser, department: Department) -> None:
    """A browser that runs no scripts logs in, sees the state of the box and finds a study."""
    box = OpenBox(department.box, browser)

    with box.administrator(scripts=False) as kim:
        home = kim.page.locator("main").inner_text()
        kim.go("/studies/?words=muster")
        found = kim.page.locator("main").inner_text()

    assert "university hospital" in home
    assert "MUSTER" in found
    assert "SAMPLE" not in found


def _tab_to(kim: Visitor, selector: str) -> None:
    """Press Tab until the element has the focus, which must be visible."""
    for _ in range(_MOST_STOPS):
        kim.page.keyboard.press("Tab")
        if kim.page.evaluate("selector => document.activeElement.matches(selector)", selector.partition(":has-text")[0]) and (
            ":has-text" not in selector or kim.page.locator(selector).first.evaluate("element => element === document.activeElement")
        ):
            seen = kim.page.evaluate(
                "() => { const style = getComputedStyle(document.activeElement); return style.outlineStyle + style.boxShadow; }"
            )
            assert "nonenone" != seen, f"nothing shows that {selector} has the focus"
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key at {kim.page.url}")


def _is_taken(department: Department, title: str, address: str) -> bool:
    """Say whether a call is let in."""
    ae = AE(title)
    ae.add_requested_context(DigitalMammographyXRayImageStorageForPresentation)
    association = ae.associate("127.0.0.1", department.box.port, ae_title="EDGE", bind_address=(address, 0))
    is_established = bool(association.is_established)
    if is_established:
        association.release()
    return is_established
