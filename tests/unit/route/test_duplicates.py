"""Duplicates: every row of semantics.md section 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.core.identity import Uid
from appliance.ledger.instances import Attributes, InstanceFacts, InstanceState, StoredInstance
from appliance.ledger.vocabulary import Cause, Priority
from appliance.route.duplicates import Arrival, Decision, decide
from appliance.route.planner import Planned

_ARCHIVE = Planned("archive", Priority.ROUTINE)
_ROOM = Planned("room", Priority.STAT)
_ATTRIBUTES = Attributes("1.2.3", "1.2.3.1", "PLANTED-ID", "QUARTZVOLE^PLANTED", "19700101")
_FACTS = InstanceFacts(
    object_id="0" * 32,
    sop_instance_uid=Uid("1.2.3.1.1"),
    sop_class_uid=Uid("1.2.840.10008.5.1.4.1.1.2"),
    transfer_syntax_uid=Uid("1.2.840.10008.1.2.1"),
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.1",
    calling_title="CT1",
    source_address="10.0.0.7",
    called_title="EDGE",
    spool_name="x",
    digest="d" * 32,
    length=1000,
    received_at=1.0,
    attributes=_ATTRIBUTES,
)
_OTHER_BYTES = replace(_FACTS, digest="e" * 32)


def _stored(facts: InstanceFacts = _FACTS, *, version: int = 1, state: InstanceState = InstanceState.STORED) -> StoredInstance:
    return StoredInstance(7, facts, version, state)


def test_first() -> None:
    """A new UID is version 1 and goes where its routes say."""
    expected = Decision(Arrival.FIRST, 1, (_ARCHIVE, _ROOM), Cause.ROUTE)

    actual = decide(None, _FACTS, (_ARCHIVE, _ROOM), {})

    assert expected == actual


def test_same_bytes_still_owed() -> None:
    """The same bytes, while a delivery is open, are dropped and owe nothing new."""
    expected = Decision(Arrival.REPEATED, None, (), Cause.RESEND)

    actual = decide(_stored(), _FACTS, (_ARCHIVE,), {"archive": Priority.BULK})

    assert expected == actual


def test_same_bytes_all_delivered() -> None:
    """The same bytes, when all was delivered, are owed again, from the copy that is there."""
    expected = Decision(Arrival.REPEATED, None, (_ARCHIVE, _ROOM), Cause.RESEND)

    actual = decide(_stored(), _FACTS, (_ARCHIVE, _ROOM), {})

    assert expected == actual


def test_same_bytes_owed_to_one_of_two() -> None:
    """A destination that has the bytes gets them again, although another one still waits for them."""
    expected = Decision(Arrival.REPEATED, None, (_ARCHIVE,), Cause.RESEND)

    actual = decide(_stored(), _FACTS, (_ARCHIVE, _ROOM), {"room": Priority.STAT})

    assert expected == actual


def test_same_bytes_to_another_title() -> None:
    """The same bytes sent to another title behind the box are owed there, although the archive still waits for them."""
    expected = Decision(Arrival.REPEATED, None, (_ROOM,), Cause.RESEND)

    actual = decide(_stored(), _FACTS, (_ROOM,), {"archive": Priority.BULK})

    assert expected == actual


@pytest.mark.parametrize("state", [InstanceState.EVICTED, InstanceState.QUARANTINED])
def test_same_bytes_no_longer_there(state: InstanceState) -> None:
    """The same bytes of which the box has no sound copy are kept, and owed where they are not owed already."""
    expected = Decision(Arrival.REGAINED, 4, (_ARCHIVE,), Cause.RESEND)

    actual = decide(_stored(version=3, state=state), _FACTS, (_ARCHIVE,), {})

    assert expected == actual


def test_damaged_bytes_that_are_still_owed() -> None:
    """What is owed of a damaged copy is owed of the new one instead, as urgently, and also where the new one would not have gone."""
    expected = Decision(Arrival.REGAINED, 2, (Planned("archive", Priority.BULK), _ROOM), Cause.RESEND, supersedes=True)

    actual = decide(_stored(state=InstanceState.QUARANTINED), _FACTS, (_ROOM,), {"archive": Priority.BULK})

    assert expected == actual


def test_unrouted_again() -> None:
    """The same bytes that still go nowhere are dropped; when a route applies now, they are kept and owed."""
    unrouted = _stored(state=InstanceState.UNROUTED)

    nowhere, somewhere = decide(unrouted, _FACTS, (), {}), decide(unrouted, _FACTS, (_ARCHIVE,), {})

    assert Decision(Arrival.REPEATED, None, (), Cause.RESEND) == nowhere
    assert Decision(Arrival.REGAINED, 2, (_ARCHIVE,), Cause.RESEND) == somewhere


def test_other_bytes() -> None:
    """Other bytes are the next version, owed everywhere, whatever is still owed of the earlier one."""
    expected = Decision(Arrival.CHANGED, 3, (_ARCHIVE, _ROOM), Cause.ROUTE, ())

    actual = decide(_stored(version=2), _OTHER_BYTES, (_ARCHIVE, _ROOM), {"archive": Priority.BULK})

    assert expected == actual
    assert not actual.is_security


@pytest.mark.parametrize(
    ("later", "differs", "is_security"),
    [
        (replace(_FACTS, length=1001), (), False),
        (replace(_FACTS, transfer_syntax_uid=Uid("1.2.840.10008.1.2.4.90")), ("transfer_syntax",), False),
        (replace(_OTHER_BYTES, study_instance_uid="1.2.4"), ("study",), False),
        (replace(_OTHER_BYTES, sop_class_uid=Uid("1.2.4")), ("sop_class",), False),
        (replace(_OTHER_BYTES, calling_title="ct1 "), (), False),
        (replace(_OTHER_BYTES, calling_title="MR1"), ("source",), True),
        (replace(_OTHER_BYTES, source_address="10.0.0.8"), ("source",), True),
        (replace(_OTHER_BYTES, attributes=replace(_ATTRIBUTES, patient_id="OTHER")), ("patient",), True),
        (replace(_OTHER_BYTES, attributes=replace(_ATTRIBUTES, patient_name="Quartzvole^Planted")), (), False),
        (replace(_OTHER_BYTES, attributes=replace(_ATTRIBUTES, patient_name="CORRECTED")), (), False),
        (replace(_OTHER_BYTES, attributes=replace(_ATTRIBUTES, birth_date="19700102")), (), False),
        (replace(_OTHER_BYTES, attributes=replace(_ATTRIBUTES, patient_name="OTHER", birth_date="1980")), ("patient",), True),
        (replace(_OTHER_BYTES, calling_title="MR1", attributes=replace(_ATTRIBUTES, patient_id="")), ("patient", "source"), True),
    ],
)
def test_what_differs(later: InstanceFacts, differs: tuple[str, ...], is_security: bool) -> None:  # noqa: FBT001 (a table's expectation)
    """A change names what differs; another patient or another source makes it a security finding."""
    actual = decide(_stored(), later, (), {})

    assert (Arrival.CHANGED, differs, is_security) == (actual.arrival, actual.differs, actual.is_security)


@pytest.mark.parametrize(
    ("changes", "is_other"), [({"patient_name": "OTHER"}, True), ({"birth_date": "1980"}, True), ({"study_date": "2024"}, False)]
)
def test_patient_without_id(changes: dict[str, Any], is_other: bool) -> None:  # noqa: FBT001 (a table's expectation)
    """Without a patient ID, name and birth date are what tells patients apart."""
    nameless = replace(_ATTRIBUTES, patient_id="")
    earlier = _stored(replace(_FACTS, attributes=nameless))

    actual = decide(earlier, replace(_OTHER_BYTES, attributes=replace(nameless, **changes)), (), {})

    assert is_other == ("patient" in actual.differs)


def test_bytes_that_come_back() -> None:
    """The bytes of version 1 after those of version 2 are version 3: the archive must end up with the last."""
    actual = decide(_stored(_OTHER_BYTES, version=2), _FACTS, (_ARCHIVE,), {})

    assert (actual.arrival, actual.version) == (Arrival.CHANGED, 3)
