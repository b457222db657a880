"""The ledger's schema as a numbered list of steps, from nothing to now.

Promises: a step that was released is never changed; a new version adds one at the end. Each is applied once, in order, in one transaction.
Failures: none.
Limits: there is no way back; an older version of the appliance refuses a newer ledger.
"""

from __future__ import annotations

from appliance.ledger import page_schema

# What every step of the hot path touches is small and ordered by the row id, so that inserts append and claims read from one end. The
# partial indexes hold only what waits: a million delivered rows cost a claim nothing.
_FIRST = (
    "CREATE TABLE schema_version (version INTEGER PRIMARY KEY)",
    """
    CREATE TABLE study (
        id INTEGER PRIMARY KEY,
        study_instance_uid TEXT NOT NULL UNIQUE,
        patient_id TEXT NOT NULL,
        patient_name TEXT NOT NULL,
        birth_date TEXT NOT NULL,
        accession_number TEXT NOT NULL,
        study_date TEXT NOT NULL,
        study_description TEXT NOT NULL,
        modalities TEXT NOT NULL,
        received_at REAL NOT NULL
    )
    """,
    # AUTOINCREMENT: a number once given is never given again, because logs and operators' notes name instances and deliveries by it.
    """
    CREATE TABLE instance (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        object_id TEXT NOT NULL UNIQUE,
        study_id INTEGER NOT NULL REFERENCES study (id),
        sop_instance_uid TEXT NOT NULL,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        sop_class_uid TEXT NOT NULL,
        transfer_syntax_uid TEXT NOT NULL,
        series_instance_uid TEXT NOT NULL,
        calling_title TEXT NOT NULL,
        source_address TEXT NOT NULL,
        called_title TEXT NOT NULL,
        spool_name TEXT NOT NULL,
        digest TEXT NOT NULL,
        length INTEGER NOT NULL,
        received_at REAL NOT NULL,
        patient_id TEXT NOT NULL,
        patient_name TEXT NOT NULL,
        birth_date TEXT NOT NULL,
        accession_number TEXT NOT NULL,
        study_date TEXT NOT NULL,
        study_description TEXT NOT NULL,
        modality TEXT NOT NULL,
        body_part TEXT NOT NULL,
        station_name TEXT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX instance_version ON instance (sop_instance_uid, version)",
    "CREATE INDEX instance_study ON instance (study_id, sop_instance_uid)",
    # With the length, so that counting and adding up walk over the index only.
    "CREATE INDEX instance_state ON instance (state, length)",
    # calling_title repeats the instance's, so that a lane that holds an association of one source finds that source's next delivery
    # without walking over another's backlog. Titles are compared without regard to case (house.md section 8).
    """
    CREATE TABLE delivery (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        instance_id INTEGER NOT NULL REFERENCES instance (id),
        destination_id TEXT NOT NULL,
        cause TEXT NOT NULL,
        cause_ref TEXT NOT NULL,
        state TEXT NOT NULL,
        hold_class TEXT,
        priority INTEGER NOT NULL,
        calling_title TEXT NOT NULL COLLATE NOCASE,
        owner TEXT,
        blocked_by INTEGER REFERENCES delivery (id),
        due_wall REAL,
        due_boottime REAL,
        due_boot_id TEXT,
        queued_at REAL NOT NULL,
        ended_at REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        soft_attempts INTEGER NOT NULL DEFAULT 0,
        unknown_outcomes INTEGER NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT '',
        proof TEXT NOT NULL DEFAULT '',
        UNIQUE (instance_id, destination_id, cause, cause_ref)
    )
    """,
    "CREATE INDEX delivery_state ON delivery (state)",
    """
    CREATE INDEX delivery_owed ON delivery (destination_id, state)
        WHERE state IN ('queued', 'sending', 'deferred', 'held')
    """,
    """
    CREATE INDEX delivery_ready ON delivery (destination_id, priority)
        WHERE state = 'queued' AND blocked_by IS NULL
    """,
    """
    CREATE INDEX delivery_ready_for_title ON delivery (destination_id, calling_title, priority)
        WHERE state = 'queued' AND blocked_by IS NULL
    """,
    "CREATE INDEX delivery_blocked ON delivery (blocked_by) WHERE blocked_by IS NOT NULL",
    "CREATE INDEX delivery_due ON delivery (destination_id, due_boot_id, due_boottime) WHERE due_boot_id IS NOT NULL",
    """
    CREATE TABLE attempt (
        id INTEGER PRIMARY KEY,
        delivery_id INTEGER NOT NULL REFERENCES delivery (id),
        at REAL NOT NULL,
        outcome TEXT NOT NULL,
        status INTEGER,
        comment TEXT NOT NULL
    )
    """,
    "CREATE INDEX attempt_delivery ON attempt (delivery_id)",
    """
    CREATE TABLE destination_state (
        id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        since REAL NOT NULL,
        due_wall REAL,
        due_boottime REAL,
        due_boot_id TEXT,
        lanes INTEGER NOT NULL,
        last_success REAL,
        backoff_s REAL NOT NULL,
        learned TEXT NOT NULL
    ) WITHOUT ROWID
    """,
)

# What operators ask, and what keeps the ledger from growing for ever.
_SECOND = (
    # `sequence` is the order of what was asked, because clocks step; `object_id` and `spool_name` are the sealed order's, if there is one.
    """
    CREATE TABLE request (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        sequence INTEGER NOT NULL,
        object_id TEXT UNIQUE,
        spool_name TEXT,
        verb TEXT NOT NULL,
        who TEXT NOT NULL,
        reason TEXT NOT NULL,
        count INTEGER NOT NULL,
        at REAL NOT NULL
    )
    """,
    "CREATE INDEX request_sequence ON request (sequence)",
    "ALTER TABLE instance ADD COLUMN evicted_at REAL",
    "CREATE INDEX instance_evicted ON instance (evicted_at) WHERE evicted_at IS NOT NULL",
)

# Until when a route asks to keep an instance, whether or not it is owed anywhere.
_THIRD = ("ALTER TABLE instance ADD COLUMN keep_until REAL",)

# The objects of the same bytes sent again, as long as a rebuild may need them.
_FOURTH = (
    """
    CREATE TABLE repeat (
        object_id TEXT PRIMARY KEY NOT NULL,
        spool_name TEXT NOT NULL,
        instance_id INTEGER NOT NULL REFERENCES instance (id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX repeat_instance ON repeat (instance_id)",
)

# Studies that are waited for, and what was told of them. An event outlives its study, so that it names it by its UID.
_COMPLETION = (
    """
    CREATE TABLE completion (
        study_id INTEGER PRIMARY KEY REFERENCES study (id) ON DELETE CASCADE,
        due_wall REAL,
        due_boottime REAL,
        due_boot_id TEXT,
        round INTEGER NOT NULL,
        completed_at REAL
    )
    """,
    "CREATE INDEX completion_due ON completion (due_boot_id, due_boottime) WHERE due_boot_id IS NOT NULL",
    """
    CREATE TABLE study_arrival (
        study_id INTEGER NOT NULL REFERENCES study (id) ON DELETE CASCADE,
        destination_id TEXT NOT NULL,
        PRIMARY KEY (study_id, destination_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE study_event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        study_instance_uid TEXT NOT NULL,
        destination_id TEXT NOT NULL,
        round INTEGER NOT NULL,
        at REAL NOT NULL,
        received INTEGER NOT NULL,
        delivered INTEGER NOT NULL,
        proved INTEGER NOT NULL,
        given_up INTEGER NOT NULL
    )
    """,
    # So that `skip_numbers` skips some here too before the first event was told.
    "INSERT INTO sqlite_sequence (name, seq) VALUES ('study_event', 0)",
    "CREATE INDEX study_event_study ON study_event (study_instance_uid, destination_id)",
    "CREATE INDEX study_event_at ON study_event (at)",
)

# How many boxes the instance had passed, at most: a repeat of the same bytes may have passed more than the first.
_HOPS = ("ALTER TABLE instance ADD COLUMN hops INTEGER NOT NULL DEFAULT 0",)

# Large objects by themselves, so that a lane that is to be free of them finds the next small one at once. More than 64 MiB, which is what
# `claims.LARGE_BYTES` was when this step was made.
_LARGE = (
    "ALTER TABLE delivery ADD COLUMN large INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE delivery SET large = 1
    WHERE state IN ('queued', 'sending', 'deferred', 'held') AND (SELECT length FROM instance WHERE id = instance_id) > 67108864
    """,
    """
    CREATE INDEX delivery_ready_small ON delivery (destination_id, priority)
        WHERE state = 'queued' AND blocked_by IS NULL AND large = 0
    """,
)

# Since when a delivery has been held: tried again each day, it is held again each day.
_HELD_AT = ("ALTER TABLE delivery ADD COLUMN held_at REAL",)

# What waits for an archive's word, what was asked, and the reports that were not dealt with yet.
_PROOF = (
    """
    CREATE TABLE proof (
        delivery_id INTEGER PRIMARY KEY REFERENCES delivery (id) ON DELETE CASCADE,
        destination_id TEXT NOT NULL,
        study_id INTEGER NOT NULL,
        stage TEXT NOT NULL,
        due_wall REAL NOT NULL,
        due_boottime REAL NOT NULL,
        due_boot_id TEXT NOT NULL,
        transaction_uid TEXT,
        misses INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        losses INTEGER NOT NULL
    )
    """,
    "CREATE INDEX proof_waiting ON proof (destination_id, stage, study_id, due_boot_id, due_boottime)",
    """
    CREATE INDEX proof_again ON proof (destination_id, due_boot_id, due_boottime) WHERE stage IN ('again', 'asked')
    """,
    "CREATE INDEX proof_transaction ON proof (transaction_uid) WHERE transaction_uid IS NOT NULL",
    """
    CREATE TABLE commitment (
        transaction_uid TEXT PRIMARY KEY NOT NULL,
        destination_id TEXT NOT NULL,
        asked_at REAL NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE commitment_report (
        id INTEGER PRIMARY KEY,
        object_id TEXT UNIQUE,
        transaction_uid TEXT NOT NULL,
        caller TEXT NOT NULL,
        at REAL NOT NULL,
        results TEXT NOT NULL,
        done INTEGER NOT NULL
    )
    """,
    "CREATE INDEX commitment_asked ON commitment (asked_at)",
)

# Destinations to which a person lets nothing go.
_PAUSE = (
    """
    CREATE TABLE pause (
        destination_id TEXT PRIMARY KEY NOT NULL,
        until REAL,
        who TEXT NOT NULL,
        reason TEXT NOT NULL,
        at REAL NOT NULL
    ) WITHOUT ROWID
    """,
)

# What archives say they have lost: few rows, looked at for every destination all the time.
_LOSSES = (
    "CREATE INDEX proof_lost ON proof (destination_id) WHERE losses > 0",
    "CREATE INDEX proof_missed ON proof (destination_id, stage) WHERE misses > 2",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    *(_FIRST, _SECOND, _THIRD, _FOURTH, _COMPLETION, _HOPS, _LARGE, _HELD_AT, _PROOF, _PAUSE, _LOSSES),
    *(page_schema.STUDY_TEXT, page_schema.ACQUIRED, page_schema.HELD_TOGETHER, page_schema.TRAFFIC),
)
"""The statements of each step; the step at index n makes schema version n + 1."""

LATEST = len(MIGRATIONS)
"""The schema version that this code reads and writes."""
