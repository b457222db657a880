"""The clear header: read back as written, a DICOM file for everybody else, bounded and strict on the way in."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import pydicom
import pytest

from appliance.core.identity import Uid, uid_fault
from appliance.spool.part10 import (
    IMPLEMENTATION_CLASS_UID,
    PRIVATE_CREATOR_UID,
    ObjectHeader,
    ObjectHeaderError,
    encode_copy_header,
    encode_header,
    read_header,
)
from tests.unit.spool.builders import OBJECT_ID, a_header

# (0008,0018) SOP Instance UID, explicit little endian.
DATA_SET = b"\x08\x00\x18\x00UI\x0e\x001.2.826.0.1.1\x00"
# Where the length of group 0002 stands.
GROUP_LENGTH_AT = 140


def _dripping(content: bytes) -> Any:
    """Return a read that gives one byte at a time."""
    stream = io.BytesIO(content)
    return lambda size: stream.read(min(size, 1))


def _with_group(group: bytes) -> bytes:
    return bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(group)) + group


@pytest.mark.parametrize(
    "header",
    [
        a_header(reception_id=OBJECT_ID),
        a_header(calling_title="", called_title=""),
        a_header(calling_title="A" * 16, called_title="odd"),
        replace(a_header(), peer_address="fe80::1%eth0", received_at=1_767_225_600.123456),
        replace(a_header(), hops=7),
        replace(a_header(), kind="message", command=bytes(range(256)), sop_instance_uid=Uid("")),
    ],
)
def test_a_header_reads_back(header: ObjectHeader) -> None:
    """Every field comes back as it was, and the data set is not touched."""
    stream = io.BytesIO(encode_header(header) + DATA_SET)

    assert header == read_header(stream.read)
    assert stream.read() == DATA_SET


def test_short_reads_are_no_end() -> None:
    """A source that gives single bytes gives the same header."""
    assert a_header() == read_header(_dripping(encode_header(a_header())))


def test_another_reader_sees_a_dicom_file() -> None:
    """Pydicom finds the file meta information that PS3.10 asks for, and the data set behind it."""
    ds = pydicom.dcmread(io.BytesIO(encode_header(a_header(reception_id=OBJECT_ID)) + DATA_SET))

    meta: Any = ds.file_meta
    assert (meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID) == ("1.2.826.0.1.1", "1.2.840.10008.1.2.1")
    assert (meta.SourceApplicationEntityTitle, meta.SendingApplicationEntityTitle) == ("CT1", "CT1")
    assert meta.ReceivingApplicationEntityTitle == "EDGE"
    assert (meta.ImplementationClassUID, meta.ImplementationVersionName) == (IMPLEMENTATION_CLASS_UID, "DICOM_EDGE_0")
    assert meta.PrivateInformationCreatorUID == PRIVATE_CREATOR_UID
    assert OBJECT_ID.encode() in meta.PrivateInformation
    assert ds.SOPInstanceUID == "1.2.826.0.1.1"


@pytest.mark.parametrize("uid", [IMPLEMENTATION_CLASS_UID, PRIVATE_CREATOR_UID])
def test_our_own_uids_are_uids(uid: str) -> None:
    """What we print into every file is well formed."""
    assert uid_fault(uid) is None


@pytest.mark.parametrize(
    "change",
    [
        {"sop_class_uid": Uid("")},
        {"sop_instance_uid": Uid("1" * 65)},
        {"sop_instance_uid": Uid("1.2/../3")},
        {"transfer_syntax_uid": Uid("é")},
        {"calling_title": "A" * 17},
        {"called_title": "Ä"},
        {"called_title": "a\nb"},
        {"kind": "message", "command": bytes(64 * 1024)},
        {"received_at": float("nan")},
        {"received_at": float("inf")},
        {"received_at": -0.001},
        {"received_at": 253_402_300_800.0},
    ],
)
def test_what_no_header_can_hold_is_refused(change: dict[str, Any]) -> None:
    """Bad UIDs, titles, oversized commands and moments no calendar has are errors of ours before anything is written."""
    with pytest.raises(ObjectHeaderError):
        encode_header(replace(a_header(), **change))


def test_a_cut_header_is_refused_wherever_it_is_cut() -> None:
    """Every proper prefix is an error, never a wrong header and never a crash."""
    whole = encode_header(a_header())

    for end in range(len(whole)):
        with pytest.raises(ObjectHeaderError):
            read_header(io.BytesIO(whole[:end]).read)


def test_a_changed_byte_is_refused_or_harmless() -> None:
    """No single changed byte raises anything else than the header's own error."""
    whole = encode_header(a_header())

    for at in range(128, len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        try:
            read_header(io.BytesIO(changed + bytes(70_000)).read)
        except ObjectHeaderError:
            continue


def test_a_length_is_never_believed() -> None:
    """A group that says it has gigabytes is refused before it is read."""
    whole = bytearray(encode_header(a_header()))
    whole[GROUP_LENGTH_AT : GROUP_LENGTH_AT + 4] = struct.pack("<L", 0xFFFFFFF0)

    with pytest.raises(ObjectHeaderError, match="64 KiB"):
        read_header(io.BytesIO(whole).read)


@pytest.mark.parametrize(
    "change",
    [
        (b"1767225600.25", b"NaN"),
        (b"1767225600.25", b"9" * 400),
        (b"1767225600.25", b"-1"),
        (b'"CT1"', b"[" * 2000),
        (b'{"v":1,', b'{"v":1,"kind":[],'),
        (b'{"v":1,', b'{"v":1,"hops":"many",'),
        (b'{"v":1,', b'{"v":1,"hops":-1,'),
    ],
)
def test_private_information_that_makes_no_sense_is_damage(change: tuple[bytes, bytes]) -> None:
    """A moment that no clock shows, a kind that is no text and nesting that no reader follows are the header's own error."""
    whole = encode_header(a_header())
    begins = whole.index(b'{"v":1')
    information = whole[begins:].replace(*change)
    group = whole[GROUP_LENGTH_AT + 4 : begins - 4] + struct.pack("<L", len(information)) + information

    with pytest.raises(ObjectHeaderError, match="damaged"):
        read_header(io.BytesIO(_with_group(group)).read)


def test_a_copy_says_nothing_of_how_it_came_here() -> None:
    """The header of a copy is one that any reader takes, and holds neither address nor time nor reception id."""
    header = a_header(reception_id=OBJECT_ID)

    encoded = encode_copy_header(header.sop_class_uid, header.sop_instance_uid, header.transfer_syntax_uid, header.calling_title)

    meta = pydicom.dcmread(io.BytesIO(encoded)).file_meta
    assert [str(uid) for uid in (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID)] == [
        header.sop_class_uid,
        header.sop_instance_uid,
        header.transfer_syntax_uid,
    ]
    assert str(meta.SourceApplicationEntityTitle) == "CT1"
    assert "PrivateInformation" not in meta
    assert header.peer_address.encode() not in encoded


@pytest.mark.parametrize("fields", [("", "1.2", "1.3", "CT1"), ("1.1", "x", "1.3", "CT1"), ("1.1", "1.2", "1.3", "A" * 17)])
def test_a_copy_without_usable_identity_is_refused(fields: tuple[str, str, str, str]) -> None:
    """UIDs and titles that no header can hold are refused, also for a copy."""
    sop_class, instance, syntax, title = fields

    with pytest.raises(ObjectHeaderError):
        encode_copy_header(Uid(sop_class), Uid(instance), Uid(syntax), title)


def test_an_element_we_do_not_know_is_skipped() -> None:
    """A header with one more element of the standard reads as before."""
    whole = encode_header(a_header())
    group = whole[GROUP_LENGTH_AT + 4 :]

    header = read_header(io.BytesIO(_with_group(b"\x02\x00\x26\x00UR\x00\x00\x02\x00\x00\x00x " + group)).read)

    assert a_header() == header


@pytest.mark.parametrize("old", [PRIVATE_CREATOR_UID.encode(), b'"v":1', b'"peer":"10.0.0.7"', b'"id":""', b'{"v"'])
def test_private_information_that_is_not_ours_is_refused(old: bytes) -> None:
    """Another creator, another version, a missing or mistyped field and broken JSON are told, not guessed."""
    replacement = {b'"v":1': b'"v":2', b'"peer":"10.0.0.7"': b'"peer":10.0000007', b'"id":""': b'"ie":""', b'{"v"': b'["v"'}
    whole = encode_header(a_header())
    changed = whole.replace(old, replacement.get(old, b"9" * len(old)))
    assert len(whole) == len(changed)

    with pytest.raises(ObjectHeaderError):
        read_header(io.BytesIO(changed).read)
