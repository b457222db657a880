"""A generation on the disk: read back exactly, or refused."""

from __future__ import annotations

import json

import pytest

from appliance.config.load import load_file
from appliance.config.record import GenerationRecord, RecordDamagedError
from tests.unit.config.texts import EXAMPLE, site_of


def _record() -> GenerationRecord:
    return GenerationRecord.of(
        load_file(EXAMPLE), number=7, activated_at=1_767_225_600.75, previous=6, by="anna", reason="new CT", source_digest="00"
    )


def test_a_record_is_read_back_exactly() -> None:
    """Everything comes back, the site with its number."""
    record = _record()

    read = GenerationRecord.decode(record.encode())

    assert read == record
    assert (read.site(), read.site().generation) == (load_file(EXAMPLE), 7)


def test_a_record_can_be_read_by_a_person() -> None:
    """The file is JSON with the keys of the configuration and a time that says its zone."""
    content = json.loads(_record().encode())

    assert content["activated_at"] == "2026-01-01T00:00:00+00:00"
    assert content["site"]["destination"][0]["ae_title"] == "PACS1"


def test_who_and_why_are_one_line() -> None:
    """What people type into a form cannot forge a line or fill a disk."""
    record = GenerationRecord.of(site_of(""), number=1, activated_at=0, by="anna\n", reason="a\nb" + "x" * 1000)

    assert record.by == "anna"
    assert record.reason.startswith("a bxxx")
    assert len(record.reason) == 301


def test_no_byte_changes_unnoticed() -> None:
    """Whatever single letter or digit of the record is changed, it is refused or means the same."""
    raw = _record().encode()

    believed = []
    for place in range(len(raw)):
        if chr(raw[place]).isalnum():
            changed = raw[:place] + (b"1" if raw[place : place + 1] != b"1" else b"2") + raw[place + 1 :]
            try:
                believed += [place] if GenerationRecord.decode(changed) != _record() else []
            except RecordDamagedError:
                continue

    assert believed == []


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b"\xff", b"\0" * 4096, b"[" * 100_000, b'{"digest": 1, "generation": 1}']
)
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    """Anything else is one error of ours."""
    with pytest.raises(RecordDamagedError):
        GenerationRecord.decode(raw)


def test_a_record_of_another_version_keeps_its_values() -> None:
    """A key that this version does not know makes the site unusable, not the record."""
    record = GenerationRecord(3, 2, 0.0, "", "", "", {"future": {"key": 1}})

    read = GenerationRecord.decode(record.encode())

    assert read.values == {"future": {"key": 1}}
    with pytest.raises(RecordDamagedError, match=r"generation 3 .* of another version"):
        read.site()
