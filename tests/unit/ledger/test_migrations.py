"""The schema that the migrations make is the schema that the models describe."""

from __future__ import annotations

import pytest
from peewee import Model

from appliance.ledger.database import Ledger
from appliance.ledger.migrations import LATEST, MIGRATIONS
from appliance.ledger.tables import MODELS
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


def test_the_latest_version_is_the_last_migration() -> None:
    """Versions are the positions of the migrations, counted from one."""
    assert len(MIGRATIONS) == LATEST
