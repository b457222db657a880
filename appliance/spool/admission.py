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

import errno
import os
from types import TracebackType
from typing import Self

from blake3 import blake3

from appliance.core.errors import ApplianceError, Fault
from appliance.spool.blanks import Blank
from appliance.spool.files import start_write_back
from appliance.spool.heads import HEAD_BYTES, HeadPost
from appliance.spool.landing import Landing
from appliance.spool.names import DIGEST_BYTES, SpoolName
from appliance.spool.part10 import ObjectHeader
from appliance.spool.partial import PartialFile
from appliance.spool.workspaces import Workspaces

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

# The disk begins to write while a large object still arrives, so that its last fsync is not a wait for all of it.
_WRITE_BACK_BYTES = 4 << 20


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


class Admission:
    """An object being received. End it with `commit` or `abandon`; leaving a `with` block abandons what was not committed."""

    def __init__(
        self,
        clear: bytes,
        header: ObjectHeader,
        blank: Blank,
        digest_key: bytes,
        *,
        landing: Landing,
        workspaces: Workspaces,
        heads: HeadPost | None = None,
    ) -> None:
        """Seal `clear`, the header encoded, into `blank`, which is the admission's own now. Raises `SpoolWriteError`.

        Its head goes to `heads` with `announce`.
        """
        self._clear = clear
        self._header = header
        self._generation = blank.recipients.generation
        self._landing = landing
        self._heads = heads if header.kind == "instance" else None
        self._head = b""
        self._is_durable = False
        self._digest = blake3(key=digest_key)
        self._length = self._on_its_way = 0
        self._file: PartialFile | None = blank.file
        self._seal = blank.seal
        self._workspaces = workspaces
        self._workspace = workspaces.borrow()
        self._seal.work_in(self._workspace)
        try:
            self._seal.write(clear)
        except OSError as error:
            self.abandon()
            raise SpoolWriteError(error) from error

    @property
    def object_id(self) -> str:
        """The id under which the object will be known."""
        return self._header.reception_id

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the data set; the buffer may be used again at once. Raises `SpoolWriteError`, and all is gone."""
        file = self._open_file()
        if self._heads is not None and self._length < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - self._length]
        self._digest.update(data)
        self._length += len(data)
        try:
            self._seal.write(data)
            if self._length - self._on_its_way >= _WRITE_BACK_BYTES:
                start_write_back(file.descriptor, self._on_its_way, self._length - self._on_its_way)
                self._on_its_way = self._length
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
            self._landing.publish(file, str(name))
        except OSError as error:
            raise SpoolWriteError(error) from error
        finally:
            self.abandon()
        self._is_durable = True
        return name

    def announce(self) -> None:
        """Hand the head of a committed object to whoever records it; of any other nothing. Never raises."""
        if self._heads is not None and self._is_durable:
            self._heads.send(self.object_id, self._clear, self._head)

    def abandon(self) -> None:
        """Leave nothing behind; never raises, and does nothing after `commit`."""
        file, self._file = self._file, None
        if file is not None:
            file.discard()
            self._workspaces.give_back(self._workspace)

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
