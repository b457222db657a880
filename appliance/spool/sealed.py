"""One stored object opened: its header, and its data set verified against its own name.

Promises: `read` gives only authenticated bytes, and gives the last of them only after the whole data set had the length and the keyed
digest that the name says, the seal ended where it should, and nothing followed: whoever got `length` bytes got the object as it was
received.
Failures: `SealDamagedError` and the other errors of `age`, `ObjectHeaderError` (ours); `OSError` of the disk passes through.
Limits: without the digest key the digest is not compared; what the seal authenticates is still everything.
"""

from __future__ import annotations

from io import BufferedIOBase
from types import TracebackType
from typing import Self

from blake3 import blake3

from appliance.spool.age import Identity, SealDamagedError, SealReader, Workspace
from appliance.spool.names import DIGEST_BYTES, SpoolName
from appliance.spool.part10 import ObjectHeader, read_header
from appliance.spool.workspaces import Workspaces


class SealedObject:
    """A stored object, open for reading from its first byte. Close it, or use it as a context manager."""

    def __init__(
        self,
        name: SpoolName,
        file: BufferedIOBase,
        identity: bytes | Identity,
        digest_key: bytes | None,
        workspaces: Workspaces | None = None,
    ) -> None:
        """Own `file`, verify its header and read the object's; the file is closed where that fails."""
        self.name = name
        self._file = file
        self._workspaces = workspaces or Workspaces()
        self._workspace: Workspace | None = self._workspaces.borrow()
        self._digest = None if digest_key is None else blake3(key=digest_key)
        self._left = name.length
        self._verified = False
        self._damage: SealDamagedError | None = None
        try:
            self._reader = SealReader(file, [identity], workspace=self._workspace)
            self._header = read_header(self._reader.read)
            self._compare_header()
        except BaseException:  # boundary: whatever ends the opening, the descriptor must not stay open; it is raised again
            self.close()
            raise

    @property
    def header(self) -> ObjectHeader:
        """What was known when the object arrived."""
        return self._header

    @property
    def length(self) -> int:
        """The bytes of the data set."""
        return self.name.length

    def read(self, size: int) -> bytes:
        """Return `size` bytes of the data set, fewer only at its end; `b""` after it. Raises `SealDamagedError`, again at every call."""
        if self._damage is not None:
            raise self._damage
        if self._workspace is None:
            raise ValueError("the object is closed")
        try:
            return self._read(min(size, self._left))
        except SealDamagedError as error:
            self._damage = error
            raise

    def close(self) -> None:
        """Give the file back; a second call does nothing. Nothing can be read afterwards."""
        self._file.close()
        workspace, self._workspace = self._workspace, None
        if workspace is not None:
            self._workspaces.give_back(workspace)

    def _read(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) < size:
            # Damage stands before the next byte, which this call raises, or the seal ended early.
            self._reader.read(1)
            raise SealDamagedError("the data set is shorter than its name says")
        self._left -= size
        if self._digest is not None:
            self._digest.update(data)
        if not self._left and not self._verified:
            self._verify_end()
        return data

    def _compare_header(self) -> None:
        # The name is not sealed. What the seal knows of it must agree, or somebody gave one object another's name.
        kind = "instance" if self.name.kind == "i" else "message"
        if (self._header.reception_id, self._header.kind) != (self.name.object_id, kind):
            raise SealDamagedError("the object carries the name of another one")

    def _verify_end(self) -> None:
        if self._reader.read(1):
            raise SealDamagedError("the data set is longer than its name says")
        if self._digest is not None and self._digest.hexdigest(length=DIGEST_BYTES) != self.name.digest:
            raise SealDamagedError("the data set is not the one its name says")
        self._verified = True

    def __enter__(self) -> Self:
        """Read within a block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close."""
        self.close()
