"""Exporting: plain files that are exactly what was sealed, nothing replaced unasked, and one bad object stops no other."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from appliance.core.errors import Fault
from appliance.core.identity import Uid
from appliance.opener.export_folder import ExportFolderError
from appliance.opener.jobs import (
    Exported,
    ExportFile,
    ExportJobs,
    ExportOutcome,
    ExportProgress,
    NothingToExportError,
    Wanted,
    export,
    export_files,
)
from appliance.spool.files import write_all
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool
from tests.unit.route import data_sets
from tests.unit.spool.builders import OTHER_PRIVATE, a_header, a_spool, files_under, opened

STUDY = "1.2.3"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """Make a spool that can receive and open."""
    return a_spool(tmp_path / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make the folder to export to."""
    made = tmp_path / "stick"
    made.mkdir()
    return made


def _received(spool: Spool, uid: str, *, version: int = 1, pixels: int = 256) -> Wanted:
    with spool.admit(a_header(sop_instance_uid=uid)) as admission:
        admission.write(data_sets.an_image(uid, pixels=pixels))
        name = admission.commit()
    spool.move_to_store([name])
    return Wanted(Uid(uid), version, name)


def _sealed_file(data: Path, name: SpoolName) -> Path:
    return data / "spool" / "store" / name.store_directory() / str(name)


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _outcomes(exported: list[Exported]) -> list[tuple[str, ExportOutcome]]:
    return [(one.file, one.outcome) for one in exported]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_export_is_what_the_age_tool_gives(spool: Spool, folder: Path, tmp_path: Path) -> None:
    """The file is the sealed content byte for byte: preamble, file meta, and the data set as it was received."""
    wanted = _received(spool, "1.2.3.1", pixels=200_000)

    exported = ExportJobs(spool, lambda _: [wanted]).export("1.2.3.1", folder)

    (file,) = files_under(folder)
    assert [("1.2.3.1.dcm", ExportOutcome.WRITTEN)] == _outcomes(exported)
    assert opened(_sealed_file(tmp_path / "data", wanted.name).read_bytes()) == file.read_bytes()
    assert 0o600 == file.stat().st_mode & 0o777


def test_other_programs_read_an_export(spool: Spool, folder: Path) -> None:
    """A DICOM library opens the file without being forced, and finds what the scanner sent."""
    wanted = _received(spool, "1.2.3.1")

    ExportJobs(spool, lambda _: [wanted]).export("1.2.3.1", folder)

    ds = pydicom.dcmread(folder / "1.2.3.1.dcm")
    assert ("1.2.3.1", "CT", "1.2.840.10008.1.2.1") == (ds.SOPInstanceUID, ds.Modality, ds.file_meta.TransferSyntaxUID)


def test_a_study_becomes_a_file_an_instance(spool: Spool, folder: Path) -> None:
    """The lookup is asked for the UID that was given, and everything it names is exported, old versions under their numbers."""
    old, new, other = _received(spool, "1.2.3.1"), _received(spool, "1.2.3.1", version=2, pixels=512), _received(spool, "1.2.3.2")
    studies = {STUDY: [old, new, other]}

    exported = ExportJobs(spool, lambda uid: studies.get(uid, [])).export(STUDY, folder)

    assert [
        ("1.2.3.1-v1.dcm", ExportOutcome.WRITTEN),
        ("1.2.3.1.dcm", ExportOutcome.WRITTEN),
        ("1.2.3.2.dcm", ExportOutcome.WRITTEN),
    ] == _outcomes(exported)
    assert (512, 256) == tuple(len(pydicom.dcmread(folder / name).PixelData) for name in ("1.2.3.1.dcm", "1.2.3.1-v1.dcm"))


@pytest.mark.parametrize("uid", ["9.9", "", "../../etc/passwd", "1.2.*"])
def test_an_unknown_uid_exports_nothing(spool: Spool, folder: Path, uid: str) -> None:
    """What the box does not have, and what is no UID, is refused as the operator's mistake."""
    with pytest.raises(NothingToExportError) as refused:
        ExportJobs(spool, lambda _: []).export(uid, folder)

    assert Fault.OPERATOR == refused.value.fault
    assert [] == files_under(folder)


def test_a_uid_that_is_none_never_becomes_a_path(spool: Spool) -> None:
    """Whatever a ledger says, a file's name is a UID or our own object id."""
    wanted = replace(_received(spool, "1.2.3.1"), sop_instance_uid=Uid("../1"))

    (file,) = export_files([wanted])

    assert f"{wanted.name.object_id}.dcm" == file.file


def test_nothing_is_replaced(spool: Spool, folder: Path) -> None:
    """A file that is there stays as it is and is reported; the others are written."""
    first, second = _received(spool, "1.2.3.1"), _received(spool, "1.2.3.2")
    (folder / "1.2.3.1.dcm").write_text("a letter")

    exported = ExportJobs(spool, lambda _: [first, second]).export(STUDY, folder)

    assert [("1.2.3.1.dcm", ExportOutcome.EXISTS), ("1.2.3.2.dcm", ExportOutcome.WRITTEN)] == _outcomes(exported)
    assert "a letter" == (folder / "1.2.3.1.dcm").read_text()


def test_what_is_asked_to_be_replaced_is(spool: Spool, folder: Path, tmp_path: Path) -> None:
    """With `overwrite` a file takes the place of another; a symbolic link is replaced, not followed."""
    wanted = _received(spool, "1.2.3.1")
    (tmp_path / "elsewhere").write_text("kept")
    (folder / "1.2.3.1.dcm").symlink_to(tmp_path / "elsewhere")

    exported = ExportJobs(spool, lambda _: [wanted]).export("1.2.3.1", folder, overwrite=True)

    assert [("1.2.3.1.dcm", ExportOutcome.WRITTEN)] == _outcomes(exported)
    assert "kept" == (tmp_path / "elsewhere").read_text()
    assert not (folder / "1.2.3.1.dcm").is_symlink()


def test_a_name_taken_meanwhile_is_not_replaced(spool: Spool, folder: Path) -> None:
    """A file that appears while ours is being written wins, and ours leaves nothing."""
    wanted = _received(spool, "1.2.3.1", pixels=2 << 20)

    def intruder(progress: ExportProgress) -> None:
        if not progress.done:
            (folder / "1.2.3.1.dcm").write_text("first")

    exported = ExportJobs(spool, lambda _: [wanted]).export("1.2.3.1", folder, progress=intruder)

    assert [("1.2.3.1.dcm", ExportOutcome.EXISTS)] == _outcomes(exported)
    assert ["1.2.3.1.dcm"] == _names(folder)
    assert "first" == (folder / "1.2.3.1.dcm").read_text()


@pytest.mark.parametrize("taken", [False, True])
def test_a_stick_without_hard_links(spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch, taken: bool) -> None:  # noqa: FBT001
    """On FAT, which knows no links, files are written all the same, and what is there still is not replaced."""
    wanted = _received(spool, "1.2.3.1")

    def refused(*_: object, **__: object) -> None:
        if taken:
            (folder / "1.2.3.1.dcm").write_text("first")
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("appliance.opener.export_folder.os.link", refused)

    exported = ExportJobs(spool, lambda _: [wanted]).export("1.2.3.1", folder)

    assert [("1.2.3.1.dcm", ExportOutcome.EXISTS if taken else ExportOutcome.WRITTEN)] == _outcomes(exported)
    assert ["1.2.3.1.dcm"] == _names(folder)
    assert (folder / "1.2.3.1.dcm").read_bytes()[:5] == (b"first" if taken else bytes(5))


@pytest.mark.parametrize("at", [130, 600, -1])
def test_a_damaged_object_is_reported_and_the_others_are_exported(spool: Spool, folder: Path, tmp_path: Path, at: int) -> None:
    """A flipped bit in the header, at the start or at the very end costs that one object, of which no file is left."""
    bad, good = _received(spool, "1.2.3.1", pixels=200_000), _received(spool, "1.2.3.2")
    _flip(_sealed_file(tmp_path / "data", bad.name), at)

    exported = ExportJobs(spool, lambda _: [bad, good]).export(STUDY, folder)

    assert [ExportOutcome.DAMAGED, ExportOutcome.WRITTEN] == [one.outcome for one in exported]
    assert exported[0].problem
    assert ["1.2.3.2.dcm"] == _names(folder)


def test_an_object_under_another_ones_uid_is_damaged(spool: Spool, folder: Path) -> None:
    """Where ledger and object disagree about the instance, nothing is exported under the wrong name."""
    wanted = replace(_received(spool, "1.2.3.1"), sop_instance_uid=Uid("1.2.3.9"))

    exported = ExportJobs(spool, lambda _: [wanted]).export("1.2.3.9", folder)

    assert [("1.2.3.9.dcm", ExportOutcome.DAMAGED)] == _outcomes(exported)
    assert [] == _names(folder)


def test_what_cannot_be_had_is_told_apart(spool: Spool, folder: Path, tmp_path: Path) -> None:
    """Objects that are gone, sealed to other keys, or that the disk does not give are reported as that."""
    gone, foreign, unreadable = (_received(spool, f"1.2.3.{number}") for number in (1, 2, 3))
    spool.remove(gone.name)
    other = replace(foreign, name=replace(foreign.name, generation=7))
    place = _sealed_file(tmp_path / "data", unreadable.name)
    place.unlink()
    place.mkdir()

    exported = list(export(spool, export_files([gone, other, unreadable]), folder))

    assert [ExportOutcome.MISSING, ExportOutcome.FOREIGN, ExportOutcome.UNREADABLE] == [one.outcome for one in exported]
    assert [] == _names(folder)


def test_an_object_of_another_box_is_foreign(spool: Spool, folder: Path, tmp_path: Path) -> None:
    """An object that another box's key of the same generation sealed is reported, not exported."""
    wanted = _received(a_spool(tmp_path / "data", private=OTHER_PRIVATE), "1.2.3.1")

    exported = ExportJobs(spool, lambda _: [wanted]).export("1.2.3.1", folder)

    assert [ExportOutcome.FOREIGN] == [one.outcome for one in exported]


def test_progress_rises_to_the_end(spool: Spool, folder: Path) -> None:
    """Progress counts objects and bytes, also within a large object, and ends at all of both."""
    wanted = [_received(spool, "1.2.3.1", pixels=3 << 20), _received(spool, "1.2.3.2")]
    seen: list[ExportProgress] = []

    ExportJobs(spool, lambda _: wanted).export(STUDY, folder, progress=seen.append)

    total = sum(one.name.length for one in wanted)
    assert len(seen) >= 5
    assert seen == sorted(seen, key=lambda progress: (progress.done, progress.done_bytes))
    assert ExportProgress(2, 2, total, total) == seen[-1]


def test_a_folder_that_is_none_ends_the_job(spool: Spool, tmp_path: Path) -> None:
    """A folder that does not exist is the operator's mistake, said before anything is opened."""
    wanted = _received(spool, "1.2.3.1")

    with pytest.raises(ExportFolderError, match="No such file") as refused:
        ExportJobs(spool, lambda _: [wanted]).export("1.2.3.1", tmp_path / "nowhere")

    assert Fault.OPERATOR == refused.value.fault


def test_a_full_stick_ends_the_job_and_leaves_no_part(spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the folder's disk is full the job ends in plain words; what was written stays, and no part of a file does."""
    wanted = [_received(spool, "1.2.3.1"), _received(spool, "1.2.3.2")]
    written: list[int] = []

    def filling(descriptor: int, data: bytes) -> None:
        written.append(len(data))
        if len(written) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(descriptor, data)

    monkeypatch.setattr("appliance.opener.export_folder.write_all", filling)

    with pytest.raises(ExportFolderError, match="No space left"):
        ExportJobs(spool, lambda _: wanted).export(STUDY, folder)

    assert ["1.2.3.1.dcm"] == _names(folder)


def test_batches_keep_the_names_of_the_whole(spool: Spool, folder: Path) -> None:
    """Names are given for all objects at once, so that a job may be done in several parts."""
    wanted = [_received(spool, "1.2.3.1"), _received(spool, "1.2.3.1", version=2)]
    files = export_files(wanted)

    exported = [one for file in files for one in export(spool, [file], folder)]

    assert [ExportFile(wanted[0], "1.2.3.1-v1.dcm"), ExportFile(wanted[1], "1.2.3.1.dcm")] == list(files)
    assert [ExportOutcome.WRITTEN, ExportOutcome.WRITTEN] == [one.outcome for one in exported]
