"""Instances and studies: recorded once, told as they were received, summed up truthfully."""

from __future__ import annotations

import pytest

from appliance.ledger.deliveries import AttemptRecord
from appliance.ledger.faults import LedgerStatementError
from appliance.ledger.instances import (
    InstanceMissingError,
    InstanceState,
    StoredInstance,
)
from tests.unit.ledger.bench import MR, Bench, facts


def test_an_instance_comes_back_as_it_was_recorded(bench: Bench) -> None:
    """Every fact and attribute is kept."""
    recorded = facts(7)

    with bench.ledger.write():
        number = bench.instances.add(recorded, version=1, state=InstanceState.UNROUTED)

    with bench.ledger.read():
        assert bench.instances.get(number) == StoredInstance(number, recorded, 1, InstanceState.UNROUTED)
        assert bench.instances.latest("2.25.7") == StoredInstance(number, recorded, 1, InstanceState.UNROUTED)


def test_an_instance_is_kept_until_the_latest_time(bench: Bench) -> None:
    """Of several times until which an instance is to be kept the latest counts; without any there is none."""
    number = bench.receive()
    with bench.ledger.read():
        seen = [bench.instances.get(number).keep_until]

    for until in (100.0, 300.0, 200.0):
        with bench.ledger.write():
            bench.instances.keep(number, until)
            seen.append(bench.instances.get(number).keep_until)

    assert seen == [None, 100.0, 300.0, 300.0]


def test_latest_is_the_highest_version(bench: Bench) -> None:
    """Of several versions the newest is returned, and None for a UID that never came."""
    bench.receive(uid="2.25.1", version=1)
    second = bench.receive(uid="2.25.1", version=2)

    with bench.ledger.read():
        latest = bench.instances.latest("2.25.1")
        unknown = bench.instances.latest("2.25.99")

    assert latest is not None
    assert (latest.id, latest.version) == (second, 2)
    assert unknown is None


def test_recorded_knows_the_reception(bench: Bench) -> None:
    """An object that was recorded is known by its reception id."""
    bench.receive()

    with bench.ledger.read():
        known = [bench.instances.recorded(f"{number:032x}") for number in (1, 2)]

    assert known == [True, False]


def test_a_reception_and_a_version_are_recorded_once(bench: Bench) -> None:
    """The same reception id, or the same version of an instance, is refused and leaves nothing."""
    bench.receive(uid="2.25.1")

    for again in (facts(1, uid="2.25.5"), facts(5, uid="2.25.1")):
        with pytest.raises(LedgerStatementError), bench.ledger.write():
            bench.instances.add(again, version=1, state=InstanceState.STORED)

    with bench.ledger.read():
        assert bench.instances.counts()[InstanceState.STORED] == 1


def test_counts_know_every_state(bench: Bench) -> None:
    """Each state has a count; what is in quarantine no longer counts as stored, in number or bytes."""
    bench.receive()
    damaged = bench.receive()

    with bench.ledger.write():
        bench.instances.quarantine(damaged)

    with bench.ledger.read():
        counts = bench.instances.counts()
        stored = bench.instances.stored_bytes()
    assert counts == {
        InstanceState.STORED: 1,
        InstanceState.UNROUTED: 0,
        InstanceState.QUARANTINED: 1,
        InstanceState.EVICTED: 0,
    }
    assert stored == 1000


def test_a_missing_instance_is_said(bench: Bench) -> None:
    """Neither looking nor quarantining invents an instance."""
    with pytest.raises(InstanceMissingError), bench.ledger.read():
        bench.instances.get(5)
    with pytest.raises(InstanceMissingError), bench.ledger.write():
        bench.instances.quarantine(5)


def test_representations_show_no_patient() -> None:
    """What is printed by accident in an exception or a log names nobody, not even by what the peer wrote."""
    shown = repr(StoredInstance(1, facts(1, sop_class=MR), 1, InstanceState.STORED)) + repr(
        AttemptRecord(1.0, "refused", 0xC000, "Generated^Name is unknown")
    )

    assert [word for word in ("Generated^Name", "ID-1", "19700101", "ACC-1") if word in shown] == []
