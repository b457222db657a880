"""What is sent: generated instances in one directory for each association. No patient's image, no patient's name.

Promises: `write` leaves exactly the instances of the batch, on the disk and in the page cache, and says how many bytes they are.
Failures: `OSError` when they do not fit.
Limits: the instances of a batch share their pixels, which are random: no program may compress or deduplicate its way to a better figure.
"""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

_GENERATED = "GENERATED^BENCHMARK"


@dataclass(frozen=True, slots=True)
class Batch:
    """CT images of `rows` x `columns` pixels of 2 bytes, `count` in all, sent over `associations` associations at once."""

    count: int
    associations: int = 1
    rows: int = 512
    columns: int = 512


@dataclass(frozen=True, slots=True)
class Written:
    """A batch as files: one directory for each association."""

    directories: tuple[Path, ...]
    count: int
    length: int

    @property
    def gibibytes(self) -> float:
        """How much it is."""
        return self.length / 2**30


def write(batch: Batch, directory: Path) -> Written:
    """Write the batch under `directory`, which is emptied before."""
    shutil.rmtree(directory, ignore_errors=True)
    template, placeholder = _template(batch)
    directories = tuple(directory / str(number) for number in range(batch.associations))
    for home in directories:
        home.mkdir(parents=True)
    length = 0
    for number in range(batch.count):
        uid = _uid_of_length(len(placeholder))
        content = template.replace(placeholder, uid)
        (directories[number % len(directories)] / f"{number:06d}.dcm").write_bytes(content)
        length += len(content)
    # What is still to be written would be written during the first measurement.
    os.sync()
    return Written(directories, batch.count, length)


def _template(batch: Batch) -> tuple[bytes, bytes]:
    """Return one encoded instance and its SOP instance UID, which is exchanged in place: no encoder runs for each instance."""
    placeholder = _uid_of_length(_UID_LENGTH)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = UID(placeholder.decode("ascii"))
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyDate = "20240229"
    ds.StudyTime = "120000"
    ds.AccessionNumber = "BENCHMARK"
    ds.Modality = "CT"
    ds.PatientName = _GENERATED
    ds.PatientID = "BENCHMARK"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "O"
    ds.StudyInstanceUID = generate_uid(prefix=None)
    ds.SeriesInstanceUID = generate_uid(prefix=None)
    ds.SeriesNumber = ds.InstanceNumber = 1
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = batch.rows, batch.columns
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.PixelData = os.urandom(2 * batch.rows * batch.columns)
    ds["PixelData"].VR = "OW"
    target = io.BytesIO()
    pydicom.dcmwrite(target, ds, enforce_file_format=True)
    return target.getvalue(), placeholder


# "2.25." and 39 digits are the most that a UID of a UUID can have (PS3.5 B.2); one less always fits in 128 bits.
_UID_LENGTH = len("2.25.") + 38


def _uid_of_length(length: int) -> bytes:
    digits = length - len("2.25.")
    number = 10 ** (digits - 1) + int.from_bytes(os.urandom(16), "big") % (9 * 10 ** (digits - 1))
    return f"2.25.{number}".encode("ascii")
