"""What a frame looks like: windows, inverse and padded greys, palettes, colour spaces, and bits that lie in odd places."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from appliance.opener.picture import Picture, Wish
from tests.unit.opener.images import EXPLICIT, an_image, written
from tests.unit.opener.pictures import JPEG, as_jpeg, looked_at, ramp, with_frames


def _shown(image: Dataset | bytes, syntax: Any = EXPLICIT, edge: int = 256) -> Any:
    source = io.BytesIO(image if isinstance(image, bytes) else written(image))
    return looked_at(Picture(source.read, Wish(syntax, 1, edge)).png())


def _hounsfield() -> Any:
    """Return one frame from -1024 to 3071, as CT means its numbers."""
    return np.tile(np.linspace(-1024, 3071, 64).astype("<i2"), (1, 40, 1))


def test_the_first_window_decides_what_is_black_and_what_is_white() -> None:
    """Below the window everything is black, above it white, and between them it is as bright as the number is large (PS3.3 C.11.2.1.2)."""
    numbers = _hounsfield()
    stored = an_image(numbers + 1024, WindowCenter=[40, 1000], WindowWidth=[400, 4000], RescaleIntercept="-1024", RescaleSlope="1")

    row = _shown(stored)[0]

    expected = np.clip((numbers[0, 0] - (39.5 - 199.5)) * 255 / 399, 0, 255).astype("u1")
    assert np.array_equal(expected, row)


@pytest.mark.parametrize(
    "window", [{}, {"WindowCenter": "9000", "WindowWidth": "10"}, {"WindowCenter": "40", "WindowWidth": "0"}, {"WindowCenter": ""}]
)
def test_without_a_window_that_shows_something_all_is_shown(window: dict[str, str]) -> None:
    """Where no window is said, or one in which the image has nothing, the picture goes from its darkest to its brightest."""
    row = _shown(an_image(_hounsfield(), **window))[0].astype(int)

    assert (0, 255) == (row.min(), row.max())
    assert (np.diff(row) >= 0).all()


def test_monochrome_one_is_the_other_way_round() -> None:
    """Where small numbers are bright they are shown bright."""
    usual, inverse = (_shown(an_image(ramp(), PhotometricInterpretation=name)) for name in ("MONOCHROME2", "MONOCHROME1"))

    assert np.array_equal(255 - usual.astype(int), inverse.astype(int))


def test_padding_is_black_and_says_nothing_about_the_image() -> None:
    """Pixels outside of the image, whose number is padding, are black and do not darken the rest."""
    numbers = _hounsfield()
    numbers[:, :, :8] = -2000

    shown = _shown(an_image(numbers, PixelPaddingValue=-2000))

    assert (shown[:, :8] == 0).all()
    assert shown[0, 20] > 40


@pytest.mark.parametrize("high_bit", [11, 13, 15])
def test_bits_may_lie_anywhere_in_their_word(high_bit: int) -> None:
    """Twelve stored bits mean the same wherever they lie, and what lies beside them is not looked at."""
    numbers = np.tile(np.linspace(0, 4095, 64).astype("<u2"), (1, 40, 1))
    beside = 0 if high_bit == 15 else 0xFFFF << high_bit + 1 & 0xFFFF
    image = an_image((numbers << high_bit - 11) | np.uint16(beside), BitsStored=12)
    image.HighBit = high_bit

    assert np.array_equal(_shown(an_image(numbers, BitsStored=12)), _shown(image))


def test_a_large_image_is_averaged() -> None:
    """A fine chequerboard becomes an even grey, and not a picture of some of its fields."""
    board = np.indices((1, 1024, 1024)).sum(axis=0) % 2 * 200
    board[0, :512] = 100

    shown = _shown(an_image(board.astype("u1"), WindowCenter="127.5", WindowWidth="255"), edge=64)

    assert np.abs(shown.astype(int) - 100).max() <= 2


def test_colour_is_shown_in_every_order_and_space() -> None:
    """Red is red: by pixel, by plane, as luminance and differences, with shared colours, in 16 bits, and from JPEG."""
    red = np.zeros((1, 20, 32, 3), "u1")
    red[..., 0] = 200
    by_plane = an_image(red, PlanarConfiguration=1)
    by_plane.PixelData = red.transpose(0, 3, 1, 2).tobytes()
    ybr = np.broadcast_to(np.array([60, 94, 228], "u1"), red.shape)
    shared = an_image(np.ascontiguousarray(ybr), PhotometricInterpretation="YBR_FULL_422")
    shared.PixelData = bytes([60, 60, 94, 228]) * (20 * 32 // 2)
    wide = an_image(red.astype("<u2") * 257)
    pictures = [
        _shown(an_image(red)),
        _shown(by_plane),
        _shown(an_image(np.ascontiguousarray(ybr), PhotometricInterpretation="YBR_FULL")),
        _shown(shared),
        _shown(wide),
        _shown(with_frames(an_image(red, PhotometricInterpretation="YBR_FULL_422"), [as_jpeg(red[0])]), JPEG),
    ]

    assert all(np.abs(picture.astype(int) - red[0].astype(int)).max() <= 3 for picture in pictures)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_gives_its_colours(bits: int) -> None:
    """Numbers are shown in the colours that their table has for them; below and above it the ends count."""
    image = an_image(np.arange(8, dtype="u1")[np.newaxis, :, np.newaxis].repeat(8, axis=2), PhotometricInterpretation="PALETTE COLOR")
    scale, kind = (257, "<u2") if bits == 16 else (1, "u1")
    for number, name in enumerate(("Red", "Green", "Blue")):
        setattr(image, f"{name}PaletteColorLookupTableDescriptor", [4, 2, bits])
        entries = np.array([10, 20, 30, 40]) * (number + 1) * scale
        setattr(image, f"{name}PaletteColorLookupTableData", entries.astype(kind).tobytes())

    shown = _shown(image)

    assert [[10, 20, 30]] * 3 + [[20, 40, 60], [30, 60, 90], [40, 80, 120], [40, 80, 120], [40, 80, 120]] == shown[:, 0].tolist()
