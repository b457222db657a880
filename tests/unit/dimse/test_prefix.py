"""The bounded attribute reader: what it finds, what it refuses, and that nothing a peer sends makes it work or keep more than it may."""

from __future__ import annotations

import time
import zlib

import pytest

from appliance.core.identity import Uid
from appliance.dimse.prefix import ElementWalk
from tests.unit.dimse.building import (
    BIG_ENDIAN,
    BOTH,
    CT,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    INSTANCE,
    SOP_CLASS,
    SOP_INSTANCE,
    UNDEFINED,
    data_set,
    deflated,
    element,
    uid,
)

SEQUENCE = 0x00081140
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
FOUND = {SOP_CLASS: uid(CT), SOP_INSTANCE: uid(INSTANCE)}


def walked(data: bytes, syntax: str = EXPLICIT, piece: int | None = None, max_depth: int = 64) -> ElementWalk:
    """Return a walk for both UIDs that was fed `data` in pieces."""
    walk = ElementWalk(Uid(syntax), BOTH, max_depth=max_depth)
    size = piece or max(1, len(data))
    for at in range(0, len(data), size):
        walk.feed(data[at : at + size])
    return walk


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, "1.2.840.10008.1.2.4.90", "1.2.3.4.5"])
@pytest.mark.parametrize("piece", [None, 1, 7])
def test_finds_both_uids_in_every_encoding(syntax: str, piece: int | None) -> None:
    """Both UIDs are found in each family of transfer syntaxes, however the data set is cut into pieces."""
    walk = walked(data_set(syntax=syntax), syntax, piece)

    assert (walk.state, walk.values) == ("complete", FOUND)


def test_order_does_not_matter_and_the_first_of_two_counts() -> None:
    """Tags out of order and repeated tags are read, the first occurrence counting (hostile-inputs.md row 48)."""
    data = element(0x00100010, b"AB", vr="PN") + element(SOP_INSTANCE, uid(INSTANCE)) * 2 + element(SOP_INSTANCE, uid("1.2"))
    walk = walked(data + element(SOP_CLASS, uid(CT)))

    assert (walk.state, walk.values) == ("complete", FOUND)


def test_sequences_of_undefined_length_are_stepped_over() -> None:
    """UIDs inside nested sequences are never taken for those of the object."""
    inner = element(ITEM, b"", length=UNDEFINED) + element(SOP_CLASS, uid("9.9")) + element(ITEM_END, b"")
    nested = element(0x00080006, b"", vr="SQ", length=UNDEFINED) + inner + element(SEQUENCE_END, b"")
    unknown = element(0x00090010, b"", vr="UN", length=UNDEFINED) + element(ITEM, element(SOP_CLASS, b"8.8\0", syntax=IMPLICIT))
    walk = walked(nested + unknown + element(SEQUENCE_END, b"") + data_set(), piece=5)

    assert walk.values == FOUND


def test_a_missing_item_delimiter_is_forgiven() -> None:
    """The end of a sequence ends its open item too (hostile-inputs.md row 46)."""
    data = element(SEQUENCE, b"", vr="SQ", length=UNDEFINED) + element(ITEM, b"", length=UNDEFINED) + element(SEQUENCE_END, b"")

    assert walked(data + element(SEQUENCE_END, b"") + data_set()).values == FOUND


@pytest.mark.parametrize(
    ("data", "syntax"),
    [
        pytest.param(data_set(syntax=IMPLICIT), EXPLICIT, id="implicit VR in an explicit context"),
        pytest.param(b"\xff\xd8\xff\xe0" * 100, EXPLICIT, id="JPEG"),
        pytest.param(b"\x7fELF\2\1\1\0" + bytes(60), EXPLICIT, id="ELF"),
        pytest.param(bytes(128) + b"DICM" + element(0x00020000, b"\0\0\0\0", vr="UL"), IMPLICIT, id="a file, implicit"),
        pytest.param(bytes(128) + b"DICM" + element(0x00020000, b"\0\0\0\0", vr="UL"), EXPLICIT, id="a file, explicit"),
        pytest.param(element(0x00020010, uid(EXPLICIT)) + data_set(), EXPLICIT, id="group 0002"),
        pytest.param(b"no deflated data at all", DEFLATED, id="not deflated"),
        pytest.param(element(SEQUENCE, b"", vr="SQ", length=UNDEFINED) + data_set(), EXPLICIT, id="elements where items belong"),
    ],
)
def test_what_is_not_the_announced_encoding_fails(data: bytes, syntax: str) -> None:
    """Nothing is guessed: another encoding than announced, a file header and other formats fail."""
    walk = walked(data, syntax)

    assert walk.state == "failed"
    assert walk.problem


def test_explicit_vr_in_an_implicit_context_finds_nothing() -> None:
    """Read as implicit, an explicit data set has absurd lengths: nothing is found, nothing is guessed."""
    walk = walked(data_set(tail=bytes(70_000)), IMPLICIT)

    assert (walk.state, walk.values) == ("exhausted", {})


@pytest.mark.parametrize("depth", [33, 3000])
def test_nesting_too_deep_fails_without_recursion(depth: int) -> None:
    """Sequences deeper than the cap end the walk, whatever their depth (hostile-inputs.md row 45)."""
    level = element(SEQUENCE, b"", vr="SQ", length=UNDEFINED) + element(ITEM, b"", length=UNDEFINED)
    walk = walked(level * depth + data_set())

    assert (walk.state, walk.problem) == ("failed", "sequences are nested too deep")


@pytest.mark.parametrize("length", [0x7FFFFFFE, 0xFFFFFFFE])
def test_a_length_allocates_nothing(length: int) -> None:
    """An element that says it is gigabytes long is stepped over as far as bytes come (hostile-inputs.md row 47)."""
    walk = walked(element(0x00090010, b"abcd", vr="OB", length=length))

    assert (walk.state, walk.values) == ("reading", {})


def test_a_wanted_value_is_cut() -> None:
    """No more than `max_value` bytes of a value are kept, and the walk goes on behind it."""
    walk = ElementWalk(EXPLICIT, BOTH, max_value=70)
    walk.feed(element(SOP_CLASS, b"1" * 10_000) + element(SOP_INSTANCE, uid(INSTANCE)))

    assert (walk.state, walk.values) == ("complete", {SOP_CLASS: b"1" * 70, SOP_INSTANCE: uid(INSTANCE)})


def test_an_empty_wanted_value_is_found_empty() -> None:
    """An element that is there without a value is known to be empty."""
    walk = walked(data_set(sop_class="", sop_instance=""))

    assert (walk.state, walk.values) == ("complete", {SOP_CLASS: b"", SOP_INSTANCE: b""})


def test_a_deflate_bomb_is_inflated_to_the_limit_only() -> None:
    """Of what inflates to 64 MB no more than the first 64 KiB are looked at (hostile-inputs.md N4)."""
    bomb = deflated(element(0x00090010, bytes(64 << 20), vr="OB"))
    walk = walked(bomb, DEFLATED)

    assert (walk.state, walk.values) == ("exhausted", {})


@pytest.mark.parametrize("piece", [None, 1, 7])
def test_damage_behind_what_is_wanted_takes_nothing_away(piece: int | None) -> None:
    """What can be inflated before a fault counts, also when both come in one piece; a fault before it is a failure."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    good = compressor.compress(data_set(tail=element(0x00091001, bytes(300), vr="OB"))) + compressor.flush(zlib.Z_SYNC_FLUSH)
    # RFC 1951 3.2.3: a block of the type that does not exist.
    fault = b"\xff" * 20

    walk = walked(good + fault, DEFLATED, piece)

    assert (walk.state, walk.values) == ("complete", FOUND)
    assert walked(good[:12] + fault, DEFLATED, piece).state == "failed"


def test_stops_behind_the_last_wanted_tag() -> None:
    """With `stop_after` the walk ends at the first top-level tag above it, although something wanted is missing."""
    walk = ElementWalk(EXPLICIT, frozenset({SOP_CLASS, 0x0020000D}), stop_after=0x0020000D)
    walk.feed(data_set() + element(0x00280010, b"\0\2", vr="US"))

    assert (walk.state, walk.values) == ("complete", {SOP_CLASS: uid(CT)})


def test_stray_delimiters_are_stepped_over() -> None:
    """Delimiters that close nothing do no harm (hostile-inputs.md rows 46 and 48)."""
    stray = element(ITEM_END, b"") + element(SEQUENCE_END, b"") + element(ITEM, b"ab") + element(ITEM, b"", length=UNDEFINED)

    assert walked(stray + data_set()).values == FOUND


def test_a_prefix_full_of_the_smallest_elements_is_quick() -> None:
    """64 KiB of empty elements, the most work a prefix can make, take a fraction of a second."""
    started = time.process_time()
    walk = walked(element(0x00090010, b"", vr="LO") * 9000)

    assert walk.state == "exhausted"
    assert time.process_time() - started < 1.0


def test_elements_are_counted() -> None:
    """A data set of nothing but empty elements is looked at for so many of them and no further (hostile-inputs.md row 45)."""
    empty = element(0x00070010, b"", vr="LO")
    read, too_many = (ElementWalk(Uid(EXPLICIT), BOTH, max_bytes=1 << 20, max_elements=100) for _ in range(2))

    read.feed(empty * 98 + element(SOP_CLASS, uid(CT)) + element(SOP_INSTANCE, uid(INSTANCE)))
    too_many.feed(empty * 99 + element(SOP_CLASS, uid(CT)) + element(SOP_INSTANCE, uid(INSTANCE)))

    assert (read.state, too_many.state) == ("complete", "exhausted")
    assert list(too_many.values) == [SOP_CLASS]
