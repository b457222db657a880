"""Transcoding and header operations in the configuration: what is taken, and what is refused with a word that helps."""

from __future__ import annotations

import pytest

from appliance.config.check import check
from tests.unit.config.texts import a_destination, the_error_of


@pytest.mark.parametrize("form", ["jpeg-ls", "uncompressed"])
def test_both_forms_of_pixels_are_taken(form: str) -> None:
    """The two words are taken."""
    assert () == check(a_destination(f'transcode = "{form}"'), where="site.toml").errors


@pytest.mark.parametrize(
    "operation",
    [
        '{ do = "prefix-patient-id", value = "KH-", issuer = "KHÁNH HÒA" }',
        '{ do = "set-institution-name", value = "Bệnh viện" }',
        '{ do = "set-timezone-offset", value = "+0700" }',
        '{ do = "prefix-accession-number", value = "12345678" }',
    ],
)
def test_operations_are_taken(operation: str) -> None:
    """Values that fit are taken, letters of every language where nothing is put before something."""
    assert () == check(a_destination(f"headers = [{operation}]"), where="site.toml").errors


@pytest.mark.parametrize(
    ("line", "where", "words"),
    [
        ('transcode = "jpeg"', "transcode", "jpeg-ls"),
        ("transcode = true", "transcode", "jpeg-ls"),
        ('headers = [{ do = "set-study-uid", value = "1" }]', "headers[0].do", "must be"),
        ('headers = [{ do = "set-station-name" }]', "headers[0].value", "missing"),
        ('headers = [{ do = "set-station-name", value = "" }]', "headers[0].value", "blank"),
        ('headers = [{ do = "set-station-name", value = 7 }]', "headers[0].value", "text in quotes"),
        ('headers = [{ do = "set-station-name", value = "A\\\\B" }]', "headers[0].value", "backslash"),
        ('headers = [{ do = "set-station-name", value = "12345678901234567" }]', "headers[0].value", "at most 16"),
        ('headers = [{ do = "prefix-accession-number", value = "123456789" }]', "headers[0].value", "at most 8"),
        ('headers = [{ do = "prefix-patient-id", value = "É" }]', "headers[0].value", "not every image"),
        ('headers = [{ do = "set-timezone-offset", value = "7" }]', "headers[0].value", "offset"),
        ('headers = [{ do = "set-station-name", value = "A", issuer = "B" }]', "headers[0].issuer", "does not belong"),
        ('headers = [{ do = "set-station-name", value = "A", tag = "0008,0018" }]', "headers[0].tag", "not"),
    ],
)
def test_what_cannot_be_done_is_refused(line: str, where: str, words: str) -> None:
    """Words that are none, values that do not fit and keys that do not belong are refused where they stand."""
    error = the_error_of(a_destination(line))

    assert f"destination[0].{where}" == error.where
    assert words in f"{error.problem} {error.advice}"
