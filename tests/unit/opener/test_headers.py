"""The ten header operations: what each changes, what it was is kept, and what cannot be done is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from appliance.config.header_operations import HEADER_OPERATIONS
from appliance.core.identity import Uid
from appliance.opener.headers import OPERATIONS, HeadersRefusedError, Step
from tests.unit.opener.images import BIG, EXPLICIT, IMPLICIT, an_image, grey, read, rewritten, written

_JPEG = Uid("1.2.840.10008.1.2.4.50")


def _image(**attributes: Any) -> bytes:
    return written(an_image(grey(), **attributes))


def _others(ds: Dataset, keyword: str) -> dict[int, Any]:
    """Return every element but this one, the pixels, and those of vendors, whose VR an implicit data set does not say."""
    return {int(element.tag): element for element in ds if element.keyword not in {keyword, "PixelData"} and not element.tag.is_private}


def _done(data: bytes, *steps: Step, syntax: Uid = EXPLICIT) -> Dataset:
    result, _ = rewritten(data, syntax=syntax, steps=steps, piece=50)
    return read(result)


@pytest.mark.parametrize(
    ("step", "tag", "before", "after"),
    [
        (Step("prefix-patient-id", "KH-"), "PatientID", "4711", "KH-4711"),
        (Step("set-patient-id", "PHANTOM"), "PatientID", "4711", "PHANTOM"),
        (Step("set-patient-id-issuer", "KH"), "IssuerOfPatientID", None, "KH"),
        (Step("prefix-accession-number", "V"), "AccessionNumber", "A1", "VA1"),
        (Step("prefix-study-description", "EXT "), "StudyDescription", "Thorax", "EXT Thorax"),
        (Step("set-institution-name", "Zürich"), "InstitutionName", "Süd", "Zürich"),
        (Step("set-institution-address", "Street 1"), "InstitutionAddress", None, "Street 1"),
        (Step("set-department-name", "Radiology"), "InstitutionalDepartmentName", None, "Radiology"),
        (Step("set-station-name", "CT1"), "StationName", "CT-OLD", "CT1"),
        (Step("set-timezone-offset", "+0700"), "TimezoneOffsetFromUTC", None, "+0700"),
    ],
)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_each_operation_changes_its_element_and_keeps_what_it_was(
    step: Step, tag: str, before: str | None, after: str, syntax: Uid
) -> None:
    """The element has the new value, the record the old one, and every other element is as it was."""
    image = an_image(grey(bits=8), StudyDescription="Thorax")

    changed = _done(written(image, syntax), step, syntax=syntax)

    record = changed.OriginalAttributesSequence[0]
    assert after == changed[tag].value
    assert (before or "") == (record.ModifiedAttributesSequence[0][tag].value or "")
    assert 1 == len(record.ModifiedAttributesSequence[0])
    assert ("DICOM Edge", "COERCE", "20231114221320.250000+0000", "") == (
        record.ModifyingSystem,
        record.ReasonForTheAttributeModification,
        record.AttributeModificationDateTime,
        record.SourceOfPreviousValues,
    )
    del changed.OriginalAttributesSequence
    assert _others(read(written(image)), tag) == _others(changed, tag)


def test_the_configuration_and_the_opener_know_the_same_operations() -> None:
    """What can be written into the site file is exactly what can be done."""
    assert list(OPERATIONS) == sorted(HEADER_OPERATIONS, key=list(OPERATIONS).index)
    assert 10 == len(OPERATIONS)


def test_no_operation_changes_a_uid() -> None:
    """No element of the table is a UID."""
    assert b"UI" not in {operation.field.vr for operation in OPERATIONS.values()}


def test_issuer_and_prefix_go_together_in_one_record() -> None:
    """A prefix with its issuer changes both elements and writes one item."""
    changed = _done(_image(), Step("prefix-patient-id", "KH-", "KH"), Step("set-station-name", "CT1"))

    (record,) = changed.OriginalAttributesSequence
    assert ("KH-4711", "KH", "CT1") == (changed.PatientID, changed.IssuerOfPatientID, changed.StationName)
    assert ["StationName", "PatientID", "IssuerOfPatientID"] == [e.keyword for e in record.ModifiedAttributesSequence[0]]


def test_operations_on_one_element_are_done_in_their_order() -> None:
    """A Patient ID that is set and then prefixed has both; the record has what it was at first."""
    changed = _done(_image(), Step("set-patient-id", "7"), Step("prefix-patient-id", "KH-"))

    assert "KH-7" == changed.PatientID
    assert "4711" == changed.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientID


@pytest.mark.parametrize("undefined", [False, True])
def test_an_earlier_record_stays_in_front(undefined: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    """What others wrote about earlier changes is kept as it was, and ours comes behind it."""
    earlier = Dataset()
    earlier.ModifyingSystem, earlier.ReasonForTheAttributeModification = "RIS", "CORRECT"
    image = an_image(grey())
    image.OriginalAttributesSequence = Sequence([earlier])
    image["OriginalAttributesSequence"].is_undefined_length = undefined

    changed = _done(written(image), Step("set-station-name", "CT1"))

    assert ["RIS", "DICOM Edge"] == [item.ModifyingSystem for item in changed.OriginalAttributesSequence]


def test_the_same_object_gives_the_same_bytes() -> None:
    """A re-send is the same object again: nothing depends on when it was made."""
    data, steps = _image(), [Step("prefix-patient-id", "KH-")]

    assert rewritten(data, steps=steps, piece=7) == rewritten(data, steps=steps)


@pytest.mark.parametrize(
    ("patient", "step"),
    [("", Step("prefix-patient-id", "KH-")), ("KH-1", Step("prefix-patient-id", "KH-")), ("7", Step("set-patient-id", "7"))],
)
def test_what_is_so_already_is_not_changed(patient: str, step: Step) -> None:
    """An empty identifier gets no prefix, a prefix is not put twice, and without a change there is no record."""
    data = _image(PatientID=patient)

    assert (data, EXPLICIT) == rewritten(data, steps=[step])


def test_a_missing_identifier_gets_no_prefix() -> None:
    """A data set without the element stays without it."""
    image = an_image(grey())
    del image.PatientID

    assert written(image) == rewritten(written(image), steps=[Step("prefix-patient-id", "KH-")])[0]


@pytest.mark.parametrize(
    ("charset", "value", "raw"),
    [
        ("ISO_IR 192", "Bệnh viện", "Bệnh viện".encode()),
        ("ISO_IR 100", "Zürich", b"Z\xfcrich"),
        ("ISO_IR 144", "Больница", "Больница".encode("iso8859_5")),
        ("ISO 2022 IR 100\\ISO 2022 IR 87", "Zürich", b"Z\xfcrich"),
        ("GB18030", "医院", "医院".encode("gb18030")),
    ],
)
def test_a_value_is_written_in_the_objects_own_character_set(charset: str, value: str, raw: bytes) -> None:
    """Letters beyond ASCII come out as the data set's character set writes them."""
    image = an_image(grey())
    image.SpecificCharacterSet = charset.split("\\")
    image.PatientName, image.InstitutionName = "A", "B"

    result, _ = rewritten(written(image), steps=[Step("set-institution-name", value)])

    assert raw in result
    assert value == read(result).InstitutionName


@pytest.mark.parametrize(
    ("image", "step", "words"),
    [
        ({"SpecificCharacterSet": "ISO_IR 100"}, Step("set-institution-name", "Bệnh viện"), "character set"),
        (
            {"SpecificCharacterSet": "ISO_IR 13", "PatientName": "A", "InstitutionName": "B"},
            Step("set-institution-name", "Zürich"),
            "character",
        ),
        ({"AccessionNumber": "1234567890123456"}, Step("prefix-accession-number", "V"), "longer than 16"),
    ],
)
def test_what_cannot_be_done_is_refused(image: dict[str, Any], step: Step, words: str) -> None:
    """A value that the character set or the element cannot hold changes nothing and says why."""
    with pytest.raises(HeadersRefusedError, match=words):
        rewritten(_image(**image), steps=[step])


def test_the_inside_of_sequences_is_not_touched() -> None:
    """Only the top level is changed: an element of the same tag in a sequence stays."""
    changed = _done(_image(), Step("prefix-patient-id", "KH-"))

    assert "inner" == changed.ProcedureCodeSequence[0].PatientID


def test_compressed_pixels_pass_untouched() -> None:
    """The header of an object whose pixels no codec here reads is changed all the same, and its pixels stay byte for byte."""
    image = an_image(grey())
    pixels = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00\xff\xd8\xff\xd9"
    pixels += b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    del image.PixelData, image[0x7FE10010], image[0x7FE11001]
    data = written(image) + pixels

    result, syntax = rewritten(data, syntax=_JPEG, steps=[Step("set-station-name", "CT1")])

    assert _JPEG == syntax
    assert result.endswith(pixels)


def test_a_deflated_data_set_is_refused() -> None:
    """A deflated data set is not inflated: it says so."""
    with pytest.raises(HeadersRefusedError, match="deflated"):
        rewritten(b"", syntax=Uid("1.2.840.10008.1.2.1.99"), steps=[Step("set-station-name", "CT1")])
