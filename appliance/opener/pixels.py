"""What an image's pixels are, and how one frame is decoded and encoded without loss, or decoded to be looked at.

Promises: what `encode` returns decodes to exactly the samples that went in: it was decoded again and compared. A frame that is larger than
it says, or than a frame may be, is refused before it is decoded.
Failures: `PixelsUnsuitableError` for what cannot be transcoded, in words for people.
Limits: runs only in `child`: codecs are foreign code, and pixels come from strangers. Frames of at most 64 MiB.
Standard: PS3.5 8.1 and 8.2, PS3.3 C.7.6.3.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jpeg_ls.CharLS import decode_buffer, encode_buffer
from openjpeg.utils import decode as decode_jpeg_2000
from openjpeg.utils import get_parameters
from PIL import TiffImagePlugin  # noqa: F401 (what the next one would load for a picture from a camera, when nothing can be loaded any more)
from PIL.JpegImagePlugin import JpegImageFile
from rle.utils import decode_pixel_data as decode_rle

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import Uid
from appliance.dimse.lossless import JPEG_2000_LOSSLESS, JPEG_LS_LOSSLESS, NATIVE, RLE_LOSSLESS

SAMPLES: Final = 0x00280002
PHOTOMETRIC: Final = 0x00280004
PLANAR: Final = 0x00280006
FRAMES: Final = 0x00280008
ROWS: Final = 0x00280010
COLUMNS: Final = 0x00280011
ALLOCATED: Final = 0x00280100
STORED: Final = 0x00280101
HIGH_BIT: Final = 0x00280102
REPRESENTATION: Final = 0x00280103

_NUMBERS = frozenset({SAMPLES, PLANAR, ROWS, COLUMNS, ALLOCATED, STORED, HIGH_BIT, REPRESENTATION})
DESCRIBING: Final = _NUMBERS | {PHOTOMETRIC, FRAMES}

_GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
# In these each pixel has its three samples; the colour space itself is not touched.
_COLOUR = frozenset({"RGB", "YBR_FULL"})
# The reversible transform of JPEG 2000, which its decoder undoes.
REVERSIBLE: Final = "YBR_RCT"
_RGB_SAMPLES = 3
# With loss: to be looked at, and never transcoded. Baseline JPEG, and the extended process where it has eight bits.
JPEGS: Final = frozenset({Uid("1.2.840.10008.1.2.4.50"), Uid("1.2.840.10008.1.2.4.51")})
_JPEG_LS_LOSSY: Final = Uid("1.2.840.10008.1.2.4.81")
_JPEG_2000_LOSSY: Final = Uid("1.2.840.10008.1.2.4.91")
SHOWN: Final = NATIVE | JPEGS | {JPEG_LS_LOSSLESS, _JPEG_LS_LOSSY, JPEG_2000_LOSSLESS, _JPEG_2000_LOSSY, RLE_LOSSLESS}
"""The transfer syntaxes whose frames `shown` decodes."""
# A digital mammogram has 34 MB; codecs hold a frame about four times.
FRAME_BYTES: Final = 64 << 20
# The most that JPEG-LS, our sandbox's clock and the counting below are meant for.
_MOST_FRAMES = 100_000
_BY_PIXEL = 2
# Of pylibjpeg-rle: bytes, and no array.
_AS_BYTES = 2
_BYTE_BITS = 8

Array = Any
"""A numpy array; numpy's own types would be loaded by every type checker of every module."""


class PixelsUnsuitableError(ApplianceError):
    """The pixels cannot be transcoded; the object can go as it is."""

    fault = Fault.PEER


@dataclass(slots=True)
class Image:
    """What group 0028 says, as it is read."""

    numbers: dict[int, int] = field(default_factory=dict)
    photometric: str = ""
    frames: int = 1

    def note(self, tag: int, value: bytes) -> None:
        """Take a describing element."""
        if tag == PHOTOMETRIC:
            self.photometric = value.decode("ascii", "replace").strip(" \0")
        elif tag == FRAMES:
            text = value.strip(b" \0")
            self.frames = int(text) if text.isdigit() else 0
        else:
            self.numbers[tag] = int.from_bytes(value[:2], "little")

    @property
    def samples(self) -> int:
        """Samples a pixel."""
        return self.numbers.get(SAMPLES, 1)

    @property
    def rows(self) -> int:
        """Rows of a frame."""
        return self.numbers.get(ROWS, 0)

    @property
    def columns(self) -> int:
        """Columns of a frame."""
        return self.numbers.get(COLUMNS, 0)

    @property
    def stored(self) -> int:
        """Bits of a sample that mean something."""
        return self.numbers.get(STORED, 0)

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample."""
        return self.numbers.get(ALLOCATED, 0) // _BYTE_BITS

    @property
    def is_signed(self) -> bool:
        """Whether samples have a sign."""
        return self.numbers.get(REPRESENTATION, 0) == 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame that is not compressed."""
        return self.rows * self.columns * self.samples * self.sample_bytes

    def check(self) -> None:
        """Return where this can be transcoded. Raises `PixelsUnsuitableError`."""
        allocated, stored = self.numbers.get(ALLOCATED, 0), self.stored
        if self.photometric not in (_GREY if self.samples == 1 else _COLOUR | {REVERSIBLE}) or self.samples not in {1, _RGB_SAMPLES}:
            raise PixelsUnsuitableError("its photometric interpretation is not one that is transcoded (palette colour, subsampled, ...)")
        if allocated not in {8, 16} or not (1 if allocated == _BYTE_BITS else _BYTE_BITS) < stored <= allocated:
            raise PixelsUnsuitableError("its bit depth is not one that is transcoded")
        if self.numbers.get(HIGH_BIT, stored - 1) != stored - 1:
            raise PixelsUnsuitableError("its bits are not stored from the lowest one on")
        if not 1 <= self.frames <= _MOST_FRAMES or not 0 < self.frame_bytes <= FRAME_BYTES:
            raise PixelsUnsuitableError("its frames are too many, too large, or not said")


def encode(image: Image, frame: bytes, *, is_planar: bool) -> bytes:
    """Return the frame as JPEG-LS, proved by decoding. Raises `PixelsUnsuitableError`."""
    samples = _samples(image, frame, is_planar=is_planar)
    kept = _without_extension(image, samples)
    try:
        encoded = bytes(encode_buffer(kept.tobytes(), image.rows, image.columns, image.samples, image.stored, 0, _BY_PIXEL))
    except (RuntimeError, ValueError):
        # As it says of an image of a few pixels, which comes out longer than it expects.
        raise PixelsUnsuitableError("the codec cannot encode it") from None
    if not np.array_equal(_decoded_jpeg_ls(image, encoded), samples):
        raise PixelsUnsuitableError("what was encoded did not decode to the same pixels")
    return encoded


def decode(image: Image, syntax: Uid, frame: bytes) -> bytes:
    """Return the pixels of a compressed frame, samples of a pixel side by side. Raises `PixelsUnsuitableError`."""
    decoders = {JPEG_LS_LOSSLESS: _decoded_jpeg_ls, JPEG_2000_LOSSLESS: _decoded_jpeg_2000}
    try:
        return bytes(decoders.get(syntax, _decoded_rle)(image, frame).tobytes())
    except (RuntimeError, ValueError):
        raise PixelsUnsuitableError("the codec cannot decode it") from None


def shown(image: Image, syntax: Uid, frame: bytes) -> Array:
    """Return a frame to be looked at, in a syntax of `SHOWN`: rows x columns x samples, as the numbers that its stored bits mean.

    Colours lie side by side and are those of the image's photometric interpretation, but for JPEG (`JPEGS`), which comes out as RGB.
    Raises `PixelsUnsuitableError`.
    """
    if not 0 < image.frame_bytes <= FRAME_BYTES:
        raise PixelsUnsuitableError("its frames are too large, or their size is not said")
    try:
        if syntax in NATIVE:
            samples = _samples(image, frame, is_planar=image.numbers.get(PLANAR, 0) == 1)
        elif syntax in JPEGS:
            return _decoded_jpeg(image, frame)
        elif syntax == RLE_LOSSLESS:
            samples = _decoded_rle(image, frame)
        elif syntax in {JPEG_LS_LOSSLESS, _JPEG_LS_LOSSY}:
            return _meant(image, _decoded_jpeg_ls(image, frame, may_be_lossy=True), image.stored - 1)
        else:
            return _shown_jpeg_2000(image, frame)
    except (RuntimeError, ValueError, OSError, SyntaxError, struct.error):
        # The last ones are Pillow's.
        raise PixelsUnsuitableError("the codec cannot decode it") from None
    return _meant(image, samples, image.numbers.get(HIGH_BIT, image.stored - 1))


def _meant(image: Image, samples: Array, high_bit: int) -> Array:
    """Return the numbers that the stored bits of `samples` mean; the others may be anything (overlays of another age)."""
    bits = image.sample_bytes * _BYTE_BITS
    if not 0 < image.stored <= high_bit + 1 <= bits:
        raise PixelsUnsuitableError("its bit depth is not one that is shown")
    shifted = np.left_shift(samples, bits - high_bit - 1)
    return np.right_shift(shifted.view(f"<i{image.sample_bytes}") if image.is_signed else shifted, bits - image.stored)


def _decoded_jpeg(image: Image, frame: bytes) -> Array:
    picture = JpegImageFile(io.BytesIO(frame))
    if picture.size != (image.columns, image.rows) or len(picture.getbands()) != image.samples:
        raise PixelsUnsuitableError("a frame is another image than the header says")
    if image.photometric == "RGB" and "adobe_transform" not in picture.info:
        # Nobody says in the frame that it is RGB, so that the decoder would take it for what most are: have it left as it is.
        picture.draft("YCbCr", picture.size)
        decoded = np.asarray(picture)
    else:
        decoded = np.asarray(picture.convert("RGB") if image.samples == _RGB_SAMPLES else picture)
    return decoded.reshape(image.rows, image.columns, image.samples)


def _unsigned(image: Image) -> str:
    return f"<u{image.sample_bytes}"


def _samples(image: Image, frame: bytes, *, is_planar: bool) -> Array:
    """Return rows x columns x samples, as unsigned numbers of the bits that are there."""
    if len(frame) != image.frame_bytes:
        raise PixelsUnsuitableError("a frame has another size than the image says")
    flat = np.frombuffer(frame, dtype=_unsigned(image))
    if is_planar and image.samples > 1:
        return np.ascontiguousarray(flat.reshape(image.samples, image.rows, image.columns).transpose(1, 2, 0))
    return flat.reshape(image.rows, image.columns, image.samples)


def _without_extension(image: Image, samples: Array) -> Array:
    """Return the stored bits alone, where the others say nothing of their own: they are zero, or repeat the sign."""
    if image.stored == image.sample_bytes * _BYTE_BITS:
        return samples
    kept = samples & ((1 << image.stored) - 1)
    if not np.array_equal(_extended(image, kept), samples):
        raise PixelsUnsuitableError("bits beside its stored ones are in use")
    return kept


def _extended(image: Image, samples: Array) -> Array:
    """Return stored bits as whole samples."""
    unused = image.sample_bytes * _BYTE_BITS - image.stored
    if not image.is_signed or not unused:
        return samples
    shifted = np.left_shift(samples, unused).view(f"<i{image.sample_bytes}")
    return np.right_shift(shifted, unused).view(_unsigned(image))


def _decoded_jpeg_ls(image: Image, frame: bytes, *, may_be_lossy: bool = False) -> Array:
    # `decode_buffer` would have the pixels before we know how many there are.
    header = _jpeg_ls_header(frame)
    if header != (image.stored, image.rows, image.columns, image.samples):
        raise PixelsUnsuitableError("a frame is another image than the header says")
    decoded, meta = decode_buffer(frame)
    if meta["allowed_lossy_error"] and not may_be_lossy:
        raise PixelsUnsuitableError("it was compressed with loss")
    samples = _samples(image, bytes(decoded), is_planar=meta["interleave_mode"] == 0)
    return _extended(image, samples)


def _jpeg_ls_header(frame: bytes) -> tuple[int, int, int, int]:
    """Return bits, rows, columns and components of the start of frame (ISO/IEC 14495-1 C.2.2)."""
    at = frame.find(b"\xff\xf7", 0, 65536)
    if at < 0 or len(frame) < at + 10:
        raise PixelsUnsuitableError("a frame is not JPEG-LS")
    return frame[at + 4], int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big"), frame[at + 9]


def _decoded_rle(image: Image, frame: bytes) -> Array:
    bits = image.sample_bytes * _BYTE_BITS
    decoded = decode_rle(frame, version=_AS_BYTES, rows=image.rows, columns=image.columns, bits_allocated=bits)
    return _samples(image, bytes(decoded), is_planar=True)


def _shown_jpeg_2000(image: Image, frame: bytes) -> Array:
    """Return what the frame means: as the header says where it has that many bits, else as the frame says itself."""
    bits, _ = _jpeg_2000_bits(image, frame)
    decoded = decode_jpeg_2000(frame, 0).reshape(image.rows, image.columns, image.samples)
    if bits != image.stored:
        return decoded
    return _meant(image, decoded.astype(f"<i{image.sample_bytes}").view(_unsigned(image)), image.stored - 1)


def _jpeg_2000_bits(image: Image, frame: bytes) -> tuple[int, bool]:
    """Return how many bits a frame's samples have and whether they have a sign; the frame is as large as the header says."""
    said = get_parameters(frame, 0)
    if (said["rows"], said["columns"], said["samples_per_pixel"]) != (image.rows, image.columns, image.samples):
        raise PixelsUnsuitableError("a frame is another image than the header says")
    return int(said["precision"]), bool(said["is_signed"])


def _decoded_jpeg_2000(image: Image, frame: bytes) -> Array:
    if _jpeg_2000_bits(image, frame) != (image.stored, image.is_signed):
        raise PixelsUnsuitableError("a frame's bits are not those that the header says")
    decoded = decode_jpeg_2000(frame, 0)
    samples = decoded.reshape(image.rows, image.columns, image.samples)
    return np.ascontiguousarray(samples).astype(f"<i{image.sample_bytes}" if image.is_signed else _unsigned(image)).view(_unsigned(image))
