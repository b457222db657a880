"""Studies: found by what is known of them, summed up truthfully, and what the store should hold of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.ledger.instances import Attributes, InstanceState
from appliance.ledger.studies import DayEdge, StoredObject, StudyFilter, StudyMissingError, StudySummary
from appliance.ledger.vocabulary import DeliveryState
from tests.unit.ledger.bench import Bench, facts, with_attributes

# The days of the studies that `four_studies` makes; the last has no Study Date and came on 29 February 2024, at noon UTC.
NOON = 1_709_208_000.0
FEB_28 = DayEdge("20240228", NOON - 36 * 3600)
FEB_29 = DayEdge("20240229", NOON - 12 * 3600)
MARCH_1 = DayEdge("20240301", NOON + 12 * 3600)


def _four_studies(bench: Bench) -> None:
    """Record four studies: CT and SR of 27 February, CT of 29 February, MR of 1 March, and one that says nothing."""
    told = [
        ("1.1", "CT", "ACC-1", "20240227"),
        ("1.1", "SR", "ACC-1", "20240227"),
        ("1.2", "ct", "ACC-2", "20240229"),
        ("1.3", "MR", "acc-2", "20240301"),
        ("1.4", "", "", ""),
    ]
    with bench.ledger.write():
        for number, (study, modality, accession, day) in enumerate(told):
            one = with_attributes(facts(number, study=study), modality=modality, accession_number=accession, study_date=day)
            bench.instances.add(one, version=1, state=InstanceState.STORED)


def _found(bench: Bench, wanted: StudyFilter, *, limit: int = 10, after: str | None = None) -> list[str]:
    with bench.ledger.read():
        return [study.study_instance_uid for study in bench.studies.find(wanted, limit=limit, after=after)]


def test_a_study_learns_what_later_instances_tell(bench: Bench) -> None:
    """Blanks are filled, what is known stays, and modalities add up."""
    first = with_attributes(facts(1), accession_number="", modality="CT")
    second = with_attributes(facts(2), accession_number="ACC-2", modality="SR")
    third = with_attributes(facts(3), accession_number="ACC-3", modality="CT")

    with bench.ledger.write():
        for one in (first, second, third):
            bench.instances.add(one, version=1, state=InstanceState.STORED)

    with bench.ledger.read():
        (study,) = bench.studies.find(limit=10)
    assert (study.accession_number, study.modality, study.received, study.instances) == ("ACC-2", "CT\\SR", first.received_at, 3)


def test_a_study_summary_counts_instances_by_their_least_delivery(bench: Bench) -> None:
    """An instance is delivered when every destination that is owed it has it, and proved when every one proved it."""
    here, there, nowhere, dropped = (bench.receive() for _ in range(4))
    bench.settle(bench.owe(here, "archive"), DeliveryState.PROVED)
    bench.settle(bench.owe(here, "reading"), DeliveryState.DELIVERED)
    bench.settle(bench.owe(there, "archive"), DeliveryState.PROVED)
    bench.settle(bench.owe(there, "reading"), DeliveryState.CANCELLED)
    bench.owe(nowhere, "archive")
    bench.settle(bench.owe(dropped, "archive"), DeliveryState.CANCELLED)

    with bench.ledger.read():
        (study,) = bench.studies.find(limit=10)

    assert (study.instances, study.delivered, study.proved) == (4, 2, 1)
    assert study.destinations == {
        "archive": {"proved": 2, "queued": 1, "cancelled": 1},
        "reading": {"delivered": 1, "cancelled": 1},
    }


def test_versions_of_an_instance_are_one_instance_of_the_study(bench: Bench) -> None:
    """A study with a corrected instance counts it once, and not as delivered before every version is."""
    first = bench.receive(uid="2.25.1", version=1)
    second = bench.receive(uid="2.25.1", version=2)
    bench.settle(bench.owe(first), DeliveryState.DELIVERED)
    bench.owe(second)

    with bench.ledger.read():
        (study,) = bench.studies.find(limit=10)

    assert (study.instances, study.delivered) == (1, 0)


def test_studies_come_newest_first_and_in_pages(bench: Bench) -> None:
    """A page starts after the study named, and an unknown one is refused."""
    for number in range(5):
        bench.receive(study=f"1.2.{number}")

    with bench.ledger.read():
        first = [study.study_instance_uid for study in bench.studies.find(limit=2)]
        second = [study.study_instance_uid for study in bench.studies.find(limit=2, after=first[-1])]
        last = [study.study_instance_uid for study in bench.studies.find(limit=2, after="1.2.0")]
        with pytest.raises(StudyMissingError):
            bench.studies.find(limit=2, after="9.9.9")

    assert (first, second, last) == (["1.2.4", "1.2.3"], ["1.2.2", "1.2.1"], [])


def test_an_instance_without_a_study_is_listed_under_an_empty_uid(bench: Bench) -> None:
    """A data set that names no study is kept and found."""
    with bench.ledger.write():
        bench.instances.add(replace(facts(1, study=""), attributes=Attributes()), version=1, state=InstanceState.STORED)

    with bench.ledger.read():
        assert [study.study_instance_uid for study in bench.studies.find(limit=10)] == [""]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (StudyFilter(), ["1.4", "1.3", "1.2", "1.1"]),
        (StudyFilter(accession_number="ACC-2"), ["1.3", "1.2"]),
        (StudyFilter(accession_number="ACC"), []),
        (StudyFilter(accession_number=""), ["1.4"]),
        (StudyFilter(modality="CT"), ["1.2", "1.1"]),
        (StudyFilter(modality="sr"), ["1.1"]),
        (StudyFilter(modality="S"), []),
        (StudyFilter(modality="%"), []),
        (StudyFilter(since=FEB_29), ["1.4", "1.3", "1.2"]),
        (StudyFilter(since=MARCH_1), ["1.3"]),
        (StudyFilter(until=replace(FEB_29, day="20240228")), ["1.1"]),
        (StudyFilter(until=MARCH_1), ["1.4", "1.3", "1.2", "1.1"]),
        (StudyFilter(since=FEB_29, until=replace(MARCH_1, day="20240229")), ["1.4", "1.2"]),
        (StudyFilter(since=FEB_28, until=FEB_28), []),
        (StudyFilter(accession_number="ACC-2", modality="MR", since=FEB_28), ["1.3"]),
    ],
)
def test_studies_are_found_by_what_is_known(bench: Bench, wanted: StudyFilter, expected: list[str]) -> None:
    """Every condition that is set must hold; a study without a date belongs to the day when it came."""
    _four_studies(bench)

    assert expected == _found(bench, wanted)


def test_found_studies_come_in_pages(bench: Bench) -> None:
    """The next page of a filter begins after the last study seen, whether that one fits or not."""
    _four_studies(bench)
    wanted = StudyFilter(modality="CT")

    assert ["1.2"] == _found(bench, wanted, limit=1)
    assert ["1.1"] == _found(bench, wanted, limit=1, after="1.2")
    assert ["1.2", "1.1"] == _found(bench, wanted, after="1.3")


def test_what_is_asked_for_is_never_part_of_the_statement(bench: Bench) -> None:
    """Quotes and wildcards in a question are looked for as they are."""
    _four_studies(bench)

    assert [] == _found(bench, StudyFilter(accession_number="' OR 1 --", modality="'\\%"))


def test_a_question_shows_no_accession_number() -> None:
    """What is printed by accident names nobody."""
    shown = repr(StudyFilter(accession_number="ACC-1")) + repr(StudySummary("1.2", "ACC-1", "CT", 0.0, 1, 0, 0, {}))

    assert "ACC-1" not in shown


def _stored(number: int, version: int) -> StoredObject:
    return StoredObject(facts(number, uid="2.25.1").sop_instance_uid, version, facts(number).spool_name)


def test_the_objects_of_an_instance_are_all_its_versions(bench: Bench) -> None:
    """Asked for a SOP instance, the ledger names the sealed file of every version, the oldest first."""
    bench.receive(uid="2.25.1", version=1)
    bench.receive(uid="2.25.1", version=2)
    bench.receive()

    with bench.ledger.read():
        found = bench.studies.objects("2.25.1")

    assert [_stored(1, 1), _stored(2, 2)] == found


def test_the_objects_of_a_study_are_those_the_store_should_hold(bench: Bench) -> None:
    """Asked for a study, the ledger names what was not evicted or quarantined, and nothing of other studies."""
    kept, damaged = bench.receive(study="1.2.1"), bench.receive(study="1.2.1")
    bench.receive(study="1.2.2")
    with bench.ledger.write():
        bench.instances.quarantine(damaged)

    with bench.ledger.read():
        found = bench.studies.objects("1.2.1")
        nothing = bench.studies.objects("9.9")

    assert [facts(kept).spool_name] == [stored.spool_name for stored in found]
    assert [] == nothing
