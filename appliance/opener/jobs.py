"""Exporting: sealed objects back as plain DICOM files in a folder that somebody chose.

Promises: a file under its final name is whole, durable, and exactly what `age -d` would give: everything was authenticated before it got
that name. The newest version of an instance is `<SOP Instance UID>.dcm`, an older one `<SOP Instance UID>-v<n>.dcm`. Nothing is replaced
unless that is asked for. An object that cannot be exported is reported, leaves nothing behind and stops no other.
Failures: `NothingToExportError` and `ExportFolderError` (operator: not there, not writable, full), which end the job; what was written
stays, and the same job again goes on behind it.
Limits: what is exported is not encrypted and names the patient. See `export_folder` for what a killed process leaves.
Standard: PS3.10 7.1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import Uid, uid_fault
from appliance.opener.export_folder import Draft, ExportFolder
from appliance.runtime.logging import get_logger
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeaderError, encode_header
from appliance.spool.sealed import SealedObject
from appliance.spool.store import Spool, SpoolObjectMissingError

# Large enough that progress does not cost anything, small enough that a bar moves on an old disk.
_PIECE_BYTES = 1 << 20

log = get_logger(__name__)


class NothingToExportError(ApplianceError):
    """Nothing that the box still has carries the UID that was asked for."""

    fault = Fault.OPERATOR
    advice = "Give the whole SOP Instance UID or Study Instance UID; `dicom-edge studies` lists them. What was evicted is at its archive."


class ExportOutcome(StrEnum):
    """What became of one object."""

    WRITTEN = "written"
    EXISTS = "exists"
    """A file of that name was there, and was left as it is."""
    MISSING = "missing"
    """The object is no longer in the spool."""
    DAMAGED = "damaged"
    FOREIGN = "foreign"
    """It is sealed to keys that the box does not have."""
    UNREADABLE = "unreadable"
    """The disk does not give it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object to export: the version of the SOP instance that it is, and where it is sealed."""

    sop_instance_uid: Uid
    version: int
    name: SpoolName


@dataclass(frozen=True, slots=True)
class ExportFile:
    """An object to export and the name of the file that it becomes, without a folder."""

    wanted: Wanted
    file: str


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one object; `file` is the file's name in the folder, `problem` is empty for what is there now."""

    sop_instance_uid: Uid
    version: int
    file: str
    outcome: ExportOutcome
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How far a job is: objects done of all, and bytes of their data sets read of all."""

    done: int
    objects: int
    done_bytes: int
    total_bytes: int


Lookup = Callable[[str], Sequence[Wanted]]
"""Gives every stored version of the SOP instance, or of all instances of the study, that a UID names; empty for none."""


def export_files(wanted: Sequence[Wanted]) -> tuple[ExportFile, ...]:
    """Return which file each object becomes: what is newest is judged by all that are asked for together. Pure."""
    newest: dict[Uid, int] = {}
    for one in wanted:
        newest[one.sop_instance_uid] = max(one.version, newest.get(one.sop_instance_uid, one.version))
    return tuple(ExportFile(one, _file_name(one, is_newest=one.version == newest[one.sop_instance_uid])) for one in wanted)


class ExportJobs:
    """Exports from one spool, whose private keys this process has. Threads may share it."""

    def __init__(self, spool: Spool, lookup: Lookup) -> None:
        """Read from `spool` what `lookup` names."""
        self._spool = spool
        self._lookup = lookup

    def export(
        self, uid: str, folder: Path, *, overwrite: bool = False, progress: Callable[[ExportProgress], None] = lambda _: None
    ) -> list[Exported]:
        """Export the SOP instance or the study `uid` into `folder`, which exists, and return what became of each object.

        `progress` is called after each object and each mebibyte. Raises `NothingToExportError`, `ExportFolderError`, and what the lookup
        raises.
        """
        wanted = self._lookup(uid) if uid_fault(uid) is None else ()
        if not wanted:
            raise NothingToExportError("the box has nothing with this UID")
        return list(export(self._spool, export_files(wanted), folder, overwrite=overwrite, progress=progress))


def export(
    spool: Spool,
    files: Sequence[ExportFile],
    folder: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[ExportProgress], None] = lambda _: None,
) -> Iterator[Exported]:
    """Write each file into `folder` and yield what became of it. Raises `ExportFolderError`."""
    total = sum(file.wanted.name.length for file in files)
    read = 0

    def after(done: int) -> Callable[[int], None]:
        return lambda extra: progress(ExportProgress(done, len(files), read + extra, total))

    with ExportFolder(folder) as target:
        for done, file in enumerate(files):
            exported = _export_one(spool, file, target, overwrite=overwrite, tell=after(done))
            read += file.wanted.name.length
            after(done + 1)(0)
            yield exported


def _export_one(spool: Spool, file: ExportFile, target: ExportFolder, *, overwrite: bool, tell: Callable[[int], None]) -> Exported:
    wanted = file.wanted

    def result(outcome: ExportOutcome, problem: str = "") -> Exported:
        return Exported(wanted.sop_instance_uid, wanted.version, file.file, outcome, problem)

    if not overwrite and target.has(file.file):
        return result(ExportOutcome.EXISTS, "a file of this name is there already")
    try:
        with spool.open(wanted.name) as sealed, target.draft() as draft:
            _copy(sealed, wanted, draft, tell)
            if not draft.publish(file.file, overwrite=overwrite):
                return result(ExportOutcome.EXISTS, "a file of this name is there already")
    except SpoolObjectMissingError:
        return result(ExportOutcome.MISSING, "the object is no longer in the spool")
    except SealForeignError as error:
        outcome, problem = ExportOutcome.FOREIGN, str(error)
    except (SealDamagedError, SealFormatError, ObjectHeaderError) as error:
        outcome, problem = ExportOutcome.DAMAGED, str(error)
    except OSError as error:
        # The folder's own errors were translated where they arose, so this one is the spool's.
        outcome, problem = ExportOutcome.UNREADABLE, f"the spool cannot be read: {os.strerror(error.errno or 0)}"
    else:
        return result(ExportOutcome.WRITTEN)
    log.error("export.object_failed", object_id=wanted.name.object_id, outcome=outcome.value)
    return result(outcome, problem)


def _copy(sealed: SealedObject, wanted: Wanted, draft: Draft, tell: Callable[[int], None]) -> None:
    """Write the whole object; it is authenticated to its end when this returns."""
    if sealed.header.sop_instance_uid != wanted.sop_instance_uid:
        raise SealDamagedError("the object is another instance than the ledger says")
    draft.write(encode_header(sealed.header))
    read = 0
    # Also an object without a data set is read once: that read verifies its end.
    while piece := sealed.read(_PIECE_BYTES):
        draft.write(piece)
        read += len(piece)
        tell(read)


def _file_name(wanted: Wanted, *, is_newest: bool) -> str:
    # A UID is digits and single dots between them, so it cannot leave the folder; what is none never becomes part of a path.
    stem = wanted.name.object_id if uid_fault(wanted.sop_instance_uid) is not None else wanted.sop_instance_uid
    return f"{stem}.dcm" if is_newest else f"{stem}-v{wanted.version}.dcm"
