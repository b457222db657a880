"""What the command line asks about people's accounts, of the keeper, who has the key. More of `requests`.

Promises: as there: keys may be added, never removed or renamed. Moments are ISO 8601 in UTC.
Failures: none.
Limits: `who` is the user of the machine that asks; the socket answers the box's own user and root alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeopleRequest:
    """Who may use the pages?"""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One account; `one_time` says that its password was given by somebody else and must be changed."""

    name: str
    full_name: str
    role: str
    enabled: bool
    expires: str | None
    last_log_in: str | None
    one_time: bool


@dataclass(frozen=True, slots=True)
class PeopleReply:
    """Every account, by name."""

    rows: tuple[PersonRow, ...]


@dataclass(frozen=True, slots=True)
class AddPersonRequest:
    """Add an account; `days` from now it ends, None for never."""

    name: str
    full_name: str
    role: str
    who: str
    days: int | None = None


@dataclass(frozen=True, slots=True)
class ResetPasswordRequest:
    """Give the account of this name a one-time password."""

    name: str
    who: str


@dataclass(frozen=True, slots=True)
class OneTimeReply:
    """The password that the account of this name has now, for once."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class ChangePersonRequest:
    """Let the account of this name have another role, or be enabled or not; None changes nothing."""

    name: str
    who: str
    role: str | None = None
    enabled: bool | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class ChangePersonReply:
    """The account as it is now."""

    row: PersonRow
