"""One browser for all files of this tier, one box a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest
from playwright.sync_api import Browser

from tests.support.box import Box
from tests.support.browser import OpenBox, a_browser


class BoxOpener(Protocol):
    """The `open_box` fixture: starts boxes with pages that are gone when the file's last test ends."""

    def __call__(self, site: str, *arguments: str, name: str = "box") -> OpenBox:
        """Return a running box with this configuration."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Run one browser: starting it costs a second."""
    with a_browser() as running:
        yield running


@pytest.fixture(scope="module")
def open_box(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoxOpener]:
    """Start boxes; every one is gone when the file is done."""
    boxes: list[Box] = []

    def start(site: str, *arguments: str, name: str = "box") -> OpenBox:
        box = Box(tmp_path_factory.mktemp(name), site)
        boxes.append(box)
        box.start(*arguments)
        return OpenBox(box, browser)

    yield start
    for box in boxes:
        box.close()
