"""The DICOM objects that are sent: generated, with no patient's image and no patient's name.

Promises: instances of a template differ in nothing but their SOP instance UID, which is exchanged in place: no encoder runs for each.
Failures: none; `write_multiframe` raises `OSError` when the object does not fit.
Limits: attributes are what programs look at to store and index an object, not what a viewer needs.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    MRImageStorage,
)

from benchmarks import phantoms

_GENERATED = "GENERATED^BENCHMARK"
# "2.25." and 39 digits are the most that a UID of a UUID can have (PS3.5 B.2); one less always fits in 128 bits.
_UID_LENGTH = len("2.25.") + 38
# What 20 KiB of report are: findings of a few lines each.
_FINDINGS, _FINDING_CHARACTERS = 60, 240
# What 4 KiB are.
_FEW_FINDINGS = 10
# What 20 KiB of a presentation state are: outlines drawn over an image, of two floats a point.
_OUTLINES, _OUTLINE_POINTS = 30, 70
_FRAME_BYTES = 2 * 512 * 512
_MIB = 1 << 20


class Kind(StrEnum):
    """What an object is, as the work is called in the table."""

    CT = "512 KiB CT"
    REPORT = "20 KiB SR"
    PRESENTATION = "20 KiB PR"
    MAMMOGRAM = "32 MB MG"
    SMALL = "4 KiB SR"
    CT_PHANTOM = "512 KiB CT phantom"
    MR_PHANTOM = "128 KiB MR phantom"


@dataclass(frozen=True, slots=True)
class Template:
    """One encoded instance, and the UID in it that is exchanged."""

    content: bytes
    placeholder: bytes

    def instance(self) -> bytes:
        """Return an instance that was never there before, as a Part 10 file."""
        return self.content.replace(self.placeholder, _uid())


def template(kind: Kind) -> Template:
    """Return the template of a kind, of a study and a series of its own."""
    if kind is Kind.CT:
        ds = _image(CTImageStorage, "CT", 512, 512)
    elif kind is Kind.MAMMOGRAM:
        ds = _image(DigitalMammographyXRayImageStorageForPresentation, "MG", 4000, 4000)
    elif kind is Kind.REPORT:
        ds = _report(_FINDINGS)
    elif kind is Kind.SMALL:
        ds = _report(_FEW_FINDINGS)
    elif kind is Kind.CT_PHANTOM:
        ds = _phantom(CTImageStorage, "CT", 512, air=24, body=1060, noise=14)
    elif kind is Kind.MR_PHANTOM:
        ds = _phantom(MRImageStorage, "MR", 256, air=12, body=420, noise=9)
    else:
        ds = _presentation()
    return Template(_encoded(ds), str(ds.SOPInstanceUID).encode("ascii"))


def write_multiframe(path: Path, mebibytes: int) -> None:
    """Write an enhanced CT of this much pixel data, in frames of 512 x 512, as a Part 10 file."""
    ds = _base(EnhancedCTImageStorage, "CT")
    _describe_pixels(ds, 512, 512)
    ds.NumberOfFrames = mebibytes * _MIB // _FRAME_BYTES
    block = os.urandom(_MIB)
    with path.open("wb") as target:
        target.write(_encoded(ds))
        # Pixel data as explicit VR writes it (PS3.5 7.1.2): tag, OW, two bytes reserved, a length of four.
        target.write(b"\xe0\x7f\x10\x00OW\x00\x00" + (mebibytes * _MIB).to_bytes(4, "little"))
        for _ in range(mebibytes):
            target.write(block)


def _base(sop_class: UID, modality: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = UID(_uid().decode("ascii"))
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyDate = "20240229"
    ds.StudyTime = "120000"
    ds.AccessionNumber = "BENCHMARK"
    ds.Modality = modality
    ds.PatientName = _GENERATED
    ds.PatientID = "BENCHMARK"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "O"
    ds.StudyInstanceUID = UID(_uid().decode("ascii"))
    ds.SeriesInstanceUID = UID(_uid().decode("ascii"))
    ds.SeriesNumber = ds.InstanceNumber = 1
    return ds


def _describe_pixels(ds: Dataset, rows: int, columns: int) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0


def _image(sop_class: UID, modality: str, rows: int, columns: int) -> Dataset:
    ds = _base(sop_class, modality)
    _describe_pixels(ds, rows, columns)
    ds.PixelData = os.urandom(2 * rows * columns)
    ds["PixelData"].VR = "OW"
    return ds


def _phantom(sop_class: UID, modality: str, size: int, *, air: int, body: int, noise: float) -> Dataset:
    """Return an image of 12 bits that a codec meets like a scanner's: a body with organs in air, and noise that neighbours share."""
    ds = _base(sop_class, modality)
    _describe_pixels(ds, size, size)
    ds.BitsStored, ds.HighBit = 12, 11
    ds.PixelData = phantoms.pixels(size, air=air, body=body, noise=noise)
    ds["PixelData"].VR = "OW"
    return ds


def _report(findings: int) -> Dataset:
    ds = _base(BasicTextSRStorage, "SR")
    ds.CompletionFlag, ds.VerificationFlag, ds.ValueType, ds.ContinuityOfContent = "COMPLETE", "UNVERIFIED", "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic imaging report")]
    ds.ContentSequence = [_finding() for _ in range(findings)]
    return ds


def _finding() -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = [_code("121071", "DCM", "Finding")]
    item.TextValue = os.urandom(_FINDING_CHARACTERS // 2).hex()
    return item


def _presentation() -> Dataset:
    ds = _base(GrayscaleSoftcopyPresentationStateStorage, "PR")
    ds.ContentLabel, ds.PresentationLUTShape = "BENCHMARK", "IDENTITY"
    annotation = Dataset()
    annotation.GraphicLayer = "OUTLINES"
    annotation.GraphicObjectSequence = [_outline() for _ in range(_OUTLINES)]
    ds.GraphicAnnotationSequence = [annotation]
    return ds


def _outline() -> Dataset:
    item = Dataset()
    item.GraphicAnnotationUnits, item.GraphicDimensions, item.GraphicType, item.GraphicFilled = "PIXEL", 2, "POLYLINE", "N"
    item.NumberOfGraphicPoints = _OUTLINE_POINTS
    item.GraphicData = [float(coordinate) for coordinate in os.urandom(2 * _OUTLINE_POINTS)]
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _encoded(ds: Dataset) -> bytes:
    target = io.BytesIO()
    pydicom.dcmwrite(target, ds, enforce_file_format=True)
    return target.getvalue()


def _uid() -> bytes:
    digits = _UID_LENGTH - len("2.25.")
    number = 10 ** (digits - 1) + int.from_bytes(os.urandom(16), "big") % (9 * 10 ** (digits - 1))
    return f"2.25.{number}".encode("ascii")
