"""The conversion's promises, for data sets that nobody thought of, written and read again by pydicom."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator

import pydicom
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from appliance.core.identity import Uid
from appliance.dimse.conversion import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, ConversionError, ConvertedSource

_SOURCES = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG)
_PAIRS = (
    (IMPLICIT_LITTLE, EXPLICIT_LITTLE),
    (EXPLICIT_LITTLE, IMPLICIT_LITTLE),
    (EXPLICIT_BIG, IMPLICIT_LITTLE),
    (EXPLICIT_BIG, EXPLICIT_LITTLE),
)
# pydicom writes these as it is given them; what it is given here is meant in the order that is written.
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

_TEXT = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789", min_size=1, max_size=16).map(str.strip).filter(bool)
_TAGS = st.integers(0x0008, 0xFFEE).flatmap(lambda group: st.integers(1, 0xFFFF).map(lambda element: group << 16 | element))


def _several(one: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(one, max_size=4).map(lambda values: values[0] if len(values) == 1 else values)


def _words(size: int, most: int = 40) -> st.SearchStrategy[bytes]:
    return st.integers(0, most).flatmap(lambda count: st.binary(min_size=count * size, max_size=count * size))


def _signed(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


# Every VR but SQ, with one public element that has it and one that only its vendor knows.
_VALUES: dict[str, tuple[int, st.SearchStrategy[object]]] = {
    "AE": (0x00080054, _several(_TEXT)),
    "AS": (0x00101010, st.just("042Y")),
    "AT": (0x00280009, _several(_TAGS)),
    "CS": (0x00080060, _several(_TEXT)),
    "DA": (0x00080020, st.just("20240229")),
    "DS": (0x00101020, _several(st.sampled_from(("1.5", "-2", "3e4")))),
    "DT": (0x0008002A, st.just("20240229120000.5")),
    "FD": (0x00189073, _several(st.floats(width=64, allow_nan=False))),
    "FL": (0x00089459, _several(st.floats(width=32, allow_nan=False))),
    "IS": (0x00200013, _several(st.sampled_from(("7", "-12", "0")))),
    "LO": (0x00080070, _several(_TEXT)),
    "LT": (0x00104000, _TEXT),
    "OB": (0x00282000, _words(2)),
    "OD": (0x7FE00009, _words(8)),
    "OF": (0x7FE00008, _words(4)),
    "OL": (0x00660129, _words(4)),
    "OV": (0x7FE00001, _words(8)),
    "OW": (0x00281201, _words(2, 300)),
    "PN": (0x00100010, _several(_TEXT)),
    "SH": (0x00080050, _several(_TEXT)),
    "SL": (0x00186020, _several(_signed(32))),
    "SS": (0x00189219, _several(_signed(16))),
    "ST": (0x00080081, _TEXT),
    "SV": (0x00720082, _several(_signed(64))),
    "TM": (0x00080030, st.just("120000")),
    "UC": (0x00189908, _several(_TEXT)),
    "UI": (0x0020000D, st.just("2.25.7")),
    "UL": (0x00186016, _several(st.integers(0, (1 << 32) - 1))),
    "UN": (0x0072006D, _words(2)),
    "UR": (0x00080120, st.just("urn:uuid:7")),
    "US": (0x00280010, _several(st.integers(0, (1 << 16) - 1))),
    "UT": (0x0040A160, _TEXT),
    "UV": (0x00720083, _several(st.integers(0, (1 << 64) - 1))),
}
_PUBLIC_SEQUENCES = (0x00081110, 0x00081140, 0x00400275, 0x52009229)
_PRIVATE_GROUP = 0x00290000


@st.composite
def _elements(draw: st.DrawFn) -> DataElement:
    vr = draw(st.sampled_from(tuple(_VALUES)))
    public, values = _VALUES[vr]
    private = _PRIVATE_GROUP | 0x1000 | draw(st.integers(0, 0xFF))
    return DataElement(draw(st.sampled_from((public, private))), vr, draw(values))


@st.composite
def _sequences(draw: st.DrawFn, items: st.SearchStrategy[Dataset]) -> DataElement:
    is_private = draw(st.booleans())
    tag = _PRIVATE_GROUP | 0x1100 | draw(st.integers(0, 0xFF)) if is_private else draw(st.sampled_from(_PUBLIC_SEQUENCES))
    element = DataElement(tag, "SQ", Sequence(draw(st.lists(items, max_size=3))))
    # A private sequence with a length is bytes to whoever reads implicit VR, and stays that: see the unit tests.
    element.is_undefined_length = is_private or draw(st.booleans())
    return element


def _data_set(elements: Iterable[DataElement], *, is_undefined: bool = False) -> Dataset:
    ds = Dataset()
    for element in elements:
        ds[element.tag] = element
    ds.is_undefined_length_sequence_item = is_undefined
    return ds


def _items(content: st.SearchStrategy[DataElement]) -> st.SearchStrategy[Dataset]:
    return st.builds(
        lambda elements, is_undefined: _data_set(elements, is_undefined=is_undefined), st.lists(content, max_size=4), st.booleans()
    )


_NESTED = st.recursive(_elements(), lambda content: _sequences(_items(content)) | content, max_leaves=12)
_DATA_SETS = st.lists(_NESTED, max_size=6).map(_data_set)


def _encoded(ds: Dataset, syntax: Uid) -> bytes:
    target = io.BytesIO()
    pydicom.dcmwrite(target, ds, implicit_vr=syntax == IMPLICIT_LITTLE, little_endian=syntax != EXPLICIT_BIG)
    return target.getvalue()


def _converted(data: bytes, from_syntax: Uid, to_syntax: Uid, arriving: int = 1 << 20, leaving: int = 1 << 20) -> bytes:
    source = io.BytesIO(data)
    converted = ConvertedSource(lambda size: source.read(min(size, arriving)), from_syntax=from_syntax, to_syntax=to_syntax)
    return b"".join(iter(lambda: converted.read(leaving), b""))


_Flat = list[tuple[tuple[int, ...], str | None, bytes | int]]


def _flat(data: bytes, syntax: Uid) -> _Flat:
    """Return every element pydicom finds, in order: its path, its VR where one is written, its bytes or its number of items."""
    return list(_walk(read_dataset(io.BytesIO(data), syntax == IMPLICIT_LITTLE, syntax != EXPLICIT_BIG), ()))


def _walk(ds: Dataset, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str | None, bytes | int]]:
    # `elements()` would decode empty values already.
    for tag, element in sorted(ds._dict.items()):
        if isinstance(element, RawDataElement) and element.VR != "SQ" and (element.VR or tag not in _PUBLIC_SEQUENCES):
            yield (*path, tag), element.VR, element.value or b""
        else:
            items = ds[tag].value
            yield (*path, tag), None, len(items)
            for number, item in enumerate(items):
                yield from _walk(item, (*path, tag, number))


def _turned(value: bytes, word: int) -> bytes:
    return bytes(byte for start in range(0, len(value), word) for byte in reversed(value[start : start + word]))


def _expected(ds: Dataset, from_syntax: Uid, to_syntax: Uid) -> _Flat:
    """Return what pydicom itself writes in the other syntax, without what the first one cannot tell."""
    written = _flat(_encoded(ds, to_syntax), to_syntax)
    if from_syntax == EXPLICIT_BIG:
        words = {path: _WORDS[vr] for path, vr, _ in _flat(_encoded(ds, EXPLICIT_LITTLE), EXPLICIT_LITTLE) if vr in _WORDS}
        written = [
            (path, vr, _turned(value, words[path]) if path in words and isinstance(value, bytes) else value) for path, vr, value in written
        ]
    if from_syntax == IMPLICIT_LITTLE:
        written = [(path, "UN" if vr and _is_private(path) else vr, value) for path, vr, value in written]
    return written


def _is_private(path: tuple[int, ...]) -> bool:
    return path[-1] >> 16 & 1 == 1


@given(ds=_DATA_SETS, pair=st.sampled_from(_PAIRS))
@settings(deadline=None, max_examples=60)
def test_a_converted_data_set_is_the_one_pydicom_writes(ds: Dataset, pair: tuple[Uid, Uid]) -> None:
    """Every element of a nested data set arrives with the value and VR that pydicom gives it in the other transfer syntax."""
    from_syntax, to_syntax = pair

    converted = _converted(_encoded(ds, from_syntax), from_syntax, to_syntax)

    assert _flat(converted, to_syntax) == _expected(ds, from_syntax, to_syntax)


@given(ds=_DATA_SETS, pair=st.sampled_from(_PAIRS), arriving=st.integers(1, 40), leaving=st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_how_it_is_cut_changes_nothing(ds: Dataset, pair: tuple[Uid, Uid], arriving: int, leaving: int) -> None:
    """Pieces of any size going in and coming out give the same bytes."""
    data = _encoded(ds, pair[0])

    assert _converted(data, *pair, arriving, leaving) == _converted(data, *pair)


@given(ds=_DATA_SETS)
@settings(deadline=None, max_examples=40)
def test_there_and_back_is_the_same(ds: Dataset) -> None:
    """Implicit to explicit and back gives the same bytes once lengths are undefined; explicit to implicit and back the same values."""
    implicit = _converted(_encoded(ds, EXPLICIT_LITTLE), EXPLICIT_LITTLE, IMPLICIT_LITTLE)

    explicit = _converted(implicit, IMPLICIT_LITTLE, EXPLICIT_LITTLE)

    assert _converted(explicit, EXPLICIT_LITTLE, IMPLICIT_LITTLE) == implicit
    assert _flat(explicit, EXPLICIT_LITTLE) == _expected(ds, IMPLICIT_LITTLE, EXPLICIT_LITTLE)


@given(ds=_DATA_SETS, pair=st.sampled_from(_PAIRS), share=st.floats(0, 1, exclude_max=True))
@settings(deadline=None, max_examples=40)
def test_a_cut_data_set_is_refused_or_ends_between_elements(ds: Dataset, pair: tuple[Uid, Uid], share: float) -> None:
    """A truncated data set is an error, unless it was cut between two elements, where what came is whole in itself."""
    data = _encoded(ds, pair[0])
    whole = _converted(data, *pair)

    try:
        converted = _converted(data[: int(len(data) * share)], *pair)
    except ConversionError:
        return

    assert whole.startswith(converted)


@given(data=st.binary(max_size=200), pair=st.sampled_from(_PAIRS))
@settings(deadline=None, max_examples=100)
def test_noise_is_converted_or_refused(data: bytes, pair: tuple[Uid, Uid]) -> None:
    """Whatever bytes come, the answer is a data set that pydicom can read to its end, or a `ConversionError`."""
    try:
        converted = _converted(data, *pair)
    except ConversionError:
        return

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _flat(converted, pair[1])


@given(
    ds=_DATA_SETS.filter(len),
    pair=st.sampled_from(_PAIRS),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=60)
def test_damage_is_converted_or_refused(ds: Dataset, pair: tuple[Uid, Uid], damage: list[tuple[float, int]]) -> None:
    """Changed bytes anywhere, lengths and delimiters among them, never cause another failure than a `ConversionError`."""
    data = bytearray(_encoded(ds, pair[0]))
    for share, value in damage:
        data[int(len(data) * share)] = value

    try:
        converted = _converted(bytes(data), *pair)
    except ConversionError:
        return

    assert len(converted) <= 4 * len(data)
