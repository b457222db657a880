"""What the schema has for the pages: the steps that make it, and the tables that hang on no other as models.

Promises: as `migrations` and `tables`, of which this is a part.
Failures: none.
Limits: none.
"""

from __future__ import annotations

from peewee import CompositeKey, FloatField, IntegerField, Model, TextField


class ArrivalTable(Model):
    """What one source sent in one minute."""

    minute = IntegerField()
    calling_title = TextField()
    source_address = TextField()
    instances = IntegerField()
    bytes = IntegerField()
    last_at = FloatField()
    least_lag = FloatField(null=True)
    first_id = IntegerField(null=True)

    class Meta:
        """Name the table."""

        table_name = "arrival"
        primary_key = CompositeKey("minute", "calling_title", "source_address")


class DepartureTable(Model):
    """What one destination took in one minute."""

    minute = IntegerField()
    destination_id = TextField()
    instances = IntegerField()

    class Meta:
        """Name the table."""

        table_name = "departure"
        primary_key = CompositeKey("minute", "destination_id")


# What studies are searched in, folded (`words`), in rows so small that to look at all of them takes milliseconds. `study_text` is the
# function of that name, which `cipher_file` lends to migrations.
STUDY_TEXT = (
    """
    CREATE TABLE study_text (
        study_id INTEGER PRIMARY KEY REFERENCES study (id) ON DELETE CASCADE,
        text TEXT NOT NULL
    )
    """,
    "INSERT INTO study_text SELECT id, study_text(patient_name, patient_id, accession_number, study_description) FROM study",
)

# When the scanner says that it made the instance; of those that were recorded before nobody knows. And what is asked of many instances at
# once, without their rows: an instance row is forty times as long, and this appends.
ACQUIRED = (
    "ALTER TABLE instance ADD COLUMN acquired_at REAL",
    "CREATE INDEX instance_brief ON instance (id, study_id, received_at)",
)

# Everything that is told about what is held, in one place; only what is held, or lets go, is written there.
HELD_TOGETHER = ("CREATE INDEX delivery_held ON delivery (destination_id, hold_class, reason, held_at, instance_id) WHERE state = 'held'",)

# What came and went, by minute (`traffic`). What there is already is summed up by quarters of an hour, as what is old is.
TRAFFIC = (
    """
    CREATE TABLE arrival (
        minute INTEGER NOT NULL,
        calling_title TEXT NOT NULL COLLATE NOCASE,
        source_address TEXT NOT NULL,
        instances INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        last_at REAL NOT NULL,
        least_lag REAL,
        first_id INTEGER,
        PRIMARY KEY (minute, calling_title, source_address)
    ) WITHOUT ROWID
    """,
    """
    INSERT INTO arrival
    SELECT CAST(received_at / 900 AS INTEGER) * 15, calling_title COLLATE NOCASE, source_address, count(*), sum(length),
        max(received_at), NULL, min(id)
    FROM instance GROUP BY 1, 2, 3
    """,
    """
    CREATE TABLE departure (
        minute INTEGER NOT NULL,
        destination_id TEXT NOT NULL,
        instances INTEGER NOT NULL,
        PRIMARY KEY (minute, destination_id)
    ) WITHOUT ROWID
    """,
    """
    INSERT INTO departure
    SELECT CAST(ended_at / 900 AS INTEGER) * 15, destination_id, count(*)
    FROM delivery WHERE state IN ('delivered', 'proved') AND ended_at IS NOT NULL GROUP BY 1, 2
    """,
)
