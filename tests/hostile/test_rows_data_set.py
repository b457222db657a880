"""Hostile data sets, row by row of hostile-inputs.md (40 to 48, 55, 56): the answer on the wire, the log, the stored bytes, and the oracle.

What can be named is stored as received and forwarded bit for bit; what cannot is refused with the row's status. Either way the association
lives: a C-ECHO on it is answered afterwards. LONG=1 adds the largest inputs.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pytest

from tests.hostile.ward import Ward
from tests.support import hostile_data as hostile
from tests.support.hostile_data import an_object, identity, patient
from tests.support.rogue import BIG_ENDIAN, CT_STORAGE, DEFLATED, EXPLICIT, IMPLICIT
from tests.support.samples import new_uid
from tests.unit.dimse.building import SOP_CLASS, SOP_INSTANCE, UNDEFINED, data_set, element, uid

CANNOT_UNDERSTAND = 0xC000

_LONG = os.environ.get("LONG") == "1"

JPEG, MPEG4, HTJ2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.201"
PRIVATE_SYNTAX = "1.2.276.0.7230010.3.9.1"
PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"
# In the registry's storage arc, and not in any edition that the box knows.
NEWER_CLASS = "1.2.840.10008.5.1.4.1.1.99.99"

# JPIP, plain and deflated, each also with HTJ2K, and the three of SMPTE ST 2110.
_ELSEWHERE = [f"1.2.840.10008.1.2.{tail}" for tail in ("4.94", "4.95", "4.204", "4.205", "7.1", "7.2", "7.3")]

_AN_END = element(hostile.ITEM_END, b"")
_A_SEQUENCE_END = element(hostile.SEQUENCE_END, b"")


@dataclass(frozen=True)
class Case:
    """One input: a data set for an instance UID, and what must come of it."""

    name: str
    make: Callable[[str], bytes]
    status: int = 0
    problem: str = ""
    syntax: str = EXPLICIT
    sop_class: str = CT_STORAGE


def _late(hidden: bytes) -> Callable[[str], bytes]:
    return lambda instance: an_object(instance, before=hidden)


def _behind(tail: bytes, syntax: str = EXPLICIT) -> Callable[[str], bytes]:
    return lambda instance: an_object(instance, after=tail, syntax=syntax)


_TOO_DEEP = "sequences are nested too deep"
_NOT_FOUND = "no SOP class or instance UID in the first 64 KiB"
_ABSENT = "no SOP class or instance UID in the data set"
_NO_VR = "an element has no VR"
_HEADER = "a file or command header stands inside the data set"
_BAD_SEQUENCE = "a sequence holds something else than items"

CASES = [
    Case("row-40-jpeg", lambda _: b"\xff\xd8\xff\xe0" * 1000, CANNOT_UNDERSTAND, _NO_VR),
    Case("row-40-random", lambda _: b"\xfe" + secrets.token_bytes(3) + b"\x00\x01" + secrets.token_bytes(4090), CANNOT_UNDERSTAND, _NO_VR),
    Case("row-40-text", lambda _: b"Dear colleague, please find the images of our patient. " * 40, CANNOT_UNDERSTAND, _NO_VR),
    Case("row-40-elf", lambda _: b"\x7fELF\x02\x01\x01" + bytes(4089), CANNOT_UNDERSTAND, _NO_VR),
    Case("row-40-text-as-implicit", lambda _: b"Dear colleague, please find " * 40, CANNOT_UNDERSTAND, _ABSENT, IMPLICIT),
    Case("row-40-zeros-as-implicit", lambda _: bytes(4096), CANNOT_UNDERSTAND, _HEADER, IMPLICIT),
    Case("row-41-part-10-file", hostile.part10_file, CANNOT_UNDERSTAND, _NO_VR),
    Case("row-41-part-10-file-as-implicit", hostile.part10_file, CANNOT_UNDERSTAND, _HEADER, IMPLICIT),
    Case("row-41-group-2-alone", lambda i: hostile.part10_file(i, preamble=False), CANNOT_UNDERSTAND, _HEADER),
    Case("row-42-implicit-sent-as-explicit", lambda i: an_object(i, syntax=IMPLICIT), CANNOT_UNDERSTAND, _NO_VR),
    Case("row-42-explicit-sent-as-implicit", an_object, CANNOT_UNDERSTAND, _ABSENT, IMPLICIT),
    Case("row-42-little-sent-as-big", an_object, CANNOT_UNDERSTAND, "", BIG_ENDIAN),
    Case("row-43-big-endian", lambda i: data_set(sop_instance=i, syntax=BIG_ENDIAN), syntax=BIG_ENDIAN),
    Case("row-43-video", lambda i: hostile.encapsulated(i, hostile.a_fragment(b"moov" * 200)), syntax=MPEG4),
    Case("row-43-htj2k", lambda i: hostile.encapsulated(i, hostile.a_fragment(b"\xff\x4f" * 200)), syntax=HTJ2K),
    Case("row-43-private-syntax", an_object, syntax=PRIVATE_SYNTAX),
    Case("row-44-deflated-bomb", lambda i: hostile.bomb(i, 256 << 20), syntax=DEFLATED),
    *([Case("row-44-deflated-bomb-of-64-gib", lambda i: hostile.bomb(i, 64 << 30), syntax=DEFLATED)] if _LONG else []),
    Case("row-44-deflated-bomb-hides-its-uids", lambda i: hostile.bomb(i, 256 << 20, early=True), CANNOT_UNDERSTAND, _NOT_FOUND, DEFLATED),
    Case("row-44-not-deflated", lambda i: b"\xff" + an_object(i), CANNOT_UNDERSTAND, "the deflated data cannot be inflated", DEFLATED),
    Case("row-44-cut-short", hostile.cut_short, syntax=DEFLATED),
    *(
        Case(f"row-45-{levels}-levels-first", _late(hostile.tower(levels, tag=hostile.EARLY)), CANNOT_UNDERSTAND, _TOO_DEEP)
        for levels in (200, 10_000, 1_000_000)
    ),
    *(Case(f"row-45-{levels}-levels-behind", _behind(hostile.tower(levels))) for levels in (200, 10_000, 1_000_000)),
    Case("row-45-empty-items-first", _late(hostile.empty_items(1_000_000, tag=hostile.EARLY)), CANNOT_UNDERSTAND, _NOT_FOUND),
    Case("row-45-empty-items-behind", _behind(hostile.empty_items(1_000_000))),
    Case("row-45-elements-behind", _behind(hostile.small_elements(10_000_000 if _LONG else 1_000_000))),
    Case("row-46-item-delimiter-missing", _behind(hostile.an_item(b""))),
    Case("row-46-item-delimiter-missing-first", _late(hostile.an_item(b"", tag=hostile.EARLY))),
    Case("row-46-sequence-delimiter-twice", _behind(hostile.an_item(ends=_AN_END, sequence_ends=_A_SEQUENCE_END * 2))),
    Case(
        "row-46-sequence-delimiter-twice-first", _late(hostile.an_item(ends=_AN_END, sequence_ends=_A_SEQUENCE_END * 2, tag=hostile.EARLY))
    ),
    Case(
        "row-46-item-past-the-end",
        _behind(element(hostile.SEQUENCE, b"", vr="SQ", length=UNDEFINED) + element(hostile.ITEM, b"12345678", length=1 << 30)),
    ),
    Case(
        "row-46-item-past-the-end-first",
        _late(element(hostile.EARLY, b"", vr="SQ", length=UNDEFINED) + element(hostile.ITEM, b"12345678", length=1 << 30)),
        CANNOT_UNDERSTAND,
        _ABSENT,
    ),
    Case("row-47-2-gib-element-first", _late(element(hostile.EARLY, b"abcd", vr="UN", length=2**31 - 1)), CANNOT_UNDERSTAND, _ABSENT),
    Case("row-47-2-gib-element-behind", _behind(element(hostile.PIXELS, b"abcd", vr="OW", length=2**31 - 1))),
    Case("row-47-undefined-length-first", _late(element(hostile.EARLY, b"", vr="UT", length=UNDEFINED)), CANNOT_UNDERSTAND, _BAD_SEQUENCE),
    Case("row-47-undefined-length-behind", _behind(element(hostile.PATIENT_ID, b"abcd", vr="UT", length=UNDEFINED))),
    Case(
        "row-47-2-gib-instance-uid",
        lambda i: element(SOP_CLASS, uid(CT_STORAGE), syntax=IMPLICIT) + element(SOP_INSTANCE, uid(i), syntax=IMPLICIT, length=2**31 - 1),
        CANNOT_UNDERSTAND,
        _ABSENT,
        IMPLICIT,
    ),
    Case("row-48-tags-out-of-order", lambda i: patient() + identity(i)[::1] + element(0x00020000 + 0x60000, b"x ", vr="LO")),
    Case("row-48-duplicate-tags", lambda i: an_object(i, after=identity("1.2.3.4.5") + patient(name=b"OTHER^ONE"))),
    Case("row-48-delimiters-inside", lambda i: _AN_END + an_object(i, after=_A_SEQUENCE_END + _AN_END)),
    Case(
        "row-48-private-without-creator",
        lambda i: an_object(i, before=element(0x00071001, b"abcd", vr="UN"), after=element(0x7FE11010, b"ab", vr="LO")),
    ),
    Case("row-48-private-blocks-behind", _behind(b"".join(element(0x00110010 + n % 240, b"CREATOR ", vr="LO") for n in range(5000)))),
    Case(
        "row-48-private-blocks-first",
        _late(b"".join(element(0x00070010 + n % 240, b"CREATOR ", vr="LO") for n in range(5000))),
        CANNOT_UNDERSTAND,
        _NOT_FOUND,
    ),
    Case("row-48-identity-at-the-last-moment", _late(element(hostile.EARLY, bytes(65_536 - 12 - len(identity(new_uid()))), vr="UN"))),
    Case("row-48-identity-too-late", _late(element(hostile.EARLY, bytes(65_536 - 12), vr="UN")), CANNOT_UNDERSTAND, _NOT_FOUND),
    Case(
        "row-55-offset-table-broken", lambda i: hostile.encapsulated(i, hostile.a_fragment(bytes(64)), offsets=b"\xff" * 400), syntax=JPEG
    ),
    Case("row-55-fragments-of-0-bytes", lambda i: hostile.encapsulated(i, hostile.a_fragment(b"") * 5000), syntax=JPEG),
    Case("row-55-no-sequence-delimiter", lambda i: hostile.encapsulated(i, hostile.a_fragment(bytes(64)), ends=False), syntax=JPEG),
    Case(
        "row-55-fragment-past-the-end",
        lambda i: hostile.encapsulated(i, hostile.a_fragment(bytes(64), length=1 << 30), ends=False),
        syntax=JPEG,
    ),
    Case("row-56-private-class", lambda i: an_object(i, sop_class=PRIVATE_CLASS), sop_class=PRIVATE_CLASS),
    Case("row-56-newer-class", lambda i: an_object(i, sop_class=NEWER_CLASS), sop_class=NEWER_CLASS),
]


def _watched(cases: list[Case]) -> Iterator[Any]:
    """Yield the inputs of a row together, but those one by one that are after the box's memory."""
    for row, group in groupby(cases, key=lambda case: case.name[: len("row-00")]):
        inputs = list(group)
        if row in {"row-44", "row-45", "row-47"}:
            yield from (pytest.param([case], id=case.name) for case in inputs)
        else:
            yield pytest.param(inputs, id=f"{row}-{len(inputs)}-inputs")


@pytest.mark.parametrize("cases", list(_watched(CASES)))
def test_hostile_data_sets(ward: Ward, cases: list[Case]) -> None:
    """What can be named is stored and forwarded as received, what cannot is refused; the association lives, and the oracle is content."""
    instances = {case.name: new_uid() for case in cases}

    with ward.row() as row, ward.rogue([(case.sop_class, case.syntax) for case in cases]) as rogue:
        answers, sent = {}, {}
        for number, case in enumerate(cases):
            instance = instances[case.name]
            data = case.make(instance)
            answers[case.name] = rogue.store(data, instance, context=3 + 2 * number), rogue.echo()
            if case.status == 0:
                row.acknowledged(instance, data)
                sent[instance] = hashlib.sha256(data).hexdigest()
        rogue.release()

        assert {case.name: (case.status, 0) for case in cases} == answers
        for case in cases:
            instance = instances[case.name]
            if case.status:
                [line] = row.expect_log("instance.refused", sop_instance_uid=instance, status=f"{case.status:04X}")
                assert line["problem"].startswith(case.problem), case.name
            else:
                row.expect_log("instance.recorded", sop_instance_uid=instance)
                ward.assert_delivered(instance, sent[instance])


def test_row_43_pixels_that_are_elsewhere(ward: Ward) -> None:
    """JPIP and SMPTE ST 2110, whose pixels are not in the object, have context result 4; what is only unusual beside them has 0."""
    usual = [EXPLICIT, MPEG4, HTJ2K, PRIVATE_SYNTAX]

    with ward.row(), ward.rogue([(CT_STORAGE, syntax) for syntax in [*_ELSEWHERE, *usual]]) as rogue:
        assert [0, *[4] * len(_ELSEWHERE), *[0] * len(usual)] == list(rogue.results.values())
        assert rogue.echo() == 0
        rogue.release()
