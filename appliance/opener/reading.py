"""Readings: sealed objects as plain DICOM files, a piece at a time, for whoever passes them on as they come.

Promises: a reading that goes on costs what its pieces cost, however long the object is; the last piece is given only after the whole object
was authenticated. A reading that was forgotten, or a piece asked for again, is begun anew and read up to the place.
Failures: `ReadingsTooManyError`, `ReadingGoneError`, `ReadingFailedError`; the errors of the seal, which say that the object is damaged.
Limits: so many readings are open at once, each holding a descriptor and what its seal takes; one that nobody goes on with is closed after a
minute. What is given is not encrypted; its group 0002 says nothing of how the object came here.
Standard: PS3.10 7.1.
"""

from __future__ import annotations

import base64
import os
import threading
from dataclasses import dataclass

from appliance.core.errors import ApplianceError, Fault
from appliance.runtime.clock import Clock, Due
from appliance.runtime.page_requests import ReadReply, ReadRequest
from appliance.spool.age import SealDamagedError
from appliance.spool.names import SpoolName
from appliance.spool.part10 import encode_copy_header
from appliance.spool.sealed import SealedObject
from appliance.spool.store import Spool, SpoolObjectMissingError

# As base64 in JSON well below the 16 MiB of a message, and few enough questions that asking costs nothing.
_PIECE_BYTES = 4 << 20
_SKIP_BYTES = 1 << 20
# More people than export at once; each reading holds a descriptor and two chunks of its seal.
_MOST = 8
# A browser on a slow line empties its buffers in less; what is closed too early is only read again.
_IDLE_S = 60.0

_Key = tuple[str, str]


class ReadingsTooManyError(ApplianceError):
    """As many objects are being read as may be at once."""

    fault = Fault.OPERATOR
    advice = "Wait until another export has ended, then try again."


class ReadingGoneError(ApplianceError):
    """The object is not kept any more."""

    fault = Fault.OPERATOR
    advice = "What the box has given up is at its archive."


class ReadingFailedError(ApplianceError):
    """The disk does not give the object."""

    advice = "Run `dicom-edge spool verify`, and look at the disk."


@dataclass(slots=True)
class _Reading:
    """One object on its way out: what is left of its head, and how many bytes have been given."""

    sealed: SealedObject
    head: bytes
    given: int = 0
    closes: Due | None = None

    def next(self, size: int) -> bytes:
        """Return up to `size` bytes; b"" at the end, which was authenticated."""
        piece, self.head = self.head[:size], self.head[size:]
        # Also an object without a data set is read once: that read verifies its end.
        piece += self.sealed.read(size - len(piece))
        self.given += len(piece)
        return piece


class Readings:
    """The readings of one spool, whose private keys this process has. Threads may share it."""

    def __init__(self, spool: Spool, clock: Clock) -> None:
        """Read from `spool`."""
        self._spool = spool
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[_Key, _Reading] = {}
        self._busy = 0

    def answer(self, request: ReadRequest) -> ReadReply:
        """Return the bytes from `request.offset` on."""
        key = request.ticket, request.object.spool_name
        reading = self._take(key)
        is_over = True
        try:
            if reading is not None and reading.given != request.offset:
                reading.sealed.close()
                reading = None
            reading = reading or self._begun(request)
            piece = reading.next(_PIECE_BYTES)
            is_over = not piece
            return ReadReply(base64.b64encode(piece).decode("ascii"))
        except SpoolObjectMissingError:
            raise ReadingGoneError("the box does not keep this image any more") from None
        except OSError as error:
            raise ReadingFailedError(f"the spool cannot be read: {os.strerror(error.errno or 0)}") from None
        finally:
            self._put_back(key, reading, is_over=is_over)

    def is_any_open(self) -> bool:
        """Say whether somebody is reading; what nobody goes on with is closed first."""
        with self._lock:
            self._sweep()
            return bool(self._busy or self._waiting)

    def close(self) -> None:
        """Close them all."""
        with self._lock:
            for reading in self._waiting.values():
                reading.sealed.close()
            self._waiting.clear()

    def _take(self, key: _Key) -> _Reading | None:
        """Return the reading that goes on, for nobody else until it is put back; None where a new one may begin."""
        with self._lock:
            self._sweep()
            found = self._waiting.pop(key, None)
            if found is None and self._busy + len(self._waiting) >= _MOST:
                raise ReadingsTooManyError("too many exports are going on")
            self._busy += 1
            return found

    def _put_back(self, key: _Key, reading: _Reading | None, *, is_over: bool) -> None:
        with self._lock:
            self._busy -= 1
            if reading is None:
                return
            if is_over or key in self._waiting:
                reading.sealed.close()
                return
            reading.closes = self._clock.now().after(_IDLE_S)
            self._waiting[key] = reading

    def _sweep(self) -> None:
        now = self._clock.now()
        for key, reading in list(self._waiting.items()):
            if reading.closes is not None and reading.closes.is_due(now):
                self._waiting.pop(key).sealed.close()

    def _begun(self, request: ReadRequest) -> _Reading:
        """Return a new reading, at the place that was asked for."""
        name = SpoolName.parse(request.object.spool_name)
        if name is None or name.kind != "i" or request.offset < 0:
            raise ReadingGoneError("there is no such image")
        sealed = self._spool.open(name)
        try:
            return _at_offset(sealed, request)
        except BaseException:  # boundary: whatever ends the beginning, the descriptor must not stay open; it is raised again
            sealed.close()
            raise


def _at_offset(sealed: SealedObject, request: ReadRequest) -> _Reading:
    header = sealed.header
    if header.sop_instance_uid != request.object.sop_instance_uid:
        raise SealDamagedError("the object is another instance than the ledger says")
    head = encode_copy_header(header.sop_class_uid, header.sop_instance_uid, header.transfer_syntax_uid, header.calling_title)
    reading = _Reading(sealed, head)
    while reading.given < request.offset:
        if not reading.next(min(_SKIP_BYTES, request.offset - reading.given)):
            raise ReadingGoneError("there is nothing at this place of the image")
    return reading
