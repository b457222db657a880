"""Fixtures over real accounts, for the tests of accounts and those of the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.manage.accounts import Accounts
from tests.fakes.clock import FakeClock
from tests.support.accounts import accounts_in, an_administrator


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that is moved by hand."""
    return FakeClock()


@pytest.fixture
def accounts(tmp_path: Path, clock: FakeClock) -> Iterator[Accounts]:
    """Return accounts with one administrator, kim."""
    made = accounts_in(tmp_path, clock)
    an_administrator(made)
    yield made
    made.close()
