"""Sessions and tokens in the database of accounts: what is kept of their secrets is a hash.

Promises: who reads the database cannot act as anybody in it. A session that was ended is gone.
Failures: `PersonMissingError`, `NameTakenError`.
Limits: how long a session lasts is `lifetimes`' to say.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from appliance.accounts.faults import NameTakenError, PersonMissingError
from appliance.accounts.people import person_of
from appliance.accounts.person import Machine, Person, SessionRow, TokenRow
from appliance.accounts.roles import Permission
from appliance.accounts.store import ClashError, Row, Work
from appliance.runtime.clock import Instant

_SECRET_BYTES = 32
# 32 bytes in base64 are 43 characters; with a token's prefix a few more.
_LONGEST_SECRET = 64
# Tells a token from other secrets, for programs that look for those that leaked.
TOKEN_PREFIX = "dicom-edge_"  # noqa: S105 (no secret, what stands before each)
_AGENT_LENGTH = 120
_PERSON = "p.id, p.name, p.full_name, p.role, p.language, p.expires_at, p.is_enabled"


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it is kept."""

    id: int
    person: Person
    must_change: bool
    created: Instant
    seen: Instant


def new_secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def begin(work: Work, person: Person, secret: str, now: Instant, *, address: str, agent: str) -> int:
    """Add a session of `person` and return its number."""
    return work.insert(
        "INSERT INTO session (digest, person_id, address, agent, created_at, created_boottime, created_boot, seen_at, seen_boottime, "
        "seen_boot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            digest(secret), person.id, address, agent[:_AGENT_LENGTH],
            now.wall, now.boottime, now.boot_id, now.wall, now.boottime, now.boot_id,
        ),
    )  # fmt: skip


def find(work: Work, secret: str) -> Session | None:
    """Return the session of a secret, in force or not, or None."""
    if len(secret) > _LONGEST_SECRET:
        return None
    rows = work.rows(
        f"SELECT {_PERSON}, p.one_time_until, s.address, s.id, s.created_at, s.created_boottime, s.created_boot, s.seen_at, "  # noqa: S608
        "s.seen_boottime, s.seen_boot FROM session s JOIN person p ON p.id = s.person_id WHERE s.digest = ?",
        (digest(secret),),
    )
    if not rows:
        return None
    must_change, address, number, *moments = rows[0][7:]
    return Session(
        number, person_of(rows[0], address=address), must_change is not None, Instant(*moments[:3]), Instant(*moments[3:])
    )  # fmt: skip


def touch(work: Work, number: int, now: Instant) -> None:
    """Note that somebody did something."""
    work.change(
        "UPDATE session SET seen_at = ?, seen_boottime = ?, seen_boot = ? WHERE id = ?", (now.wall, now.boottime, now.boot_id, number)
    )


def end(work: Work, number: int) -> Person:
    """End a session and return whose it was. Raises `PersonMissingError`."""
    rows = work.rows(f"SELECT {_PERSON} FROM session s JOIN person p ON p.id = s.person_id WHERE s.id = ?", (number,))  # noqa: S608
    if not rows:
        raise PersonMissingError("this session has ended")
    work.change("DELETE FROM session WHERE id = ?", (number,))
    return person_of(rows[0])


def drop(work: Work, number: int) -> bool:
    """End a session; say whether there was one."""
    return work.change("DELETE FROM session WHERE id = ?", (number,)) > 0


def end_all(work: Work, person: Person, *, but: int = 0) -> int:
    """End every session of a person but one; return how many."""
    return work.change("DELETE FROM session WHERE person_id = ? AND id != ?", (person.id, but))


def everybodys(work: Work) -> list[tuple[SessionRow, Session]]:
    """Return every session there is, the latest used first."""
    rows = work.rows(
        f"SELECT {_PERSON}, s.id, s.created_at, s.created_boottime, s.created_boot, s.seen_at, s.seen_boottime, s.seen_boot, "  # noqa: S608
        "s.address, s.agent FROM session s JOIN person p ON p.id = s.person_id ORDER BY s.seen_at DESC, s.id DESC"
    )
    return [_listed(row) for row in rows]


def _listed(row: Row) -> tuple[SessionRow, Session]:
    person = person_of(row)
    number, *moments, address, agent = row[7:]
    created, seen = Instant(*moments[:3]), Instant(*moments[3:])
    return SessionRow(number, person, created.wall, seen.wall, address, agent), Session(number, person, False, created, seen)


def add_token(work: Work, name: str, permissions: frozenset[Permission], *, by: str, at: float, expires_at: float) -> str:
    """Add a token and return its secret, which is kept nowhere."""
    secret = TOKEN_PREFIX + new_secret()
    try:
        work.insert(
            "INSERT INTO token (digest, name, permissions, made_by, made_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            (digest(secret), name, " ".join(sorted(permissions)), by, at, expires_at),
        )
    except ClashError:
        raise NameTakenError(f"there is a token called {name} already") from None
    return secret


def tokens(work: Work) -> list[TokenRow]:
    """Return all tokens by name."""
    rows = work.rows("SELECT id, name, permissions, made_by, made_at, expires_at, used_at FROM token ORDER BY name")
    return [TokenRow(number, name, _permissions(kept), *others) for number, name, kept, *others in rows]


def find_token(work: Work, secret: str) -> tuple[Machine, float | None] | None:
    """Return whose token this is, valid or not, with when it was used last; or None."""
    if not secret.startswith(TOKEN_PREFIX) or len(secret) > _LONGEST_SECRET:
        return None
    rows = work.rows("SELECT id, name, permissions, expires_at, used_at FROM token WHERE digest = ?", (digest(secret),))
    if not rows:
        return None
    number, name, kept, expires_at, used_at = rows[0]
    return Machine(number, name, _permissions(kept), expires_at), used_at


def touch_token(work: Work, number: int, at: float) -> None:
    """Note that a token was used."""
    work.change("UPDATE token SET used_at = ? WHERE id = ?", (at, number))


def end_token(work: Work, number: int) -> str:
    """Remove a token and return its name. Raises `PersonMissingError`."""
    rows = work.rows("SELECT name FROM token WHERE id = ?", (number,))
    if not rows:
        raise PersonMissingError("there is no such token")
    work.change("DELETE FROM token WHERE id = ?", (number,))
    return str(rows[0][0])


def digest(secret: str) -> bytes:
    """Return what is kept of a secret. It has 256 random bits: nothing slower is needed to keep it from being guessed."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _permissions(kept: str) -> frozenset[Permission]:
    # One that a later version took away gives no right.
    return frozenset(Permission(word) for word in kept.split() if word in set(Permission))
