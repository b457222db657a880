"""Data sets compared element by element, and DCMTK's dcmconv to compare ours with.

Promises: two data sets with equal `flat` hold the same elements with the same VRs and values in the same items, whatever lengths their
sequences announce.
Failures: a missing dcmconv is the caller's to `dcmtk.require`.
Limits: both data sets are in the same little endian transfer syntax; group lengths are left out.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"

READ_AS = {IMPLICIT_LITTLE: "-ti", EXPLICIT_LITTLE: "-te", EXPLICIT_BIG: "-tb"}
WRITE_AS = {IMPLICIT_LITTLE: "+ti", EXPLICIT_LITTLE: "+te"}

Flat = dict[tuple[int, ...], tuple[str | None, bytes | int]]


def dcmconv(data: bytes, from_syntax: str, to_syntax: str, directory: Path) -> bytes | None:
    """Return the data set as dcmconv converts it, or None where it cannot."""
    source, target = directory / "source", directory / "target"
    source.write_bytes(data)
    command = ["dcmconv", "-f", READ_AS[from_syntax], WRITE_AS[to_syntax], "-e", "-F", str(source), str(target)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return target.read_bytes() if result.returncode == 0 else None


def flat(data: bytes, syntax: str, *, is_told: bool = True) -> Flat:
    """Return every element by its path: its VR where one is written, its bytes or number of items; no group lengths.

    `is_told` is whether the source said which VR a private element has; where it did not, DCMTK may know the vendor, and we do not guess.
    """
    ds = read_dataset(io.BytesIO(data), syntax == IMPLICIT_LITTLE, is_little_endian=True)
    return {path: (vr if is_told or not path[-1] >> 16 & 1 else None, value) for path, vr, value in _walk(ds, ()) if path[-1] & 0xFFFF}


def _walk(ds: Dataset, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str | None, bytes | int]]:
    # Both sides write sequences without a length, and pydicom has those parsed; everything else it has left as bytes.
    for tag, element in ds._dict.items():
        if isinstance(element, RawDataElement):
            yield (*path, int(tag)), element.VR, element.value or b""
        else:
            yield (*path, int(tag)), "SQ", len(element.value)
            for number, item in enumerate(element.value):
                yield from _walk(item, (*path, int(tag), number))
