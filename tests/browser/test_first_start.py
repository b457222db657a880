"""From the set-up code to the first image at the archive, as a person goes it in front of a real box."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.browser.conftest import BoxOpener
from tests.support.browser import OpenBox, Visitor, enter_code, make_administrator
from tests.support.dcmtk import StoreScp, echoscu, free_port, storescu
from tests.support.samples import ct
from tests.support.site import a_site

# With --demo: outside of a demonstration, no page may call what listens on the box itself (hostile-inputs.md row 93).
_SITE = a_site(sources=(), listen={"web": "127.0.0.1:0"})


@pytest.fixture(scope="module")
def box(open_box: BoxOpener) -> OpenBox:
    """Start a box that nobody has set up."""
    return open_box(_SITE, "--demo")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> StoreScp:
    """Prepare the archive; each test starts it."""
    return StoreScp(tmp_path_factory.mktemp("archive"), ae_title="PACS1")


def test_from_the_code_to_the_first_image(box: OpenBox, archive: StoreScp, tmp_path: Path) -> None:
    """Somebody with the code names the box, tests the archive, lets the scanner that calls in, and sees its first image arrive."""
    began = time.monotonic()
    with archive, box.visitor() as kim:
        kim.go("/")
        enter_code(kim, box.setup_code)
        make_administrator(kim)
        _name_the_box(kim)
        kim.click("Compare and continue")
        _describe_the_archive(kim, free_port())
        kim.click("Test it")
        kim.page.get_by_text("Something is in the way").wait_for()
        wrong = kim.page.locator("#test").inner_text()
        kim.fill("Port", str(archive.port))
        kim.click("Test again")
        kim.page.get_by_text("All is well").wait_for()
        kim.click("Save and continue")
        kim.page.wait_for_url("**/first-start/scanner")
        assert 0 != echoscu(box.box.port, calling="CT1")
        kim.click("This is our scanner")
        kim.page.wait_for_url("**/first-start/image")
        storescu(box.box.port, ct(64).write(tmp_path), calling="CT1")
        arrived = kim.page.get_by_text(re.compile(r"Received 1 image, at the archive within [0-9]+ s"))
        arrived.wait_for()
        said = arrived.inner_text()
        kim.click("Continue", exact=True)
        kim.page.wait_for_url("**/first-start/done")
        end = kim.page.locator("main").inner_text()
        kim.click("To Home")
        kim.page.wait_for_url(f"{box.url}/")
        print(f"first start to first image: {kim.clicks} clicks, {time.monotonic() - began:.0f} s; {said}")

    assert "nobody listens" in wrong
    assert 1 == archive.count()
    assert "Images go to the archive PACS1" in end
    assert "vinh-general-ct" in end


def test_it_goes_on_after_a_restart(open_box: BoxOpener) -> None:
    """Whoever was in the middle when the box was started again is still logged in, and goes on at the step that was next."""
    box = open_box(_SITE, name="restarted")

    with box.visitor() as kim:
        kim.go("/")
        enter_code(kim, box.setup_code)
        make_administrator(kim)
        _name_the_box(kim)
        kim.page.goto("about:blank")
        box.box.restart()
        kim.url = box.url
        kim.go("/")
        arrived, name = kim.page.url, kim.page.locator("header").inner_text()

    assert f"{box.url}/first-start/time" == arrived
    assert "vinh-general-ct" in name
    assert "" == box.setup_code


def _name_the_box(kim: Visitor) -> None:
    for label, text in (("Hospital", "Vinh"), ("Department", "General"), ("What it serves", "CT")):
        kim.fill(label, text)
    assert "vinh-general-ct" == kim.page.locator("input[name=name]").input_value()
    kim.click("Continue", exact=True)
    kim.page.wait_for_url("**/first-start/time")


def _describe_the_archive(kim: Visitor, port: int) -> None:
    kim.page.wait_for_url("**/first-start/archive")
    kim.fill("AE title of the archive", "PACS1")
    # Another address than the scanner of this test has, which would be taken for the archive.
    kim.fill("Address or name", "127.0.0.2")
    kim.fill("Port", str(port))
    kim.choose("An image counts as safe there when", "delivered")
