"""Value representations: how each is laid out in bytes, and which one an element has where the data set does not say. Pure.

Promises: `vr_of` always answers with a VR that may be written, for every tag; "UN" stands for what the dictionary does not know, private
elements (their creators excepted) among it: a private dictionary can be wrong about a vendor's next version, UN never is.
Failures: none.
Limits: a VR that depends on an element which comes later, or not at all, gets its usual answer: US, OW. In little endian only the label
depends on it, never the bytes.
Standard: PS3.5 6.2 (VRs), 6.2.2 (UN), 7.1.2 (lengths), 7.3 (byte order), 7.8.1 (private creators), 8 and A.1, A.2 (pixel, overlay,
waveform data); PS3.6 (the dictionary, as pydicom has it); PS3.3 C.7.6.3 and C.11 (PixelRepresentation, LUT data).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_VR

SEQUENCE: Final = b"SQ"
UNKNOWN: Final = b"UN"

# PS3.5 7.1.2: these have a 16-bit length. Every other VR, also one that the standard does not have yet, has a 32-bit one.
SHORT_LENGTH: Final = frozenset(
    vr.encode()
    for vr in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905 (reads as PS3.5 prints it)
)
# PS3.5 7.3: the size of what is turned round between the byte orders; an AT is two numbers of 16 bits, a pixel word never more than 16.
WORD_BYTES: Final[Mapping[bytes, int]] = {
    **dict.fromkeys((b"AT", b"OW", b"SS", b"US"), 2),
    **dict.fromkeys((b"FL", b"OF", b"OL", b"SL", b"UL"), 4),
    **dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), 8),
}
# Text and bytes, which are the same in both orders. What is in neither table is a VR that this version does not know.
BYTE_ORDER_FREE: Final = frozenset(
    vr.encode()
    for vr in "AE AS CS DA DS DT IS LO LT OB PN SH ST TM UC UI UN UR UT".split()  # noqa: SIM905 (as above)
)
# PS3.5 6.2: text is made even with a space, everything else with a NUL.
_PADDED_WITH_SPACE = BYTE_ORDER_FREE - {b"OB", b"UI", b"UN"}

_ARRAY_CODES: Final = {array(code).itemsize: code for code in "HIQ"}

_PIXEL_REPRESENTATION = 0x00280103
_LUT_DESCRIPTOR = 0x00283002
_WAVEFORM_BITS_ALLOCATED = 0x54001004
DECIDING_TAGS: Final = frozenset({_PIXEL_REPRESENTATION, _LUT_DESCRIPTOR, _WAVEFORM_BITS_ALLOCATED})
"""The elements whose first value (16 bits, unsigned) decides the VR of others."""

_LUT_DATA = 0x00283006
_WAVEFORM_GROUP = 0x5400
# (50xx,3000): curves are the one kind of "OB or OW" that is OB in implicit VR (PS3.5-2004 A.1).
_CURVE_DATA = 0x50003000
_REPEATING_GROUP_MASK = 0xFF00FFFF
_WAVEFORM_BYTE_BITS = 8

_PRIVATE_CREATORS = range(0x0010, 0x0100)


def padding_of(vr: bytes) -> bytes:
    """Return the byte that makes a value of odd length even."""
    return b" " if vr in _PADDED_WITH_SPACE else b"\0"


def turned(pieces: Iterator[memoryview], word: int) -> Iterator[bytes | memoryview]:
    """Yield the pieces of a value with the bytes of each word turned round.

    A word may lie across pieces; a last one that is not whole is not yielded. With a word of one byte the pieces pass as they are.
    """
    if word == 1:
        yield from pieces
        return
    rest = b""
    for piece in pieces:
        held = rest + piece
        whole = len(held) - len(held) % word
        words = array(_ARRAY_CODES[word], held[:whole])
        words.byteswap()
        rest = held[whole:]
        yield words.tobytes()


def vr_of(tag: int, deciding: Mapping[int, int]) -> bytes:
    """Return the VR of an element that came without one; "UN" where nobody but its vendor knows.

    `deciding` holds the values of `DECIDING_TAGS` read so far in the item (or data set) that holds the element, and what it inherited.
    """
    listed = _listed(tag)
    if " " not in listed:
        return listed.encode()
    if listed == "US or SS":
        return b"SS" if deciding.get(_PIXEL_REPRESENTATION) else b"US"
    if tag == _LUT_DATA:
        return b"US" if deciding.get(_LUT_DESCRIPTOR) == 1 else b"OW"
    if tag >> 16 == _WAVEFORM_GROUP:
        return b"OB" if deciding.get(_WAVEFORM_BITS_ALLOCATED) == _WAVEFORM_BYTE_BITS else b"OW"
    return b"OB" if tag & _REPEATING_GROUP_MASK == _CURVE_DATA else b"OW"


def inherited(deciding: Mapping[int, int]) -> dict[int, int]:
    """Return what an item takes over from the one around it: PixelRepresentation, which usually stands in the data set alone."""
    return {tag: value for tag, value in deciding.items() if tag == _PIXEL_REPRESENTATION}


@lru_cache(maxsize=4096)
def _listed(tag: int) -> str:
    """Return what the dictionary lists, which may be several VRs, and "UN" for what is not in it."""
    if tag >> 16 & 1:
        return "LO" if tag & 0xFFFF in _PRIVATE_CREATORS else "UN"
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"
