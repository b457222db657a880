"""The frames of compressed pixel data, put together from the fragments that hold them. Pure.

Promises: a frame comes whole: from a fragment of its own, from those between two offsets of the table, or from all of them; one frame is in
memory at a time.
Failures: `PixelsUnsuitableError` for what cannot be told apart or is too large; `ElementsBrokenError` for what is not encapsulated.
Limits: where there is no table, each of several frames is taken to be one fragment.
Standard: PS3.5 A.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from appliance.opener.elements import ITEM, SEQUENCE_END, UNDEFINED, ElementReader, ElementsBrokenError, Head, delimiter
from appliance.opener.pixels import PixelsUnsuitableError

# A compressed frame is never larger than this without something being wrong; as `pixels` bounds what is not compressed.
_FRAME_BYTES: Final = 64 << 20
_OFFSET_BYTES = 4
# The first marker and a half of a codestream, or the number of segments of RLE.
_BEGINNING_BYTES = 4


def compressed_frames(reader: ElementReader, head: Head, count: int) -> Iterator[bytes]:
    """Yield the frames behind `head`, of which the data set says that there are `count`."""
    if head.length != UNDEFINED:
        raise ElementsBrokenError("its compressed pixel data has a length")
    starts = _offsets(reader)
    frame, at = bytearray(), 0
    while (fragment := _fragment(reader)) is not None:
        if frame and count == 1 and fragment[:_BEGINNING_BYTES] == frame[:_BEGINNING_BYTES]:
            # The rest of a frame does not begin like a frame.
            raise PixelsUnsuitableError("it has another number of frames than its header says")
        if frame and count > 1 and (not starts or at in starts):
            yield bytes(frame)
            frame.clear()
        frame += fragment
        at += len(fragment) + len(delimiter(ITEM))
        if len(frame) > _FRAME_BYTES:
            raise PixelsUnsuitableError("a compressed frame is too large")
    if frame:
        yield bytes(frame)


def _offsets(reader: ElementReader) -> frozenset[int]:
    table = _fragment(reader)
    if table is None:
        raise ElementsBrokenError("its compressed pixel data has no offset table")
    return frozenset(int.from_bytes(table[at : at + _OFFSET_BYTES], "little") for at in range(0, len(table), _OFFSET_BYTES))


def _fragment(reader: ElementReader) -> bytes | None:
    """Return the next fragment, or None behind the last one."""
    head = reader.head()
    if head is None or head.tag not in {ITEM, SEQUENCE_END}:
        raise ElementsBrokenError("its compressed pixel data ends too early")
    if head.tag == SEQUENCE_END:
        return None
    if head.length > _FRAME_BYTES:
        raise PixelsUnsuitableError("a compressed frame is too large")
    return reader.exactly(head.length)
