"""A small picture of one frame of a data set that streams by.

Promises: memory is one frame a few times and small values; no more of the data set is read than to the end of the frame.
Failures: `PixelsUnsuitableError` where there is no picture, in words for people; `ElementsBrokenError` and `ConversionError` for a data set
that is not what it announces; whatever a codec raises.
Limits: runs only in `child`. What is shown of the bits is what their first window shows; overlays, presentation states and sequences of
windows are not looked at. No picture: video, JPEG Lossless, JPEG of 12 bits, HTJ2K, floating point numbers, single bits.
Standard: PS3.5 A.4, A.5 (deflated), 8; PS3.3 C.7.6.3.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from appliance.core.identity import Uid
from appliance.dimse.conversion import EXPLICIT_BIG, EXPLICIT_LITTLE, ConvertedSource
from appliance.dimse.lossless import NATIVE
from appliance.opener import pixels, rendering
from appliance.opener.elements import UNDEFINED, ElementReader, ElementsBrokenError, Head
from appliance.opener.fragments import compressed_frames
from appliance.opener.pixels import Array, Image, PixelsUnsuitableError

_PIXEL_DATA: Final = 0x7FE00010
_FLOAT_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009})
_CENTRE, _WIDTH, _INTERCEPT, _SLOPE, _PADDING = 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00280120
_DESCRIPTORS: Final = (0x00281101, 0x00281102, 0x00281103)
_TABLES: Final = (0x00281201, 0x00281202, 0x00281203)
_WANTED = frozenset({_CENTRE, _WIDTH, _INTERCEPT, _SLOPE, _PADDING, *_DESCRIPTORS, *_TABLES})
# A palette's table has at most 65,536 entries of two bytes.
_VALUE_BYTES = 128 * 1024
_DEFLATED: Final = Uid("1.2.840.10008.1.2.1.99")
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
_YBR = frozenset({"YBR_FULL", "YBR_FULL_422"})
_SHARED = "YBR_FULL_422"
_PALETTE = "PALETTE COLOR"
_RGB_SAMPLES = 3
_DESCRIPTOR_BYTES = 6
_SIXTEEN_BITS = 16
_BYTE_BITS = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """Frame `frame` (from 1; beyond the last it is the last) of a data set in `syntax`, at most `edge` pixels wide and high."""

    syntax: Uid
    frame: int
    edge: int


class Picture:
    """One pass over one data set, as far as the frame; `frames` is how many there are."""

    def __init__(self, source: Callable[[int], bytes], wish: Wish) -> None:
        """Look at what `source(size)` returns, any pieces until b"". Raises `PixelsUnsuitableError`."""
        self._syntax = EXPLICIT_LITTLE if wish.syntax == _DEFLATED else wish.syntax
        if self._syntax not in pixels.SHOWN:
            raise PixelsUnsuitableError("nothing here decodes its transfer syntax, or it is a video")
        if wish.syntax == _DEFLATED:
            source = _inflated(source)
        if self._syntax in NATIVE and self._syntax != EXPLICIT_LITTLE:
            source = ConvertedSource(source, from_syntax=self._syntax, to_syntax=EXPLICIT_LITTLE).read
        self._reader = ElementReader(source)
        self._wish = wish
        self._image = Image()
        self._values: dict[int, bytes] = {}

    @property
    def frames(self) -> int:
        """How many frames the data set says that it has."""
        return max(1, self._image.frames)

    def png(self) -> bytes:
        """Return the picture."""
        while head := self._reader.head():
            if head.tag == _PIXEL_DATA:
                return self._pictured(head)
            if head.tag in _FLOAT_PIXELS:
                raise PixelsUnsuitableError("its pixels are floating point numbers")
            if head.tag in pixels.DESCRIBING:
                self._image.note(head.tag, self._value(head))
            elif head.tag in _WANTED:
                self._values[head.tag] = self._value(head)
            else:
                for _ in self._reader.content(head):
                    pass
        raise PixelsUnsuitableError("it is not an image (a report, a document, a plan)")

    def _value(self, head: Head) -> bytes:
        value = bytearray()
        for piece in self._reader.content(head):
            value += piece
            if len(value) > _VALUE_BYTES:
                raise ElementsBrokenError("an element that describes the pixels is too long")
        return bytes(value)

    def _pictured(self, head: Head) -> bytes:
        image = self._image
        known = _GREY | {_PALETTE} if image.samples == 1 else _COLOUR
        if image.samples not in {1, _RGB_SAMPLES} or image.photometric not in known:
            raise PixelsUnsuitableError("its photometric interpretation is not one that is shown")
        if image.numbers.get(pixels.ALLOCATED, 0) not in ({8, 16} if self._syntax == EXPLICIT_BIG else {8, 16, 32}):
            raise PixelsUnsuitableError("its bit depth is not one that is shown")
        number = min(max(1, self._wish.frame), self.frames)
        if self._syntax in NATIVE:
            return self._native(head, number)
        for count, frame in enumerate(compressed_frames(self._reader, head, self.frames), start=1):
            if count == number:
                return self._drawn(pixels.shown(image, self._syntax, frame))
        raise PixelsUnsuitableError("it has fewer frames than its header says")

    def _native(self, head: Head, number: int) -> bytes:
        image = self._image
        is_shared = image.photometric == _SHARED
        size = image.rows * image.columns * 2 if is_shared else image.frame_bytes
        if head.length == UNDEFINED or head.length < number * size or (is_shared and (image.columns % 2 or image.sample_bytes != 1)):
            raise PixelsUnsuitableError("its pixel data is not as long as its header says")
        for _ in self._reader.pieces((number - 1) * size):
            pass
        # The size is judged before so many bytes are taken in.
        if not 0 < image.frame_bytes <= pixels.FRAME_BYTES:
            raise PixelsUnsuitableError("its frames are too large, or their size is not said")
        frame = self._reader.exactly(size)
        return self._drawn(rendering.unshared(frame, image.rows, image.columns) if is_shared else pixels.shown(image, self._syntax, frame))

    def _drawn(self, samples: Array) -> bytes:
        image, edge = self._image, self._wish.edge
        if image.samples == _RGB_SAMPLES:
            is_jpeg = self._syntax in pixels.JPEGS
            stored = _BYTE_BITS if is_jpeg or image.photometric == _SHARED else image.stored
            return rendering.colour(samples, stored, edge, is_ybr=image.photometric in _YBR and not is_jpeg)
        if image.photometric == _PALETTE:
            return rendering.palette(samples[:, :, 0], self._palette(), edge)
        return rendering.grey(samples[:, :, 0], self._tones(), edge)

    def _tones(self) -> rendering.Tones:
        centre, width = self._number(_CENTRE), self._number(_WIDTH)
        padding = self._values.get(_PADDING, b"")[:2]
        return rendering.Tones(
            slope=self._number(_SLOPE) or 1.0,
            intercept=self._number(_INTERCEPT) or 0.0,
            window=None if centre is None or width is None else (centre, width),
            padding=int.from_bytes(padding, "little", signed=self._image.is_signed) if padding else None,
            is_inverse=self._image.photometric == "MONOCHROME1",
        )

    def _number(self, tag: int) -> float | None:
        """Return the first of an element's numbers, None where it has none that can be reckoned with."""
        text = self._values.get(tag, b"").split(b"\\")[0].strip(b" \0")
        try:
            number = float(text)
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def _palette(self) -> rendering.Palette:
        descriptor = self._values.get(_DESCRIPTORS[0], b"")
        tables = tuple(self._values.get(tag, b"") for tag in _TABLES)
        if len(descriptor) < _DESCRIPTOR_BYTES:
            raise PixelsUnsuitableError("its palette is not one that is shown")
        entries = int.from_bytes(descriptor[:2], "little") or 1 << _SIXTEEN_BITS
        entry_bytes = 2 if int.from_bytes(descriptor[4:6], "little") == _SIXTEEN_BITS else 1
        red, green, blue = (table[: entries * entry_bytes] for table in tables)
        if not red or not green or not blue or len(red) % entry_bytes or len(green) % entry_bytes or len(blue) % entry_bytes:
            raise PixelsUnsuitableError("its palette is not one that is shown")
        first = int.from_bytes(descriptor[2:4], "little", signed=self._image.is_signed)
        return rendering.Palette(first, (red, green, blue), entry_bytes)


def _inflated(source: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Return `source` without its compression (PS3.5 A.5), never more at once than is asked for."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def pieces(size: int) -> Iterator[bytes]:
        while not inflater.eof:
            packed = inflater.unconsumed_tail or source(size)
            if not packed:
                return
            try:
                yield inflater.decompress(packed, size)
            except zlib.error:
                raise ElementsBrokenError("its data set is not deflated as it says") from None

    def read(size: int) -> bytes:
        return next((piece for piece in pieces(size) if piece), b"")

    return read
