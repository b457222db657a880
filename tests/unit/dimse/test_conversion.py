"""The conversion of data sets, rule by rule: what comes out for bytes that were put together here."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from appliance.core.errors import Fault
from appliance.core.identity import Uid
from appliance.dimse.conversion import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, ConversionError, ConvertedSource, convertible

_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV", b"ZZ")
_UNDEFINED = 0xFFFFFFFF

_NAME = 0x00100010
_PRIVATE = 0x00091001
_PIXEL_REPRESENTATION = 0x00280103
_PADDING_VALUE = 0x00280120
_LUT_DESCRIPTOR = 0x00283002
_LUT_DATA = 0x00283006
_PIXEL_DATA = 0x7FE00010
_STUDIES = 0x00081110
_SERIES = 0x00081115

_ITEM = "fffee000"
_ITEM_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
_SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def _implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def _explicit(tag: int, vr: bytes, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    length = len(value) if length is None else length
    if vr in _LONG:
        return struct.pack(order + "HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length) + value
    return struct.pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr, length) + value


def _big(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    return _explicit(tag, vr, value, length, ">")


def _item(content: bytes, length: int | None = None, order: str = "<") -> bytes:
    return struct.pack(order + "HHL", 0xFFFE, 0xE000, len(content) if length is None else length) + content


def _open_item(content: bytes) -> bytes:
    return _item(content, _UNDEFINED) + _ITEM_END


def _open_implicit(tag: int, *items: bytes) -> bytes:
    return _implicit(tag, b"".join(map(_open_item, items)) + _SEQUENCE_END, _UNDEFINED)


def _open_explicit(tag: int, *items: bytes) -> bytes:
    return _explicit(tag, b"SQ", b"".join(map(_open_item, items)) + _SEQUENCE_END, _UNDEFINED)


def _read(source: Callable[[int], bytes], from_syntax: Uid, to_syntax: Uid) -> bytes:
    converted = ConvertedSource(source, from_syntax=from_syntax, to_syntax=to_syntax)
    return b"".join(iter(lambda: converted.read(100), b""))


def _convert(data: bytes, from_syntax: Uid, to_syntax: Uid) -> bytes:
    return _read(io.BytesIO(data).read, from_syntax, to_syntax)


def _to_implicit(data: bytes) -> bytes:
    return _convert(data, EXPLICIT_LITTLE, IMPLICIT_LITTLE)


def _to_explicit(data: bytes) -> bytes:
    return _convert(data, IMPLICIT_LITTLE, EXPLICIT_LITTLE)


def _to_little(data: bytes) -> bytes:
    return _convert(data, EXPLICIT_BIG, EXPLICIT_LITTLE)


@pytest.mark.parametrize(
    ("from_syntax", "to_syntax", "expected"),
    [
        (IMPLICIT_LITTLE, EXPLICIT_LITTLE, True),
        (EXPLICIT_LITTLE, IMPLICIT_LITTLE, True),
        (EXPLICIT_BIG, EXPLICIT_LITTLE, True),
        (EXPLICIT_BIG, IMPLICIT_LITTLE, True),
        (IMPLICIT_LITTLE, IMPLICIT_LITTLE, False),
        (EXPLICIT_LITTLE, EXPLICIT_BIG, False),
        (IMPLICIT_LITTLE, EXPLICIT_BIG, False),
        (Uid("1.2.840.10008.1.2.1.99"), IMPLICIT_LITTLE, False),
        (Uid("1.2.840.10008.1.2.4.70"), EXPLICIT_LITTLE, False),
        (EXPLICIT_LITTLE, Uid("1.2.840.10008.1.2.4.70"), False),
    ],
)
def test_which_pairs_can_be_converted(from_syntax: Uid, to_syntax: Uid, *, expected: bool) -> None:
    """Both little endian encodings become each other, big endian becomes either, and nothing else is promised."""
    assert convertible(from_syntax, to_syntax) is expected


def test_another_pair_is_refused_at_once() -> None:
    """Asking for a pair that cannot be converted is a mistake of the caller's, said before anything is read."""
    with pytest.raises(ValueError, match="cannot be converted"):
        ConvertedSource(io.BytesIO(b"").read, from_syntax=EXPLICIT_LITTLE, to_syntax=EXPLICIT_BIG)


def test_explicit_becomes_implicit() -> None:
    """Short and long heads lose their VR; values stay as they are."""
    data = _explicit(_NAME, b"PN", b"A^B ") + _explicit(_PRIVATE, b"UN", b"\1\2") + _explicit(_PIXEL_DATA, b"OW", b"\1\2\3\4")

    converted = _to_implicit(data)

    assert converted == _implicit(_NAME, b"A^B ") + _implicit(_PRIVATE, b"\1\2") + _implicit(_PIXEL_DATA, b"\1\2\3\4")


@pytest.mark.parametrize(
    ("tag", "vr"),
    [
        (_NAME, b"PN"),
        (0x00080005, b"CS"),
        (0x00089999, b"UN"),  # nothing has this tag
        (0x00090010, b"LO"),  # a private creator
        (0x00090001, b"UN"),
        (_PRIVATE, b"UN"),
        (_PIXEL_DATA, b"OW"),
        (0x60003000, b"OW"),  # an overlay, and the next group's
        (0x60023000, b"OW"),
        (0x50003000, b"OB"),  # a curve
        (0x5000200C, b"OW"),
        (0x7F020010, b"OW"),
        (0x00143050, b"OW"),
        (0x00281200, b"OW"),
        (0x0072006D, b"UN"),
        (0x54001010, b"OW"),
        (0x00189810, b"US"),
        (_PADDING_VALUE, b"US"),
        (_LUT_DATA, b"OW"),
    ],
)
def test_implicit_gets_the_vr_that_the_dictionary_has(tag: int, vr: bytes) -> None:
    """An element gets its VR from the dictionary, UN where that has none, and the usual one where nothing decides."""
    assert _to_explicit(_implicit(tag, b"\1\2")) == _explicit(tag, vr, b"\1\2")


@pytest.mark.parametrize(("value", "vr"), [(b"\0\0", b"US"), (b"\1\0", b"SS"), (b"", b"US")])
def test_pixel_representation_decides_between_us_and_ss(value: bytes, vr: bytes) -> None:
    """What depends on PixelRepresentation is SS where pixels are signed, else US."""
    head = _implicit(_PIXEL_REPRESENTATION, value)

    converted = _to_explicit(head + _implicit(_PADDING_VALUE, b"\xff\xff"))

    assert converted == _explicit(_PIXEL_REPRESENTATION, b"US", value) + _explicit(_PADDING_VALUE, vr, b"\xff\xff")


def test_the_innermost_pixel_representation_counts() -> None:
    """An item inherits PixelRepresentation from what holds it, unless it has its own, which ends with it."""
    signed, unsigned = b"\1\0", b"\0\0"
    without = _implicit(_PADDING_VALUE, b"ab")
    own = _implicit(_PIXEL_REPRESENTATION, unsigned) + without
    after = _implicit(0x60003004, b"ab") + _implicit(0x00603004, b"ab")

    converted = _to_explicit(_implicit(_PIXEL_REPRESENTATION, signed) + _open_implicit(0x00283000, without, own) + after)

    assert converted == (
        _explicit(_PIXEL_REPRESENTATION, b"US", signed)
        + _open_explicit(
            0x00283000,
            _explicit(_PADDING_VALUE, b"SS", b"ab"),
            _explicit(_PIXEL_REPRESENTATION, b"US", unsigned) + _explicit(_PADDING_VALUE, b"US", b"ab"),
        )
        + _explicit(0x60003004, b"UN", b"ab")
        + _explicit(0x00603004, b"SS", b"ab")
    )


@pytest.mark.parametrize(("entries", "vr"), [(1, b"US"), (256, b"OW")])
def test_the_lut_descriptor_decides_about_its_lut(entries: int, vr: bytes) -> None:
    """A table of one entry is US, any other OW, by the descriptor in the same item and no other."""
    descriptor = struct.pack("<HHH", entries, 0, 16)
    lut = _implicit(_LUT_DESCRIPTOR, descriptor) + _implicit(_LUT_DATA, b"ab")

    converted = _to_explicit(_open_implicit(0x00283000, lut, _implicit(_LUT_DATA, b"ab")))

    first = _explicit(_LUT_DESCRIPTOR, b"US", descriptor) + _explicit(_LUT_DATA, vr, b"ab")
    assert converted == _open_explicit(0x00283000, first, _explicit(_LUT_DATA, b"OW", b"ab"))


@pytest.mark.parametrize(("bits", "vr"), [(8, b"OB"), (16, b"OW")])
def test_waveforms_of_bytes_are_ob(bits: int, vr: bytes) -> None:
    """Waveform data is OB when its samples have 8 bits, else OW."""
    allocated = struct.pack("<H", bits)

    converted = _to_explicit(_implicit(0x54001004, allocated) + _implicit(0x54001010, b"ab"))

    assert converted == _explicit(0x54001004, b"US", allocated) + _explicit(0x54001010, vr, b"ab")


@pytest.mark.parametrize(
    ("vr", "value", "turned"),
    [
        (b"US", b"\1\2\3\4", b"\2\1\4\3"),
        (b"SS", b"\1\2", b"\2\1"),
        (b"OW", b"\1\2\3\4", b"\2\1\4\3"),
        (b"AT", b"\0\x10\0\x20", b"\x10\0\x20\0"),
        (b"UL", b"\1\2\3\4", b"\4\3\2\1"),
        (b"SL", b"\1\2\3\4", b"\4\3\2\1"),
        (b"FL", b"\1\2\3\4", b"\4\3\2\1"),
        (b"OF", b"\1\2\3\4", b"\4\3\2\1"),
        (b"OL", b"\1\2\3\4", b"\4\3\2\1"),
        (b"FD", b"\1\2\3\4\5\6\7\x08", b"\x08\7\6\5\4\3\2\1"),
        (b"OD", b"\1\2\3\4\5\6\7\x08", b"\x08\7\6\5\4\3\2\1"),
        (b"OV", b"\1\2\3\4\5\6\7\x08", b"\x08\7\6\5\4\3\2\1"),
        (b"SV", b"\1\2\3\4\5\6\7\x08", b"\x08\7\6\5\4\3\2\1"),
        (b"UV", b"\1\2\3\4\5\6\7\x08", b"\x08\7\6\5\4\3\2\1"),
        (b"OB", b"\1\2", b"\1\2"),
        (b"UN", b"\1\2", b"\1\2"),
        (b"LO", b"ab", b"ab"),
        (b"UT", b"ab", b"ab"),
    ],
)
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_big_endian_values_are_turned_round(vr: bytes, value: bytes, turned: bytes, step: int) -> None:
    """Each word of a value is turned round by its VR's size, also when it arrives in pieces; bytes and text stay."""
    source = io.BytesIO(_big(_PRIVATE, vr, value))

    converted = _read(lambda _: source.read(step), EXPLICIT_BIG, EXPLICIT_LITTLE)

    assert converted == _explicit(_PRIVATE, vr, turned)


def test_big_endian_decides_like_little() -> None:
    """What decides a VR is read after it was turned round: it matters for an implicit sequence inside a big endian data set."""
    unknown = _implicit(_PADDING_VALUE, b"\1\2")
    data = _big(_PIXEL_REPRESENTATION, b"US", b"\0\1") + _big(0x00290010, b"UN", _open_item(unknown) + _SEQUENCE_END, _UNDEFINED)

    converted = _to_little(data)

    content = _explicit(_PADDING_VALUE, b"SS", b"\1\2")
    assert converted == _explicit(_PIXEL_REPRESENTATION, b"US", b"\1\0") + _open_explicit(0x00290010, content)


def test_big_endian_sequences_are_followed() -> None:
    """Items, lengths and delimiters of a big endian sequence are read in big endian."""
    inner = _big(_NAME, b"PN", b"AB")
    data = _big(_STUDIES, b"SQ", _item(inner, order=">") + _item(b"", order=">"))

    converted = _convert(data, EXPLICIT_BIG, IMPLICIT_LITTLE)

    assert converted == _open_implicit(_STUDIES, _implicit(_NAME, b"AB"), b"")


@pytest.mark.parametrize("is_defined", [True, False])
def test_sequences_come_out_without_lengths(*, is_defined: bool) -> None:
    """Sequences and items, within each other too, are written with undefined length, however they came; empty ones are kept."""
    name = _implicit(_NAME, b"AB")
    inner = _open_implicit(_SERIES, name) if not is_defined else _implicit(_SERIES, _item(name))
    outer = _open_implicit(_STUDIES, inner, b"") if not is_defined else _implicit(_STUDIES, _item(inner) + _item(b""))
    empty = _implicit(0x00081140, b"")

    converted = _to_explicit(outer + empty + name)

    name = _explicit(_NAME, b"PN", b"AB")
    assert converted == _open_explicit(_STUDIES, _open_explicit(_SERIES, name), b"") + _open_explicit(0x00081140) + name


def test_an_unknown_sequence_is_recognised_by_its_missing_length() -> None:
    """An element that nobody knows is a sequence when it has no length, and untouched bytes when it has one."""
    name = _implicit(_NAME, b"AB")
    sealed = _item(name)

    converted = _to_explicit(_open_implicit(_PRIVATE, name) + _implicit(_PRIVATE + 1, sealed))

    assert converted == _open_explicit(_PRIVATE, _explicit(_NAME, b"PN", b"AB")) + _explicit(_PRIVATE + 1, b"UN", sealed)


@pytest.mark.parametrize("to_syntax", [IMPLICIT_LITTLE, EXPLICIT_LITTLE])
def test_un_without_a_length_holds_implicit_little_endian(to_syntax: Uid) -> None:
    """UN of undefined length is read as an implicit little endian sequence even in big endian, its content converted with it."""
    content = _implicit(_NAME, b"AB") + _implicit(_SERIES, _item(_implicit(0x00200013, b"7 ")))
    data = _big(_PRIVATE, b"UN", _open_item(content) + _SEQUENCE_END, _UNDEFINED) + _big(0x00280010, b"US", b"\0\1")

    converted = _convert(data, EXPLICIT_BIG, to_syntax)

    if to_syntax == IMPLICIT_LITTLE:
        series = _open_implicit(_SERIES, _implicit(0x00200013, b"7 "))
        expected = _open_implicit(_PRIVATE, _implicit(_NAME, b"AB") + series) + _implicit(0x00280010, b"\1\0")
    else:
        series = _open_explicit(_SERIES, _explicit(0x00200013, b"IS", b"7 "))
        expected = _open_explicit(_PRIVATE, _explicit(_NAME, b"PN", b"AB") + series) + _explicit(0x00280010, b"US", b"\1\0")
    assert converted == expected


def test_un_with_a_length_keeps_its_bytes() -> None:
    """UN of defined length is not looked into, whatever the dictionary says about its tag."""
    data = _explicit(_STUDIES, b"UN", b"no items") + _explicit(0x00280010, b"UN", b"\1\2")

    assert _to_implicit(data) == _implicit(_STUDIES, b"no items") + _implicit(0x00280010, b"\1\2")


def test_group_lengths_are_left_out() -> None:
    """Group lengths, in items too, are dropped: their value would be wrong."""
    group = _explicit(0x00100000, b"UL", b"\1\2\3\4") + _explicit(_NAME, b"PN", b"AB")

    converted = _to_implicit(group + _open_explicit(0x00400100, group))

    assert converted == _implicit(_NAME, b"AB") + _open_implicit(0x00400100, _implicit(_NAME, b"AB"))


@pytest.mark.parametrize(("length", "vr"), [(65534, b"LT"), (65535, b"UN"), (65536, b"UN"), (300_000, b"UN")])
def test_what_is_too_long_for_its_vr_becomes_un(length: int, vr: bytes) -> None:
    """A value that the 16-bit length of its VR cannot describe is written as UN (PS3.5 6.2.2)."""
    value = b"x" * length

    converted = _to_explicit(_implicit(0x00104000, value))

    assert converted == _explicit(0x00104000, vr, value + b" " * (length % 2))


@pytest.mark.parametrize(
    ("tag", "vr", "pad"), [(_NAME, b"PN", b" "), (0x0020000D, b"UI", b"\0"), (_PRIVATE, b"UN", b"\0"), (_PIXEL_DATA, b"OW", b"\0")]
)
def test_an_odd_length_is_made_even(tag: int, vr: bytes, pad: bytes) -> None:
    """A value of odd length is padded the way its VR is: the next reader may not forgive what the last one did."""
    converted = _to_explicit(_implicit(tag, b"1.2"))

    assert converted == _explicit(tag, vr, b"1.2" + pad)


def test_a_missing_item_delimiter_is_put_right() -> None:
    """The sequence's delimiter ends an open item too, and a delimiter outside of everything is left out."""
    name = _implicit(_NAME, b"AB")
    data = _implicit(_STUDIES, _item(name, _UNDEFINED) + _SEQUENCE_END, _UNDEFINED) + _SEQUENCE_END + _ITEM_END

    assert _to_explicit(data) == _open_explicit(_STUDIES, _explicit(_NAME, b"PN", b"AB"))


def test_delimiters_that_lengths_include_are_no_fault() -> None:
    """A sequence or item of defined length may carry a delimiter nevertheless, as its last bytes."""
    name = _implicit(_NAME, b"AB")
    data = _implicit(_STUDIES, _item(name + _ITEM_END) + _SEQUENCE_END)

    assert _to_explicit(data) == _open_explicit(_STUDIES, _explicit(_NAME, b"PN", b"AB"))


def test_an_empty_data_set_stays_empty() -> None:
    """Nothing converts to nothing."""
    assert _to_explicit(b"") == b""


def _deep(levels: int) -> bytes:
    head = _implicit(_STUDIES, b"", _UNDEFINED) + _item(b"", _UNDEFINED)
    return head * levels + (_ITEM_END + _SEQUENCE_END) * levels


def test_depth_is_no_recursion() -> None:
    """Two hundred sequences within each other are converted like one."""
    converted = _convert(_deep(200), IMPLICIT_LITTLE, EXPLICIT_LITTLE)

    assert _to_implicit(converted) == _deep(200)


_NAME_HEAD = _explicit(_NAME, b"PN", b"", 10)
_OPEN = _explicit(_STUDIES, b"SQ", b"", _UNDEFINED)


@pytest.mark.parametrize(
    ("data", "where", "problem"),
    [
        (_NAME_HEAD[:5], "the data set", "ends too early"),
        (_NAME_HEAD + b"SECRET", "(0010,0010)", "ends too early"),
        (_explicit(_PIXEL_DATA, b"OW", b"", 8)[:10], "(7fe0,0010)", "ends too early"),
        (_OPEN, "(0008,1110)", "ends too early"),
        (_OPEN + _item(b"", _UNDEFINED), "(0008,1110)", "ends too early"),
        (_explicit(_STUDIES, b"SQ", _item(b""), 20), "(0008,1110)", "ends too early"),
        (_implicit(_NAME, b"SECRET"), "(0010,0010)", "no VR"),
        (_explicit(_NAME, b"pn", b"SECRET"), "(0010,0010)", "no VR"),
        (_explicit(_PIXEL_DATA, b"OB", _item(b"") + _SEQUENCE_END, _UNDEFINED), "(7fe0,0010)", "not a sequence"),
        (_explicit(0x00104000, b"UT", b"", _UNDEFINED), "(0010,4000)", "not a sequence"),
        (_explicit(_STUDIES, b"SQ", _NAME_HEAD), "(0008,1110)", "something else than items"),
        (_explicit(_STUDIES, b"SQ", b"abcd"), "(0008,1110)", "does not fit into its length"),
        (_explicit(_STUDIES, b"SQ", _item(b"", 30)) + bytes(30), "(0008,1110)", "longer than the sequence or item"),
        (_explicit(_STUDIES, b"SQ", _item(_explicit(_NAME, b"PN", b"", 6))) + b"SECRET", "(0010,0010)", "longer than the sequence or item"),
        (_explicit(_STUDIES, b"SQ", _item(_explicit(_NAME, b"OB", b"")[:8])) + bytes(8), "(0008,1110)", "does not fit into its length"),
        (_explicit(_STUDIES, b"SQ", _item(b"", _UNDEFINED)) + _ITEM_END, "(0008,1110)", "does not fit into its length"),
        (_explicit(_STUDIES, b"SQ", _item(_ITEM_END + bytes(8))), "(0008,1110)", "before the end"),
        (_explicit(_STUDIES, b"SQ", _SEQUENCE_END + _item(b"")), "(0008,1110)", "before the end"),
        (_explicit(_STUDIES, b"SQ", _item(_SEQUENCE_END + bytes(8))), "(0008,1110)", "a delimiter stands"),
        (_item(b""), "the data set", "a delimiter stands"),
        (_item(b"", _UNDEFINED), "the data set", "a delimiter stands"),
        (_OPEN + _item(_item(b""), _UNDEFINED), "(0008,1110)", "a delimiter stands"),
        (_OPEN + _ITEM_END, "(0008,1110)", "something else than items"),
    ],
)
def test_what_is_malformed_is_the_peers_fault(data: bytes, where: str, problem: str) -> None:
    """Truncated and malformed data sets are refused with the tag and constant words, never with a value."""
    with pytest.raises(ConversionError) as caught:
        _to_implicit(data)

    assert where in str(caught.value)
    assert problem in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert caught.value.fault is Fault.PEER


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (_big(_PRIVATE, b"ZZ", b"ab"), "VR is not known"),
        (_big(_PRIVATE, b"US", b"abc"), "does not fit"),
        (_big(_PRIVATE, b"FD", b"abcd"), "does not fit"),
    ],
)
def test_what_cannot_be_turned_round_is_refused(data: bytes, problem: str) -> None:
    """A big endian value whose words are not known, or not whole, is not guessed at."""
    with pytest.raises(ConversionError, match=problem):
        _to_little(data)


def test_a_vr_of_the_future_needs_no_knowledge_in_little_endian() -> None:
    """A VR that the standard does not have yet has a 32-bit length, and its bytes pass."""
    assert _to_implicit(_explicit(_PRIVATE, b"ZZ", b"ab")) == _implicit(_PRIVATE, b"ab")


def test_a_sequence_too_deep_is_refused() -> None:
    """Nesting beyond the limit is an error and not a matter of luck."""
    with pytest.raises(ConversionError, match="nested too deep"):
        _to_explicit(_deep(257))


def test_a_failure_never_looks_like_the_end() -> None:
    """After a failure every further read fails too, also when the source was at fault, whose own error passes through once."""
    pieces = iter([_explicit(_NAME, b"PN", b"AB")])

    def source(_: int) -> bytes:
        piece = next(pieces, None)
        if piece is None:
            raise OSError("the disk")
        return piece

    converted = ConvertedSource(source, from_syntax=EXPLICIT_LITTLE, to_syntax=IMPLICIT_LITTLE)

    with pytest.raises(OSError, match="the disk"):
        converted.read(1000)
    for _ in range(2):
        with pytest.raises(ConversionError, match="broken off"):
            converted.read(1000)


def test_nothing_comes_out_after_a_fault() -> None:
    """What was ready when a fault was met is not given to a later, smaller read."""
    data = _explicit(_NAME, b"PN", b"ABCD") + b"\x10"
    converted = ConvertedSource(io.BytesIO(data).read, from_syntax=EXPLICIT_LITTLE, to_syntax=IMPLICIT_LITTLE)

    with pytest.raises(ConversionError, match="ends too early"):
        converted.read(1000)

    with pytest.raises(ConversionError, match="broken off"):
        converted.read(1)


@pytest.mark.parametrize("size", [1, 11, 12, 100])
def test_the_last_byte_waits_for_the_end(size: int) -> None:
    """A fault behind the last element is raised before the last byte is given, so that nobody takes a damaged object for a whole one."""
    data = _explicit(_NAME, b"PN", b"ABCD") + b"\x10"
    converted = ConvertedSource(io.BytesIO(data).read, from_syntax=EXPLICIT_LITTLE, to_syntax=IMPLICIT_LITTLE)
    received: list[bytes] = []

    with pytest.raises(ConversionError, match="ends too early"):
        received.extend(iter(lambda: converted.read(size), b""))

    assert len(b"".join(received)) < len(_implicit(_NAME, b"ABCD"))


def test_reads_are_full_until_the_end() -> None:
    """Each read returns as much as was asked for; only the last is shorter, and b"" follows for good."""
    converted = ConvertedSource(
        io.BytesIO(_explicit(_NAME, b"PN", b"0123456789")).read, from_syntax=EXPLICIT_LITTLE, to_syntax=IMPLICIT_LITTLE
    )

    reads = [converted.read(size) for size in (0, 7, 7, 7, 7, 7)]

    assert [len(read) for read in reads] == [0, 7, 7, 4, 0, 0]


@pytest.mark.parametrize(("from_syntax", "order"), [(EXPLICIT_LITTLE, "<"), (EXPLICIT_BIG, ">")])
def test_huge_values_pass_in_constant_memory(from_syntax: Uid, order: str) -> None:
    """Pixel data of 2 GiB is announced, and what streams by is never held: a few pieces at a time."""
    size = 2 << 30
    streamed = 64 << 20
    piece = bytes(65536)

    def endless() -> Iterator[bytes]:
        yield _explicit(_PIXEL_DATA, b"OW", b"", size, order)
        while True:
            yield piece

    pieces = endless()
    converted = ConvertedSource(lambda _: next(pieces), from_syntax=from_syntax, to_syntax=IMPLICIT_LITTLE)

    tracemalloc.start()
    received = sum(len(converted.read(131072)) for _ in range(streamed // 131072))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert received == streamed
    assert peak < 4 << 20
