"""A person with an account, a session of theirs, a machine with a token, and whoever sits at the console. Pure.

Promises: values that do not change; whether an account has expired is told from a time that is given.
Failures: none.
Limits: what is secret of an account (its password's hash) is not in here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from appliance.accounts.roles import Permission, Role, may


class Actor(Protocol):
    """Whoever does something that is written down: under which name, and from where."""

    @property
    def name(self) -> str:
        """The name in the journal."""

    @property
    def address(self) -> str:
        """From where, "" where that is not known."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may log in; `expires_at` in seconds since 1970 (UTC), None for ever; `language` is a code, "" for the browser's."""

    id: int
    name: str
    full_name: str
    role: Role
    language: str = ""
    expires_at: float | None = None
    is_enabled: bool = True
    address: str = field(default="", compare=False)
    """From where they logged in; "" for somebody who is only looked at."""

    def may(self, permission: Permission) -> bool:
        """Say whether this person may do that."""
        return may(self.role, permission)

    def is_valid(self, wall: float) -> bool:
        """Say whether this person may log in at a moment, in seconds since 1970."""
        return self.is_enabled and (self.expires_at is None or wall < self.expires_at)


@dataclass(frozen=True, slots=True)
class Machine:
    """A program with a token: `permissions` are its scopes, and it has no others."""

    id: int
    name: str
    permissions: frozenset[Permission]
    expires_at: float
    address: str = field(default="", compare=False)

    @property
    def full_name(self) -> str:
        """What is shown of it."""
        return self.name

    def may(self, permission: Permission) -> bool:
        """Say whether the token is for that."""
        return permission in self.permissions


@dataclass(frozen=True, slots=True)
class Console:
    """Whoever uses the command line of the box."""

    name: str
    address: str = "console"


@dataclass(frozen=True, slots=True)
class Account:
    """A person in the list of all: since when, last there (seconds since 1970), and whether they must choose a password first."""

    person: Person
    created_at: float
    last_log_in_at: float | None
    must_change: bool


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that is in force: whose, and under which public number it is listed (never the secret in the cookie).

    `must_change`: the password was given by somebody else, and the only thing to do with it is to choose another.
    """

    person: Person
    session_id: int
    since: float
    must_change: bool = False


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session in a list: whose, since when, last used (seconds since 1970), from where and with what."""

    id: int
    person: Person
    since: float
    seen_at: float
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token in a list: for what, made by whom and when, until when, last used; never the token itself."""

    id: int
    name: str
    permissions: frozenset[Permission]
    made_by: str
    made_at: float
    expires_at: float
    used_at: float | None


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One thing that somebody did: `action` is a constant name, `outcome` "done" or "refused"."""

    id: int
    at: float
    who: str
    address: str
    action: str
    thing: str
    before: str
    after: str
    reason: str
    outcome: str


def plain_name(name: str) -> str:
    """Return a name as it is kept and compared."""
    return name.strip().lower()
