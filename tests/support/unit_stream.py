"""The stages of a C-STORE, recognised in the bytes that flow to an archive. Pure.

Promises: `feed` gives every byte back exactly once and in order, cut so that each stage stands exactly between two pieces.
Failures: none: what is not DICOM's upper layer flows through without stages.
Limits: follows one direction, the requestor's; heads of units and fragments are held back until they are whole, and so is a command set of
at most 64 KiB.
Standard: PS3.8 9.3.1, 9.3.5 and annex E; PS3.7 9.3.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_ASSOCIATE_RQ, _DATA, _RELEASE_RQ, _ABORT = 1, 4, 5, 7
_HEAD_BYTES = 6
_IS_COMMAND, _IS_LAST = 1, 2
_LONGEST_COMMAND = 65536
# (0000,0100) US 0001: Command Field of C-STORE-RQ (PS3.7 table E.1-1).
_STORE_REQUEST = b"\x00\x00\x00\x01\x02\x00\x00\x00\x01\x00"


class Stage(StrEnum):
    """Where in a send something happens."""

    CONNECT = "connect"
    """The connection is there; no byte has flowed."""
    ASSOCIATE = "associate"
    """Before the A-ASSOCIATE-RQ."""
    COMMAND = "command"
    """Before the command set of a C-STORE."""
    FIRST_PDV = "first PDV"
    """Before the first piece of its data set."""
    MIDDLE = "middle"
    """Before the byte of the data set that the watch was told."""
    LAST_PDV = "last PDV"
    """Behind the last byte of the data set, before a response is passed back."""
    RELEASE = "release"
    """Before the A-RELEASE-RQ."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes to pass on; `before` and `after` are the stages reached at its edges."""

    data: bytes
    before: Stage | None = None
    after: Stage | None = None


class UnitStream:
    """Follows one connection."""

    def __init__(self, middle_byte: int) -> None:
        """Take byte `middle_byte` of each data set for its middle; shorter ones have none."""
        self._middle_byte = middle_byte
        self._held = bytearray()
        self._unit_left = 0
        self._in_data_unit = False
        self._fragment_left = 0
        self._is_command = self._is_last = False
        self._has_data = False
        self._data_set_bytes = 0
        self._is_foreign = False

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take the next bytes and yield what may be passed on."""
        self._held += data
        while self._held and (piece := self._next()) is not None:
            if piece.data:
                yield piece

    def _next(self) -> Piece | None:
        """Return the next piece, one without data for "look again", or None when more bytes are needed."""
        if self._is_foreign:
            return self._take(len(self._held))
        if self._fragment_left > 0:
            return self._in_fragment()
        if self._in_data_unit and self._unit_left > 0:
            return self._fragment_head(0, self._unit_left)
        if self._unit_left > 0:
            size = min(self._unit_left, len(self._held))
            self._unit_left -= size
            return self._take(size)
        return self._unit_head()

    def _unit_head(self) -> Piece | None:
        if len(self._held) < _HEAD_BYTES:
            return None
        kind, _, length = struct.unpack_from(">BBL", self._held)
        if not _ASSOCIATE_RQ <= kind <= _ABORT:
            self._is_foreign = True
            return Piece(b"")
        if kind == _DATA and length > 0:
            # The head of a data unit leaves together with that of its first fragment, so that no half of it waits on the other side.
            return self._fragment_head(_HEAD_BYTES, length)
        self._unit_left, self._in_data_unit = length, False
        return self._take(_HEAD_BYTES, {_ASSOCIATE_RQ: Stage.ASSOCIATE, _RELEASE_RQ: Stage.RELEASE}.get(kind))

    def _fragment_head(self, at: int, unit_left: int) -> Piece | None:
        whole = at + _HEAD_BYTES
        if len(self._held) < whole:
            return None
        size, _, control = struct.unpack_from(">LBB", self._held, at)
        self._unit_left, self._in_data_unit = max(0, unit_left - 4 - size), True
        self._is_last = bool(control & _IS_LAST)
        self._is_command = bool(control & _IS_COMMAND)
        self._fragment_left = max(0, size - 2)
        if self._is_command:
            # A command set is looked at before anything of it leaves, its heads included.
            self._fragment_left += whole
            return Piece(b"")
        before = None if self._has_data else Stage.FIRST_PDV
        self._has_data = True
        return self._take(whole, before, self._end_of_message())

    def _in_fragment(self) -> Piece | None:
        return self._in_command() if self._is_command else self._in_data_set()

    def _in_command(self) -> Piece | None:
        if len(self._held) < min(self._fragment_left, _LONGEST_COMMAND):
            return None
        size = min(self._fragment_left, len(self._held))
        self._fragment_left -= size
        return self._take(size, Stage.COMMAND if _STORE_REQUEST in self._held[:size] else None)

    def _in_data_set(self) -> Piece:
        to_middle = self._middle_byte - self._data_set_bytes
        size = min(self._fragment_left, len(self._held))
        if 0 < to_middle < size:
            size = to_middle
        self._fragment_left -= size
        self._data_set_bytes += size
        return self._take(size, Stage.MIDDLE if to_middle == 0 else None, self._end_of_message())

    def _end_of_message(self) -> Stage | None:
        if not self._is_last or self._fragment_left > 0:
            return None
        self._data_set_bytes, self._has_data = 0, False
        return Stage.LAST_PDV

    def _take(self, size: int, before: Stage | None = None, after: Stage | None = None) -> Piece:
        data = bytes(self._held[:size])
        del self._held[:size]
        return Piece(data, before, after)
