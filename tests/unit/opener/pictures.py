"""One image in every transfer syntax that is shown, and what a picture's bytes say."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from jpeg_ls.CharLS import encode_buffer
from openjpeg.utils import encode_array
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from rle.utils import encode_array as encode_rle

from appliance.core.identity import Uid
from tests.unit.opener.images import BIG, EXPLICIT, IMPLICIT, an_image, written

JPEG, JPEG_EXTENDED = Uid("1.2.840.10008.1.2.4.50"), Uid("1.2.840.10008.1.2.4.51")
JPEG_LS, JPEG_LS_LOSSY = Uid("1.2.840.10008.1.2.4.80"), Uid("1.2.840.10008.1.2.4.81")
JPEG_2000, JPEG_2000_LOSSY = Uid("1.2.840.10008.1.2.4.90"), Uid("1.2.840.10008.1.2.4.91")
RLE, DEFLATED = Uid("1.2.840.10008.1.2.5"), Uid("1.2.840.10008.1.2.1.99")
LOSSLESS = (EXPLICIT, IMPLICIT, BIG, DEFLATED, JPEG_LS, JPEG_2000, RLE)
LOSSY = (JPEG, JPEG_EXTENDED, JPEG_LS_LOSSY, JPEG_2000_LOSSY)


def ramp(rows: int = 40, columns: int = 64) -> Any:
    """Return one frame of eight bits that grows brighter from the left to the right."""
    return np.tile(np.linspace(0, 255, columns).astype("u1"), (1, rows, 1))


def in_syntax(pixels: Any, syntax: Uid, **attributes: Any) -> bytes:
    """Return the data set of an image of eight bits in any syntax that is shown."""
    image = an_image(pixels, **attributes)
    if syntax in {EXPLICIT, IMPLICIT}:
        return written(image, syntax)
    if syntax == BIG:
        return written(image, BIG)
    if syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(written(image)) + packer.flush()
    return with_frames(image, [_encoded(frame, syntax) for frame in pixels])


def with_frames(image: Dataset, frames: list[bytes]) -> bytes:
    """Return the data set with these compressed frames."""
    image.PixelData = encapsulate(frames)
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    return written(image)


def as_jpeg(frame: Any, **options: Any) -> bytes:
    """Return a frame as baseline JPEG."""
    target = io.BytesIO()
    Image.fromarray(frame).save(target, "JPEG", quality=95, **options)
    return target.getvalue()


def looked_at(png: bytes) -> Any:
    """Return the pixels of a picture."""
    assert png.startswith(b"\x89PNG"), png[:8]
    return np.asarray(Image.open(io.BytesIO(png)))


def _encoded(frame: Any, syntax: Uid) -> bytes:
    rows, columns = frame.shape[:2]
    if syntax in {JPEG, JPEG_EXTENDED}:
        return as_jpeg(frame)
    if syntax in {JPEG_LS, JPEG_LS_LOSSY}:
        return bytes(encode_buffer(frame.tobytes(), rows, columns, 1, 8, 3 if syntax == JPEG_LS_LOSSY else 0, 0))
    if syntax == RLE:
        image = an_image(frame[np.newaxis])
        image.NumberOfFrames = 1
        return b"".join(encode_rle(frame, image))
    ratios = [4.0] if syntax == JPEG_2000_LOSSY else None
    return bytes(encode_array(frame, bits_stored=8, photometric_interpretation=2, codec_format=0, compression_ratios=ratios))
