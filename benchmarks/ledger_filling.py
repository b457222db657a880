"""A data directory whose ledger has long been in use: studies, instances, deliveries and attempts of months, all delivered or some waiting.

Promises: `filled` returns a directory with keys and a ledger of this many instances, made once and kept for the next run; the rows are
what reception and delivery leave behind, with UIDs, ids and digests in no order that an index could like better than real ones.
Failures: `BenchmarkError` when it cannot be made.
Limits: the rows have no objects in the spool: who walks over the store sees an empty one. A ledger of another schema is another directory.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.keyring import ledger_key, root_key
from appliance.ledger import cipher_file
from appliance.ledger.database import ledger_path
from appliance.ledger.migrations import LATEST
from benchmarks.box import Box
from benchmarks.failures import BenchmarkError
from benchmarks.measuring import started

# A study of CT has some hundreds of images; a box of three months has thousands of studies.
_INSTANCES_A_STUDY = 250
# An image every eight seconds is a million in three months; the last of them came a while ago.
_APART_S = 8.0
# What a ledger is worth something with; everything else a box makes anew.
_KEPT = ("keys", "ledger")
# Changes when the rows below do: a directory that was kept is then made anew.
_FORM = 3
# The filling alone: nothing of it needs to survive a power cut before it is complete, and its indexes are written in no order.
_PRAGMAS = ("PRAGMA synchronous = off", "PRAGMA cache_size = -1048576")

# A name repeats its id and digest, which are random: they are made once a row, and so kept (MATERIALIZED).
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :instances)"
# 38 digits behind the root, of which the first is no 0.
_UID = "'2.25.' || printf('%019d%019d', abs(random() % 9000000000000000000) + 1000000000000000000, abs(random() % 9999999999999999999))"
_AT = ":began + i * :apart"

_STUDIES = f"""
    {_NUMBERS} INSERT INTO study (
        id, study_instance_uid, patient_id, patient_name, birth_date, accession_number, study_date, study_description, modalities,
        received_at
    ) SELECT i, {_UID}, printf('B%08d', i), printf('GENERATED^%d', i), '19700101', printf('A%08d', i), '20240229', 'BENCHMARK', 'CT',
        :began + i * :apart * :each
    FROM n WHERE i <= (:instances + :each - 1) / :each
"""  # noqa: S608 - our own words; values are bound
_INSTANCES = f"""
    {_NUMBERS}, made(i, id, digest) AS MATERIALIZED (
        SELECT i, printf('%012x', CAST(({_AT}) * 1000 AS INTEGER)) || lower(hex(randomblob(10))), lower(hex(randomblob(16))) FROM n
    ) INSERT INTO instance (
        id, object_id, study_id, sop_instance_uid, version, state, sop_class_uid, transfer_syntax_uid, series_instance_uid, calling_title,
        source_address, called_title, spool_name, digest, length, received_at, patient_id, patient_name, birth_date, accession_number,
        study_date, study_description, modality, body_part, station_name
    ) SELECT i, id, 1 + (i - 1) / :each, {_UID}, 1, 'stored', '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1',
        '2.25.1' || printf('%037d', (i - 1) / :each), 'BENCH', '127.0.0.1', 'EDGE', id || '-g1-' || digest || '-524600.i.age', digest,
        524600,        {_AT}, printf('B%08d', 1 + (i - 1) / :each), printf('GENERATED^%d', 1 + (i - 1) / :each), '19700101',
        printf('A%08d', 1 + (i - 1) / :each), '20240229', 'BENCHMARK', 'CT', 'CHEST', 'CT1'
    FROM made
"""  # noqa: S608
_DELIVERIES = f"""
    {_NUMBERS} INSERT INTO delivery (
        id, instance_id, destination_id, cause, cause_ref, state, priority, calling_title, queued_at, ended_at, attempts, reason, proof
    ) SELECT i, i, 'sink', 'route', '', 'delivered', 1, 'BENCH', {_AT}, {_AT} + 1, 1, '', '' FROM n
"""  # noqa: S608
# What is kept beside the rows for those who look (`ledger.traffic`, `ledger.studies`).
_LOOKED_AT = (
    """
    INSERT INTO study_text
    SELECT id, lower(patient_name || ' ' || patient_id || ' ' || accession_number || ' ' || study_description) FROM study
    """,
    """
    INSERT INTO arrival
    SELECT CAST(received_at / 900 AS INTEGER) * 15, calling_title, source_address, count(*), sum(length), max(received_at), NULL,
        min(id)
    FROM instance GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO departure
    SELECT CAST(ended_at / 900 AS INTEGER) * 15, destination_id, count(*) FROM delivery WHERE state = 'delivered' GROUP BY 1, 2
    """,
)
# The newest are what a destination that went away did not get.
_WAITING = (
    "DELETE FROM attempt WHERE delivery_id > :instances - :waiting",
    "UPDATE delivery SET state = 'queued', ended_at = NULL, attempts = 0 WHERE id > :instances - :waiting",
)
_ATTEMPTS = (
    f"{_NUMBERS} INSERT INTO attempt (id, delivery_id, at, outcome, status, comment) SELECT i, i, {_AT} + 1, 'accepted', 0, '' FROM n"  # noqa: S608
)


def filled(instances: int, kept: Path, say: Callable[[str], None], *, waiting: int = 0) -> Path:
    """Return the data directory of a box that is not running, whose ledger has this many instances; the newest `waiting` are owed still."""
    place = kept / f"ledger-{instances}-waiting-{waiting}-schema-{LATEST}-form-{_FORM}"
    if place.is_dir():
        return place
    say(f"filling a ledger with {instances:,} instances, once")
    began = time.monotonic()
    draft = kept / "ledger-draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    with started(Box(), draft / "box") as (program, box):
        program.rest()
        program.end()
        _fill(box.data, instances, waiting)
        shutil.rmtree(box.data / "ledger" / "snapshots", ignore_errors=True)
        used = draft / "used"
        for part in _KEPT:
            shutil.copytree(box.data / part, used / part)
    used.rename(place)
    shutil.rmtree(draft)
    say(f"filled in {time.monotonic() - began:.0f} s, {ledger_path(place).stat().st_size / 2**20:.0f} MiB")
    return place


def _fill(data: Path, instances: int, waiting: int) -> None:
    """Add the rows to the ledger of a box that has ended."""
    began = time.time() - 3600 - instances * _APART_S
    values = {"instances": instances, "each": _INSTANCES_A_STUDY, "apart": _APART_S, "began": began, "waiting": waiting}
    database = cipher_file.connect(ledger_path(data), ledger_key(root_key(data)))
    try:
        for statement in _PRAGMAS:
            cipher_file.execute(database, statement)
        cipher_file.execute(database, "BEGIN IMMEDIATE")
        # The repositories would take an hour: they ask before each row.
        connection: Any = database.connection()  # type: ignore[no-untyped-call]
        for statement in (_STUDIES, _INSTANCES, _DELIVERIES, _ATTEMPTS, *_WAITING, *_LOOKED_AT):
            connection.execute(statement, values)
        cipher_file.execute(database, "COMMIT")
        cipher_file.checkpoint(database)
        ((count,),) = cipher_file.execute(database, "SELECT count(*) FROM attempt")
    finally:
        database.close()
    if count != instances - waiting:
        raise BenchmarkError(f"the ledger has {count} of {instances} rows")
