"""Rewrites one data set while it streams by: its header as steps say, its pixels without loss into another transfer syntax.

Promises: memory is one frame a few times and small values; everything that is not asked for passes byte for byte, in its order,
but for group lengths, which are left out. What came
out counts only when `pieces` ended without an error.
Failures: `PixelsUnsuitableError` and `HeadersRefusedError` for what cannot be done to this object; `ElementsBrokenError` and
`ConversionError` for a data set that is not what it announces; whatever a codec raises.
Limits: sequences come out of implicit and big endian data sets with undefined lengths (`dimse.conversion`). Encapsulated frames are written
with an empty offset table, one fragment a frame.
Standard: PS3.5 A.4, 8.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from appliance.core.identity import Uid
from appliance.dimse.conversion import EXPLICIT_LITTLE, ConvertedSource
from appliance.dimse.lossless import DECODED, JPEG_2000_LOSSLESS, NATIVE, derived_syntax, lossless_target
from appliance.opener import pixels
from appliance.opener.elements import ITEM, SEQUENCE_END, UNDEFINED, ElementReader, Head, delimiter, element
from appliance.opener.fragments import compressed_frames
from appliance.opener.headers import ORIGINAL_ATTRIBUTES, HeaderEdits, HeadersRefusedError, Step
from appliance.opener.pixels import Image, PixelsUnsuitableError

_PIXEL_DATA: Final = 0x7FE00010
# PS3.5 A.4: they describe where compressed frames were, and there is no telling where ours will be.
_OFFSET_TABLES: Final = frozenset({0x7FE00001, 0x7FE00002})
_FLOAT_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009})
_ICON: Final = 0x00880200
_ENCAPSULATED = b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff"
_BEHIND_ALL = 0x100000000
_ELEMENT = 0xFFFF
# Descriptions and identifiers are short; what others wrote about earlier changes may be longer, and an icon is small by definition.
_VALUE_BYTES = 64 * 1024
_SEQUENCE_BYTES = 1 << 20
_LONGEST_VALUE = UNDEFINED - 1
_DEFLATED = frozenset({Uid("1.2.840.10008.1.2.1.99"), Uid("1.2.840.10008.1.2.4.95"), Uid("1.2.840.10008.1.2.4.205")})


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done to an object in `syntax` that was received at `received_at`; `transcode` is "" for pixels as they are."""

    syntax: Uid
    transcode: str
    steps: Sequence[Step]
    received_at: float


class Rewriting:
    """One pass over one data set; `syntax` is the transfer syntax that comes out."""

    def __init__(self, source: Callable[[int], bytes], job: Job) -> None:
        """Do `job` to what `source(size)` returns, any pieces until b"". Raises `HeadersRefusedError`, `PixelsUnsuitableError`."""
        self._from = job.syntax
        self._to = lossless_target(job.syntax, job.transcode)
        if job.transcode and self._to is None:
            raise PixelsUnsuitableError("nothing here re-encodes its transfer syntax without loss")
        if job.syntax in _DEFLATED:
            raise HeadersRefusedError("its data set is deflated")
        if job.syntax in NATIVE and job.syntax != EXPLICIT_LITTLE:
            source = ConvertedSource(source, from_syntax=job.syntax, to_syntax=EXPLICIT_LITTLE).read
        self.syntax = derived_syntax(job.syntax, job.transcode)
        self._reader = ElementReader(source)
        self._edits = HeaderEdits(job.steps, job.received_at)
        self._image = Image()
        self._is_done = False

    def pieces(self) -> Iterator[bytes]:
        """Yield the new data set."""
        last = -1
        while head := self._reader.head():
            if head.tag <= last:
                raise HeadersRefusedError("its elements are not in order")
            last = head.tag
            yield from self._edits.before(head.tag)
            yield from self._element(head)
        yield from self._edits.before(_BEHIND_ALL)
        if self._to is not None and not self._is_done:
            # Reports and documents: nobody misses anything, so nothing is said.
            raise PixelsUnsuitableError("")

    def _element(self, head: Head) -> Iterator[bytes]:
        if not head.tag & _ELEMENT:
            # A group length (PS3.5 7.2: retired) would be wrong; `dimse.conversion` leaves it out too.
            self._value(head, _VALUE_BYTES)
        elif self._edits.wants(head.tag):
            most = _SEQUENCE_BYTES if head.tag == ORIGINAL_ATTRIBUTES else _VALUE_BYTES
            yield self._edits.changed(head.tag, head.raw, self._value(head, most))
        elif self._to is not None and head.tag in pixels.DESCRIBING:
            yield self._described(head, self._value(head, _VALUE_BYTES))
        elif self._to is not None and head.tag == _PIXEL_DATA:
            yield from self._pixels(head)
        elif self._to is not None and head.tag in _FLOAT_PIXELS:
            raise PixelsUnsuitableError("its pixels are floating point numbers")
        elif self._to is not None and head.tag in _OFFSET_TABLES:
            self._value(head, _SEQUENCE_BYTES)
        elif self._to is not None and head.tag == _ICON and self._from in DECODED:
            icon = self._value(head, _SEQUENCE_BYTES)
            if _ENCAPSULATED in icon:
                raise PixelsUnsuitableError("its icon is compressed too")
            yield head.raw + icon
        else:
            yield head.raw
            yield from self._reader.content(head)

    def _value(self, head: Head, most: int) -> bytes:
        value = bytearray()
        for piece in self._reader.content(head):
            value += piece
            if len(value) > most:
                raise HeadersRefusedError("an element of its header is too long")
        return bytes(value)

    def _described(self, head: Head, value: bytes) -> bytes:
        """Note what describes the pixels, and return it as it is for those that come out: samples of a pixel side by side."""
        self._image.note(head.tag, value)
        if head.tag == pixels.PLANAR:
            return head.raw + bytes(len(value))
        if head.tag == pixels.PHOTOMETRIC and self._image.photometric == pixels.REVERSIBLE:
            return element(head.tag, head.vr, b"RGB")
        return head.raw + value

    def _pixels(self, head: Head) -> Iterator[bytes]:
        image = self._image
        if image.photometric == pixels.REVERSIBLE and self._from != JPEG_2000_LOSSLESS:
            # No decoder but that one undoes the transform, so what would come out is not the RGB that we should call it.
            raise PixelsUnsuitableError("its photometric interpretation (YBR_RCT) belongs to JPEG 2000")
        image.check()
        self._is_done = True
        frames = self._native(head) if self._from in NATIVE else self._decoded(head)
        is_planar = self._from in NATIVE and image.numbers.get(pixels.PLANAR, 0) == 1
        if self._to == EXPLICIT_LITTLE:
            yield from self._written(frames)
            return
        yield element(head.tag, b"OB", b"")[:8] + UNDEFINED.to_bytes(4, "little") + delimiter(ITEM)
        for frame in frames:
            encoded = pixels.encode(image, frame, is_planar=is_planar)
            yield delimiter(ITEM, len(encoded) + len(encoded) % 2) + encoded + bytes(len(encoded) % 2)
        yield delimiter(SEQUENCE_END)

    def _written(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        total = self._image.frames * self._image.frame_bytes
        if total + total % 2 > _LONGEST_VALUE:
            raise PixelsUnsuitableError("it is longer than an uncompressed object can be")
        head = element(_PIXEL_DATA, b"OW" if self._image.sample_bytes > 1 else b"OB", b"")[:8]
        yield head + (total + total % 2).to_bytes(4, "little")
        yield from frames
        yield bytes(total % 2)

    def _native(self, head: Head) -> Iterator[bytes]:
        """Yield the frames of pixel data that is not compressed."""
        total = self._image.frames * self._image.frame_bytes
        if head.length not in {total, total + 1}:
            raise PixelsUnsuitableError("its pixel data is not as long as its header says")
        for _ in range(self._image.frames):
            yield self._reader.exactly(self._image.frame_bytes)
        self._reader.exactly(head.length - total)

    def _decoded(self, head: Head) -> Iterator[bytes]:
        """Yield the decoded frames of compressed pixel data, as many as the header says."""
        image, count = self._image, 0
        for frame in compressed_frames(self._reader, head, image.frames):
            count += 1
            if count > image.frames:
                break
            decoded = pixels.decode(image, self._from, frame)
            if len(decoded) != image.frame_bytes:
                raise PixelsUnsuitableError("a frame has another size than the image says")
            yield decoded
        if count != image.frames:
            raise PixelsUnsuitableError("it has another number of frames than its header says")
