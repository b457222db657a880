"""Accounts for whoever sits at the box: what the command line asks of the keeper.

Promises: what is changed here is written down like what is changed in the pages, with the machine's user as who did it, at the console.
Failures: those of `accounts.faults`, told to the one who asks.
Limits: sessions and tokens are ended in the pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from appliance.accounts.faults import AccountInvalidError
from appliance.accounts.person import Account, Console, Person
from appliance.accounts.roles import Role
from appliance.manage.accounts import Accounts
from appliance.runtime.account_requests import (
    AddPersonRequest,
    ChangePersonReply,
    ChangePersonRequest,
    OneTimeReply,
    PeopleReply,
    PeopleRequest,
    PersonRow,
    ResetPasswordRequest,
)
from appliance.runtime.clock import Clock
from appliance.runtime.control import Handler

_DAY_S = 86400.0


class AccountDesk:
    """Answers about accounts."""

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        """Answer from `accounts`, which are opened when somebody asks."""
        self._accounts = accounts
        self._clock = clock

    def handlers(self) -> Mapping[type, Handler]:
        """Return which request is answered by what."""
        return {
            PeopleRequest: self.people,
            AddPersonRequest: self.add,
            ResetPasswordRequest: self.reset,
            ChangePersonRequest: self.change,
        }

    def people(self, _: PeopleRequest) -> PeopleReply:
        """Return everybody."""
        return PeopleReply(tuple(_row(account) for account in self._accounts.people()))

    def add(self, request: AddPersonRequest) -> OneTimeReply:
        """Add an account."""
        person = Person(0, request.name, request.full_name, _role(request.role), expires_at=self._end(request.days))
        added, password = self._accounts.add_person(Console(request.who), person)
        return OneTimeReply(added.name, password)

    def reset(self, request: ResetPasswordRequest) -> OneTimeReply:
        """Give somebody a one-time password."""
        person = self._accounts.named(request.name)
        return OneTimeReply(person.name, self._accounts.reset_password(Console(request.who), person.id))

    def change(self, request: ChangePersonRequest) -> ChangePersonReply:
        """Let an account be otherwise."""
        person = self._accounts.named(request.name)
        if request.role is not None:
            person = replace(person, role=_role(request.role))
        if request.enabled is not None:
            person = replace(person, is_enabled=request.enabled)
        if request.days is not None:
            person = replace(person, expires_at=self._end(request.days))
        changed = self._accounts.change_person(Console(request.who), person)
        return ChangePersonReply(next(_row(account) for account in self._accounts.people() if account.person.id == changed.id))

    def _end(self, days: int | None) -> float | None:
        return None if days is None else self._clock.now().wall + days * _DAY_S


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        known = ", ".join(role for role in Role if role is not Role.MONITOR)
        raise AccountInvalidError("role", f"there is no role {name[:20]}", f"Roles are {known}.") from None


def _row(account: Account) -> PersonRow:
    person = account.person
    return PersonRow(
        person.name,
        person.full_name,
        person.role.value,
        person.is_enabled,
        _moment(person.expires_at),
        _moment(account.last_log_in_at),
        account.must_change,
    )


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
