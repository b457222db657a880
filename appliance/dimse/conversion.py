"""Re-encodes a data set while it streams by: implicit and explicit VR little endian into each other, big endian into either. Pure.

Promises: every element comes out with its value, in the order it came in; memory is constant, whatever lengths the data set announces, and
how it is cut into pieces changes nothing. Sequences and items are written with undefined length, so that nothing must be known in advance.
The last byte is given only after the whole data set was read and found well formed: whoever has all of it has a sound one.
Failures: `ConversionError` (the peer's data), as soon as a fault is met; what the source raises passes through. Every later call
raises too.
Limits: what the standard forbids is not repaired, but for an odd length (made even), a missing item delimiter before the sequence's, and a
delimiter that nothing needs. Group lengths (gggg,0000) are left out: their value would be wrong, and PS3.5 7.2 retired them. Elements are
neither sorted nor checked against the dictionary. UN of defined length keeps its bytes, whatever the byte order. Compressed, deflated and
encapsulated data sets are none of this module's.
Standard: PS3.5 6.2.2 (UN), 7.1 (elements), 7.3 (byte order), 7.5 (sequences), annex A (transfer syntaxes).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from appliance.core.errors import ApplianceError, Fault
from appliance.core.identity import Uid
from appliance.dimse import vr as vrs

IMPLICIT_LITTLE: Final = Uid("1.2.840.10008.1.2")
EXPLICIT_LITTLE: Final = Uid("1.2.840.10008.1.2.1")
EXPLICIT_BIG: Final = Uid("1.2.840.10008.1.2.2")

# What is read at once: large enough that the work for each element of pixel data vanishes, small beside everything else.
_PIECE_BYTES = 256 * 1024
# Sequences and items counted alike, so 256 sequences within each other: no report is that deep, and no reader should meet one that is.
_MAX_OPEN = 512

_DECIDING_BYTES = 2
_UNDEFINED = 0xFFFFFFFF
_SHORT_LENGTH_MAX = 0xFFFF
_DELIMITERS = 0xFFFE
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_ITEM_BEGINS = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
_ITEM_ENDS = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00"
_SEQUENCE_ENDS = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"

_UPPER = frozenset(range(ord("A"), ord("Z") + 1))


class ConversionError(ApplianceError):
    """The data set cannot be re-encoded: it is not what its transfer syntax announces, or it ends too early."""

    fault = Fault.PEER
    advice = (
        "The object stays as it was received. Send it to a destination that accepts its transfer syntax, or have the source send it anew."
    )


def convertible(from_syntax: Uid, to_syntax: Uid) -> bool:
    """Say whether a data set can be re-encoded from one transfer syntax into the other."""
    return from_syntax in _SOURCES and to_syntax in _TARGETS and from_syntax != to_syntax


class ConvertedSource:
    """A data set in another transfer syntax, to be read once from beginning to end."""

    def __init__(self, source: Callable[[int], bytes], *, from_syntax: Uid, to_syntax: Uid) -> None:
        """Re-encode what `source(size)` returns, any pieces until b"". Raises `ValueError` for a pair that is not `convertible`."""
        if not convertible(from_syntax, to_syntax):
            raise ValueError("these transfer syntaxes cannot be converted into each other")
        self._conversion = _Conversion(_Input(source), _SOURCES[from_syntax], to_implicit=to_syntax == IMPLICIT_LITTLE)
        self._pieces = self._conversion.pieces()
        self._ready = bytearray()

    @property
    def length(self) -> None:
        """None: what each element comes out as is known when it was read."""

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end, b"" after it. Raises `ConversionError`, and what the source raises."""
        # One byte more than is given, or the end: a fault is met before the last byte is out.
        while len(self._ready) <= size and self._advance():
            pass
        with memoryview(self._ready) as ready:
            taken = bytes(ready[:size])
        del self._ready[:size]
        return taken

    def _advance(self) -> bool:
        """Make more ready, and say whether there was more."""
        try:
            piece = next(self._pieces, None)
        except BaseException:  # boundary: whatever the source or the conversion raises; raised again
            # What is ready belongs to a data set that is none: no later call gives it out.
            self._ready.clear()
            raise
        if piece is not None:
            self._ready += piece
        elif not self._conversion.is_whole:
            # An error ended the generator: that must never look like the end of the data set.
            raise ConversionError("the conversion was broken off before")
        return piece is not None


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How heads and values are laid out."""

    implicit: bool
    order: str

    def tag_of(self, head: bytes) -> int:
        group, element = struct.unpack_from(self.order + "HH", head)
        return int(group) << 16 | int(element)

    def long(self, at: bytes, offset: int = 0) -> int:
        return int(struct.unpack_from(self.order + "L", at, offset)[0])

    def short(self, at: bytes, offset: int) -> int:
        return int(struct.unpack_from(self.order + "H", at, offset)[0])


_IMPLICIT = _Encoding(implicit=True, order="<")
_SOURCES: Final = {
    IMPLICIT_LITTLE: _IMPLICIT,
    EXPLICIT_LITTLE: _Encoding(implicit=False, order="<"),
    EXPLICIT_BIG: _Encoding(implicit=False, order=">"),
}
_TARGETS: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE})


@dataclass(frozen=True, slots=True)
class _Head:
    """An element as its head announces it; the VR is b"" where there is none."""

    tag: int
    vr: bytes
    length: int


@dataclass(slots=True)
class _Open:
    """A sequence, or an item (the data set is the first), that is being read."""

    tag: int
    is_sequence: bool
    encoding: _Encoding
    # What was read here that decides the VR of other elements.
    deciding: dict[int, int]
    # Where it ends, if its length is defined; and where the innermost one around it ends whose length is.
    ends_at: int | None = None
    limit: int | None = None


class _Input:
    """The source, read in large pieces and handed out in the ones asked for."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._piece = memoryview(b"")
        self.position = 0

    def at_end(self) -> bool:
        """Say whether nothing is left."""
        if not self._piece:
            self._piece = memoryview(self._source(_PIECE_BYTES))
        return not self._piece

    def exactly(self, size: int, tag: int) -> bytes:
        """Return `size` bytes, never many. Raises `ConversionError` where fewer are left."""
        if len(self._piece) >= size:
            taken = bytes(self._piece[:size])
            self._piece = self._piece[size:]
            self.position += size
            return taken
        return b"".join(self.pieces(size, tag))

    def pieces(self, size: int, tag: int) -> Iterator[memoryview]:
        """Yield `size` bytes as they come. Raises `ConversionError` where fewer are left."""
        while size:
            if self.at_end():
                raise _broken(tag, "the data set ends too early")
            taken = self._piece[:size]
            self._piece = self._piece[size:]
            self.position += len(taken)
            size -= len(taken)
            yield taken


class _Conversion:
    """One pass over one data set, on a stack of its own."""

    def __init__(self, source: _Input, encoding: _Encoding, *, to_implicit: bool) -> None:
        self._input = source
        self._to_implicit = to_implicit
        self._open = [_Open(0, is_sequence=False, encoding=encoding, deciding={})]
        self.is_whole = False

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the re-encoded data set. Raises `ConversionError`."""
        while True:
            inner = self._open[-1]
            if inner.ends_at == self._input.position:
                yield self._close()
            elif len(self._open) == 1 and self._input.at_end():
                self.is_whole = True
                return
            else:
                head = self._read_head(inner)
                if inner.is_sequence:
                    yield self._in_sequence(inner, head)
                elif head.tag >> 16 == _DELIMITERS:
                    yield self._in_item(inner, head)
                else:
                    yield from self._element(inner, head)

    def _read_head(self, inner: _Open) -> _Head:
        self._check_head(inner, 8)
        head = self._input.exactly(8, inner.tag)
        encoding = inner.encoding
        tag = encoding.tag_of(head)
        if encoding.implicit or tag >> 16 == _DELIMITERS:
            return _Head(tag, b"", encoding.long(head, 4))
        vr = head[4:6]
        if vr in vrs.SHORT_LENGTH:
            return _Head(tag, vr, encoding.short(head, 6))
        if not _UPPER.issuperset(vr):
            raise _broken(tag, "it has no VR: this is not the announced transfer syntax")
        self._check_head(inner, 4)
        return _Head(tag, vr, encoding.long(self._input.exactly(4, tag)))

    def _check_head(self, inner: _Open, size: int) -> None:
        if not self._has_room(inner, size):
            raise _broken(inner.tag, "what it holds does not fit into its length")

    def _check_value(self, inner: _Open, head: _Head) -> None:
        if not self._has_room(inner, head.length):
            raise _broken(head.tag, "it is longer than the sequence or item that holds it")

    def _has_room(self, inner: _Open, size: int) -> bool:
        return inner.limit is None or self._input.position + size <= inner.limit

    def _in_sequence(self, inner: _Open, head: _Head) -> bytes:
        """Begin the next item, or end the sequence."""
        if head.tag == _ITEM:
            return self._begin(inner, _Head(inner.tag, b"", head.length), inner.encoding, is_sequence=False)
        if head.tag != _SEQUENCE_END:
            raise _broken(inner.tag, "the sequence holds something else than items")
        return self._end(inner)

    def _in_item(self, inner: _Open, head: _Head) -> bytes:
        """End the item, or the sequence with it where the item's own delimiter is missing; outside of both there is nothing to end."""
        if len(self._open) == 1 and head.tag != _ITEM and not head.length:
            return b""
        if len(self._open) > 1 and head.tag == _ITEM_END:
            return self._end(inner)
        if len(self._open) > 1 and head.tag == _SEQUENCE_END and inner.ends_at is None:
            return self._close() + self._end(self._open[-1])
        raise _broken(inner.tag, "a delimiter stands where nothing can end or begin")

    def _element(self, inner: _Open, head: _Head) -> Iterator[bytes | memoryview]:
        encoding = inner.encoding
        vr = head.vr or vrs.vr_of(head.tag, inner.deciding)
        if vr == vrs.SEQUENCE:
            yield self._begin_sequence(inner, head, encoding)
        elif head.length == _UNDEFINED and vr == vrs.UNKNOWN:
            # PS3.5 6.2.2 note 2: only a sequence can be meant, and its content is implicit VR little endian, whatever is around it.
            yield self._begin_sequence(inner, head, _IMPLICIT)
        elif head.length == _UNDEFINED:
            raise _broken(head.tag, "it has no length and is not a sequence: encapsulated in an uncompressed transfer syntax")
        else:
            self._check_value(inner, head)
            yield from self._value(inner, _Head(head.tag, vr, head.length))

    def _begin_sequence(self, inner: _Open, head: _Head, encoding: _Encoding) -> bytes:
        begins = self._head(head.tag, vrs.SEQUENCE, _UNDEFINED)
        self._begin(inner, head, encoding, is_sequence=True)
        return begins

    def _begin(self, inner: _Open, head: _Head, encoding: _Encoding, *, is_sequence: bool) -> bytes:
        """Open a sequence or an item, and return how an item begins."""
        if len(self._open) > _MAX_OPEN:
            raise _broken(head.tag, "sequences are nested too deep")
        ends_at = None
        limit = inner.limit
        if head.length != _UNDEFINED:
            self._check_value(inner, head)
            ends_at = limit = self._input.position + head.length
        deciding = inner.deciding if is_sequence else vrs.inherited(inner.deciding)
        self._open.append(_Open(head.tag, is_sequence, encoding, deciding, ends_at, limit))
        return _ITEM_BEGINS

    def _end(self, inner: _Open) -> bytes:
        """Close what a delimiter ends; one of defined length may have one only as its last bytes."""
        if inner.ends_at is not None and inner.ends_at != self._input.position:
            raise _broken(inner.tag, "a delimiter stands before the end of what has a length")
        return self._close()

    def _close(self) -> bytes:
        return _SEQUENCE_ENDS if self._open.pop().is_sequence else _ITEM_ENDS

    def _value(self, inner: _Open, head: _Head) -> Iterator[bytes | memoryview]:
        """Yield the element; a group length is read and left out."""
        if not head.tag & 0xFFFF:
            for _ in self._input.pieces(head.length, head.tag):
                pass
            return
        odd = head.length & 1
        yield self._head(head.tag, head.vr, head.length + odd)
        word = self._word_bytes(inner, head)
        pieces = self._input.pieces(head.length, head.tag)
        if head.tag in vrs.DECIDING_TAGS and head.length <= _PIECE_BYTES:
            value = b"".join(vrs.turned(pieces, word))
            if len(value) >= _DECIDING_BYTES:
                inner.deciding[head.tag] = int.from_bytes(value[:_DECIDING_BYTES], "little")
            yield value
        else:
            yield from vrs.turned(pieces, word)
        if odd:
            yield vrs.padding_of(head.vr)

    def _word_bytes(self, inner: _Open, head: _Head) -> int:
        """Return the size of what must be turned round, 1 for nothing."""
        if inner.encoding.order == "<" or head.vr in vrs.BYTE_ORDER_FREE:
            return 1
        word = vrs.WORD_BYTES.get(head.vr)
        if word is None:
            raise _broken(head.tag, "its VR is not known, and with it how its bytes are turned round")
        if head.length % word:
            raise _broken(head.tag, "its length does not fit its VR")
        return word

    def _head(self, tag: int, vr: bytes, length: int) -> bytes:
        group, element = tag >> 16, tag & 0xFFFF
        if self._to_implicit:
            return struct.pack("<HHL", group, element, length)
        if vr not in vrs.SHORT_LENGTH:
            return struct.pack("<HH2sHL", group, element, vr, 0, length)
        if length <= _SHORT_LENGTH_MAX:
            return struct.pack("<HH2sH", group, element, vr, length)
        # PS3.5 6.2.2: a value that is too long for the length field of its VR is UN.
        return struct.pack("<HH2sHL", group, element, vrs.UNKNOWN, 0, length)


def _broken(tag: int, problem: str) -> ConversionError:
    where = "the data set" if not tag else f"element ({tag >> 16:04x},{tag & 0xFFFF:04x})"
    return ConversionError(f"{where} cannot be converted: {problem}")
