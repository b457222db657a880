"""Pictures of every page, from a box with a department around it, into docs/screenshots.

Promises: every page of the application at two widths, some of them dark; whoever is in them is invented (`tests/support/demo_data`).
Failures: what starting a box, its archives and a browser raises; `SystemExit` where a page was not found.
Limits: moments and numbers differ from one run to the next. A page is cut off at the bottom of the window, as a person sees it.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser

from tests.support.box import Box
from tests.support.browser import OpenBox, Visitor, a_browser, enter_code, make_administrator
from tests.support.dcmtk import StoreScp, echoscu, free_port, storescu
from tests.support.demo_data import a_department
from tests.support.samples import ct
from tests.support.site import a_site
from tests.support.site_map import BY_FORMS, every_page, page_endpoints

HOME = Path(__file__).parent / "screenshots"

_SIZES = ((1280, 800), (800, 1280))
# Enough for the colours of a page; a photograph would want more, and there is none but thumbnails.
_COLOURS = 96
_DARK = {"home.index", "scanners.index", "studies.study", "queue.index"}
# The way in, which is shown to nobody who is in.
_LOG_IN = "/account/log-in"


def main(arguments: Sequence[str]) -> None:
    """Make the pictures, all of them or those whose name holds one of the arguments."""
    HOME.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work, a_browser() as browser:
        seen = _first_start(browser, Path(work) / "new", arguments)
        seen |= _busy_box(browser, Path(work) / "busy", arguments)
    missing = page_endpoints() - seen - {"wizard.index", "wizard.site_file"}
    if missing:
        sys.exit(f"no way was found to {', '.join(sorted(missing))}")


def _busy_box(browser: Browser, work: Path, wanted: Sequence[str]) -> set[str]:
    """Take every page of a box that has worked for a while; return the endpoints."""
    with a_department(work) as department:
        department.box.cli("users", "add", "lan", "--full-name", "Tran Thi Lan", "--role", "technician")
        box = OpenBox(department.box, browser)
        with box.administrator() as kim:
            kim.go("/destinations/show?name=archive")
            kim.page.locator("form[action$='/destinations/test'] button").first.click()
            kim.page.get_by_text("All is well").wait_for()
            found = {"doctor.show": kim.page.url.removeprefix(kim.url), **BY_FORMS, **every_page(kim)}
            for endpoint, path in found.items():
                _take(kim, endpoint, path, wanted)
        with box.visitor() as nobody:
            _take(nobody, "account.log_in", _LOG_IN, wanted)
    return {*found, "account.log_in"}


def _first_start(browser: Browser, work: Path, wanted: Sequence[str]) -> set[str]:
    """Take the first start, step by step; return the endpoints."""
    work.mkdir()
    started = Box(work / "box", a_site(sources=(), listen={"web": "127.0.0.1:0"}))
    with StoreScp(work / "archive", ae_title="PACS1") as archive, contextlib.closing(started):
        started.start("--demo")
        box = OpenBox(started, browser)
        with box.visitor() as kim:
            kim.go("/")
            _take(kim, "wizard.code", None, wanted)
            enter_code(kim, box.setup_code)
            _take(kim, "wizard.administrator", None, wanted)
            make_administrator(kim)
            for label, text in (("Hospital", "Vinh"), ("Department", "General"), ("What it serves", "CT")):
                kim.fill(label, text)
            _take(kim, "wizard.box", None, wanted)
            kim.click("Continue", exact=True)
            kim.page.wait_for_url("**/first-start/time")
            _take(kim, "wizard.time", None, wanted)
            kim.click("Compare and continue")
            kim.page.wait_for_url("**/first-start/archive")
            _test_the_archive(kim, archive.port, wanted)
            echoscu(started.port, calling="CT1")
            kim.page.get_by_text("This is our scanner").first.wait_for()
            _take(kim, "wizard.scanner", None, wanted)
            kim.click("This is our scanner")
            kim.page.wait_for_url("**/first-start/image")
            storescu(started.port, ct(64).write(work / "image"), calling="CT1")
            kim.page.get_by_text("at the archive within").wait_for()
            _take(kim, "wizard.image", None, wanted)
            kim.click("Continue", exact=True)
            kim.page.wait_for_url("**/first-start/done")
            _take(kim, "wizard.done", None, wanted)
    return {f"wizard.{step}" for step in ("code", "administrator", "box", "time", "archive", "scanner", "image", "done")}


def _test_the_archive(kim: Visitor, port: int, wanted: Sequence[str]) -> None:
    """Type a wrong port, have it explained, mend it."""
    kim.fill("AE title of the archive", "PACS1")
    kim.fill("Address or name", "127.0.0.2")
    kim.choose("An image counts as safe there when", "delivered")
    for number, said in ((free_port(), "Something is in the way"), (port, "All is well")):
        kim.fill("Port", str(number))
        kim.page.locator("button[value=test]").click()
        kim.page.get_by_text(said).wait_for()
        _take(kim, "wizard.archive" if number == port else "wizard.archive-wrong-port", None, wanted)
    kim.click("Save and continue")
    kim.page.wait_for_url("**/first-start/scanner")


def _take(visitor: Visitor, endpoint: str, path: str | None, wanted: Sequence[str]) -> None:
    """Take a page (None: the one that is open) at both widths, and dark where it is one of those."""
    name = endpoint.replace(".index", "").replace(".", "-").replace("_", "-")
    if wanted and not any(word in name for word in wanted):
        return
    guises: list[tuple[str, Any, tuple[int, int]]] = [(f"{name}-{size[0]}", "light", size) for size in _SIZES]
    if endpoint in _DARK:
        guises.append((f"{name}-1280-dark", "dark", _SIZES[0]))
    if path is not None:
        visitor.go(path)
    for file, scheme, size in guises:
        visitor.page.set_viewport_size({"width": size[0], "height": size[1]})
        visitor.page.emulate_media(color_scheme=scheme)
        visitor.page.wait_for_load_state("networkidle")
        _keep(visitor.page.screenshot(animations="disabled"), HOME / f"{file}.png")
    visitor.page.set_viewport_size({"width": _SIZES[0][0], "height": _SIZES[0][1]})
    visitor.page.emulate_media(color_scheme="light")


def _keep(picture: bytes, path: Path) -> None:
    """Write a picture with few colours."""
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
