"""The journal: who did what, from where, with what before and after. It is added to, never changed.

Promises: rows are numbered in order; a search is of words, not of patterns, and finds capitals and small letters alike (of ASCII).
Failures: none.
Limits: texts are cut at 2,000 characters. Nothing of a patient belongs in here but a study's UID. It is no proof against who has the
database's key.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.accounts.person import Actor, JournalRow
from appliance.accounts.store import Value, Work

DONE = "done"
REFUSED = "refused"

_TEXT_LENGTH = 2000
_COLUMNS = "id, at, who, address, action, thing, before, after, reason, outcome"
_SEARCHED = "lower(who || ' ' || address || ' ' || action || ' ' || thing || ' ' || before || ' ' || after || ' ' || reason)"
_MOST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be written down: `action` is a constant name, `thing` what it was done to."""

    action: str
    thing: str = ""
    before: str = ""
    after: str = ""
    reason: str = ""
    outcome: str = DONE


@dataclass(frozen=True, slots=True)
class Search:
    """Which rows: every word is in them; of one person; between two moments (seconds since 1970); with a number below `after`."""

    words: str = ""
    who: str = ""
    since: float | None = None
    until: float | None = None
    after: int | None = None
    limit: int = 100


def write(work: Work, at: float, who: Actor, entry: Entry) -> None:
    """Add a row."""
    texts = (who.name, who.address, entry.action, entry.thing, entry.before, entry.after, entry.reason, entry.outcome)
    work.insert(
        "INSERT INTO journal (at, who, address, action, thing, before, after, reason, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (at, *(_clean(text) for text in texts)),
    )


def was_written(work: Work, who: Actor, entry: Entry, *, since: float) -> bool:
    """Say whether the same stands among the newest rows: what somebody repeats a hundred times a second is written once."""
    rows = work.rows(
        "SELECT 1 FROM (SELECT * FROM journal ORDER BY id DESC LIMIT 200) WHERE who = ? AND action = ? AND thing = ? AND at > ? LIMIT 1",
        (who.name, entry.action, _clean(entry.thing), since),
    )
    return bool(rows)


def find(work: Work, search: Search) -> list[JournalRow]:
    """Return the rows that match, newest first."""
    conditions: list[str] = []
    values: list[Value] = []
    for word in search.words.split()[:_MOST_WORDS]:
        conditions.append(f"instr({_SEARCHED}, lower(?)) > 0")
        values.append(word)
    for condition, value in (
        ("who = ?", search.who or None),
        ("at >= ?", search.since),
        ("at < ?", search.until),
        ("id < ?", search.after),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    where = " AND ".join(conditions) or "1"
    rows = work.rows(f"SELECT {_COLUMNS} FROM journal WHERE {where} ORDER BY id DESC LIMIT ?", (*values, search.limit))  # noqa: S608
    return [JournalRow(*row) for row in rows]


def _clean(text: str) -> str:
    # What would command a terminal, or end a line of an export, is a space.
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text[:_TEXT_LENGTH])
