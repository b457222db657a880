"""A department for a box to look busy in: scanners, archives, invented patients, and a few things that go wrong.

Promises: whatever a page can show is there: studies delivered, waiting and held, a destination that is away, one that refuses a kind of
image, a device that knocks, one that moved, one whose clock is wrong. Every patient is invented, and the name says so (sample, muster,
essai, mẫu).
Failures: `AssertionError` where the box does not take an image that it should.
Limits: everything is on this machine; scanners are told apart by loopback addresses of their own. Pictures are drawn, nobody's body.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation, MRImageStorage, UltrasoundImageStorage
from pynetdicom import AE

from tests.fakes import script
from tests.fakes.script import Answer, Offer
from tests.fakes.scripted_archive import ScriptedArchive
from tests.support import samples
from tests.support.box import Box
from tests.support.dcmtk import StoreScp, free_port
from tests.support.eventually import eventually
from tests.support.senders import keep_answers
from tests.support.site import Table, a_site

ZONE = "Asia/Ho_Chi_Minh"
_SIZE = 256
_SETTLED_S = 60.0
# A unit of the reading room that has no licence for MR, as its answer will say.
_NO_MR = Answer(0x0122, comment="No licence for MR images")
_CLASSES = {"CT": CTImageStorage, "MR": MRImageStorage, "US": UltrasoundImageStorage, "DX": DigitalXRayImageStorageForPresentation}


@dataclass(frozen=True)
class Scanner:
    """A device; `ahead_s` is how far its clock is ahead: what was acquired in the future has one explanation only."""

    title: str
    address: str
    modality: str
    ahead_s: int = 0


@dataclass(frozen=True)
class Study:
    """One examination of an invented patient."""

    scanner: Scanner
    patient: str
    patient_id: str
    birth_date: str
    description: str
    images: int


CT1, MR1 = Scanner("CT1", "127.0.1.7", "CT"), Scanner("MR1", "127.0.1.8", "MR")
US2, DX3 = Scanner("US2", "127.0.1.9", "US"), Scanner("DX3", "127.0.1.10", "DX", ahead_s=11 * 60)
SCANNERS = (CT1, MR1, US2, DX3)
STUDIES = (
    Study(CT1, "SAMPLE^Anna", "S-1001", "19710304", "CT thorax", 8),
    Study(MR1, "MUSTER^Jan", "S-1002", "19650911", "MR knee left", 2),
    Study(US2, "ESSAI^Hélène", "S-1003", "19880120", "US abdomen", 4),
    Study(DX3, "MẪU^Thị Lan", "S-1004", "20010615", "Chest PA", 2),
    Study(CT1, "SAMPLE^Bruno", "S-1005", "19551231", "CT head", 6),
    Study(DX3, "MUSTER^Erika", "S-1006", "19790808", "Wrist right", 2),
    Study(MR1, "ESSAI^Louis", "S-1007", "19930402", "MR lumbar spine", 2),
    Study(CT1, "MẪU^Văn An", "S-1008", "19480730", "CT abdomen", 8),
    Study(US2, "SAMPLE^Clara", "S-1009", "20150223", "US thyroid", 3),
    Study(CT1, "MUSTER^Otto", "S-1010", "19600517", "CT thorax", 6),
)


def a_department_site(archive: int, reading: int, elsewhere: int, *, is_new: bool = False) -> str:
    """Return the text of a `site.toml` for the box of this department; the ports are those of its three destinations.

    While it `is_new`, nothing goes to the university hospital.
    """
    sources = [
        {"name": scanner.title, "ae_title": scanner.title, "address": scanner.address, "modality": scanner.modality} for scanner in SCANNERS
    ]
    sources.append({"name": "XA1", "ae_title": "XA1", "address": "127.0.1.11", "modality": "XA"})
    common = {"kind": "dicom", "calling_ae": "source", "proof": "delivered"}
    routes: list[Table] = [
        {"name": "everything to the archive", "to": ["archive"]},
        {"name": "CT and MR to the reading room", "to": ["reading room"], "when": {"modality": ["CT", "MR"]}},
        {"name": "CT to the university hospital", "to": ["university hospital"], "priority": "bulk", "when": {"source": ["CT1"]}},
    ]
    return a_site(
        box={"name": "vinh-general-ct", "ae_title": "EDGE", "timezone": ZONE},
        listen={"web": "127.0.0.1:0"},
        sources=sources,
        destinations=[
            {"name": "archive", "ae_title": "PACS1", "host": "127.0.0.2", "port": archive, **common},
            {"name": "reading room", "ae_title": "READING", "host": "127.0.0.1", "port": reading, **common},
            {"name": "university hospital", "ae_title": "UNIVPACS", "host": "127.0.0.4", "port": elsewhere, **common},
        ],
        routes=routes[:-1] if is_new else routes,
    )


@dataclass
class Department:
    """A running box and those around it."""

    box: Box
    archive: StoreScp
    reading: ScriptedArchive
    work: Path

    def scan(self, studies: tuple[Study, ...] = STUDIES) -> None:
        """Let the scanners send these studies, and return when all is settled that can be."""
        for study in studies:
            self.send(study)
        try:
            eventually(self._is_settled, within=_SETTLED_S, message="the archive to have everything")
        except AssertionError as late:
            raise AssertionError(f"{late}: {self.box.cli('destinations')}\n{self.box.output()[-3000:]}") from None

    def send(self, study: Study, *, changes: dict[str, str] | None = None) -> None:
        """Send one study as its scanner would."""
        ae = AE(study.scanner.title)
        ae.add_requested_context(_CLASSES[study.scanner.modality])
        association = ae.associate("127.0.0.1", self.box.port, ae_title="EDGE", bind_address=(study.scanner.address, 0))
        assert association.is_established, f"{study.scanner.title} was refused"
        keep_answers(association)
        series, uid = samples.new_uid(), samples.new_uid()
        for number in range(study.images):
            answer = association.send_c_store(_image(study, uid, series, number, changes or {}))
            assert 0 == answer.Status, f"{study.scanner.title} was answered {answer.Status:04X}"
        association.release()

    def knock(self, title: str, address: str, sop_class: str = CTImageStorage) -> None:
        """Call as somebody who is not let in."""
        ae = AE(title)
        ae.add_requested_context(sop_class)
        ae.associate("127.0.0.1", self.box.port, ae_title="EDGE", bind_address=(address, 0))

    def _is_settled(self) -> bool:
        rows = self.box.cli("status")
        waiting = {row["name"]: row["queued"] for row in rows["destinations"]}
        return [0, 0, 0] == [rows["instances"]["incoming"], waiting["archive"], waiting["reading room"]]


@contextmanager
def a_department(work: Path) -> Iterator[Department]:
    """Run a department that has worked for a while: what can be settled is, the rest waits or is held."""
    reading, elsewhere = ScriptedArchive(_without_mr), free_port()
    archive = StoreScp(work / "archive", ae_title="PACS1")
    box = Box(work / "box", a_department_site(archive.port, reading.port, elsewhere, is_new=True))
    with archive, reading, box:
        (work / "site.toml").write_text(a_department_site(archive.port, reading.port, elsewhere), encoding="utf-8")
        box.cli("config", "apply", str(work / "site.toml"), "--reason", "the university hospital reads our CT from now on")
        department = Department(box, archive, reading, work)
        department.scan()
        department.knock("MG1", "127.0.1.20", "1.2.840.10008.5.1.4.1.1.1.2")
        department.knock("XA1", "127.0.1.19", "1.2.840.10008.5.1.4.1.1.12.1")
        yield department


def _without_mr(offer: Offer) -> script.Action:
    return _NO_MR if offer.sop_class_uid == MRImageStorage else Answer()


def _image(study: Study, uid: str, series: str, number: int, changes: dict[str, str]) -> Dataset:
    """Return one image of a study, acquired a few seconds ago by the scanner's clock."""
    ds = samples.a_data_set(_CLASSES[study.scanner.modality], study.scanner.modality, patient=study.patient, study=uid)
    ds.PatientID, ds.PatientBirthDate, ds.StudyDescription = study.patient_id, study.birth_date, study.description
    ds.SeriesInstanceUID, ds.InstanceNumber = series, number + 1
    ds.StationName = study.scanner.title
    now = dt.datetime.now(zoneinfo.ZoneInfo(ZONE)) + dt.timedelta(seconds=study.scanner.ahead_s - 5)
    ds.StudyDate = ds.AcquisitionDate = ds.ContentDate = now.strftime("%Y%m%d")
    ds.StudyTime = ds.AcquisitionTime = ds.ContentTime = now.strftime("%H%M%S")
    _draw(ds, number, study.images)
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    return ds


def _draw(ds: Dataset, number: int, count: int) -> None:
    """Put the picture of a phantom into the image: an ellipse with three rods, another slice each."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = _SIZE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = "1000", "2000"
    y, x = np.mgrid[-1 : 1 : _SIZE * 1j, -1 : 1 : _SIZE * 1j]
    picture = np.where((x / 0.85) ** 2 + (y / 0.7) ** 2 < 1, 900.0 + 150 * np.cos(3 * x) * np.cos(2 * y), 20.0)
    slice_at = (number + 1) / (count + 1)
    for centre, radius, value in ((-0.4, 0.18, 1700.0), (0.0, 0.12 + 0.15 * slice_at, 400.0), (0.42, 0.16, 1400.0)):
        picture[(x - centre) ** 2 + (y + 0.1 - 0.2 * slice_at) ** 2 < radius**2] = value
    ds.PixelData = picture.astype("<u2").tobytes()
    ds["PixelData"].VR = "OW"
