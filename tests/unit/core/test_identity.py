"""Titles and UIDs are compared and refused the way the field does it."""

from __future__ import annotations

import pytest

from appliance.core.identity import AETitle, AETitleInvalidError, escaped, has_leading_zero, uid_fault


@pytest.mark.parametrize("raw", [b"PACS1           ", b"pacs1\0\0\0\0\0\0\0\0\0\0\0", b"  Pacs1 \0\0       "])
def test_padding_and_case_do_not_matter(raw: bytes) -> None:
    """Padding with spaces or NULs, and case, make no other title."""
    title = AETitle.from_wire(raw)

    assert title == AETitle("PACS1")
    assert hash(title) == hash(AETitle("PACS1"))


@pytest.mark.parametrize("raw", [b"                ", b"\0" * 16, b""])
def test_a_blank_title_is_none(raw: bytes) -> None:
    """Spaces and NULs alone are no title."""
    assert AETitle.from_wire(raw) is None


@pytest.mark.parametrize("raw", [b"CT\n1", b"CT\t1", b"CT\x001", b"CT\\1", b"CT\xff", b"\x1b[31mCT"])
def test_characters_that_no_title_may_hold_are_refused(raw: bytes) -> None:
    """Control characters, backslashes and bytes outside ASCII raise, and are not echoed."""
    with pytest.raises(AETitleInvalidError) as caught:
        AETitle.from_wire(raw)

    assert "CT" not in str(caught.value)


def test_a_title_keeps_its_spelling() -> None:
    """What is configured is what is sent."""
    assert str(AETitle.parse(" Ct1 ")) == "Ct1"


@pytest.mark.parametrize("text", ["", "a" * 17])
def test_a_title_has_1_to_16_characters(text: str) -> None:
    """Too short and too long raise."""
    with pytest.raises(AETitleInvalidError):
        AETitle.parse(text)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.1", "1.2.03.4", "1" * 64])
def test_good_uids_and_leading_zeros_pass(uid: str) -> None:
    """Leading zeros are tolerated, because scanners send them."""
    assert uid_fault(uid) is None


@pytest.mark.parametrize("uid", ["", "1" * 65, "1.2\n3", "1.2/3", "../../etc", "1..2", ".1", "1.", "1.2 ", "1.2\x003", "1.٢"])
def test_bad_uids_are_named(uid: str) -> None:
    """Everything else has a fault in words."""
    assert uid_fault(uid)


def test_escaped_text_is_printable_ascii() -> None:
    """Nothing a peer sends can break a log line."""
    text = escaped(b"CT\n\x1b[31m\xff\\")

    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    ("uid", "expected"), [("1.2.03", True), ("01.2", True), ("1.00", True), ("1.0.2", False), ("0.1.10", False), ("1.20", False)]
)
def test_leading_zeros_are_seen(uid: str, expected: bool) -> None:  # noqa: FBT001 (the expectation)
    """A component that begins with a zero is seen, one that is a zero is fine."""
    assert expected == has_leading_zero(uid)
