"""The façade of accounts: people, their sessions, tokens of machines, the journal of what everybody changed, and the first start.

Promises: every change of an account is written down with who made it, in the same transaction. What was ended anywhere (a log-out, another
password, a disabled account, an end that has come) opens nothing at the next request. A secret is returned once and kept as a hash.
Failures: those of `accounts.faults`; who may do what is decided by who asks (the pages by the table of roles, the keeper by its socket).
Limits: one box. The database is no part of the ledger, which is made anew from the spool: it belongs in a backup (docs/people.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.accounts import journal, people, sessions, setup
from appliance.accounts.entrance import Entrance
from appliance.accounts.faults import LogInRefusedError, PersonMissingError, SetupCodeRefusedError, SetupDoneError
from appliance.accounts.journal import REFUSED, Entry, Search
from appliance.accounts.lifetimes import ONE_TIME_S, elapsed_s, is_over
from appliance.accounts.passwords import Passwords, clear_code, insist_on_strength
from appliance.accounts.person import Account, Actor, Console, JournalRow, Machine, Person, SessionRow, SignedIn, TokenRow
from appliance.accounts.roles import Permission, Role
from appliance.accounts.rules import insist_on_person, insist_on_token
from appliance.accounts.store import AccountStore, Work
from appliance.runtime.clock import Clock

# A page that is open asks often; a write with its sync for each request would be most of the work.
_NOTICED_S = 30.0
# Two groups are 36 bits, tried at most every 30 s; four are 72, for what may be used for a week.
_SETUP_GROUPS = 2
_ONE_TIME_GROUPS = 4
# The same refusal again within this time says nothing new.
_REPEATED_S = 60.0


class Accounts:
    """The accounts of one box, opened with their key at first use; threads may share it."""

    def __init__(self, data: Path, key: bytes, clock: Clock, passwords: Passwords | None = None) -> None:
        """Point at the accounts under `data`."""
        self._store = AccountStore(data, key)
        self._passwords = passwords or Passwords()
        self._clock = clock
        self._entrance = Entrance(self._store, self._passwords, clock)

    # Sessions

    def session(self, secret: str, *, quiet: bool = False) -> SignedIn | None:
        """Return whose session the secret is, or None; `quiet`: nobody did anything, a page renewed itself."""
        now = self._clock.now()
        with self._store.read() as work:
            found = sessions.find(work, secret)
            setting_up = setup.is_under_way(work, now)
        if found is None:
            return None
        if not found.person.is_valid(now.wall) or is_over(found.person.role, found.created, found.seen, now, setting_up=setting_up):
            self._expire(found.id, found.person)
            return None
        if not quiet and elapsed_s(found.seen, now) > _NOTICED_S:
            with self._store.write() as work:
                sessions.touch(work, found.id, now)
        return SignedIn(found.person, found.id, found.created.wall, found.must_change)

    def log_in(self, name: str, password: str, address: str, agent: str = "") -> tuple[str, SignedIn]:
        """Return the secret of a new session, and the session. Raises `LogInRefusedError`, with how long to wait."""
        return self._entrance.log_in(name, password, address=address, agent=agent)

    def log_out(self, secret: str) -> None:
        """End the session of a secret; nothing happens where there is none."""
        with self._store.write() as work:
            found = sessions.find(work, secret)
            if found is not None:
                sessions.end(work, found.id)
                self._note(work, found.person, Entry("session.end", thing=found.person.name))

    def sessions(self, person: Person | None = None) -> list[SessionRow]:
        """Return the sessions in force, of everybody or of one person, the latest used first."""
        now = self._clock.now()
        with self._store.read() as work:
            setting_up = setup.is_under_way(work, now)
            return [
                row
                for row, found in sessions.everybodys(work)
                if (person is None or row.person.id == person.id)
                and row.person.is_valid(now.wall)
                and not is_over(row.person.role, found.created, found.seen, now, setting_up=setting_up)
            ]

    def end_session(self, by: Actor, number: int, *, of: Person | None = None) -> None:
        """End a session; `of`: only if it is that person's. Raises `PersonMissingError`."""
        with self._store.write() as work:
            whose = sessions.end(work, number)
            if of is not None and whose.id != of.id:
                raise PersonMissingError("this session has ended")
            self._note(work, by, Entry("session.end", thing=whose.name))

    # People

    def people(self) -> list[Account]:
        """Return all accounts by name."""
        with self._store.read() as work:
            return people.everybody(work)

    def person(self, number: int) -> Person:
        """Return the person of a number. Raises `PersonMissingError`."""
        with self._store.read() as work:
            return people.get(work, number)

    def named(self, name: str) -> Person:
        """Return the person of a name. Raises `PersonMissingError`."""
        with self._store.read() as work:
            return people.named(work, name)

    def add_person(self, by: Actor, person: Person) -> tuple[Person, str]:
        """Add an account (the number of `person` does not count); return it, and the one-time password with which it begins."""
        now = self._clock.now().wall
        insist_on_person(person, now)
        password = clear_code(_ONE_TIME_GROUPS)
        hashed = self._passwords.hashed(password)
        with self._store.write() as work:
            added = people.add(work, person, hashed, one_time_until=now + ONE_TIME_S, at=now)
            self._note(work, by, Entry("person.added", thing=added.name, after=_described(added)))
        return added, password

    def change_person(self, by: Actor, person: Person, *, reason: str = "") -> Person:
        """Let the account with the number of `person` be as `person` says, but for its name and language; return it.

        Raises `LastAdministratorError`, `PersonMissingError`, `AccountInvalidError`.
        """
        insist_on_person(person, self._clock.now().wall)
        with self._store.write() as work:
            before = people.get(work, person.id)
            after = people.change(
                work,
                person.id,
                full_name=person.full_name,
                role=person.role.value,
                expires_at=person.expires_at,
                is_enabled=int(person.is_enabled),
            )
            people.insist_on_an_administrator(work)
            if not after.is_enabled:
                sessions.end_all(work, after)
            if after != before:
                self._note(work, by, Entry("person.changed", after.name, _described(before), _described(after), reason))
        return after

    def remove_person(self, by: Actor, number: int) -> None:
        """Remove an account; what it did stays in the journal. Raises `LastAdministratorError`, `PersonMissingError`."""
        with self._store.write() as work:
            person = people.get(work, number)
            people.remove(work, number)
            people.insist_on_an_administrator(work)
            self._note(work, by, Entry("person.removed", thing=person.name, before=_described(person)))

    def set_password(self, who: SignedIn, old: str, new: str) -> None:
        """Let somebody who is signed in have another password; their other sessions end.

        Raises `LogInRefusedError` where the old one is wrong, `PasswordWeakError`.
        """
        person = who.person
        if not self._entrance.confirms(person.name, old, address=person.address):
            raise LogInRefusedError
        insist_on_strength(new, person.name)
        hashed = self._passwords.hashed(new)
        with self._store.write() as work:
            people.change(work, person.id, password=hashed, one_time_until=None)
            sessions.end_all(work, person, but=who.session_id)
            self._note(work, person, Entry("password.changed", thing=person.name))

    def reset_password(self, by: Actor, number: int) -> str:
        """Return a one-time password for an account, which replaces the one it had; its sessions end. Raises `PersonMissingError`."""
        password = clear_code(_ONE_TIME_GROUPS)
        hashed = self._passwords.hashed(password)
        now = self._clock.now().wall
        with self._store.write() as work:
            person = people.change(work, number, password=hashed, one_time_until=now + ONE_TIME_S)
            sessions.end_all(work, person)
            self._note(work, by, Entry("password.reset", thing=person.name))
        return password

    def set_language(self, person: Person, language: str) -> None:
        """Remember in which language somebody reads."""
        with self._store.write() as work:
            people.change(work, person.id, language=language)

    # Machines

    def tokens(self) -> list[TokenRow]:
        """Return all tokens by name."""
        with self._store.read() as work:
            return sessions.tokens(work)

    def add_token(self, by: Actor, name: str, permissions: frozenset[Permission], expires_at: float) -> str:
        """Make a token and return its secret. Raises `AccountInvalidError`, `NameTakenError`."""
        now = self._clock.now().wall
        insist_on_token(name, permissions, expires_at, now)
        with self._store.write() as work:
            secret = sessions.add_token(work, name, permissions, by=by.name, at=now, expires_at=expires_at)
            self._note(work, by, Entry("token.added", thing=name, after=", ".join(sorted(permissions))))
        return secret

    def end_token(self, by: Actor, number: int) -> None:
        """End a token. Raises `PersonMissingError`."""
        with self._store.write() as work:
            self._note(work, by, Entry("token.ended", thing=sessions.end_token(work, number)))

    def token(self, secret: str, address: str = "") -> Machine | None:
        """Return the machine that has this token, or None where there is none or it has ended."""
        now = self._clock.now().wall
        with self._store.read() as work:
            found = sessions.find_token(work, secret)
        if found is None or found[0].expires_at <= now:
            return None
        machine, used_at = found
        if used_at is None or not 0 <= now - used_at < _REPEATED_S:
            with self._store.write() as work:
                sessions.touch_token(work, machine.id, now)
        return replace(machine, address=address)

    # The journal

    def changed(self, who: Actor, action: str, thing: str, *, before: str = "", after: str = "", reason: str = "") -> None:
        """Write down that somebody changed something."""
        with self._store.write() as work:
            self._note(work, who, Entry(action, thing, before, after, reason))

    def refused(self, who: Actor, what: str, permission: Permission) -> None:
        """Write down that somebody asked for what they may not do; the same again within a minute is not written."""
        entry = Entry("access", thing=what, reason=permission.value, outcome=REFUSED)
        with self._store.write() as work:
            if not journal.was_written(work, who, entry, since=self._clock.now().wall - _REPEATED_S):
                self._note(work, who, entry)

    def journal(self, words: str = "", after: int | None = None, limit: int = 100, **conditions: Any) -> list[JournalRow]:
        """Return rows with all the words, newest first, numbered below `after`; `conditions` are further fields of `journal.Search`."""
        with self._store.read() as work:
            return journal.find(work, Search(words=words, after=after, limit=limit, **conditions))

    # The first start

    def needs_setup(self) -> bool:
        """Say whether the box has no administrator yet."""
        with self._store.read() as work:
            return not people.has_administrator(work)

    def setup_code(self) -> str:
        """Make another code for the first start and return it: XXXX-XXXX. The one before is good for nothing any more."""
        code = clear_code(_SETUP_GROUPS)
        hashed = self._passwords.hashed(code)
        with self._store.write() as work:
            setup.set_code(work, hashed)
        return code

    def check_setup_code(self, code: str) -> bool:
        """Say whether this is the code of the first start. Raises `SetupCodeRefusedError` where the box waits after several wrong ones."""
        return self._entrance.knows_code(code)

    def create_first(self, code: str, name: str, full_name: str, password: str, address: str = "") -> Person:
        """Make the first administrator, who may then log in. The code must be right.

        Raises `SetupCodeRefusedError`, `PasswordWeakError`, `AccountInvalidError`; `SetupDoneError` where there is an administrator.
        """
        if not self.needs_setup():
            raise SetupDoneError("the box has an administrator already")
        now = self._clock.now().wall
        person = Person(0, name, full_name, Role.ADMINISTRATOR, address=address)
        insist_on_person(person, now)
        insist_on_strength(password, name)
        if not self._entrance.knows_code(code):
            raise SetupCodeRefusedError
        hashed = self._passwords.hashed(password)
        with self._store.write() as work:
            if people.has_administrator(work):
                raise SetupDoneError("the box has an administrator already")
            added = people.add(work, person, hashed, one_time_until=None, at=now)
            setup.set_code(work, "")
            self._note(work, person, Entry("person.added", thing=added.name, after=_described(added), reason="first start"))
        return added

    def wizard(self) -> dict[str, Any]:
        """Return what was answered at the first start, by step."""
        with self._store.read() as work:
            return setup.wizard(work)

    def remember_wizard(self, step: str, values: Mapping[str, Any]) -> None:
        """Keep the answers of a step (what JSON knows, no secrets). The step "finished" ends the first start."""
        with self._store.write() as work:
            setup.remember(work, step, values, self._clock.now())

    def prepare(self) -> None:
        """Make the database where it is missing, check it, and bring it up to date: for the start of the box."""
        self._store.prepare()

    def close(self) -> None:
        """Close the database; the next question opens it again."""
        self._store.close()

    def _expire(self, number: int, person: Person) -> None:
        with self._store.write() as work:
            if sessions.drop(work, number):
                self._note(work, Console(person.name, person.address), Entry("session.expired", thing=person.name))

    def _note(self, work: Work, who: Actor, entry: Entry) -> None:
        journal.write(work, self._clock.now().wall, who, entry)


def prepare(data: Path, key: bytes, clock: Clock) -> str | None:
    """Leave the accounts under `data` ready for use; return a new setup code while nobody administers the box, None afterwards.

    For whoever starts the box. Raises those of `accounts.faults`: the box without pages still receives and sends.
    """
    accounts = Accounts(data, key, clock)
    try:
        accounts.prepare()
        return accounts.setup_code() if accounts.needs_setup() else None
    finally:
        accounts.close()


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="minutes")


def _described(person: Person) -> str:
    """Return an account in the words of the journal."""
    end = "no end" if person.expires_at is None else f"ends {_moment(person.expires_at)}"
    return f"{person.full_name}, {person.role.value}, {end}, {'enabled' if person.is_enabled else 'disabled'}"
