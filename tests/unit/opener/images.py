"""Images whose every element the tests know, as data sets of bytes in any transfer syntax."""

from __future__ import annotations

import io
from collections.abc import Sequence as Values
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from appliance.core.identity import Uid
from appliance.opener.headers import Step
from appliance.opener.rewriting import Job, Rewriting

EXPLICIT, IMPLICIT, BIG = Uid("1.2.840.10008.1.2.1"), Uid("1.2.840.10008.1.2"), Uid("1.2.840.10008.1.2.2")
RECEIVED_AT = 1_700_000_000.25


def an_image(pixels: Any, **attributes: Any) -> Dataset:
    """Return an image of these samples (frames x rows x columns, colour with samples last) that has private tags and sequences."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.2"), UID("1.2.3.4")
    ds.AccessionNumber, ds.PatientName, ds.PatientID = "A1", "Müller^Test", "4711"
    ds.InstitutionName, ds.StationName = "Süd", "CT-OLD"
    inner = Dataset()
    inner.CodeValue, inner.PatientID = "X", "inner"
    ds.ProcedureCodeSequence = Sequence([inner])
    ds.add_new(0x00090010, "LO", "A VENDOR")
    ds.add_new(0x00091001, "UN", bytes(range(10)))
    colour = pixels.shape[-1] == 3 and pixels.ndim == 4
    ds.NumberOfFrames, ds.Rows, ds.Columns = pixels.shape[:3]
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes() + bytes(pixels.nbytes % 2)
    ds["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    for name, value in attributes.items():
        setattr(ds, name, value)
    ds.HighBit = ds.BitsStored - 1
    ds.add_new(0x7FE10010, "LO", "TRAILER")
    ds.add_new(0x7FE11001, "OB", b"behind the pixels")
    return ds


def grey(*, bits: int = 12, signed: bool = False, frames: int = 1, rows: int = 33, columns: int = 47) -> Any:
    """Return smooth noisy samples that use the whole range."""
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    kind = ("<i" if signed else "<u") + ("1" if bits <= 8 else "2")
    walk = np.random.default_rng(bits).integers(-9, 10, (frames, rows, columns)).cumsum(axis=2) + (low + high) // 2
    walk[0, 0, :2] = low, high
    return np.clip(walk, low, high).astype(kind)


def written(ds: Dataset, syntax: Uid = EXPLICIT) -> bytes:
    """Return the data set's bytes in a transfer syntax that is not compressed, or already holds compressed pixels."""
    target = DicomBytesIO()
    target.is_little_endian, target.is_implicit_VR = syntax != BIG, syntax == IMPLICIT
    write_dataset(target, ds)
    return target.getvalue()


def read(data: bytes, *, implicit: bool = False) -> Dataset:
    """Return a data set read by pydicom."""
    return read_dataset(io.BytesIO(data), implicit, is_little_endian=True)


def as_file(data: bytes, syntax: str) -> bytes:
    """Return a data set as a Part 10 file."""
    ds = read(data)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    target = io.BytesIO()
    pydicom.dcmwrite(target, ds, enforce_file_format=True)
    return target.getvalue()


def rewritten(
    data: bytes, *, syntax: Uid = EXPLICIT, transcode: str = "", steps: Values[Step] = (), piece: int = 1 << 20
) -> tuple[bytes, Uid]:
    """Return what becomes of a data set that comes in pieces of `piece` bytes, and its transfer syntax."""
    source = io.BytesIO(data)
    rewriting = Rewriting(lambda size: source.read(min(size, piece)), Job(syntax, transcode, steps, RECEIVED_AT))
    return b"".join(rewriting.pieces()), rewriting.syntax


def samples(data: bytes, syntax: str) -> Any:
    """Return the samples as pydicom decodes them."""
    ds = read(data)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    return ds.pixel_array
