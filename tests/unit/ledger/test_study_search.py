"""Studies found by what people remember of them."""

from __future__ import annotations

import pytest

from appliance.ledger.instances import InstanceState
from appliance.ledger.studies import StudyFilter, StudyMissingError
from appliance.ledger.study_search import StudyQuery, StudySearch
from appliance.ledger.vocabulary import DeliveryState
from appliance.ledger.words import words_in
from tests.unit.ledger.bench import Bench, facts, with_attributes

# UID, patient name, patient ID, accession number, description, modality.
_TOLD = (
    ("1.1", "NGUYEN^VAN AN", "B001", "A-77", "CT sọ não", "CT"),
    ("1.2", "Nguyễn^Thị Bình", "B002", "A-78", "MRI gối", "MR"),
    ("1.3", "TRAN^AN", "C_03", "50%", "Chest 100%", "CT"),
    ("1.4", "", "", "", "", ""),
)


@pytest.fixture(autouse=True)
def studies(bench: Bench) -> None:
    """Record four studies, the last of which says nothing."""
    with bench.ledger.write():
        for number, (uid, name, patient, accession, description, modality) in enumerate(_TOLD):
            one = with_attributes(
                facts(100 + number, study=uid),
                patient_name=name,
                patient_id=patient,
                accession_number=accession,
                study_description=description,
                modality=modality,
            )
            bench.instances.add(one, version=1, state=InstanceState.STORED)


def _found(bench: Bench, wanted: StudyQuery, *, limit: int = 10, after: str | None = None) -> list[str]:
    with bench.ledger.read():
        return [study.study_instance_uid for study in StudySearch(bench.ledger).find(wanted, limit=limit, after=after)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", ["1.4", "1.3", "1.2", "1.1"]),
        ("nguyen", ["1.2", "1.1"]),
        ("NGUYỄN", ["1.2", "1.1"]),
        ("nguyễn văn", ["1.1"]),
        ("an", ["1.3", "1.1"]),
        ("a-7", ["1.2", "1.1"]),
        ("goi", ["1.2"]),
        ("so nao b001", ["1.1"]),
        ("b001 b002", []),
        ("%", ["1.3"]),
        ("100%", ["1.3"]),
        ("_", ["1.3"]),
        ("c_03", ["1.3"]),
        ("c%3", []),
        ("'; DROP TABLE study; --", []),
    ],
)
def test_words(bench: Bench, typed: str, expected: list[str]) -> None:
    """Each word is somewhere in name, number or description, in any spelling; no character has a meaning of its own."""
    assert expected == _found(bench, StudyQuery(words_in(typed)))


def test_a_later_instance_makes_a_study_found(bench: Bench) -> None:
    """What only a later instance says is searched too, and what is known stays."""
    late = with_attributes(facts(99, study="1.4"), patient_name="LE^HOA", patient_id="", accession_number="", study_description="")
    with bench.ledger.write():
        bench.instances.add(late, version=1, state=InstanceState.STORED)

    assert ["1.4"] == _found(bench, StudyQuery(("hoa",)))
    assert ["1.1"] == _found(bench, StudyQuery(("b001",)))


def test_pages(bench: Bench) -> None:
    """A page goes on after the last study of the one before, also in what the words find."""
    assert ["1.4", "1.3"] == _found(bench, StudyQuery(), limit=2)
    assert ["1.2", "1.1"] == _found(bench, StudyQuery(), limit=2, after="1.3")
    assert ["1.1"] == _found(bench, StudyQuery(("nguyen",)), after="1.2")
    with pytest.raises(StudyMissingError):
        _found(bench, StudyQuery(), after="9.9")


def test_words_and_filters_hold_together(bench: Bench) -> None:
    """A modality narrows what the words find."""
    assert ["1.1"] == _found(bench, StudyQuery(("nguyen",), StudyFilter(modality="CT")))


@pytest.mark.parametrize("state", list(DeliveryState))
def test_deliveries(bench: Bench, state: DeliveryState) -> None:
    """A state or a destination finds the studies of which something stands so, there, whatever index leads to it."""
    with bench.ledger.read():
        instances = [bench.instances.latest(f"2.25.{100 + number}") for number in range(4)]
    for one, destination in zip(instances, ("archive", "archive", "reading"), strict=False):
        assert one is not None
        bench.settle(bench.owe(one.id, destination), state if destination == "archive" else DeliveryState.CANCELLED)

    found = [
        _found(bench, StudyQuery(destination_id="archive", state=state)),
        _found(bench, StudyQuery(("nguyen", "an"), destination_id="archive", state=state)),
        _found(bench, StudyQuery(state=state, destination_id="reading")),
        _found(bench, StudyQuery(destination_id="reading")),
        _found(bench, StudyQuery(state=state)),
    ]

    cancelled = ["1.3"] if state is DeliveryState.CANCELLED else []
    assert [["1.2", "1.1"], ["1.1"], cancelled, ["1.3"], [*cancelled, "1.2", "1.1"]] == found


def test_what_most_have_come_to_is_found_study_by_study(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a state is that of most deliveries, the other way to look finds the same."""
    monkeypatch.setattr("appliance.ledger.study_search._FEW", 0)
    for number in range(2):
        with bench.ledger.read():
            one = bench.instances.latest(f"2.25.{100 + number}")
        assert one is not None
        bench.settle(bench.owe(one.id), DeliveryState.DELIVERED)

    assert ["1.2", "1.1"] == _found(bench, StudyQuery(state=DeliveryState.DELIVERED, destination_id="archive"))
    assert [] == _found(bench, StudyQuery(state=DeliveryState.DELIVERED, destination_id="reading"))


def test_a_study_is_summed_up(bench: Bench) -> None:
    """Versions count once, quarantined objects not at all, deliveries by destination and state."""
    first = bench.receive(uid="2.25.500", study="1.1")
    bench.receive(uid="2.25.500", version=2, study="1.1")
    damaged = bench.receive(study="1.1")
    bench.owe(first)
    bench.settle(bench.owe(damaged, "reading"), DeliveryState.CANCELLED)
    with bench.ledger.write():
        bench.instances.quarantine(damaged)

    with bench.ledger.read():
        study = StudySearch(bench.ledger).get("1.1")

    assert (2, {"archive": {"queued": 1}, "reading": {"cancelled": 1}}) == (study.instances, study.destinations)
    assert ("NGUYEN^VAN AN", "B001", "A-77", "CT sọ não", "CT", None) == (
        *(study.patient_name, study.patient_id, study.accession_number, study.description, study.modality),
        study.completed,
    )


def test_what_is_found_shows_no_patient(bench: Bench) -> None:
    """Neither a question nor what it finds shows a name or number in a log or an exception."""
    wanted = StudyQuery(("nguyen",))
    with bench.ledger.read():
        found = StudySearch(bench.ledger).find(wanted, limit=1)

    assert not any(word in repr((wanted, found)) for word in ("nguyen", "Nguy", "B002", "A-78", "MRI"))
