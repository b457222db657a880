"""The conversion against an independent one: what DCMTK's dcmconv writes must be what we write, element by element."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from appliance.core.identity import Uid
from appliance.dimse.conversion import EXPLICIT_BIG, IMPLICIT_LITTLE, ConvertedSource, convertible
from tests.support import dcmtk, elements, part10

_TARGETS = [Uid(syntax) for syntax in elements.WRITE_AS]
_PAIRS = [(source, target) for source in map(Uid, elements.READ_AS) for target in _TARGETS if convertible(source, target)]

# pydicom 3.0 bundles 150 uncompressed Part 10 files. Many fewer comparisons than this, and the test went blind.
_COMPARISONS_AT_LEAST = 150
# An item of its sequence is longer than the sequence: DCMTK reads it all the same, we do not guess (and nobody sends a DICOMDIR).
_MALFORMED = {"DICOMDIR-nooffset"}

_CREATOR = 0x00910010
_NESTED_UN = 0x00911001
_ODD_BYTES = 0x00911002


def _converted(data: bytes, from_syntax: Uid, to_syntax: Uid) -> bytes:
    converted = ConvertedSource(io.BytesIO(data).read, from_syntax=from_syntax, to_syntax=to_syntax)
    return b"".join(iter(lambda: converted.read(131072), b""))


def _uncompressed() -> Iterator[tuple[str, Uid, bytes]]:
    """Yield every bundled uncompressed file: its name, transfer syntax and data set."""
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*")):
        if path.is_file() and path.name not in _MALFORMED:
            try:
                values, data = part10.split(path.read_bytes())
            except (ValueError, struct.error):
                continue
            syntax = Uid(values.get(part10.TRANSFER_SYNTAX, ""))
            if syntax in elements.READ_AS:
                yield path.name, syntax, data


def test_every_bundled_sample_is_converted_as_dcmconv_does(tmp_path: Path) -> None:
    """Every bundled uncompressed sample that dcmconv can convert comes out with the same elements, VRs and values."""
    dcmtk.require("dcmconv")
    differing: list[str] = []
    compared = 0

    with warnings.catch_warnings():
        # Several samples are odd on purpose.
        warnings.simplefilter("ignore")
        for name, from_syntax, data in _uncompressed():
            for to_syntax in _TARGETS:
                if convertible(from_syntax, to_syntax) and (theirs := elements.dcmconv(data, from_syntax, to_syntax, tmp_path)) is not None:
                    is_told = from_syntax != IMPLICIT_LITTLE
                    ours = elements.flat(_converted(data, from_syntax, to_syntax), to_syntax, is_told=is_told)
                    differing += [f"{name} to {to_syntax}"] if ours != elements.flat(theirs, to_syntax, is_told=is_told) else []
                    compared += 1

    assert differing == []
    assert compared >= _COMPARISONS_AT_LEAST


@pytest.mark.parametrize(("from_syntax", "to_syntax"), _PAIRS)
def test_what_samples_lack_is_converted_as_dcmconv_does(from_syntax: Uid, to_syntax: Uid, tmp_path: Path) -> None:
    """Signed pixels, overlays, waveforms, every size of number, long text, deep and private sequences come out as dcmconv's do."""
    dcmtk.require("dcmconv")
    data = _encoded(_an_odd_data_set(), from_syntax) + _odd_elements(from_syntax)

    theirs = elements.dcmconv(data, from_syntax, to_syntax, tmp_path)

    assert theirs is not None
    is_told = from_syntax != IMPLICIT_LITTLE
    assert elements.flat(_converted(data, from_syntax, to_syntax), to_syntax, is_told=is_told) == elements.flat(
        theirs, to_syntax, is_told=is_told
    )


def _encoded(ds: Dataset, syntax: Uid) -> bytes:
    target = io.BytesIO()
    pydicom.dcmwrite(target, ds, implicit_vr=syntax == IMPLICIT_LITTLE, little_endian=syntax != EXPLICIT_BIG)
    return target.getvalue()


def _an_odd_data_set() -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Trần^Thị"
    ds.add_new(0x00090010, "LO", "A VENDOR")
    ds.add_new(0x00091001, "UN", bytes(range(10)))
    ds.add_new(0x00091002, "FD", [1.5, -2.5])
    ds.add_new(0x00091003, "SQ", Sequence([_an_item(), Dataset()]))
    ds[0x00091003].is_undefined_length = True
    ds.FrameIncrementPointer = [0x00181063, 0x00181065]
    ds.PixelRepresentation = 1
    ds.SmallestImagePixelValue = -5
    ds.PixelPaddingValue = -2000
    ds.ModalityLUTSequence = Sequence([_an_item()])
    ds.DirectoryRecordSequence = Sequence([])
    ds.TextValue = "x" * 300_000
    ds.SimpleFrameList = list(range(1, 5000))
    ds.add_new(0x60003000, "OW", bytes(range(64)))
    ds.add_new(0x50003000, "OB", bytes(range(8)))
    ds.WaveformSequence = Sequence([_a_waveform(8, "OB"), _a_waveform(16, "OW")])
    ds.add_new(0x00660129, "OL", bytes(range(32)))
    ds.add_new(0x00660016, "OF", bytes(range(32)))
    ds.add_new(0x00620020, "UT", "odd")
    ds.add_new(0x00720083, "UV", [1, 1 << 63])
    ds.add_new(0x00720082, "SV", [-1, 7])
    ds.add_new(0x7FE00009, "OD", bytes(range(32)))
    return ds


def _an_item() -> Dataset:
    item = Dataset()
    item.Rows = 258
    item.PatientID = "7"
    inner = Dataset()
    inner.SeriesInstanceUID = "2.25.7"
    inner.ReferencedFrameNumber = [1, 2]
    item.ReferencedSeriesSequence = Sequence([inner, Dataset()])
    item["ReferencedSeriesSequence"].is_undefined_length = True
    return item


def _a_waveform(bits: int, vr: str) -> Dataset:
    item = Dataset()
    item.WaveformBitsAllocated = bits
    item[0x54001010] = DataElement(0x54001010, vr, bytes(range(16)))
    return item


def _odd_elements(syntax: Uid) -> bytes:
    """Return what pydicom does not write: UN without a length, whose content is implicit little endian, and an odd length.

    Text of odd length is left to the unit tests: DCMTK pads it with NUL, where PS3.5 6.2 wants a space.
    """
    name = struct.pack("<HHL", 0x0010, 0x0010, 6) + b"AB^CD "
    content = struct.pack("<HHL", 0xFFFE, 0xE000, len(name)) + name + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return b"".join(
        _head(syntax, tag, vr, 0xFFFFFFFF if tag == _NESTED_UN else len(value)) + value
        for tag, vr, value in (
            (_CREATOR, b"LO", b"ODD CREATOR "),
            (_NESTED_UN, b"UN", content),
            (_ODD_BYTES, b"OB", b"\1\2\3"),
        )
    )


def _head(syntax: Uid, tag: int, vr: bytes, length: int) -> bytes:
    if syntax == IMPLICIT_LITTLE:
        return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)
    order = ">" if syntax == EXPLICIT_BIG else "<"
    if vr in (b"OB", b"UN"):
        return struct.pack(order + "HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, length)
    return struct.pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr, length)
