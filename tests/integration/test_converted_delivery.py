"""An archive that takes implicit little endian only (DCMTK's storescp +xi) gets everything uncompressed, as dcmconv would write it."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, CTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.support import dcmtk, elements, part10, samples, sealed, senders
from tests.support.box import BoxMaker
from tests.support.dcmtk import ArchiveMaker
from tests.support.site import a_site, an_archive

_FRAMES = 40
# Private elements whose VR nobody wrote down: bytes, and a sequence that is implicit little endian inside.
_CREATOR, _BYTES, _NESTED = 0x00910010, 0x00911001, 0x00911002
_UNDEFINED = 0xFFFFFFFF


def _sample(name: str) -> bytes:
    path = get_testdata_file(name)
    assert isinstance(path, str), name
    return Path(path).read_bytes()


def _a_data_set(sop_class: UID, syntax: UID = ExplicitVRLittleEndian) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = UID(samples.new_uid())
    ds.StudyInstanceUID, ds.SeriesInstanceUID = UID(samples.new_uid()), UID(samples.new_uid())
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = samples.PLANTED_NAME, "PLANTED"
    return ds


def _written(ds: Dataset) -> bytes:
    target = io.BytesIO()
    pydicom.dcmwrite(target, ds, enforce_file_format=True)
    return target.getvalue()


def _enhanced() -> bytes:
    """Return an enhanced MR: a sequence in a sequence in a sequence for every frame."""
    ds = _a_data_set(EnhancedMRImageStorage)
    ds.NumberOfFrames = _FRAMES
    ds.PixelRepresentation = 1
    ds.PerFrameFunctionalGroupsSequence = Sequence([_functional_groups(number) for number in range(_FRAMES)])
    ds.PixelData = bytes(range(256)) * _FRAMES
    ds["PixelData"].VR = "OW"
    return _written(ds)


def _functional_groups(number: int) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = UID(f"2.25.{number}")
    reference.ReferencedFrameNumber = [number + 1, 1]
    derivation = Dataset()
    derivation.SourceImageSequence = Sequence([reference])
    position = Dataset()
    position.ImagePositionPatient = [number, -0.5, "1e3"]
    padding = Dataset()
    padding.PixelPaddingValue = -2000
    groups = Dataset()
    groups.DerivationImageSequence = Sequence([derivation, Dataset()])
    groups.DerivationImageSequence[0].DerivationDescription = "Mittelwert über ältere Bilder"
    groups.PlanePositionSequence = Sequence([position])
    groups.PixelValueTransformationSequence = Sequence([padding])
    groups.add_new(0x00090010, "LO", "A VENDOR")
    groups.add_new(0x00091001, "FD", [number / 3, -1.0])
    return groups


def _unknown() -> bytes:
    """Return an image with private UN, one of them without a length."""
    name = struct.pack("<HHL", 0x0010, 0x0010, 6) + b"AB^CD "
    content = struct.pack("<HHL", 0xFFFE, 0xE000, len(name)) + name + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return (
        _written(_a_data_set(CTImageStorage))
        + struct.pack("<HH2sH", _CREATOR >> 16, _CREATOR & 0xFFFF, b"LO", 12)
        + b"ODD CREATOR "
        + struct.pack("<HH2sHL", _BYTES >> 16, _BYTES & 0xFFFF, b"UN", 0, 10)
        + bytes(range(10))
        + struct.pack("<HH2sHL", _NESTED >> 16, _NESTED & 0xFFFF, b"UN", 0, _UNDEFINED)
        + content
    )


def _broken() -> bytes:
    """Return an image whose last element is longer than the file."""
    return _written(_a_data_set(CTImageStorage)) + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, 1000) + bytes(100)


def test_an_archive_of_implicit_only_gets_what_dcmconv_writes(make_box: BoxMaker, make_archive: ArchiveMaker, tmp_path: Path) -> None:
    """CT, MR, SR, enhanced, private UN and big endian arrive element by element as `dcmconv +ti -e` writes them; a broken one is held."""
    dcmtk.require("dcmconv", "storescp")
    archive = make_archive(options=["--implicit"])
    box = make_box(a_site(destinations=[an_archive(archive.port)])).start()
    files = samples.ct(128).write(tmp_path / "ct") + samples.structured_report().write(tmp_path / "sr")
    kinds = {
        "mr": _sample("MR_small.dcm"),
        "implicit": _written(_a_data_set(CTImageStorage, ImplicitVRLittleEndian)),
        "big": _sample("ExplVR_BigEnd.dcm"),
        "enhanced": _enhanced(),
        "unknown": _unknown(),
        "broken": _broken(),
    }
    for name, content in kinds.items():
        files.append(tmp_path / f"{name}.dcm")
        files[-1].write_bytes(content)
    sent = {part10.read(path).sop_instance_uid: part10.split(path.read_bytes()) for path in files}
    broken = part10.read(files[-1]).sop_instance_uid

    statuses = senders.send_once(box.port, files)
    archive.start()
    box.wait_until_delivered()
    (held,) = box.cli("queue", "list")
    kept = sealed.contents(box.data)

    assert set(statuses.values()) == {0}
    assert kept == {uid: data for uid, (_, data) in sent.items()}
    assert (held["sop_instance_uid"], held["state"], held["hold_class"]) == (broken, "held", "verdict")
    assert held["reason"].endswith("element (7fe0,0010) cannot be converted: the data set ends too early")
    arrived = {instance.sop_instance_uid: part10.split(instance.path.read_bytes()) for instance in archive.arrivals()}
    assert arrived.keys() == sent.keys() - {broken}
    for uid, (values, data) in arrived.items():
        original, syntax = sent[uid][1], sent[uid][0][part10.TRANSFER_SYNTAX]
        assert values[part10.TRANSFER_SYNTAX] == elements.IMPLICIT_LITTLE
        if syntax == elements.IMPLICIT_LITTLE:
            assert data == original
            continue
        theirs = elements.dcmconv(original, syntax, elements.IMPLICIT_LITTLE, tmp_path)
        assert theirs is not None, f"dcmconv cannot convert {uid}"
        assert elements.flat(data, elements.IMPLICIT_LITTLE) == elements.flat(theirs, elements.IMPLICIT_LITTLE)
