"""Hostile identities, rows 33 to 39 of hostile-inputs.md: what an object calls itself, in its command and in its data set.

What has no usable name of its own is refused with the row's status; the same name again is stored again, whatever lies behind it. A name
reaches no path and no log as it is: see also N8 in `test_regressions_data`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.fakes import units
from tests.hostile.ward import Ward
from tests.support import hostile_data as hostile
from tests.support.hostile_data import an_object, identity, patient
from tests.support.rogue import CT_STORAGE, EXPLICIT
from tests.support.samples import new_uid
from tests.unit.dimse.building import SOP_CLASS, SOP_INSTANCE, element, uid

CANNOT_UNDERSTAND, MISMATCH, INVALID_INSTANCE = 0xC000, 0xA900, 0x0117
# 80 characters, each escaped as \\xNN at most.
_LONGEST_SHOWN = 320
_ERROR_COMMENT = 0x0902
MR_STORAGE = "1.2.840.10008.5.1.4.1.1.4"

_ABSENT = "no SOP class or instance UID in the data set"
_EMPTY = "SOP class or instance UID is empty or has several values"
_DISAGREE = "command and data set disagree on SOP class or instance"
_BAD_CHARACTERS = "SOP instance UID: characters other than digits and dots"
_TOO_LONG = "SOP instance UID: longer than 64 characters"
_EMPTY_COMPONENT = "SOP instance UID: an empty component"
_OTHER_CLASS = "SOP class is not the one of the context"


@dataclass(frozen=True)
class Case:
    """One input: a data set for an instance UID, the SOP class of its command, and how it is refused."""

    name: str
    make: Callable[[str], bytes]
    status: int
    problem: str
    sop_class: str = CT_STORAGE


REFUSED = [
    Case("row-33-zero-length", lambda _: b"", CANNOT_UNDERSTAND, "the data set is empty"),
    Case("row-34-class-is-not-the-contexts", lambda i: an_object(i, sop_class=MR_STORAGE), MISMATCH, _OTHER_CLASS, MR_STORAGE),
    Case("row-34-no-class-in-the-command", an_object, MISMATCH, _OTHER_CLASS, ""),
    Case("row-35-other-instance-in-the-data-set", lambda _: an_object(new_uid()), MISMATCH, _DISAGREE),
    Case("row-35-other-class-in-the-data-set", lambda i: an_object(i, sop_class=MR_STORAGE), MISMATCH, _DISAGREE),
    Case("row-36-no-class", lambda i: element(SOP_INSTANCE, uid(i)) + patient(), CANNOT_UNDERSTAND, _ABSENT),
    Case("row-36-no-instance", lambda _: element(SOP_CLASS, uid(CT_STORAGE)) + patient(), CANNOT_UNDERSTAND, _ABSENT),
    Case("row-36-empty-class", lambda i: identity(i, sop_class="") + patient(), CANNOT_UNDERSTAND, _EMPTY),
    Case("row-36-empty-instance", lambda _: identity("") + patient(), CANNOT_UNDERSTAND, _EMPTY),
    Case("row-36-two-values", lambda i: identity(f"{i}\\3.4") + patient(), CANNOT_UNDERSTAND, _EMPTY),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in REFUSED])
def test_an_object_without_a_name_of_its_own(ward: Ward, case: Case) -> None:
    """It is refused with the row's status, nothing of it is kept, and the association lives."""
    instance = new_uid()

    with ward.row() as row, ward.rogue() as rogue:
        status = rogue.store(case.make(instance), instance, sop_class=case.sop_class)
        echo = rogue.echo()
        rogue.release()

        assert (case.status, 0) == (status, echo)
        [line] = row.expect_log("instance.refused", sop_instance_uid=instance, status=f"{case.status:04X}")
        assert case.problem == line["problem"]


_NO_UIDS = {
    b"1.2/3.4": _BAD_CHARACTERS,
    b"../../../../../etc/cron.d/x": _BAD_CHARACTERS,
    b"1.2..3.4": _EMPTY_COMPONENT,
    b".1.2": _EMPTY_COMPONENT,
    b"1.2\x003.4": _BAD_CHARACTERS,
    b"1.2\n3.4 ": _BAD_CHARACTERS,
    b"1.2 3.4 ": _BAD_CHARACTERS,
    "1.2.\u0663\u0664".encode(): _BAD_CHARACTERS,
    b"1.2.\xb2\xb3": _BAD_CHARACTERS,
    b"%n%n${jndi:ldap://x}": _BAD_CHARACTERS,
    b"1." + b"2" * 63 + b"\0": _TOO_LONG,
    b"1." + b"2" * 9_998: _TOO_LONG,
    b"": "SOP instance UID: empty",
}


@pytest.mark.parametrize("place", [pytest.param(place, id=f"row-37-no-uid-in-{place}") for place in ("command", "data-set")])
def test_an_instance_uid_that_is_none(ward: Ward, place: str) -> None:
    """It is refused with 0117 (C000 where the data set has none), it is not said back, and the log has it escaped and short."""
    good = uid(new_uid())

    with ward.row() as row, ward.rogue() as rogue:
        refusals = {}
        for name in _NO_UIDS:
            data = element(SOP_CLASS, uid(CT_STORAGE)) + element(SOP_INSTANCE, name) + patient()
            answer = rogue.answer_to(data, name if place == "command" else good)
            refusals[name] = (units.as_number(answer[units.STATUS]), units.as_text(answer[_ERROR_COMMENT]))
            assert (b"" if place == "command" else good) == answer.get(units.AFFECTED_SOP_INSTANCE_UID, b"")
        echo = rogue.echo()
        rogue.release()

        expected = {name: (INVALID_INSTANCE, problem) for name, problem in _NO_UIDS.items()}
        if place == "data-set":
            expected[b""] = (CANNOT_UNDERSTAND, _EMPTY)
        assert (expected, 0) == (refusals, echo)
        lines = row.expect_log("instance.refused", at_least=len(_NO_UIDS), at_most=len(_NO_UIDS), source="CT1")
        shown = [line["sop_instance_uid"] for line in lines]
        assert [text for text in shown if not text.isascii() or not text.isprintable() or len(text) > _LONGEST_SHOWN] == []


@pytest.mark.parametrize(
    ("instance", "sop_class"),
    [
        pytest.param("1.2.003.00.{}", CT_STORAGE, id="row-37-leading-zeros"),
        pytest.param("1.2.3.{}", "1.2.0840.1.007", id="row-37-leading-zeros-in-the-class"),
    ],
)
def test_leading_zeros_are_taken(ward: Ward, instance: str, sop_class: str) -> None:
    """Scanners send them: stored and forwarded as received, and the instance's are flagged in the log."""
    name = instance.format(new_uid()[-20:].lstrip("0"))
    data = an_object(name, sop_class=sop_class)

    with ward.row() as row, ward.rogue([(sop_class, EXPLICIT)]) as rogue:
        status = rogue.store(data, name)
        echo = rogue.echo()
        rogue.release()

        row.acknowledged(name, data)
        assert (0, 0) == (status, echo)
        assert (sop_class == CT_STORAGE) == bool(row.log("instance.uid_irregular", problem="leading zeros"))
        ward.assert_forwarded(name, data)


@pytest.mark.parametrize(
    ("again", "event", "differs"),
    [
        pytest.param(an_object, "instance.repeated", None, id="row-38-the-same-bytes"),
        pytest.param(
            lambda i: an_object(i, after=element(hostile.PIXELS, b"other", vr="OW")), "instance.changed", [], id="row-39-other-bytes"
        ),
        pytest.param(
            lambda i: identity(i) + patient(number=b"ANOTHER-7"), "instance.changed.security", ["patient"], id="row-39-another-patient"
        ),
    ],
)
def test_the_same_instance_again(ward: Ward, again: Callable[[str], bytes], event: str, differs: list[str] | None) -> None:
    """It is 0000 and durable; other bytes are kept beside the first and sent after them, and the log says what is different."""
    instance = new_uid()
    first, second = an_object(instance), again(instance)

    with ward.row() as row, ward.rogue() as rogue:
        statuses = [rogue.store(first, instance)]
        ward.assert_forwarded(instance, first)
        statuses.append(rogue.store(second, instance))
        echo = rogue.echo()
        rogue.release()

        row.acknowledged(instance, first)
        row.acknowledged(instance, second)
        assert ([0, 0], 0) == (statuses, echo)
        [line] = row.expect_log(event, sop_instance_uid=instance)
        assert differs == line.get("differs")
        ward.assert_forwarded(instance, second)
