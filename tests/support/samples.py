"""Instances to send: generated ones, and the samples that pydicom bundles; never a real patient's.

Promises: every generated instance carries the planted name it was asked for, has a UID of its own, and is written as a Part 10 file whose
data set is exactly what a bit-preserving archive must end up with.
Failures: none of its own.
Limits: pixel values mean nothing; compressed samples are bundled ones with new identifiers.
"""

from __future__ import annotations

import io
import secrets
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    EncapsulatedPDFStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
)

from tests.support import part10

# Nothing else in the world is called this, so that finding it anywhere means it came from here.
PLANTED_NAME = "QUARTZVOLE^PLANTED"
# UIDs of one length can be exchanged in a template without moving a byte.
_UID_DIGITS = 37
# A digital mammogram as it comes from the detector: 4,096 x 4,096 pixels of 16 bits, 33.5 MB.
_MAMMOGRAM_PIXELS = 4096

# One sample of each compressed transfer syntax that the journey must carry untouched.
COMPRESSED = ("MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm")


def new_uid() -> str:
    """Return a new UID, always of the same length (PS3.5 B.2 leaves the number under 2.25 to us)."""
    return f"2.25.1{secrets.randbelow(10**_UID_DIGITS):0{_UID_DIGITS}d}"


class Template:
    """One instance from which many are made by exchanging its SOP instance UID in place: no encoder runs twice."""

    def __init__(self, content: bytes) -> None:
        """Take the bytes of a Part 10 file."""
        values, _ = part10.split(content)
        self._content = content
        self._uid = values[part10.SOP_INSTANCE].encode("ascii")

    def write(self, directory: Path, count: int = 1) -> list[Path]:
        """Write `count` new instances into the directory and return their files."""
        directory.mkdir(parents=True, exist_ok=True)
        files = []
        for _ in range(count):
            uid = new_uid()
            path = directory / f"{uid}.dcm"
            path.write_bytes(self._content.replace(self._uid, uid.encode("ascii")))
            files.append(path)
        return files


def ct(size: int = 512, *, patient: str = PLANTED_NAME, study: str | None = None) -> Template:
    """Return the template of a CT image of `size` x `size` pixels, 2 bytes each; instances made from it share one study."""
    ds = a_data_set(CTImageStorage, "CT", patient=patient, study=study)
    _add_pixels(ds, size)
    return Template(_encoded(ds))


def mammogram(*, patient: str = PLANTED_NAME) -> Template:
    """Return the template of a 33 MB mammogram."""
    ds = a_data_set(DigitalMammographyXRayImageStorageForPresentation, "MG", patient=patient)
    _add_pixels(ds, _MAMMOGRAM_PIXELS)
    return Template(_encoded(ds))


def write_enhanced_ct(directory: Path, frames: int, *, size: int = 512, patient: str = PLANTED_NAME) -> Path:
    """Write one enhanced multi-frame CT of `frames` x `size` x `size` pixels (600 of 512 are 315 MB) and return its file.

    No two frames are the same: each begins with its number, counted from 0.
    """
    ds = a_data_set(EnhancedCTImageStorage, "CT", patient=patient)
    ds.NumberOfFrames = frames
    _describe_pixels(ds, size)
    noise = secrets.token_bytes(2 * size * size - 4)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{ds.SOPInstanceUID}.dcm"
    with path.open("wb") as file:
        file.write(_encoded(ds))
        # (7FE0,0010) OW is the last element, so that it can be written piece by piece (PS3.5 7.1.2).
        file.write(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, frames * (len(noise) + 4)))
        for number in range(frames):
            file.write(struct.pack("<L", number))
            file.write(noise)
    return path


def structured_report(*, patient: str = PLANTED_NAME) -> Template:
    """Return the template of a basic text report that names the patient in its text too."""
    ds = a_data_set(BasicTextSRStorage, "SR", patient=patient)
    text = Dataset()
    text.RelationshipType = "CONTAINS"
    text.ValueType = "TEXT"
    text.TextValue = f"Report on {patient}"
    ds.ValueType = "CONTAINER"
    ds.ContentSequence = Sequence([text])
    return Template(_encoded(ds))


def encapsulated_pdf(*, patient: str = PLANTED_NAME) -> Template:
    """Return the template of a document."""
    ds = a_data_set(EncapsulatedPDFStorage, "DOC", patient=patient)
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = f"%PDF-1.4 % {patient}\n".encode("ascii") + bytes(4096)
    return Template(_encoded(ds))


def compressed(*, patient: str = PLANTED_NAME) -> list[Template]:
    """Return one template each of RLE, JPEG, JPEG-LS and JPEG 2000."""
    templates = []
    for name in COMPRESSED:
        path = get_testdata_file(name)
        assert isinstance(path, str), name
        ds = pydicom.dcmread(path)
        ds.PatientName = patient
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(new_uid())
        ds.StudyInstanceUID = UID(new_uid())
        ds.SeriesInstanceUID = UID(new_uid())
        templates.append(Template(_encoded(ds)))
    return templates


def bundled() -> Iterator[tuple[Path, str]]:
    """Yield every sample that pydicom bundles and that has a SOP class, with the transfer syntax its meta names ("" without one)."""
    root = Path(pydicom.__file__).parent / "data"
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        with warnings.catch_warnings():
            # Several samples are broken on purpose; that is why they are here.
            warnings.simplefilter("ignore")
            try:
                ds = pydicom.dcmread(path, stop_before_pixels=True, force=True)
                has_class = "SOPClassUID" in ds
            except (InvalidDicomError, AttributeError, ValueError, KeyError, EOFError, OSError, NotImplementedError):
                continue
        if has_class:
            yield path, str(getattr(ds, "file_meta", {}).get("TransferSyntaxUID", ""))


def a_data_set(sop_class: UID, modality: str, *, patient: str, study: str | None = None) -> Dataset:
    """Return a data set of that class, without pixels, of a study that is new unless `study` names one."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = UID(new_uid())
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyDate = "20240229"
    ds.StudyTime = "120000"
    ds.AccessionNumber = f"A{secrets.randbelow(10**8):08d}"
    ds.Modality = modality
    ds.StudyDescription = "Generated for a test"
    ds.PatientName = patient
    ds.PatientID = "P" + patient[:12]
    ds.PatientBirthDate = "19700101"
    ds.StudyInstanceUID = UID(study or new_uid())
    ds.SeriesInstanceUID = UID(new_uid())
    ds.SeriesNumber = 1
    ds.InstanceNumber = 1
    return ds


def _add_pixels(ds: Dataset, size: int) -> None:
    _describe_pixels(ds, size)
    ds.PixelData = secrets.token_bytes(2 * size * size)
    ds["PixelData"].VR = "OW"


def _describe_pixels(ds: Dataset, size: int) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = ds.Columns = size
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0


def _encoded(ds: Dataset) -> bytes:
    target = io.BytesIO()
    pydicom.dcmwrite(target, ds, enforce_file_format=True)
    return target.getvalue()
