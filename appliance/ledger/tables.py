"""The tables as peewee models, and with them the description that the migrations must arrive at.

These and those of `page_schema` are the only models in the house.

Promises: a test compares every model with the migrated schema. Models never leave this package and are bound to no database: queries made
with them are run by `Ledger.rows` and `Ledger.change`.
Failures: none.
Limits: indexes and defaults are in `migrations` only. Statements of the hot path are written out where they are used, because building one
with peewee costs several times what running it costs.
"""

from __future__ import annotations

from peewee import AutoField, CompositeKey, FloatField, ForeignKeyField, IntegerField, Model, TextField

from appliance.ledger.page_schema import ArrivalTable, DepartureTable


class StudyTable(Model):
    """A study, with what its first instance that said so said about it."""

    id = AutoField()
    study_instance_uid = TextField()
    patient_id = TextField()
    patient_name = TextField()
    birth_date = TextField()
    accession_number = TextField()
    study_date = TextField()
    study_description = TextField()
    modalities = TextField()
    received_at = FloatField()

    class Meta:
        """Name the table."""

        table_name = "study"


class StudyTextTable(Model):
    """What a study is searched in, folded."""

    study = ForeignKeyField(StudyTable, primary_key=True)
    text = TextField()

    class Meta:
        """Name the table."""

        table_name = "study_text"


class InstanceTable(Model):
    """A received object."""

    id = AutoField()
    object_id = TextField()
    study = ForeignKeyField(StudyTable)
    sop_instance_uid = TextField()
    version = IntegerField()
    state = TextField()
    sop_class_uid = TextField()
    transfer_syntax_uid = TextField()
    series_instance_uid = TextField()
    calling_title = TextField()
    source_address = TextField()
    called_title = TextField()
    spool_name = TextField()
    digest = TextField()
    length = IntegerField()
    received_at = FloatField()
    patient_id = TextField()
    patient_name = TextField()
    birth_date = TextField()
    accession_number = TextField()
    study_date = TextField()
    study_description = TextField()
    modality = TextField()
    body_part = TextField()
    station_name = TextField()
    evicted_at = FloatField(null=True)
    keep_until = FloatField(null=True)
    hops = IntegerField()
    acquired_at = FloatField(null=True)

    class Meta:
        """Name the table."""

        table_name = "instance"


class DeliveryTable(Model):
    """One instance owed to one destination."""

    id = AutoField()
    instance = ForeignKeyField(InstanceTable)
    destination_id = TextField()
    cause = TextField()
    cause_ref = TextField()
    state = TextField()
    hold_class = TextField(null=True)
    priority = IntegerField()
    calling_title = TextField()
    owner = TextField(null=True)
    blocked_by = ForeignKeyField("self", column_name="blocked_by", null=True)
    due_wall = FloatField(null=True)
    due_boottime = FloatField(null=True)
    due_boot_id = TextField(null=True)
    queued_at = FloatField()
    ended_at = FloatField(null=True)
    attempts = IntegerField()
    soft_attempts = IntegerField()
    unknown_outcomes = IntegerField()
    reason = TextField()
    proof = TextField()
    large = IntegerField()
    held_at = FloatField(null=True)

    class Meta:
        """Name the table."""

        table_name = "delivery"


class AttemptTable(Model):
    """One try of a delivery."""

    id = AutoField()
    delivery = ForeignKeyField(DeliveryTable)
    at = FloatField()
    outcome = TextField()
    status = IntegerField(null=True)
    comment = TextField()

    class Meta:
        """Name the table."""

        table_name = "attempt"


class DestinationStateTable(Model):
    """How a destination is doing."""

    id = TextField(primary_key=True)
    state = TextField()
    reason = TextField()
    since = FloatField()
    due_wall = FloatField(null=True)
    due_boottime = FloatField(null=True)
    due_boot_id = TextField(null=True)
    lanes = IntegerField()
    last_success = FloatField(null=True)
    backoff_s = FloatField()
    learned = TextField()

    class Meta:
        """Name the table."""

        table_name = "destination_state"


class RequestTable(Model):
    """What somebody asked of the box."""

    id = AutoField()
    sequence = IntegerField()
    object_id = TextField(null=True)
    spool_name = TextField(null=True)
    verb = TextField()
    who = TextField()
    reason = TextField()
    count = IntegerField()
    at = FloatField()

    class Meta:
        """Name the table."""

        table_name = "request"


class PauseTable(Model):
    """A destination that a person paused."""

    destination_id = TextField(primary_key=True)
    until = FloatField(null=True)
    who = TextField()
    reason = TextField()
    at = FloatField()

    class Meta:
        """Name the table."""

        table_name = "pause"


class RepeatTable(Model):
    """An object that repeats the bytes of an instance."""

    object_id = TextField(primary_key=True)
    spool_name = TextField()
    instance = ForeignKeyField(InstanceTable)

    class Meta:
        """Name the table."""

        table_name = "repeat"


class CompletionTable(Model):
    """Until when a study is waited for, or since when it is complete."""

    study = ForeignKeyField(StudyTable, primary_key=True)
    due_wall = FloatField(null=True)
    due_boottime = FloatField(null=True)
    due_boot_id = TextField(null=True)
    round = IntegerField()
    completed_at = FloatField(null=True)

    class Meta:
        """Name the table."""

        table_name = "completion"


class StudyArrivalTable(Model):
    """A complete study that a destination may still be owed something of."""

    study = ForeignKeyField(StudyTable)
    destination_id = TextField()

    class Meta:
        """Name the table."""

        table_name = "study_arrival"
        primary_key = CompositeKey("study", "destination_id")


class StudyEventTable(Model):
    """That a study was delivered to a destination."""

    id = AutoField()
    study_instance_uid = TextField()
    destination_id = TextField()
    round = IntegerField()
    at = FloatField()
    received = IntegerField()
    delivered = IntegerField()
    proved = IntegerField()
    given_up = IntegerField()

    class Meta:
        """Name the table."""

        table_name = "study_event"


class ProofTable(Model):
    """A delivery that waits for the archive's word."""

    delivery = ForeignKeyField(DeliveryTable, primary_key=True)
    destination_id = TextField()
    study_id = IntegerField()
    stage = TextField()
    due_wall = FloatField()
    due_boottime = FloatField()
    due_boot_id = TextField()
    transaction_uid = TextField(null=True)
    misses = IntegerField()
    failures = IntegerField()
    losses = IntegerField()

    class Meta:
        """Name the table."""

        table_name = "proof"


class CommitmentTable(Model):
    """A request for storage commitment."""

    transaction_uid = TextField(primary_key=True)
    destination_id = TextField()
    asked_at = FloatField()

    class Meta:
        """Name the table."""

        table_name = "commitment"


class CommitmentReportTable(Model):
    """A report that was not dealt with yet."""

    id = AutoField()
    object_id = TextField(null=True)
    transaction_uid = TextField()
    caller = TextField()
    at = FloatField()
    results = TextField()
    done = IntegerField()

    class Meta:
        """Name the table."""

        table_name = "commitment_report"


MODELS: tuple[type[Model], ...] = (
    StudyTable,
    StudyTextTable,
    InstanceTable,
    DeliveryTable,
    AttemptTable,
    DestinationStateTable,
    RequestTable,
    RepeatTable,
    PauseTable,
    CompletionTable,
    StudyArrivalTable,
    StudyEventTable,
    ProofTable,
    CommitmentTable,
    CommitmentReportTable,
    ArrivalTable,
    DepartureTable,
)
