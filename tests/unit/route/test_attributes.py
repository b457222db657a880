"""Attributes: what the head of a data set says, whatever its bytes are."""

from __future__ import annotations

import io
import random
import unicodedata

import pytest

from appliance.core.identity import Uid
from appliance.ledger.instances import Attributes
from appliance.route.attributes import HEAD_BYTES, interpret, read_attributes
from tests.unit.route import data_sets as ds


class _Counting:
    """A data set that counts what is read of it."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)
        self.bytes_read = 0

    def read(self, size: int) -> bytes:
        piece = self._file.read(size)
        self.bytes_read += len(piece)
        return piece


def _attributes(content: bytes, transfer_syntax: str = ds.EXPLICIT) -> Attributes:
    return read_attributes(io.BytesIO(content).read, Uid(transfer_syntax))


@pytest.mark.parametrize("transfer_syntax", [ds.EXPLICIT, ds.IMPLICIT])
def test_all_attributes(transfer_syntax: str) -> None:
    """Every attribute that the ledger keeps is found, in explicit and implicit VR."""
    changes: dict[int, bytes | None] = {ds.STUDY_DESCRIPTION: b"HEAD", ds.BODY_PART: b"HEAD "}
    expected = Attributes(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        patient_id="PLANTED-ID",
        patient_name="QUARTZVOLE^PLANTED",
        birth_date="19700101",
        accession_number="A1",
        study_date="20240229",
        study_description="HEAD",
        modality="CT",
        body_part="HEAD",
        station_name="ROOM 3",
    )

    actual = _attributes(ds.an_image("1.2.3.1.1", changes, transfer_syntax=transfer_syntax), transfer_syntax)

    assert expected == actual


def test_pixels_are_not_read() -> None:
    """Of a large object only the chunk with the head is read."""
    counting = _Counting(ds.an_image("1.2.3.1.1", pixels=4 << 20))

    attributes = read_attributes(counting.read, Uid(ds.EXPLICIT))

    assert attributes.study_instance_uid == "1.2.3"
    assert counting.bytes_read <= 64 * 1024


def test_reading_is_bounded() -> None:
    """A head that never comes to the attributes ends the reading at its limit, and they count as absent."""
    counting = _Counting(ds.an_image("1.2.3.1.1", {ds.PRIVATE: bytes(2 * HEAD_BYTES)}))

    attributes = read_attributes(counting.read, Uid(ds.EXPLICIT))

    assert attributes.study_instance_uid == ""
    assert attributes.modality == "CT"
    assert counting.bytes_read == HEAD_BYTES


def test_a_large_private_block_is_stepped_over() -> None:
    """Attributes behind half a megabyte of private elements are found."""
    attributes = _attributes(ds.an_image("1.2.3.1.1", {ds.PRIVATE: bytes(HEAD_BYTES // 2)}))

    assert attributes.patient_id == "PLANTED-ID"


@pytest.mark.parametrize(
    ("character_set", "raw", "expected"),
    [
        (b"", b"NGUYEN^AN", "NGUYEN^AN"),
        (b"ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
        (b"ISO_IR 192", "Nguyễn^Văn An".encode(), "Nguyễn^Văn An"),
        (b"ISO-IR 192", "Nguyễn^Văn An".encode(), "Nguyễn^Văn An"),
        (b"ISO_IR 192", b"\xef\xbb\xbfNguy\xe1\xbb\x85n", "Nguyễn"),
        (b"GB18030", "王^小东".encode("gb18030"), "王^小东"),
        (b"GBK", "王^小东".encode("gbk"), "王^小东"),
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong^Gildong=洪^吉洞"),
        (b"ISO_IR 13", b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        (b"ISO_IR 166", "สมชาย".encode("tis-620"), "สมชาย"),
        # Not declared, but well-formed UTF-8; and not declared at all.
        (b"", "Nguyễn".encode(), "Nguyễn"),
        (b"", b"M\xfcller", "Müller"),
        (b"ISO_IR 999", b"M\xfcller", "Müller"),
        (b"..\\..\\etc", b"M\xfcller", "Müller"),
        (b"\xff\xfe\x00", b"M\xfcller", "Müller"),
    ],
)
def test_character_sets(character_set: bytes, raw: bytes, expected: str) -> None:
    """Names are read by the data set's own character set, and as well as can be where it is none."""
    actual = interpret({ds.CHARACTER_SET: character_set, ds.PATIENT_NAME: raw}).patient_name

    assert expected == actual


_BROKEN = [
    "Nguyễn".encode()[:-1] + b"\xe1\xbb",
    b"\x81",
    b"\x81\x30\x81",
    b"\x1b",
    b"\x1b$",
    b"\x1b$B",
    b"\x1b$B;",
    b"\x1b$B\xff\xff\x1b",
    b"\x1b$)C\xfb",
    b"\x1b$(Dzz\x1b(B",
    b"\x1b%/\x40abc",
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\xc0\xaf\xfe\xff",
    bytes(range(256)) * 4,
]
_CHARACTER_SETS = [
    b"",
    b"ISO_IR 192",
    b"GB18030",
    b"GBK",
    b"ISO_IR 13",
    b"ISO_IR 166",
    b"ISO_IR 127\\ISO 2022 IR 126",
    b"\\ISO 2022 IR 87",
    b"ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159",
    b"\\ISO 2022 IR 149",
    b"\\ISO 2022 IR 58",
    b"ISO_IR 192\\GB18030\\ISO 2022 IR 87",
    b"\\GB18030",
    b"\\\\\\\\",
    b"\x1b$B",
    b"utf-16",
    b"idna",
    b"\xff" * 1024,
]


@pytest.mark.parametrize("character_set", _CHARACTER_SETS)
def test_malformed_text_never_raises(character_set: bytes) -> None:
    """Malformed bytes in any character set, also a made-up one, become text that can be stored and shown."""
    for raw in _BROKEN:
        name = interpret({ds.CHARACTER_SET: character_set, ds.PATIENT_NAME: raw}).patient_name

        assert len(name) <= 64
        assert not [character for character in name if unicodedata.category(character) in {"Cc", "Cf", "Cs"}]
        name.encode("utf-8")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"  CT \0", "CT"),
        (b"A\r\nB\x1b[31mC\0D", "AB[31mCD"),
        ("a\u202eb\u200bc\u2028d".encode(), "abcd"),
        (b"x" * 1000, "x" * 64),
        (b"x" * 63 + b" y", "x" * 63),
        ("\U0001f600".encode(), "\U0001f600"),
        (b"{{7*7}}'); DROP <script>", "{{7*7}}'); DROP <script>"),
        (b"\0\0\0", ""),
    ],
)
def test_text_is_safe_to_show(raw: bytes, expected: str) -> None:
    """Padding and characters that nobody sees are removed, text is cut at 64 characters, and all else is left as it is."""
    actual = interpret({ds.CHARACTER_SET: b"ISO_IR 192", ds.PATIENT_ID: raw}).patient_id

    assert expected == actual


@pytest.mark.parametrize("raw", [b"", b"\0", b"../../etc", b"1.2\\3.4", b"1.2\n3", b"1." + b"2" * 64, b"QUARTZVOLE^PLANTED", b"\xff"])
def test_only_well_formed_uids_are_uids(raw: bytes) -> None:
    """A study UID that is no UID counts as absent: it may be anything, also a name."""
    actual = interpret({ds.STUDY_UID: raw}).study_instance_uid

    assert actual == ""


def test_whatever_arrives_is_answered() -> None:
    """Random bytes, and a data set cut or changed anywhere, are read without an exception."""
    whole = ds.an_image("1.2.3.1.1")
    chance = random.Random(20240229)
    inputs = [chance.randbytes(500) for _ in range(50)] + [whole[:end] for end in range(0, len(whole), 7)]
    for _ in range(200):
        changed = bytearray(whole)
        changed[chance.randrange(len(changed))] = chance.randrange(256)
        inputs.append(bytes(changed))

    answers = [_attributes(content, syntax) for content in inputs for syntax in (ds.EXPLICIT, ds.IMPLICIT, "1.2.840.10008.1.2.1.99", "1.9")]

    assert 4 * len(inputs) == len(answers)
