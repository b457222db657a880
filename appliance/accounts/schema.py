"""The schema of the accounts as a numbered list of steps, from nothing to now.

Promises: a step that was released is never changed; a new version adds one at the end. The journal can be added to and nothing else: the
database itself refuses to change or remove a row of it.
Failures: none.
Limits: there is no way back; an older version of the appliance refuses a newer database.
"""

from __future__ import annotations

# AUTOINCREMENT: a number once given is never given again, because the journal and addresses of pages name people and sessions by it.
# A moment that is compared with later ones is kept on both clocks (runtime/clock): the first start sets the wall clock.
_FIRST = (
    "CREATE TABLE schema_version (version INTEGER PRIMARY KEY)",
    """
    CREATE TABLE person (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        full_name TEXT NOT NULL,
        role TEXT NOT NULL,
        language TEXT NOT NULL DEFAULT '',
        password TEXT NOT NULL,
        one_time_until REAL,
        expires_at REAL,
        is_enabled INTEGER NOT NULL DEFAULT 1,
        created_at REAL NOT NULL,
        last_log_in_at REAL
    )
    """,
    """
    CREATE TABLE session (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        digest BLOB NOT NULL UNIQUE,
        person_id INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
        address TEXT NOT NULL,
        agent TEXT NOT NULL,
        created_at REAL NOT NULL,
        created_boottime REAL NOT NULL,
        created_boot TEXT NOT NULL,
        seen_at REAL NOT NULL,
        seen_boottime REAL NOT NULL,
        seen_boot TEXT NOT NULL
    )
    """,
    "CREATE INDEX session_person ON session (person_id)",
    # From where somebody logged in before: a flood of wrong passwords from elsewhere does not slow them down there.
    """
    CREATE TABLE familiar (
        person_id INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
        address TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (person_id, address)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE delay (
        subject BLOB PRIMARY KEY,
        failures INTEGER NOT NULL,
        at REAL NOT NULL,
        boottime REAL NOT NULL,
        boot TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE token (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        digest BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        permissions TEXT NOT NULL,
        made_by TEXT NOT NULL,
        made_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        used_at REAL
    )
    """,
    """
    CREATE TABLE journal (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        address TEXT NOT NULL,
        action TEXT NOT NULL,
        thing TEXT NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        reason TEXT NOT NULL,
        outcome TEXT NOT NULL
    )
    """,
    "CREATE INDEX journal_at ON journal (at)",
    "CREATE TRIGGER journal_unchanged BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is added to only'); END",
    "CREATE TRIGGER journal_kept BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is added to only'); END",
    # The first start: the hash of the code that is good for it, and how far the questions were answered.
    """
    CREATE TABLE setup (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        code TEXT NOT NULL,
        wizard TEXT NOT NULL,
        at REAL NOT NULL,
        boottime REAL NOT NULL,
        boot TEXT NOT NULL
    )
    """,
    "INSERT INTO setup (one, code, wizard, at, boottime, boot) VALUES (1, '', '{}', 0, 0, '')",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)
LATEST = len(MIGRATIONS)
