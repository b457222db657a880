"""Exporting through the browser: objects as plain DICOM files in one zip archive, made while it is sent.

Promises: memory is one piece and a line for each file; every file was authenticated to its end. Names are numbers, and say nothing of a
patient. An archive that could not be finished has no end and its connection is broken off, so that it never looks like a whole one; that
is logged and written into the journal.
Failures: what reading raises: before the first byte as an error of the page, later as a broken connection.
Limits: files are stored as they are: compressing images again is work for nothing. Where a SOP instance was received in several versions
the newest is exported.
Standard: PS3.10 8 (file IDs of at most eight characters), PS3.12 annex V (zip).
"""

from __future__ import annotations

import base64
import secrets
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from appliance.core.errors import ApplianceError
from appliance.runtime.logging import get_logger
from appliance.runtime.page_requests import ReadReply, ReadRequest
from appliance.runtime.requests import ObjectRow

log = get_logger(__name__)

Read = Callable[[ReadRequest], ReadReply]

_FOLDER = "DICOM"
_TICKET_BYTES = 16
# Of the archive's own structures, which come a few hundred bytes at a time.
_GATHERED_BYTES = 64 * 1024


class _Outlet:
    """Where the archive is written: held until it is fetched. Nobody can seek in it, which is how `zipfile` knows to look forward only."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        """Take the next bytes of the archive."""
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is nowhere to flush to."""

    def fetch(self, *, least: int = 0) -> bytes:
        """Return what has come since the last time, b"" where that is less than `least`."""
        if len(self._held) < least:
            return b""
        taken = bytes(self._held)
        self._held.clear()
        return taken


def newest(rows: Iterable[ObjectRow]) -> list[ObjectRow]:
    """Return of each SOP instance the newest version, in the order in which they came."""
    found: dict[str, ObjectRow] = {}
    for row in rows:
        before = found.get(row.sop_instance_uid)
        if before is None or row.version > before.version:
            found[row.sop_instance_uid] = row
    return list(found.values())


def archive(rows: Sequence[ObjectRow], read: Read, made_at: datetime, *, failed: Callable[[str], None]) -> Iterator[bytes]:
    """Return the pieces of a zip archive of these objects; the first is read before this returns, so that what fails then is raised here.

    `failed` is told in plain words what broke it off later.
    """
    # An empty piece would be the end of the answer to a server.
    pieces = filter(None, _zipped(rows, read, made_at))
    first = next(pieces)
    return _ending_well_or_not_at_all(chain([first], pieces), failed)


def _ending_well_or_not_at_all(pieces: Iterable[bytes], failed: Callable[[str], None]) -> Iterator[bytes]:
    try:
        yield from pieces
    except ApplianceError as error:
        log.warning("web.export_broken_off", kind=type(error).__name__)
        failed(str(error))
        # The server breaks the connection off: a browser shows a failed download, and not a file.
        raise


def _zipped(rows: Sequence[ObjectRow], read: Read, made_at: datetime) -> Iterator[bytes]:
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED, allowZip64=True) as target:  # type: ignore[call-overload]
        for number, row in enumerate(rows, start=1):
            entry = zipfile.ZipInfo(f"{_FOLDER}/I{number:07d}", made_at.timetuple()[:6])
            with target.open(entry, "w", force_zip64=True) as file:
                for piece in _content(row, read):
                    file.write(piece)
                    yield outlet.fetch()
            yield outlet.fetch(least=_GATHERED_BYTES)
    yield outlet.fetch()


def _content(row: ObjectRow, read: Read) -> Iterator[bytes]:
    """Yield an object as a plain file."""
    ticket, offset = secrets.token_hex(_TICKET_BYTES), 0
    while piece := base64.b64decode(read(ReadRequest(row, ticket, offset)).data):
        offset += len(piece)
        yield piece
