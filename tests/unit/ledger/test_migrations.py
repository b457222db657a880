"""The schema that the migrations make is the schema that the models describe."""

from __future__ import annotations

from pathlib import Path

import pytest
from peewee import Model

from appliance.ledger.backlog import Backlog, Day
from appliance.ledger.database import Ledger
from appliance.ledger.migrations import LATEST, MIGRATIONS
from appliance.ledger.study_search import StudyQuery, StudySearch
from appliance.ledger.study_timeline import timeline_of
from appliance.ledger.tables import MODELS
from appliance.ledger.traffic import Traffic
from tests.unit.ledger.bench import KEY, Bench


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.table_name)
def test_models_describe_the_migrated_tables(bench: Bench, model: type[Model]) -> None:
    """Each model has exactly the columns of its table, in order, nullable where the table's are."""
    with bench.ledger.read():
        rows = bench.ledger.rows(f"PRAGMA table_info({model._meta.table_name})")

    # A row id has no NOT NULL of its own, and cannot be null.
    migrated = [(name, not not_null and not primary_key) for _, name, _, not_null, _, primary_key in rows]
    described = [(field.column_name, field.null) for field in model._meta.sorted_fields]
    assert described == migrated


def test_every_table_has_a_model(bench: Bench) -> None:
    """No table exists beside the models, except the one that holds the version."""
    with bench.ledger.read():
        tables = {name for (name,) in bench.ledger.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}

    assert tables == {model._meta.table_name for model in MODELS} | {"schema_version"}


def test_migrating_again_changes_nothing(bench: Bench) -> None:
    """A ledger that is up to date stays as it is."""
    Ledger.open(bench.data, KEY, migrate=True).close()

    with bench.ledger.read():
        versions = bench.ledger.rows("SELECT version FROM schema_version")

    assert versions == [(number,) for number in range(1, LATEST + 1)]


# A ledger of the version before the pages, and a few rows as it wrote them.
_BEFORE_PAGES = 11
_OLD_ROWS = (
    """
    INSERT INTO study VALUES (1, '1.2.3', 'ID-1', 'Nguyễn^Văn An', '19700101', 'ACC-1', '20240229', 'Sọ não', 'CT', 1709208000),
        (2, '1.2.4', '', '', '', '', '', '', '', 1709208000)
    """,
    """
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20)
    INSERT INTO instance (object_id, study_id, sop_instance_uid, version, state, sop_class_uid, transfer_syntax_uid, series_instance_uid,
        calling_title, source_address, called_title, spool_name, digest, length, received_at, patient_id, patient_name, birth_date,
        accession_number, study_date, study_description, modality, body_part, station_name)
    SELECT printf('%032x', n), 1 + n % 2, '2.25.' || n, 1, 'stored', '1.2', '1.2', '1.2.3.1', CASE WHEN n % 2 THEN 'CT1' ELSE 'ct1' END,
        '10.0.0.7', 'EDGE', '', '', 1000, 1709208000 + n * 60, '', '', '', '', '', '', 'CT', '', ''
    FROM n
    """,
    """
    INSERT INTO delivery (instance_id, destination_id, cause, cause_ref, state, hold_class, priority, calling_title, queued_at, ended_at)
    SELECT id, 'archive', 'route', '', CASE WHEN id < 11 THEN 'delivered' WHEN id < 16 THEN 'held' ELSE 'queued' END,
        CASE WHEN id BETWEEN 11 AND 15 THEN 'person' END, 1, 'CT1', received_at, CASE WHEN id < 11 THEN received_at + 1 END
    FROM instance
    """,
)


def test_an_older_ledger_is_brought_up_to_date_with_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded by a version without pages is found, counted and told by them; nothing of it is lost."""
    with monkeypatch.context() as older:
        older.setattr("appliance.ledger.cipher_file.MIGRATIONS", MIGRATIONS[:_BEFORE_PAGES])
        older.setattr("appliance.ledger.cipher_file.LATEST", _BEFORE_PAGES)
        before = Ledger.open(tmp_path, KEY, migrate=True)
        with before.write():
            for statement in _OLD_ROWS:
                before.change(statement)
        before.let_go()

    ledger = Ledger.open(tmp_path, KEY, migrate=True)

    with ledger.read():
        found = StudySearch(ledger).find(StudyQuery(("nguyen", "nao")), limit=5)
        traffic, backlog = Traffic(ledger), Backlog(ledger)
        (caller,) = traffic.callers(0.0, today=0.0, last_hour=1_709_208_900.0, lags_since=0.0)
        timeline = timeline_of(ledger, "1.2.3")
        everything = StudySearch(ledger).find(StudyQuery(), limit=5)
        assert ([("1.2.3", 10)], 2) == ([(one.study_instance_uid, one.instances) for one in found], len(everything))
        assert ((20, 20_000), {"archive": 10}, 1) == (
            *(traffic.received(1_709_208_000.0, 1_709_211_600.0), traffic.delivered(1_709_208_000.0, 1_709_211_600.0)),
            traffic.first_since(1_709_208_000.0),
        )
        assert (20, 6, 1_709_209_200.0, ()) == (caller.today, caller.last_hour, caller.last_at, caller.lags_s)
        assert [5] == [one.count for one in backlog.held(limit=5)]
        assert (Day(20, 2, 10), None) == (backlog.day(1, 0.0, 2e9), timeline.acquired.first)
    ledger.let_go()


def test_the_latest_version_is_the_last_migration() -> None:
    """Versions are the positions of the migrations, counted from one."""
    assert len(MIGRATIONS) == LATEST
