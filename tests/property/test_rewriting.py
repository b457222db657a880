"""Rewriting's promises for images and headers that nobody thought of: every pixel, every other element."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.dimse.lossless import JPEG_LS_LOSSLESS
from appliance.opener.headers import OPERATIONS, Step
from appliance.opener.pixels import PixelsUnsuitableError
from tests.unit.opener.images import an_image, read, rewritten, written

_FEW_SAMPLES = 256
_TEXT = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=4)


@st.composite
def _arrays(draw: st.DrawFn) -> tuple[Any, int]:
    """Draw samples of any depth, sign and shape, smooth or wild, and their bits."""
    bits = draw(st.integers(2, 8) | st.integers(9, 16))
    signed, colour = draw(st.booleans()), draw(st.booleans())
    shape = (draw(st.integers(1, 3)), draw(st.integers(8, 24)), draw(st.integers(8, 24)), *((3,) if colour else ()))
    low = -(1 << bits - 1) if signed else 0
    width = draw(st.sampled_from((1, 4, 1 << bits)))
    random = np.random.default_rng(draw(st.integers(0, 1 << 16)))
    values = random.integers(low, low + min(width, 1 << bits), shape)
    return values.astype(("<i" if signed else "<u") + ("1" if bits <= 8 else "2")), bits


@settings(max_examples=60, deadline=None)
@given(_arrays(), st.integers(1, 5000))
def test_every_pixel_survives(drawn: tuple[Any, int], piece: int) -> None:
    """Whatever the pixels are and however the object is cut, JPEG-LS and the way back give the same bytes."""
    array, bits = drawn
    image = an_image(array, BitsStored=bits)

    try:
        encoded, syntax = rewritten(written(image), transcode="jpeg-ls", piece=piece)
    except PixelsUnsuitableError:
        # Noise in a few pixels comes out longer than the codec has room for: such an image goes as it came.
        assert array[0].size < _FEW_SAMPLES
        return
    decoded, _ = rewritten(encoded, syntax=syntax, transcode="uncompressed", piece=piece)

    assert JPEG_LS_LOSSLESS == syntax
    assert array.tobytes() == read(decoded).PixelData[: array.nbytes]
    before, after = read(written(image)), read(decoded)
    assert [element for element in before if element.keyword != "PixelData"] == [e for e in after if e.keyword != "PixelData"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=4, unique=True),
    _TEXT,
    st.dictionaries(st.sampled_from(("AccessionNumber", "PatientID", "StudyDescription", "StationName")), _TEXT | st.just("")),
    st.integers(1, 300),
)
def test_headers_can_be_undone_from_their_record(names: list[str], value: str, present: dict[str, str], piece: int) -> None:
    """With what the record says put back, the data set is the one that came: nothing else changed and nothing is lost."""
    image = an_image(np.zeros((1, 8, 8), "u1"), **present)

    result, _ = rewritten(written(image), steps=[Step(name, value) for name in names], piece=piece)

    undone, original = read(result), read(written(image))
    for item in undone.get("OriginalAttributesSequence", []):
        for element in item.ModifiedAttributesSequence[0]:
            if element.tag in original:
                undone[element.tag] = element
            else:
                assert not element.value
                del undone[element.tag]
    undone.pop("OriginalAttributesSequence", None)
    assert list(original) == list(undone)
