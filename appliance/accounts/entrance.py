"""The entrance: who gives the right password, or the right setup code, and how long the box does not listen to others.

Promises: an account that does not exist, a wrong password and a closed account cost the same time and get the same answer. Tries from
unknown addresses are slowed down by name and all together; where somebody logged in before, a flood from elsewhere does not slow them down.
Nobody waits longer than 30 s.
Failures: `LogInRefusedError`.
Limits: addresses are those the pages see: people behind one of them share its fate.
Standard: NIST SP 800-63B 3.2.2 (rate limiting); OWASP ASVS 6.3.
"""

from __future__ import annotations

from collections.abc import Sequence

from appliance.accounts import delays, journal, people, sessions, setup
from appliance.accounts.delays import Subject
from appliance.accounts.faults import LogInRefusedError, SetupCodeRefusedError
from appliance.accounts.journal import REFUSED, Entry
from appliance.accounts.lifetimes import FAMILIAR_S, FREE_FOR_ALL, FREE_FOR_ONE, STEP_FOR_ALL, is_over
from appliance.accounts.passwords import Passwords, as_code
from appliance.accounts.people import Kept
from appliance.accounts.person import Console, SignedIn, plain_name
from appliance.accounts.store import AccountStore, Work
from appliance.runtime.clock import Clock, Instant

_EVERYBODY = Subject("everybody", FREE_FOR_ALL, STEP_FOR_ALL)
_SETUP = Subject("setup", FREE_FOR_ONE)
# What somebody typed for a name may be their password: only names that exist are written down.
_NOBODY = "nobody known"


class Entrance:
    """Lets people in."""

    def __init__(self, store: AccountStore, passwords: Passwords, clock: Clock) -> None:
        """Judge by the accounts in `store`."""
        self._store = store
        self._passwords = passwords
        self._clock = clock

    def log_in(self, name: str, password: str, *, address: str, agent: str) -> tuple[str, SignedIn]:
        """Return the secret of a new session, and the session. Raises `LogInRefusedError`."""
        kept, subjects = self._listen(name, address)
        fits = self._passwords.fits(kept.password if kept else None, password)
        now = self._clock.now()
        with self._store.write() as work:
            # Once more: it may have been disabled or removed while the password was tried.
            kept = people.find(work, name) if kept and fits else kept
            if kept is not None and fits and _is_open(kept, now):
                for subject in subjects:
                    delays.take_back(work, subject) if subject is _EVERYBODY else delays.forgive(work, subject)
                secret = sessions.new_secret()
                return secret, self._begin(work, kept, password, secret, now, address=address, agent=agent)
            entry = Entry("session.begin", thing=kept.person.name if kept else "", outcome=REFUSED)
            journal.write(work, now.wall, Console(kept.person.name if kept else _NOBODY, address), entry)
            remaining = max(delays.remaining_s(work, subject, now) for subject in subjects)
        raise LogInRefusedError(remaining, is_closed=kept is not None and fits)

    def confirms(self, name: str, password: str, *, address: str) -> bool:
        """Say whether somebody who is signed in knows their password. Raises `LogInRefusedError` while the box does not listen."""
        kept, subjects = self._listen(name, address)
        fits = self._passwords.fits(kept.password if kept else None, password)
        if fits:
            self._forgive(subjects)
        return fits

    def knows_code(self, typed: str) -> bool:
        """Say whether this is the setup code. Raises `SetupCodeRefusedError` while the box does not listen; nothing typed is no try."""
        if not as_code(typed):
            return False
        with self._store.write() as work:
            kept = "" if people.has_administrator(work) else setup.code(work)
            now = self._clock.now()
            remaining = delays.remaining_s(work, _SETUP, now)
            if remaining > 0:
                raise SetupCodeRefusedError(remaining)
            delays.count(work, _SETUP, now)
        fits = self._passwords.fits(kept or None, as_code(typed))
        if fits:
            self._forgive((_SETUP,))
        return fits

    def _listen(self, name: str, address: str) -> tuple[Kept | None, Sequence[Subject]]:
        """Return whose password is to be tried, and for whom the try was counted. Raises while the box does not listen."""
        now = self._clock.now()
        with self._store.write() as work:
            kept = people.find(work, name)
            known = kept is not None and people.is_familiar(work, kept.person.id, address, since=now.wall - FAMILIAR_S)
            plain = plain_name(name)
            subjects = (Subject(f"{plain} at {address}", FREE_FOR_ONE),) if known else (Subject(plain, FREE_FOR_ONE), _EVERYBODY)
            self._count(work, subjects, now)
        return kept, subjects

    def _count(self, work: Work, subjects: Sequence[Subject], now: Instant) -> None:
        remaining = max(delays.remaining_s(work, subject, now) for subject in subjects)
        if remaining > 0:
            raise LogInRefusedError(remaining)
        for subject in subjects:
            delays.count(work, subject, now)

    def _forgive(self, subjects: Sequence[Subject]) -> None:
        with self._store.write() as work:
            for subject in subjects:
                delays.take_back(work, subject) if subject is _EVERYBODY else delays.forgive(work, subject)

    def _begin(self, work: Work, kept: Kept, password: str, secret: str, now: Instant, *, address: str, agent: str) -> SignedIn:
        person = kept.person
        for _, session in sessions.everybodys(work):
            # With the longest patience: those that are spared now end at their next use.
            if is_over(session.person.role, session.created, session.seen, now, setting_up=True):
                sessions.end(work, session.id)
        if self._passwords.is_outdated(kept.password):
            people.change(work, person.id, password=self._passwords.hashed(password))
        people.change(work, person.id, last_log_in_at=now.wall)
        people.remember_address(work, person.id, address, at=now.wall, since=now.wall - FAMILIAR_S)
        number = sessions.begin(work, person, secret, now, address=address, agent=agent)
        journal.write(work, now.wall, Console(person.name, address), Entry("session.begin", thing=person.name))
        return SignedIn(person, number, now.wall, must_change=kept.one_time_until is not None)


def _is_open(kept: Kept, now: Instant) -> bool:
    in_time = kept.one_time_until is None or now.wall < kept.one_time_until
    return in_time and kept.person.is_valid(now.wall)
