"""The demo's archive: a storage SCP that keeps what the box sends it as plain files, so that a delivery can be seen.

Promises: a file appears under its final name only when it is whole; nothing a peer sent becomes part of a path unchecked.
Failures: a full disk is answered A700, like any archive would.
Limits: a demo. Its files are neither sealed nor owed to anybody; it accepts whoever can reach it, so it listens on
loopback only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from appliance.core.identity import Uid, uid_fault
from appliance.dimse.stream import AcceptedContext, Answer, Data, StoreCommand
from appliance.receive.listener import AssociationOrigin
from appliance.runtime.logging import get_logger
from appliance.spool.part10 import ObjectHeader, encode_header

log = get_logger(__name__)

TITLE = "ARCHIVE"

_SUCCESS = 0x0000
_OUT_OF_RESOURCES = 0xA700


class FileSink:
    """Writes one C-STORE after another of one association to files."""

    def __init__(self, home: Path, origin: AssociationOrigin) -> None:
        """Keep files under `home`."""
        self._home = home
        self._origin = origin
        self._file: BinaryIO | None = None
        self._path = home
        self._failed = False

    def begin(self, command: StoreCommand, context: AcceptedContext) -> None:
        """Open the file and write its header."""
        uid = command.sop_instance_uid
        stem = uid if uid_fault(uid) is None else hashlib.sha256(uid.encode()).hexdigest()
        self._path = self._home / f"{stem}.dcm"
        header = ObjectHeader(
            sop_class_uid=Uid(command.sop_class_uid),
            sop_instance_uid=Uid(uid),
            transfer_syntax_uid=context.transfer_syntax,
            calling_title=str(self._origin.calling),
            called_title=str(self._origin.called),
            peer_address=self._origin.address,
            reception_id="",
            received_at=0.0,
        )
        self._failed = False
        try:
            self._file = self._unfinished().open("wb")
        except OSError:
            self._failed = True
            return
        self.write(encode_header(header))

    def write(self, data: Data) -> None:
        """Append to the file."""
        if self._file is None or self._failed:
            return
        try:
            self._file.write(data)
        except OSError:
            self._failed = True

    def commit(self) -> Answer:
        """Give the file its name and answer 0000, or A700 where it could not be written."""
        if self._failed or self._file is None:
            self.abort()
            return Answer(_OUT_OF_RESOURCES, "the demo archive cannot write")
        self._file.close()
        self._file = None
        self._unfinished().replace(self._path)
        log.info("demo.archived", sop_instance_uid=self._path.stem)
        return Answer(_SUCCESS)

    def answered(self) -> None:
        """Nothing is left to do."""

    def abort(self) -> None:
        """Leave nothing of an unfinished file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._unfinished().unlink(missing_ok=True)

    def _unfinished(self) -> Path:
        return self._path.with_suffix(f".{id(self):x}.part")
