"""What a frame's numbers look like: grey through a window, colour as it is, small, and as PNG.

Promises: the picture is at most as wide and as high as asked, and as the frame was; its shape stays.
Failures: none of its own.
Limits: runs only in `child`. A window's function is taken to be linear, and a table in its place is not looked at; pixels that are not
square come out square. Good enough to know an image again, and not to read it.
Standard: PS3.3 C.11.1.1 (rescale), C.11.2.1.2 (window), C.7.6.3.1.2 (photometric interpretation), C.7.6.3.1.5 (palettes).
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pictures

from appliance.opener.pixels import Array

# Where no window is said: what nearly all pixels are in, and not the few that are metal, or outside of the picture.
_DARKEST, _BRIGHTEST = 1.0, 99.0
_WHITE = 255
_BYTE_BITS = 8
# Pillow's own way to be quick: first by whole pixels to twice the size, then well.
_REDUCING_GAP = 2.0
# Two pixels of a row, which share their colour, are four bytes.
_SHARED = 4


@dataclass(frozen=True, slots=True)
class Tones:
    """What grey numbers mean: y = `slope` x + `intercept`; `window` as centre and width; `padding`: the number of what is no image."""

    slope: float = 1.0
    intercept: float = 0.0
    window: tuple[float, float] | None = None
    padding: int | None = None
    is_inverse: bool = False


@dataclass(frozen=True, slots=True)
class Palette:
    """A table for each of the three colours: the number that its first entry stands for, and its entries."""

    first: int
    tables: tuple[bytes, bytes, bytes]
    entry_bytes: int


def grey(values: Array, tones: Tones, edge: int) -> bytes:
    """Return rows x columns of numbers as a picture."""
    small = _averaged(values, edge)
    known = small[small != tones.padding] if tones.padding is not None else small
    seen = small * tones.slope + tones.intercept
    low, high = _range(known * tones.slope + tones.intercept if known.size else seen, tones.window)
    levels = np.clip((seen - low) * (_WHITE / (high - low)), 0, _WHITE).astype("u1")
    if tones.is_inverse:
        levels = _WHITE - levels
    if tones.padding is not None:
        levels[small == tones.padding] = 0
    return _png(Pictures.fromarray(levels), edge)


def colour(samples: Array, stored: int, edge: int, *, is_ybr: bool) -> bytes:
    """Return rows x columns x 3 samples of `stored` bits, red, green and blue or else luminance and two differences, as a picture."""
    if stored != _BYTE_BITS:
        samples = (samples.astype("u8") * _WHITE // ((1 << stored) - 1)).astype("u1")
    samples = np.ascontiguousarray(samples, dtype="u1")
    if not is_ybr:
        return _png(Pictures.fromarray(samples), edge)
    height, width = samples.shape[:2]
    return _png(Pictures.frombytes("YCbCr", (width, height), samples.tobytes()).convert("RGB"), edge)


def palette(values: Array, colours: Palette, edge: int) -> bytes:
    """Return rows x columns of numbers as a picture in the colours that they stand for; beyond a table its ends count."""
    tables = [np.frombuffer(table, dtype=f"<u{colours.entry_bytes}") for table in colours.tables]
    # Of two bytes the upper one is all that a screen shows, unless whoever made the table put everything into the lower one.
    unseen = _BYTE_BITS if max(int(table.max()) for table in tables) > _WHITE else 0
    tables = [(table >> unseen).astype("u1") for table in tables]
    last = min(len(table) for table in tables) - 1
    at = np.clip(values.astype("i8") - colours.first, 0, last)
    return _png(Pictures.fromarray(np.stack([table[at] for table in tables], axis=-1)), edge)


def unshared(frame: bytes, rows: int, columns: int) -> Array:
    """Return pixels of which each two in a row share their colour (YBR_FULL_422) as rows x columns x 3."""
    pairs = np.frombuffer(frame, dtype="u1").reshape(rows, columns // 2, _SHARED)
    colours = np.repeat(pairs[:, :, 2:], 2, axis=1)
    return np.concatenate([pairs[:, :, :2].reshape(rows, columns, 1), colours], axis=2)


def _averaged(values: Array, edge: int) -> Array:
    """Return blocks of numbers as their means, so many that a picture of this edge can still be made well."""
    rows, columns = values.shape
    step = max(1, max(rows, columns) // (2 * edge))
    high, wide = min(step, rows), min(step, columns)
    cut = values[: rows // high * high, : columns // wide * wide]
    return cut.reshape(rows // high, high, columns // wide, wide).mean(axis=(1, 3), dtype="f8")


def _range(seen: Array, window: tuple[float, float] | None) -> tuple[float, float]:
    """Return what is black and what is white: the window's, unless it shows nothing of the image."""
    if window is not None:
        centre, width = window
        low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
        if high > low and bool(((seen > low) & (seen < high)).any()):
            return low, high
    low, high = (float(end) for end in np.percentile(seen, (_DARKEST, _BRIGHTEST)))
    if high <= low:
        low, high = float(seen.min()), float(seen.max())
    return low, max(high, low + 1)


def _png(picture: Pictures.Image, edge: int) -> bytes:
    picture.thumbnail((edge, edge), reducing_gap=_REDUCING_GAP)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
