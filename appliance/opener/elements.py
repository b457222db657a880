"""Reads a data set in explicit VR little endian element by element while it streams by. Pure.

Promises: memory is that of one piece, whatever lengths the data set announces; what is passed on is passed on byte for byte.
Failures: `ElementsBrokenError` (the peer's data); what the source raises passes through.
Limits: inside a sequence of defined length nothing is looked at.
Standard: PS3.5 7.1 (elements), 7.5 (sequences), A.4 (encapsulated pixel data).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from appliance.core.errors import ApplianceError, Fault
from appliance.dimse import vr as vrs

UNDEFINED: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
_DELIMITERS = 0xFFFE

# Large enough that the work for each piece vanishes beside its bytes.
_PIECE_BYTES = 256 * 1024
# As in `dimse.conversion`: no report is nested that deep, and no reader should meet one that is.
_MAX_OPEN = 512


class ElementsBrokenError(ApplianceError):
    """The data set is not what its transfer syntax announces, or ends too early."""

    fault = Fault.PEER


@dataclass(frozen=True, slots=True)
class Head:
    """An element as its head announces it, and the head's bytes."""

    tag: int
    vr: bytes
    length: int
    raw: bytes


class ElementReader:
    """One pass over one data set."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        """Read what `source(size)` returns, any pieces until b""."""
        self._source = source
        self._piece = memoryview(b"")

    def head(self) -> Head | None:
        """Return the head of the next element, or None at the end."""
        return None if self._at_end() else self._head(implicit=False)

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes."""
        if len(self._piece) >= size:
            taken = bytes(self._piece[:size])
            self._piece = self._piece[size:]
            return taken
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield `size` bytes as they come."""
        while size:
            if self._at_end():
                raise ElementsBrokenError("the data set ends too early")
            taken = bytes(self._piece[:size])
            self._piece = self._piece[size:]
            size -= len(taken)
            yield taken

    def content(self, head: Head) -> Iterator[bytes]:
        """Yield what stands behind `head`, the delimiter of an undefined length included."""
        if head.length == UNDEFINED:
            yield from self._undefined(head)
        else:
            yield from self.pieces(head.length)

    def _at_end(self) -> bool:
        if not self._piece:
            self._piece = memoryview(self._source(_PIECE_BYTES))
        return not self._piece

    def _head(self, *, implicit: bool) -> Head:
        raw = self.exactly(8)
        group, element, long = struct.unpack("<HHL", raw)
        tag = group << 16 | element
        if implicit or group == _DELIMITERS:
            return Head(tag, b"", long, raw)
        vr = raw[4:6]
        if vr in vrs.SHORT_LENGTH:
            return Head(tag, vr, struct.unpack_from("<H", raw, 6)[0], raw)
        if not (vr.isalpha() and vr.isupper()):
            raise ElementsBrokenError("an element has no VR: this is not the announced transfer syntax")
        more = self.exactly(4)
        return Head(tag, vr, struct.unpack("<L", more)[0], raw + more)

    def _undefined(self, head: Head) -> Iterator[bytes]:
        """Yield a sequence, or encapsulated pixel data, through its delimiter; what has a length inside is passed over."""
        # Each is whether it is an item, and whether its elements are in implicit VR (PS3.5 6.2.2 note 2: those of UN are).
        inside = [(False, head.vr == vrs.UNKNOWN)]
        while inside:
            is_item, implicit = inside[-1]
            inner = self._head(implicit=implicit)
            yield inner.raw
            if inner.tag in {ITEM_END, SEQUENCE_END}:
                if is_item is not (inner.tag == ITEM_END):
                    raise ElementsBrokenError("a delimiter stands where nothing can end")
                inside.pop()
            elif is_item is (inner.tag == ITEM):
                raise ElementsBrokenError("a sequence holds something else than items")
            elif inner.length != UNDEFINED:
                yield from self.pieces(inner.length)
            else:
                inside.append((not is_item, implicit or inner.vr == vrs.UNKNOWN))
                if len(inside) > _MAX_OPEN:
                    raise ElementsBrokenError("sequences are nested too deep")


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Return an element of defined length; `value` is made even as its VR asks."""
    if len(value) & 1:
        value += vrs.padding_of(vr)
    group, number = tag >> 16, tag & 0xFFFF
    if vr in vrs.SHORT_LENGTH:
        return struct.pack("<HH2sH", group, number, vr, len(value)) + value
    return struct.pack("<HH2sHL", group, number, vr, 0, len(value)) + value


def delimiter(tag: int, length: int = 0) -> bytes:
    """Return an item's head, or a delimiter."""
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)
