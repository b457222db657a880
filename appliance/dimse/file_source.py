"""A DICOM file on disk as something to send: its header is read, its data set streams from the file as it is.

Promises: the bytes given are those of the file, from behind its file meta to its end; no data set is decoded.
Failures: `FileNotDicomError` (operator) for what is not a DICOM file, lacks a UID, or cannot be opened.
Limits: files without the Part 10 header (bare data sets) are not taken; a file that changes while it is sent is sent as it is read.
Standard: PS3.10 7.1.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import Uid, uid_fault
from appliance.dimse.prefix import ElementWalk

_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
# Preamble and magic.
_BEFORE_META = 128 + 4
_META_GROUP = 0x0002
_LONGEST_HEAD = 12
# The VRs of PS3.10 7.1 that have a 32-bit length.
_LONG_LENGTH = frozenset({b"OB", b"OW", b"UN", b"UT", b"SQ"})
_PREFIX_BYTES = 65536


class FileNotDicomError(ApplianceError):
    """A file is not a DICOM file that can be sent."""

    fault = Fault.OPERATOR
    advice = "Give files in the DICOM file format, such as those on a patient CD; a DICOMDIR cannot be sent."


class FileSource:
    """One file to send; an `OutgoingSource`. It is open only while it is read, so that any number of them may wait."""

    def __init__(self, path: Path, uids: tuple[Uid, Uid], transfer_syntax_uid: Uid, start: int) -> None:
        """Describe the file: SOP class and instance UID, and where its data set begins. Raises `OSError` where it is gone."""
        self.path = path
        self.sop_class_uid, self.sop_instance_uid = uids
        self.transfer_syntax_uid = transfer_syntax_uid
        self._start = start
        self._length = path.stat().st_size - start
        self._file: BinaryIO | None = None
        self._at_end = False

    @classmethod
    def open(cls, path: Path) -> FileSource:
        """Return `path` ready to be sent. Raises `FileNotDicomError`."""
        try:
            meta = read_file_meta_info(path)
            with path.open("rb") as file:
                return _describe(path, file, meta)
        except InvalidDicomError:
            raise FileNotDicomError(f"{path} is not a DICOM file") from None
        except OSError as error:
            raise FileNotDicomError(f"{path} cannot be read: {os.strerror(error.errno or 0)}", advice="") from None
        except ApplianceError:
            raise
        except Exception as error:  # boundary: pydicom raises whatever its parsers raise on a damaged header
            raise FileNotDicomError(f"{path} has a damaged DICOM header") from error

    @property
    def length(self) -> int:
        """The bytes of the data set."""
        return self._length

    def read(self, size: int) -> bytes:
        """Return up to `size` next bytes of the data set, b"" from its end on, where the file is closed. Raises `OSError`."""
        if self._at_end:
            return b""
        if self._file is None:
            self._file = self.path.open("rb")
            self._file.seek(self._start)
        data = self._file.read(size)
        if not data:
            self.close()
            self._at_end = True
        return data

    def close(self) -> None:
        """Close the file; the next read begins anew."""
        self._at_end = False
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _describe(path: Path, file: BinaryIO, meta: FileMetaDataset) -> FileSource:
    syntax = Uid(str(meta.get("TransferSyntaxUID") or ""))
    if uid_fault(syntax) is not None:
        raise FileNotDicomError(f"{path} does not name its transfer syntax")
    start = _data_set_start(path, file)
    file.seek(start)
    # What the data set says counts: the receiver compares it with the request.
    walk = ElementWalk(syntax, frozenset({_SOP_CLASS_UID, _SOP_INSTANCE_UID}))
    walk.feed(file.read(_PREFIX_BYTES))
    uids = (_uid(walk.values.get(_SOP_CLASS_UID, b"")), _uid(walk.values.get(_SOP_INSTANCE_UID, b"")))
    if any(uid_fault(uid) is not None for uid in uids):
        raise FileNotDicomError(f"{path} has no usable SOP class or instance UID")
    return FileSource(path, uids, syntax, start)


def _data_set_start(path: Path, file: BinaryIO) -> int:
    """Return the offset behind group 0002, walked element by element: its group length may be missing or wrong."""
    at = _BEFORE_META
    while True:
        file.seek(at)
        head = file.read(_LONGEST_HEAD)
        if len(head) < _LONGEST_HEAD:
            raise FileNotDicomError(f"{path} ends inside its header")
        group, _, vr, length = struct.unpack_from("<HH2sH", head)
        if group != _META_GROUP:
            return at
        at += 8 + length if vr not in _LONG_LENGTH else 12 + struct.unpack_from("<L", head, 8)[0]


def _uid(raw: bytes) -> Uid:
    return Uid(raw.rstrip(b"\0 ").decode("latin-1"))
