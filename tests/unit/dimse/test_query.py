"""The identifier of a query, as bytes: what is asked, and what an archive answers."""

from __future__ import annotations

import io

import pytest
from pydicom.filereader import read_dataset

from appliance.core.identity import Uid
from appliance.dimse.query import LEVEL, SERIES, SOP_INSTANCE, STUDY, Match, encode_identifier, read_match
from tests.unit.dimse.building import BIG_ENDIAN, EXPLICIT, IMPLICIT, UNDEFINED, element, uid

KEYS = {STUDY: "1.2.3", LEVEL: "IMAGE", SERIES: "1.2.34", SOP_INSTANCE: ""}


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_an_independent_reader_understands_the_question(syntax: Uid) -> None:
    """The keys are in order, padded, and in the transfer syntax that was agreed on."""
    encoded = encode_identifier(KEYS, syntax)

    ds = read_dataset(io.BytesIO(encoded), is_implicit_VR=syntax == IMPLICIT, is_little_endian=True)

    assert [(entry.keyword, entry.value or "") for entry in ds] == [
        ("SOPInstanceUID", ""),
        ("QueryRetrieveLevel", "IMAGE"),
        ("StudyInstanceUID", "1.2.3"),
        ("SeriesInstanceUID", "1.2.34"),
    ]
    assert len(encoded) % 2 == 0


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_a_match_is_read_past_what_else_it_holds(syntax: Uid) -> None:
    """Character sets, sequences and names that an archive adds are stepped over; padding and small letters do not matter."""
    item = element(0xFFFEE000, b"", syntax=syntax) + element(0xFFFEE0DD, b"", syntax=syntax)
    identifier = (
        element(0x00080005, b"ISO_IR 192", vr="CS", syntax=syntax)
        + element(SOP_INSTANCE, uid("1.2.5"), syntax=syntax)
        + element(LEVEL, b"image ", vr="CS", syntax=syntax)
        + element(0x00081140, b"", vr="SQ", syntax=syntax, length=UNDEFINED)
        + item
        + element(0x00100010, b"A^B ", vr="PN", syntax=syntax)
        + element(STUDY, uid("1.2.3"), syntax=syntax)
        + element(SERIES, b"1.2.4 ", syntax=syntax)
    )

    assert read_match(identifier, syntax) == Match("IMAGE", "1.2.3", "1.2.4", "1.2.5")


@pytest.mark.parametrize(
    "identifier",
    [b"", b"\x08", bytes(64), b"\xff" * 100, encode_identifier(KEYS, Uid(EXPLICIT))[:-3], element(0x00020010, b"", syntax=BIG_ENDIAN)],
)
def test_what_cannot_be_read_is_empty(identifier: bytes) -> None:
    """An identifier that is none names no instance, and no failure."""
    assert read_match(identifier, EXPLICIT).sop_instance_uid == ""
