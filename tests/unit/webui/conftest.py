"""Pages over real accounts, for the tests that ask for them: one application a file, accounts and a browser a test."""

from __future__ import annotations

import pytest
from flask import Flask

from appliance.manage.accounts import Accounts
from tests.fakes.clock import FakeClock
from tests.support.account_fixtures import accounts, clock
from tests.support.accounts import Browser, over, pages_for_all

__all__ = ["accounts", "clock"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """Return the pages for all tests of a file."""
    return pages_for_all(tmp_path_factory.mktemp("box"))


@pytest.fixture
def app(pages: Flask, accounts: Accounts, clock: FakeClock) -> Flask:
    """Return the pages over this test's accounts."""
    return over(pages, accounts, clock)


@pytest.fixture
def kim(app: Flask) -> Browser:
    """Return kim's browser, logged in."""
    browser = Browser(app)
    browser.log_in("kim")
    return browser
