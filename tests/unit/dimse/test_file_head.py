"""The beginning of a file that somebody uploaded: what it says, and what is refused in words."""

from __future__ import annotations

import struct

import pytest

from appliance.dimse.file_head import HeadNotDicomError, read_head
from tests.unit.route import data_sets as ds


def meta(syntax: str = ds.EXPLICIT, *, before: bytes = b"") -> bytes:
    """Return preamble and header of a file."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + before + struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid


def test_a_head_says_what_the_file_is() -> None:
    """Transfer syntax from the header, class and instance from the data set."""
    content = ds.an_image("1.2.3.4")

    head = read_head(meta() + content)

    assert ("1.2.3.4", ds.EXPLICIT, content) == (head.sop_instance_uid, head.transfer_syntax_uid, head.data_set)


def test_a_long_element_in_the_header_is_stepped_over() -> None:
    """A private element with a 32-bit length stands before the transfer syntax in some files."""
    private = struct.pack("<HH2sHL", 2, 0x01, b"OB", 0, 2) + b"\0\1"

    assert "1.2.3.4" == read_head(meta(before=private) + ds.an_image("1.2.3.4")).sop_instance_uid


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"MZ" + bytes(4000),
        bytes(128) + b"DICM",
        meta(),
        meta()[:-4],
        meta("not a uid") + ds.an_image("1.2.3.4"),
        meta() + bytes(64),
        meta(before=struct.pack("<HH2sHL", 2, 0x01, b"OB", 0, 0xFFFFFFFF)) + ds.an_image("1.2.3.4"),
        bytes(128) + b"DICM" + ds.an_image("1.2.3.4"),
    ],
    ids=["empty", "a-program", "nothing-behind", "no-data-set", "cut", "no-syntax", "no-uids", "a-length-beyond", "no-header"],
)
def test_what_is_no_file_is_refused(head: bytes) -> None:
    """Whatever is wrong is one error in words, and no length leads out of what is there."""
    with pytest.raises(HeadNotDicomError):
        read_head(head)


def test_no_cut_of_a_head_breaks_anything() -> None:
    """Wherever the file is cut, the answer is the head or the one error."""
    whole = meta() + ds.an_image("1.2.3.4")

    for length in range(0, len(whole), 7):
        try:
            read_head(whole[:length])
        except HeadNotDicomError:
            continue
