"""What tests of accounts begin with: a clock that is moved by hand, and accounts with one administrator."""

from __future__ import annotations

from tests.support.account_fixtures import accounts, clock

__all__ = ["accounts", "clock"]
