"""Data sets that no scanner should send, made from bytes: bombs, towers, lies about lengths, and words meant for whoever shows them.

Promises: each is named by an instance UID of the caller's choice and holds the planted patient, unless its point is that it does not. What
is large is made of few bytes repeated, so that a test pays for sending it and not for making it.
Failures: none.
Limits: explicit VR little endian unless a function says otherwise; pixels mean nothing.
Standard: PS3.5 7.1, 7.5, A.4 and A.5.
"""

from __future__ import annotations

import zlib

from tests.support import planted
from tests.support.rogue import CT_STORAGE, EXPLICIT, IMPLICIT
from tests.unit.dimse.building import SOP_CLASS, SOP_INSTANCE, UNDEFINED, deflated, element, uid

PATIENT_NAME, PATIENT_ID, ACCESSION, CHARACTER_SET, STUDY = 0x00100010, 0x00100020, 0x00080050, 0x00080005, 0x0020000D
SEQUENCE, ITEM, ITEM_END, SEQUENCE_END = 0x00081140, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXELS = 0x7FE00010
# In front of group 0008, where a reader that looks for the UIDs has to come past; private, so that it may be anything.
EARLY = 0x00070010

NAME, NUMBER = planted.NAME.encode("ascii"), planted.PATIENT_ID.encode("ascii")

_OPENS_ITEM = element(ITEM, b"", length=UNDEFINED)
# A full flush makes a block that stands for itself, so that a bomb is one block many times over.
_BOMB_BLOCK_BYTES = 16 << 20


def identity(instance: str, *, sop_class: str = CT_STORAGE, syntax: str = EXPLICIT) -> bytes:
    """Return SOP class and instance UID."""
    return element(SOP_CLASS, uid(sop_class), syntax=syntax) + element(SOP_INSTANCE, uid(instance), syntax=syntax)


def patient(*, name: bytes = NAME, number: bytes = NUMBER, syntax: str = EXPLICIT, study: str = "") -> bytes:
    """Return the patient, and a study UID where one is given."""
    elements = element(PATIENT_NAME, _even(name), vr="PN", syntax=syntax) + element(PATIENT_ID, _even(number), vr="LO", syntax=syntax)
    return elements + (element(STUDY, uid(study), syntax=syntax) if study else b"")


def an_object(instance: str, *, before: bytes = b"", after: bytes = b"", syntax: str = EXPLICIT, sop_class: str = CT_STORAGE) -> bytes:
    """Return an object with something in front of its identity, or behind its patient."""
    return before + identity(instance, sop_class=sop_class, syntax=syntax) + patient(syntax=syntax) + after


def tower(levels: int, *, tag: int = SEQUENCE) -> bytes:
    """Return so many sequences of undefined length within each other, none of which ends."""
    return (element(tag, b"", vr="SQ", length=UNDEFINED) + _OPENS_ITEM) * levels


def empty_items(count: int, *, tag: int = SEQUENCE) -> bytes:
    """Return a sequence of so many items that hold nothing."""
    return element(tag, b"", vr="SQ", length=UNDEFINED) + element(ITEM, b"") * count + element(SEQUENCE_END, b"")


def small_elements(count: int) -> bytes:
    """Return so many elements of eight bytes."""
    return element(0x00090010, b"", vr="LO") * count


def an_item(content: bytes = b"", *, ends: bytes = b"", tag: int = SEQUENCE, sequence_ends: bytes = element(SEQUENCE_END, b"")) -> bytes:
    """Return a sequence of one item of undefined length, which ends as told."""
    return element(tag, b"", vr="SQ", length=UNDEFINED) + _OPENS_ITEM + content + ends + sequence_ends


def bomb(instance: str, inflated_bytes: int, *, early: bool = False) -> bytes:
    """Return a deflated object that inflates to so many bytes more; `early` hides its identity behind them."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    announced = min(inflated_bytes, UNDEFINED - 1)
    head = element(EARLY, b"", vr="UN", length=announced) if early else b""
    tail = b"" if early else element(PIXELS, b"", vr="OW", length=announced)
    opening = compressor.compress(head or an_object(instance) + tail) + compressor.flush(zlib.Z_FULL_FLUSH)
    block = compressor.compress(bytes(_BOMB_BLOCK_BYTES)) + compressor.flush(zlib.Z_FULL_FLUSH)
    closing = compressor.compress(an_object(instance) if early else b"") + compressor.flush()
    return opening + block * (inflated_bytes // _BOMB_BLOCK_BYTES) + closing


def cut_short(instance: str) -> bytes:
    """Return a deflated object that ends in mid-stream, behind what names it."""
    whole = deflated(an_object(instance) + element(PIXELS, bytes(range(256)) * 256, vr="OW"))
    return whole[: len(whole) // 2 & ~1]


def part10_file(instance: str, *, preamble: bool = True, syntax: str = EXPLICIT) -> bytes:
    """Return an object with a file's header in front of it, where no data set may have one."""
    meta = element(0x00020010, uid(syntax)) + element(0x00020003, uid(instance))
    return (bytes(128) + b"DICM" if preamble else b"") + meta + an_object(instance, syntax=syntax)


def encapsulated(instance: str, *fragments: bytes, offsets: bytes = b"", ends: bool = True) -> bytes:
    """Return an object whose pixels are these fragments behind this offset table."""
    items = element(ITEM, offsets) + b"".join(fragments)
    pixels = element(PIXELS, b"", vr="OB", length=UNDEFINED) + items + (element(SEQUENCE_END, b"") if ends else b"")
    return an_object(instance, after=pixels)


def a_fragment(content: bytes, *, length: int | None = None) -> bytes:
    """Return one fragment of pixels; `length` may lie."""
    return element(ITEM, content, length=length)


def words(instance: str, *, name: bytes, number: bytes, accession: bytes, character_set: bytes = b"ISO_IR 192", study: str = "") -> bytes:
    """Return an implicit VR object (values of any length) with these words where people will read them."""
    return (
        element(CHARACTER_SET, _even(character_set), syntax=IMPLICIT)
        + identity(instance, syntax=IMPLICIT)
        + element(ACCESSION, _even(accession), syntax=IMPLICIT)
        + patient(name=name, number=number, syntax=IMPLICIT, study=study)
    )


def _even(value: bytes) -> bytes:
    return value + b" " * (len(value) % 2)
