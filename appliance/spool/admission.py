"""One object on its way in: sealed while it arrives, visible only when it is whole and durable.

Promises (P1): when `commit` returns, the sealed file is fsynced, linked into `incoming/` under its final name, and the directory is
fsynced. Before the link nobody can see it, and a killed process leaves nothing. After any failure nothing is left either, with one
exception: when the last step (fsync of the directory) fails, the object stays, unacknowledged (P7 allows that), because the router may
have it by then.
Failures: `SpoolWriteError` (ours; the operator's when the disk is full) for whatever the file system refuses; the admission is over then.
Limits: without O_TMPFILE on the file system the partial file has a name in `receiving/`; a killed process leaves it there, sealed, until
the next process sweeps.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from blake3 import blake3

from appliance.core.errors import ApplianceError, Fault
from appliance.keys.generations import Recipients
from appliance.spool.age import SealWriter
from appliance.spool.files import open_directory, publish, sync_directory, write_all
from appliance.spool.names import DIGEST_BYTES, SpoolName
from appliance.spool.part10 import ObjectHeader, encode_header

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class SpoolWriteError(ApplianceError):
    """The spool could not take an object; nothing of it was acknowledged.

    `errno` is the file system's number. `full` says that bytes, inodes or a quota ran out.
    """

    def __init__(self, error: OSError) -> None:
        """Say what the file system said."""
        self.errno = error.errno
        self.full = error.errno in _FULL
        if self.full:
            self.fault = Fault.OPERATOR
            super().__init__("the spool's disk is full", advice="Make room: see `dicom-edge status` for what is still owed and to whom.")
        else:
            reason = os.strerror(error.errno) if error.errno else "input/output error"
            super().__init__(f"the spool cannot be written: {reason}", advice="Look at the kernel log for errors of the disk.")


@dataclass(frozen=True, slots=True)
class PartialFile:
    """Where an object is written until it is complete: a descriptor, and a path where the file system needs one."""

    descriptor: int
    path: Path | None

    def publish(self, directory: Path, name: str) -> None:
        """Make the content durable, give the file its name, make the name durable. Raises `OSError`."""
        os.fsync(self.descriptor)
        directory_descriptor = open_directory(directory)
        try:
            if self.path is None:
                publish(self.descriptor, directory_descriptor, name)
            else:
                # The name holds an id of 128 bits that was never given before: there is nothing to replace.
                os.rename(self.path, name, dst_dir_fd=directory_descriptor)
            sync_directory(directory_descriptor)
        finally:
            os.close(directory_descriptor)

    def discard(self) -> None:
        """Leave nothing; an object that was published stays."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink()


class Admission:
    """An object being received. End it with `commit` or `abandon`; leaving a `with` block abandons what was not committed."""

    def __init__(
        self,
        header: ObjectHeader,
        recipients: Recipients,
        digest_key: bytes,
        *,
        incoming: Path,
        create: Callable[[], PartialFile],
    ) -> None:
        """Make the partial file and seal the header into it. Raises `SpoolWriteError`, and `ObjectHeaderError` before anything is made."""
        clear = encode_header(header)
        self._header = header
        self._generation = recipients.generation
        self._incoming = incoming
        self._digest = blake3(key=digest_key)
        self._length = 0
        try:
            self._file: PartialFile | None = create()
        except OSError as error:
            raise SpoolWriteError(error) from error
        descriptor = self._file.descriptor
        try:
            self._seal = SealWriter(lambda sealed: write_all(descriptor, sealed), recipients.all)
            self._seal.write(clear)
        except OSError as error:
            self.abandon()
            raise SpoolWriteError(error) from error
        except ApplianceError:
            self.abandon()
            raise

    @property
    def object_id(self) -> str:
        """The id under which the object will be known."""
        return self._header.reception_id

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the data set; the buffer may be used again at once. Raises `SpoolWriteError`, and all is gone."""
        self._open_file()
        self._digest.update(data)
        self._length += len(data)
        try:
            self._seal.write(data)
        except OSError as error:
            self.abandon()
            raise SpoolWriteError(error) from error

    def commit(self) -> SpoolName:
        """Return the name of the object, which is durable in `incoming/` (P1). Raises `SpoolWriteError`."""
        file = self._open_file()
        try:
            name = SpoolName(
                object_id=self._header.reception_id,
                generation=self._generation,
                digest=self._digest.hexdigest(length=DIGEST_BYTES),
                length=self._length,
                kind="i" if self._header.kind == "instance" else "m",
            )
            self._seal.finish()
            file.publish(self._incoming, str(name))
        except OSError as error:
            raise SpoolWriteError(error) from error
        finally:
            self.abandon()
        return name

    def abandon(self) -> None:
        """Leave nothing behind; never raises, and does nothing after `commit`."""
        file, self._file = self._file, None
        if file is not None:
            file.discard()

    def _open_file(self) -> PartialFile:
        if self._file is None:
            raise ValueError("the admission is over")
        return self._file

    def __enter__(self) -> Self:
        """Receive within a block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Abandon what was not committed."""
        self.abandon()
