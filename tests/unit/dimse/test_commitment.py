"""Storage commitment on the wire: what a request looks like to others, and what is understood of a report."""

from __future__ import annotations

import io
import struct

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from appliance.core.identity import Uid
from appliance.dimse.commitment import CommitmentReport, CommitmentReportInvalidError, Reference, encode_request, read_report

IMPLICIT = Uid("1.2.840.10008.1.2")
EXPLICIT = Uid("1.2.840.10008.1.2.1")
CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])


def _item(uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid
    if reason is not None:
        item.FailureReason = reason
    return item


def _report(committed: list[Dataset], failed: list[Dataset]) -> Dataset:
    data_set = Dataset()
    data_set.TransactionUID = "2.25.7"
    data_set.RetrieveAETitle = "ARCHIVE"
    if failed:
        data_set.FailedSOPSequence = failed
    if committed:
        data_set.ReferencedSOPSequence = committed
    return data_set


def _encoded(data_set: Dataset, syntax: Uid, *, undefined: bool = False) -> bytes:
    for element in data_set:
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, syntax == IMPLICIT
    write_dataset(buffer, data_set)
    return buffer.getvalue()


@SYNTAXES
def test_a_request_is_what_others_read(syntax: Uid) -> None:
    """Another reader finds transaction and references of a request, in their order."""
    references = [Reference(CT, "2.25.1"), Reference(CT, "2.25.22")]

    read = read_dataset(io.BytesIO(encode_request("2.25.7", references, syntax)), syntax == IMPLICIT, is_little_endian=True)

    assert read.TransactionUID == "2.25.7"
    assert [(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in read.ReferencedSOPSequence] == [
        (CT, "2.25.1"),
        (CT, "2.25.22"),
    ]


@SYNTAXES
@pytest.mark.parametrize("undefined", [False, True])
def test_a_report_is_understood(syntax: Uid, *, undefined: bool) -> None:
    """Committed and failed instances are read in every encoding, whatever else stands beside them."""
    item = _item("2.25.1")
    item.RetrieveAETitle = "ELSEWHERE"
    data_set = _encoded(_report([item, _item("2.25.2")], [_item("2.25.3", 0x0112)]), syntax, undefined=undefined)

    assert CommitmentReport("2.25.7", ("2.25.1", "2.25.2"), (("2.25.3", 0x0112),)) == read_report(data_set, syntax)


def test_what_is_named_twice_is_a_failure() -> None:
    """An instance in both lists is a failed one, and one without a reason failed for a passing reason."""
    data_set = _encoded(_report([_item("2.25.1")], [_item("2.25.1")]), EXPLICIT)

    assert CommitmentReport("2.25.7", (), (("2.25.1", 0x0110),)) == read_report(data_set, EXPLICIT)


@SYNTAXES
def test_every_cut_is_refused_or_harmless(syntax: Uid) -> None:
    """A report that ends anywhere is refused, or is a shorter report of the same transaction; nothing else is ever raised."""
    whole = _encoded(_report([_item("2.25.1")], [_item("2.25.3", 0x0112)]), syntax, undefined=True)

    for end in range(len(whole)):
        try:
            read = read_report(whole[:end], syntax)
        except CommitmentReportInvalidError:
            continue
        assert read.transaction_uid == "2.25.7"


@pytest.mark.parametrize(
    "data_set",
    [
        b"",
        _encoded(_report([_item("2.25.1")], []), EXPLICIT)[:8],
        b"\x08\x00\x95\x11UI\xff\xff2.25.7",
        struct.pack("<HH2sHL", 0x0008, 0x1199, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) * 400,
        struct.pack("<HH2sHL", 0x0008, 0x1199, b"SQ", 0, 0xFFFFFFF0),
        bytes(300_000),
    ],
    ids=["empty", "without a transaction", "too long a value", "items that do not end", "too long a sequence", "too long"],
)
def test_what_is_no_report_is_refused(data_set: bytes) -> None:
    """What cannot be read as a report is the peer's fault, and said so."""
    with pytest.raises(CommitmentReportInvalidError):
        read_report(data_set, EXPLICIT)


def test_sequences_are_not_followed_into_the_deep() -> None:
    """A report whose items nest without end is refused before Python's stack is."""
    nested = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + struct.pack("<HH2sHL", 0x0008, 0x1199, b"SQ", 0, 0xFFFFFFFF)
    data_set = struct.pack("<HH2sHL", 0x0008, 0x1199, b"SQ", 0, 0xFFFFFFFF) + nested * 5000

    with pytest.raises(CommitmentReportInvalidError, match="deeper"):
        read_report(data_set, EXPLICIT)
