"""The ledger that has long been in use."""

from __future__ import annotations

from pathlib import Path

from appliance.core.identity import uid_fault
from appliance.keyring import ledger_key
from appliance.keys.root import create_root
from appliance.ledger import cipher_file
from appliance.ledger.database import Ledger, ledger_path
from appliance.ledger.deliveries import Deliveries
from appliance.ledger.instances import Instances, InstanceState
from appliance.ledger.migrations import LATEST
from appliance.ledger.vocabulary import DeliveryState
from appliance.spool.names import SpoolName
from benchmarks import full_ledger, ledger_filling

_ROWS = 600


def test_the_filled_ledger_is_one_of_a_box(tmp_path: Path) -> None:
    """Its rows are what reception and delivery leave: whole, all delivered, with UIDs and names that the box itself would give."""
    key = ledger_key(create_root(tmp_path))
    Ledger.open(tmp_path, key, migrate=True).let_go()

    ledger_filling._fill(tmp_path, _ROWS, 0)

    cipher_file.check(ledger_path(tmp_path), key)
    ledger = Ledger.open(tmp_path, key, migrate=True)
    with ledger.read():
        assert ledger.rows("PRAGMA foreign_key_check") == []
        assert Instances(ledger).counts()[InstanceState.STORED] == _ROWS
        assert ledger.rows("SELECT count(*) FROM study") == [(3,)]
        stored = Instances(ledger).get(_ROWS)
        (delivery,) = Deliveries(ledger).of_instance(_ROWS)
        assert len(Deliveries(ledger).attempts(delivery.id)) == 1
        assert Instances(ledger).latest(stored.facts.sop_instance_uid) == stored
    ledger.let_go()
    assert delivery.state is DeliveryState.DELIVERED
    name = SpoolName.parse(stored.facts.spool_name)
    assert name is not None
    assert (name.object_id, name.digest, name.length) == (stored.facts.object_id, stored.facts.digest, stored.facts.length)
    facts = stored.facts
    assert [None, None, None] == [uid_fault(uid) for uid in (facts.sop_instance_uid, facts.study_instance_uid, facts.series_instance_uid)]


def test_a_filled_ledger_is_made_once(tmp_path: Path) -> None:
    """The next run finds what the last one made, and starts no box for it."""
    made = tmp_path / f"ledger-7-waiting-0-schema-{LATEST}-form-{ledger_filling._FORM}"
    made.mkdir()

    assert ledger_filling.filled(7, tmp_path, lambda _: None) == made


def test_costs_are_quotients_of_the_same_round() -> None:
    """A slow round of the machine slows both boxes and changes no quotient."""
    calm, slow = ({"empty": _cost(factor), "full": _cost(1.2 * factor)} for factor in (1.0, 5.0))

    figures = full_ledger._figures("work", [calm, slow])

    assert ["router", "sender", "time"] == [figure.name for figure in figures]
    assert [1.2, 1.2] == [round(value, 6) for value in figures[0].values["ours"]]
    assert {"empty": 3.0, "full": 3.6} == {name: round(value, 6) for name, value in figures[0].parts.items()}


def _cost(milliseconds: float) -> full_ledger._Cost:
    return full_ledger._Cost({"router": milliseconds, "sender": 2 * milliseconds, "time": 3 * milliseconds})


def test_the_newest_may_wait_still(tmp_path: Path) -> None:
    """What a destination that went away did not get is queued, without a try, and whoever looks at pages finds all of it summed up."""
    key = ledger_key(create_root(tmp_path))
    Ledger.open(tmp_path, key, migrate=True).let_go()

    ledger_filling._fill(tmp_path, _ROWS, 100)

    ledger = Ledger.open(tmp_path, key, migrate=True)
    with ledger.read():
        assert [("delivered", 500), ("queued", 100)] == ledger.rows("SELECT state, count(*) FROM delivery GROUP BY state ORDER BY state")
        assert [(500,)] == ledger.rows("SELECT count(*) FROM attempt")
        assert [(_ROWS, 500, 3)] == ledger.rows(
            "SELECT (SELECT sum(instances) FROM arrival), (SELECT sum(instances) FROM departure), (SELECT count(*) FROM study_text)"
        )
    ledger.let_go()
