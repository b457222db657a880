"""Pixels in another form without loss, everything else as it was, and what cannot be transcoded says why."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pydicom
import pytest
from jpeg_ls.CharLS import encode_buffer
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames

from appliance.core.identity import Uid
from appliance.dimse.conversion import ConversionError
from appliance.dimse.lossless import JPEG_LS_LOSSLESS
from appliance.opener.elements import ElementsBrokenError
from appliance.opener.headers import HeadersRefusedError, Step
from appliance.opener.pixels import PixelsUnsuitableError
from appliance.opener.rewriting import Job, Rewriting
from tests.unit.opener.images import BIG, EXPLICIT, IMPLICIT, RECEIVED_AT, an_image, grey, read, rewritten, samples, written

_COLOUR = np.random.default_rng(3).integers(0, 60, (2, 20, 31, 3)).astype("u1")
_IMAGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "12 bits": (grey(bits=12), {"BitsStored": 12}),
    "12 bits signed": (grey(bits=12, signed=True), {"BitsStored": 12}),
    "16 bits signed": (grey(bits=16, signed=True), {}),
    "16 bits": (grey(bits=16), {}),
    "9 bits, many frames": (grey(bits=9, frames=5), {"BitsStored": 9}),
    "8 bits odd": (grey(bits=8, rows=3, columns=31), {}),
    "colour": (_COLOUR, {}),
    "full": (_COLOUR, {"PhotometricInterpretation": "YBR_FULL"}),
}
_PIXEL_ELEMENTS = {0x7FE00010, 0x00280006}


def _sample(name: str) -> tuple[bytes, Uid]:
    """Return the data set of one of pydicom's samples, and its transfer syntax."""
    path = get_testdata_file(name)
    assert isinstance(path, str), name
    ds = pydicom.dcmread(path)
    return written(ds), Uid(ds.file_meta.TransferSyntaxUID)


def _others(data: bytes) -> dict[int, Any]:
    """Return every element but those that describe how pixels lie."""
    return {int(element.tag): element for element in read(data) if int(element.tag) not in _PIXEL_ELEMENTS}


@pytest.mark.parametrize("kind", sorted(_IMAGES))
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_every_pixel_survives_jpeg_ls_and_back(kind: str, syntax: Uid) -> None:
    """Pixels of every depth are the same after JPEG-LS, as another reader sees them, and after the way back; nothing else changes."""
    array, attributes = _IMAGES[kind]
    image = an_image(array, **attributes)
    original = written(image, syntax)
    if syntax == BIG and array.dtype.itemsize > 1:
        image["PixelData"].value = array.byteswap().tobytes()
        original = written(image, syntax)

    encoded, encoded_as = rewritten(original, syntax=syntax, transcode="jpeg-ls", piece=1000)
    decoded, decoded_as = rewritten(encoded, syntax=JPEG_LS_LOSSLESS, transcode="uncompressed", piece=333)

    assert (JPEG_LS_LOSSLESS, EXPLICIT) == (encoded_as, decoded_as)
    assert array.tobytes() == read(decoded).PixelData[: array.nbytes]
    if kind != "full":
        assert np.array_equal(np.squeeze(array), samples(encoded, encoded_as))
    assert _others(written(image)).keys() == _others(encoded).keys()
    if syntax == EXPLICIT:
        assert _others(original) == _others(encoded) == _others(decoded)


def test_colour_by_plane_becomes_colour_by_pixel() -> None:
    """An image whose colours lie plane by plane has the same colours afterwards, and says how they lie."""
    by_plane = an_image(_COLOUR, PlanarConfiguration=1)
    by_plane.PixelData = _COLOUR.transpose(0, 3, 1, 2).tobytes()

    encoded, syntax = rewritten(written(by_plane), transcode="jpeg-ls")

    assert 0 == read(encoded).PlanarConfiguration
    assert np.array_equal(_COLOUR, samples(encoded, syntax))


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm"])
def test_compressed_samples_decode_to_what_they_were_made_of(name: str) -> None:
    """RLE, JPEG-LS and JPEG 2000 of one image all come out as that image."""
    original, _ = _sample("MR_small.dcm")
    data, syntax = _sample(name)

    result, result_syntax = rewritten(data, syntax=syntax, transcode="uncompressed")

    assert EXPLICIT == result_syntax
    assert read(original).PixelData == read(result).PixelData


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_16bit_2frame.dcm"])
@pytest.mark.parametrize("transcode", ["uncompressed", "jpeg-ls"])
def test_colour_in_rle_decodes_to_what_pydicom_decodes(name: str, transcode: str) -> None:
    """Colour frames come out with the samples that pydicom's own decoder sees, also by way of JPEG-LS."""
    data, syntax = _sample(name)

    result, result_syntax = rewritten(data, syntax=syntax, transcode=transcode)

    assert np.array_equal(samples(data, syntax), samples(result, result_syntax))


def test_frames_in_several_fragments_are_found_by_the_offset_table() -> None:
    """Frames that are cut into several fragments are put together where the offset table says where they begin."""
    array = grey(bits=12, frames=3)
    encoded, _ = rewritten(written(an_image(array, BitsStored=12)), transcode="jpeg-ls")
    ds = read(encoded)
    frames = list(generate_frames(ds.PixelData, number_of_frames=3))
    ds.PixelData = encapsulate(frames, fragments_per_frame=3)
    ds["PixelData"].is_undefined_length = True

    result, _ = rewritten(written(ds), syntax=JPEG_LS_LOSSLESS, transcode="uncompressed")

    assert array.tobytes() == read(result).PixelData[: array.nbytes]


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "photometric"),
        ({"PhotometricInterpretation": "YBR_FULL_422"}, "photometric"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "bit depth"),
        ({"BitsAllocated": 1, "BitsStored": 1}, "bit depth"),
        ({"BitsStored": 8}, "bit depth"),
        ({"Rows": 0}, "frames"),
        ({"Rows": 60000, "Columns": 60000}, "frames"),
        ({"NumberOfFrames": 100_001}, "frames"),
        ({"NumberOfFrames": 2}, "as long"),
        ({"Rows": 32}, "as long"),
        ({"BitsStored": 10}, "beside"),
    ],
)
def test_what_cannot_be_transcoded_says_why(attributes: dict[str, Any], words: str) -> None:
    """Palettes, subsampled colour, odd depths, wrong lengths and used spare bits are refused in words."""
    with pytest.raises(PixelsUnsuitableError, match=words):
        rewritten(written(an_image(grey(bits=12), **{"BitsStored": 12} | attributes)), transcode="jpeg-ls")


def test_bits_stored_elsewhere_are_not_transcoded() -> None:
    """An image whose bits do not begin with the lowest one is refused."""
    image = an_image(grey(bits=12), BitsStored=12)
    image.HighBit = 15

    with pytest.raises(PixelsUnsuitableError, match="lowest"):
        rewritten(written(image), transcode="jpeg-ls")


def test_floats_and_objects_without_pixels_are_not_transcoded() -> None:
    """Floating point pixels are refused in words, and a data set without pixels without any: nobody misses anything."""
    floats, none = an_image(grey()), an_image(grey())
    del none.PixelData, floats.PixelData
    floats.FloatPixelData = bytes(16)

    for image, words in ((floats, "its pixels are floating point numbers"), (none, "")):
        with pytest.raises(PixelsUnsuitableError) as refused:
            rewritten(written(image), transcode="jpeg-ls")
        assert words == str(refused.value)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.1.99"])
def test_lossy_and_unknown_syntaxes_are_not_transcoded(syntax: str) -> None:
    """What was compressed with loss, and what no codec here reads, stays as it is."""
    with pytest.raises(PixelsUnsuitableError, match="without loss"):
        rewritten(b"", syntax=Uid(syntax), transcode="jpeg-ls")


def test_a_codec_that_changes_a_pixel_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """When one sample differs after decoding, nothing comes out."""

    def lying(source: bytes, *arguments: Any) -> bytes:
        return bytes(encode_buffer(bytes([source[0] ^ 1]) + source[1:], *arguments))

    monkeypatch.setattr("appliance.opener.pixels.encode_buffer", lying)

    with pytest.raises(PixelsUnsuitableError, match="did not decode"):
        rewritten(written(an_image(grey(bits=16))), transcode="jpeg-ls")


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    """A frame that announces another size than its header is never given to a codec."""
    encoded, _ = rewritten(written(an_image(grey(bits=12), BitsStored=12)), transcode="jpeg-ls")
    at = encoded.index(b"\xff\xf7")
    bomb = encoded[: at + 5] + b"\xff\xff\xff\xff" + encoded[at + 9 :]

    with pytest.raises(PixelsUnsuitableError, match="another image"):
        rewritten(bomb, syntax=JPEG_LS_LOSSLESS, transcode="uncompressed")


@pytest.mark.parametrize("frames", [1, 3])
def test_another_number_of_frames_is_refused(frames: int) -> None:
    """Compressed pixel data with fewer or more frames than the header says is refused."""
    encoded, _ = rewritten(written(an_image(grey(bits=12, frames=2), BitsStored=12)), transcode="jpeg-ls")
    ds = read(encoded)
    ds.NumberOfFrames = frames

    with pytest.raises(PixelsUnsuitableError):
        rewritten(written(ds), syntax=JPEG_LS_LOSSLESS, transcode="uncompressed")


def test_a_data_set_that_ends_too_early_is_broken() -> None:
    """However a data set is cut, no shorter result passes for a whole one."""
    data = written(an_image(grey(bits=8, rows=16, columns=16)))

    ends = 0
    for cut in range(len(data)):
        try:
            result, _ = rewritten(data[:cut], transcode="jpeg-ls")
        except (ElementsBrokenError, PixelsUnsuitableError):
            continue
        # Only between two elements behind the pixels can it be cut unseen.
        ends += 1
        assert read(result).PixelData
    assert 3 >= ends


def test_without_an_order_nothing_is_rewritten() -> None:
    """Elements out of order are refused, because what is missing could not be told."""
    with pytest.raises(HeadersRefusedError, match="order"):
        rewritten(b"\x08\x00\x60\x00CS\x02\x00CT\x08\x00\x50\x00SH\x02\x00A1")


def test_an_implicit_data_set_that_is_none_is_not_converted() -> None:
    """A data set that is not what it announces ends with the conversion's own error."""
    with pytest.raises(ConversionError):
        rewritten(b"\x08\x00\x60\x00\xff\xff\xff\x00", syntax=IMPLICIT, transcode="jpeg-ls")


def test_an_icon_that_is_compressed_too_keeps_the_object_as_it_is() -> None:
    """A compressed icon inside a compressed object would not fit into an uncompressed one."""
    data, syntax = _sample("MR_small_RLE.dcm")
    icon = b"\x88\x00\x00\x02SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff"
    icon += (
        b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    )
    at = data.index(b"\xe0\x7f\x10\x00OB")

    with pytest.raises(PixelsUnsuitableError, match="icon"):
        rewritten(data[:at] + icon + data[at:], syntax=syntax, transcode="uncompressed")


def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    """Two hundred frames are never held at once: what waits inside is a few frames, whatever the object's length."""
    frame = grey(bits=12, rows=256, columns=256)
    head = written(an_image(frame, BitsStored=12, NumberOfFrames=200))
    at = head.index(b"\xe0\x7f\x10\x00OW") + 8
    head = head[:at] + (200 * frame.nbytes).to_bytes(4, "little")
    pieces = iter([head, *([frame.tobytes()] * 200), b""])

    tracemalloc.start()
    total = sum(map(len, Rewriting(lambda _size: next(pieces), Job(EXPLICIT, "jpeg-ls", (), RECEIVED_AT)).pieces()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert total > 200 * 1000
    assert 20 * frame.nbytes > peak


def test_group_lengths_are_left_out() -> None:
    """A group length would be wrong once its group was changed, so none comes out, even without conversion."""
    image = an_image(grey())
    data = b"\x08\0\0\0UL\x04\0" + (500).to_bytes(4, "little") + written(image)

    assert (rewritten(data, transcode="jpeg-ls")[0]) == rewritten(written(image), transcode="jpeg-ls")[0]


@pytest.mark.parametrize("transcode", ["jpeg-ls", "uncompressed"])
def test_a_transform_that_only_jpeg_2000_undoes_stays(transcode: str) -> None:
    """Pixels in YBR_RCT that were not in JPEG 2000 are not called RGB, which nobody made of them: the object stays as it is."""
    data, syntax = _sample("SC_rgb_rle.dcm")
    odd = read(data)
    odd.PhotometricInterpretation = "YBR_RCT"

    with pytest.raises(PixelsUnsuitableError, match="JPEG 2000"):
        rewritten(written(odd), syntax=syntax, transcode=transcode)


def test_a_label_stays_where_only_the_header_changes() -> None:
    """Without a transcode the photometric interpretation is nobody's business."""
    data = written(an_image(_COLOUR, PhotometricInterpretation="YBR_RCT"))

    made, _ = rewritten(data, steps=[Step("prefix-patient-id", "KH-")])

    assert "YBR_RCT" == read(made).PhotometricInterpretation
