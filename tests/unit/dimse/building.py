"""Data sets and fragments byte by byte, written by a few lines that know nothing of the reader they test."""

from __future__ import annotations

import struct
import zlib

from appliance.core.identity import Uid

CT = "1.2.840.10008.5.1.4.1.1.2"
INSTANCE = "1.2.826.0.1.3680043.8.1055.1"
IMPLICIT = Uid("1.2.840.10008.1.2")
EXPLICIT = Uid("1.2.840.10008.1.2.1")
DEFLATED = Uid("1.2.840.10008.1.2.1.99")
BIG_ENDIAN = Uid("1.2.840.10008.1.2.2")

SOP_CLASS = 0x00080016
SOP_INSTANCE = 0x00080018
BOTH = frozenset({SOP_CLASS, SOP_INSTANCE})
UNDEFINED = 0xFFFFFFFF

_LONG = {"OB", "OW", "SQ", "UN", "UT"}


def element(tag: int, value: bytes, *, vr: str = "UI", syntax: str = EXPLICIT, length: int | None = None) -> bytes:
    """Return one element; `length` may lie about the value."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    size = len(value) if length is None else length
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT or tag >> 16 == 0xFFFE:
        return head + struct.pack(order + "L", size) + value
    if vr in _LONG:
        return head + vr.encode() + bytes(2) + struct.pack(order + "L", size) + value
    return head + vr.encode() + struct.pack(order + "H", size) + value


def uid(text: str) -> bytes:
    """Return a UID as a value, padded."""
    return text.encode("latin-1") + b"\0" * (len(text) % 2)


def data_set(*, sop_class: str = CT, sop_instance: str = INSTANCE, syntax: str = EXPLICIT, tail: bytes = b"") -> bytes:
    """Return a data set of SOP class, instance UID and `tail`."""
    inner = EXPLICIT if syntax == DEFLATED else syntax
    plain = (
        element(0x00080005, b"ISO_IR 100", vr="CS", syntax=inner)
        + element(SOP_CLASS, uid(sop_class), syntax=inner)
        + element(SOP_INSTANCE, uid(sop_instance), syntax=inner)
        + tail
    )
    return deflated(plain) if syntax == DEFLATED else plain


def deflated(plain: bytes) -> bytes:
    """Return bytes as the deflated transfer syntax has them: without zlib's head."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(plain) + compressor.flush()
