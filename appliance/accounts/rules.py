"""What an account and a token may be: names, roles, ends, scopes. Pure.

Promises: a function returns when it is right, and otherwise raises with the field that is wrong and what to write instead.
Failures: `AccountInvalidError`.
Limits: passwords have a module of their own.
"""

from __future__ import annotations

import re

from appliance.accounts.faults import AccountInvalidError
from appliance.accounts.lifetimes import TOKEN_LONGEST_S, VENDOR_LONGEST_S
from appliance.accounts.person import Person, plain_name
from appliance.accounts.roles import SCOPES, Permission, Role

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_LONGEST_FULL_NAME = 80
_TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
# SQLite's largest number, and nobody's.
_LARGEST = 2**63 - 1


def insist_on_person(person: Person, now: float) -> None:
    """Return when there may be such a person at the moment `now`."""
    if _NAME.fullmatch(plain_name(person.name)) is None:
        raise AccountInvalidError(
            "name", "a name has up to 64 letters and digits without accents", "Dots, dashes, underscores and @ are good too: kim.nguyen"
        )
    if not person.full_name.strip() or len(person.full_name) > _LONGEST_FULL_NAME or not person.full_name.isprintable():
        raise AccountInvalidError("full_name", "a full name has 1 to 80 characters", "It is what others see: Kim Nguyen")
    if person.role is Role.MONITOR:
        raise AccountInvalidError("role", "nobody logs in as a monitor", "Make a token for it.")
    if person.role is Role.VENDOR:
        _insist_on_end(person.expires_at, now, VENDOR_LONGEST_S, "a vendor's account ends within 14 days")
    elif person.expires_at is not None and not 0 < person.expires_at < _LARGEST:
        raise AccountInvalidError("expires_at", "this is no day", "Leave it empty for an account without an end.")


def insist_on_token(name: str, permissions: frozenset[Permission], expires_at: float, now: float) -> None:
    """Return when there may be such a token at the moment `now`."""
    if _TOKEN_NAME.fullmatch(name) is None:
        raise AccountInvalidError("name", "a token's name has up to 64 letters, digits, spaces, dots and dashes", "Say who uses it.")
    if not permissions or not permissions <= SCOPES:
        raise AccountInvalidError("scopes", "a token has at least one scope, and none that only people have", "Choose what it is for.")
    _insist_on_end(expires_at, now, TOKEN_LONGEST_S, "a token ends within two years")


def _insist_on_end(expires_at: float | None, now: float, longest_s: float, message: str) -> None:
    if expires_at is None or not now < expires_at <= now + longest_s:
        raise AccountInvalidError("expires_at", message, "Choose a day between tomorrow and then.")
