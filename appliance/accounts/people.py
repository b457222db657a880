"""People in the database of accounts: finding, adding, changing and removing them.

Promises: a name is found however it is capitalised. The last administrator who is enabled and has no end stays one (`insist`).
Failures: `NameTakenError`, `PersonMissingError`, `LastAdministratorError`.
Limits: what an account may be is the façade's to check.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.accounts.faults import LastAdministratorError, NameTakenError, PersonMissingError
from appliance.accounts.person import Account, Person, plain_name
from appliance.accounts.roles import Role
from appliance.accounts.store import ClashError, Row, Value, Work

_COLUMNS = "id, name, full_name, role, language, expires_at, is_enabled"
# What may be changed of a row, by the name of its column.
_CHANGEABLE = frozenset(
    {"full_name", "role", "language", "password", "one_time_until", "expires_at", "is_enabled", "last_log_in_at"},
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A person with what is secret: the hash of the password, and until when it may be used where somebody else gave it."""

    person: Person
    password: str
    one_time_until: float | None


def add(work: Work, person: Person, password: str, *, one_time_until: float | None, at: float) -> Person:
    """Add a person (whose number does not count) and return them with their number."""
    try:
        number = work.insert(
            "INSERT INTO person (name, full_name, role, language, password, one_time_until, expires_at, is_enabled, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                plain_name(person.name), person.full_name, person.role.value, person.language, password, one_time_until,
                person.expires_at, int(person.is_enabled), at,
            ),
        )  # fmt: skip
    except ClashError:
        raise NameTakenError(f"there is somebody called {plain_name(person.name)} already") from None
    return get(work, number)


def find(work: Work, name: str) -> Kept | None:
    """Return the person of a name with what is secret, or None."""
    rows = work.rows(f"SELECT {_COLUMNS}, password, one_time_until FROM person WHERE name = ?", (plain_name(name),))  # noqa: S608 (constants)
    return Kept(person_of(rows[0]), rows[0][7], rows[0][8]) if rows else None


def get(work: Work, number: int) -> Person:
    """Return the person of a number. Raises `PersonMissingError`."""
    rows = work.rows(f"SELECT {_COLUMNS} FROM person WHERE id = ?", (number,))  # noqa: S608 (constants)
    if not rows:
        raise PersonMissingError("there is no such person")
    return person_of(rows[0])


def named(work: Work, name: str) -> Person:
    """Return the person of a name. Raises `PersonMissingError`."""
    kept = find(work, name)
    if kept is None:
        raise PersonMissingError(f"there is nobody called {plain_name(name)}")
    return kept.person


def everybody(work: Work) -> list[Account]:
    """Return all accounts by name."""
    rows = work.rows(f"SELECT {_COLUMNS}, created_at, last_log_in_at, one_time_until FROM person ORDER BY name")  # noqa: S608 (constants)
    return [Account(person_of(row), row[7], row[8], row[9] is not None) for row in rows]


def change(work: Work, number: int, **values: Value) -> Person:
    """Change columns of a person and return the person as they are then."""
    if not set(values) <= _CHANGEABLE:
        raise ValueError("not a column that changes")
    assignments = ", ".join(f"{column} = ?" for column in values)
    work.change(f"UPDATE person SET {assignments} WHERE id = ?", (*values.values(), number))  # noqa: S608 (columns from the table above)
    return get(work, number)


def remove(work: Work, number: int) -> None:
    """Remove a person, their sessions with them."""
    work.change("DELETE FROM person WHERE id = ?", (number,))


def has_administrator(work: Work) -> bool:
    """Say whether anybody administers the box, or did: then the first start is over."""
    return bool(work.rows("SELECT 1 FROM person WHERE role = ? LIMIT 1", (Role.ADMINISTRATOR.value,)))


def insist_on_an_administrator(work: Work) -> None:
    """Raise `LastAdministratorError` where nobody could administer the box any more; call it after a change, inside the same `write()`."""
    lasting = work.rows(
        "SELECT 1 FROM person WHERE role = ? AND is_enabled = 1 AND expires_at IS NULL LIMIT 1", (Role.ADMINISTRATOR.value,)
    )
    if not lasting:
        raise LastAdministratorError("this is the last administrator of the box")


def is_familiar(work: Work, number: int, address: str, *, since: float) -> bool:
    """Say whether the person logged in from an address since a moment."""
    return bool(work.rows("SELECT 1 FROM familiar WHERE person_id = ? AND address = ? AND at >= ?", (number, address, since)))


def remember_address(work: Work, number: int, address: str, *, at: float, since: float) -> None:
    """Note that the person logged in from an address; forget those from before `since`."""
    work.change("DELETE FROM familiar WHERE at < ?", (since,))
    work.change(
        "INSERT INTO familiar (person_id, address, at) VALUES (?, ?, ?) ON CONFLICT (person_id, address) DO UPDATE SET at = excluded.at",
        (number, address, at),
    )


def person_of(row: Row, *, address: str = "") -> Person:
    """Return the person of a row that begins with the columns of a person."""
    number, name, full_name, role, language, expires_at, is_enabled = row[:7]
    return Person(number, name, full_name, Role(role), language, expires_at, bool(is_enabled), address)
