"""Layouts filled in: whatever an image says of itself, the path stays a path of plain names below the folder."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.config.layout import DEFAULT_LAYOUT, FIELDS, LayoutTemplate
from appliance.deliver.layout import TAGS, path_of, values_of, wanted_tags

EVERYTHING = LayoutTemplate("/".join(f"{{{field}}}" for field in FIELDS[:7]) + "/{patient_id}{patient_name}-{accession}.dcm")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def test_the_usual_layout_is_uids() -> None:
    """Study, series and instance, and nothing about the patient."""
    values = values_of("1.2.3", "CT1", {TAGS["study"]: b"1.1\0", TAGS["series"]: b"1.5 ", TAGS["patient_name"]: b"Doe^Jane"})

    assert path_of(DEFAULT_LAYOUT, values) == ("1.1", "1.5", "1.2.3.dcm")
    assert wanted_tags(DEFAULT_LAYOUT) == {TAGS["study"], TAGS["series"]}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"..", "__"),
        (b"../../etc/passwd", "___.._etc_passwd"),
        (b"/", "_"),
        (b"", "unknown"),
        (b"  ", "unknown"),
        (b"a\0b", "a_b"),
        (b".hidden", "_hidden"),
        (b"trailing.", "trailing_"),
        (b"CON", "_CON"),
        (b"nul.txt", "_nul.txt"),
        (b"Nguy\xe1\xbb\x85n", "Nguy___n"),
        (b"x" * 500, "x" * 64),
        (b"a\nb\tc", "a_b_c"),
        (b"{instance}", "_instance_"),
    ],
)
def test_a_value_is_a_plain_name(said: bytes, expected: str) -> None:
    """Dots, slashes, control characters, other alphabets and names of devices lose their meaning."""
    layout = LayoutTemplate("{patient_id}/{instance}")

    path = path_of(layout, values_of("1.2", "CT1", {TAGS["patient_id"]: said}))

    assert path == (expected, "1.2")


@given(st.fixed_dictionaries({tag: st.binary(max_size=80) for tag in TAGS.values()}), st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_nothing_leads_out_of_the_folder(elements: dict[int, bytes], source: str) -> None:
    """For any bytes in any element, the path has as many parts as the layout, each a plain name."""
    path = path_of(EVERYTHING, values_of("1.2.3", source, elements))

    assert len(path) == len(EVERYTHING.parts)
    for part in path:
        assert re.fullmatch(r"[A-Za-z0-9_-]([A-Za-z0-9._-]*[A-Za-z0-9_-])?", part)
        assert not _DEVICE.fullmatch(part)
    assert PurePosixPath("/root").joinpath(*path).is_relative_to("/root")


def test_two_instances_are_never_one_file() -> None:
    """Whatever else is equal, the instance tells them apart."""
    one, other = (path_of(EVERYTHING, values_of(uid, "CT1", {})) for uid in ("1.2.3", "1.2.4"))

    assert one != other
