"""The bounded attribute reader: finds a few top-level elements in the first bytes of a data set, whatever a peer sends. Pure.

It is fed as bytes arrive and walks element by element, on a stack of its own: no recursion, no allocation from a length, at most
`max_bytes` and `max_elements` looked at. It never decodes a value. An encoding that the transfer syntax does not announce is `failed`; it
is not guessed.

Promises: `feed` never raises and returns in time proportional to the bytes looked at; what it keeps is bounded by the wanted tags times
`max_value`. How the data set is cut into pieces changes nothing. The first occurrence of a tag counts.
Failures: none are raised; `state` and `problem` say what was met.
Limits: values longer than `max_value` are cut. Elements inside sequences are stepped over, never reported.
Standard: PS3.5 7.1 (elements), 7.5 (sequences), annex A (transfer syntaxes).
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

from appliance.core.identity import Uid

State = Literal["reading", "complete", "failed", "exhausted"]

# Real data sets have 30 bytes an element or more, so a megabyte of one stays below this; a megabyte of empty ones would take a second.
MAX_ELEMENTS = 1 << 15

_DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
# Implicit little endian, its Papyrus 3 name, and GE's private syntax (implicit little endian, big endian pixels).
_IMPLICIT = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.20", "1.2.840.113619.5.2"})
_BIG_ENDIAN = frozenset({"1.2.840.10008.1.2.2"})

# PS3.5 7.1.2: these have a 16-bit length. Every other VR, also one that the standard does not have yet, has a 32-bit one.
_SHORT_LENGTH = frozenset(
    vr.encode()
    for vr in "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # noqa: SIM905 (reads as PS3.5 prints it)
)
_UNKNOWN_VR = b"UN"
_UPPER = frozenset(range(ord("A"), ord("Z") + 1))

_UNDEFINED = 0xFFFFFFFF
_DELIMITERS = 0xFFFE
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
# PS3.7 and PS3.10: command elements and file meta have no place in a data set.
_NEVER_IN_A_DATA_SET = frozenset({0x0000, 0x0002})

# Group and element, a short length, a long one: made once, because a walk is made for each object.
_NUMBERS = {order: (struct.Struct(f"{order}HH"), struct.Struct(f"{order}H"), struct.Struct(f"{order}L")) for order in "<>"}

# An element head: tag, VR and 16-bit length, or tag and 32-bit length; the long one has VR, two reserved bytes and 32-bit length.
_SHORTEST_HEAD = 8
_LONGEST_HEAD = 12


class _Kind(Enum):
    SEQUENCE = "sequence"
    ITEM = "item"


@dataclass(frozen=True, slots=True)
class _Frame:
    """An open sequence or item of undefined length, and whether what it holds is implicit VR."""

    kind: _Kind
    implicit: bool


class _Head(NamedTuple):
    """An element head: its tag, its VR (empty in implicit VR) and its length."""

    tag: int
    vr: bytes
    length: int


class ElementWalk:
    """One walk over the beginning of one data set."""

    def __init__(
        self,
        transfer_syntax: Uid,
        wanted: frozenset[int],
        *,
        max_bytes: int = 65536,
        max_value: int = 1024,
        max_depth: int = 64,
        max_elements: int = MAX_ELEMENTS,
        stop_after: int | None = None,
    ) -> None:
        """Look for `wanted` tags until all are found, a top-level tag above `stop_after` is met, or a limit is reached.

        The limits: `max_bytes` looked at, `max_elements` stepped over (items and delimiters counted), `max_depth` sequences and items open.
        """
        self.state: State = "reading" if wanted else "complete"
        self.values: dict[int, bytes] = {}
        self.problem = ""
        self._wanted = wanted
        self._left = max_bytes
        self._elements_left = max_elements
        self._max_value = max_value
        self._max_depth = max_depth
        self._stop_after = stop_after
        self._implicit = transfer_syntax in _IMPLICIT
        self._tag, self._short, self._long = _NUMBERS[">" if transfer_syntax in _BIG_ENDIAN else "<"]
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if transfer_syntax in _DEFLATED else None
        self._is_broken = False
        self._head = bytearray()
        self._head_bytes = _SHORTEST_HEAD
        self._skip = 0
        self._collecting: int | None = None
        self._frames: list[_Frame] = []

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Look at the next bytes of the data set; once the state is no longer "reading" they are ignored."""
        if self.state != "reading":
            return
        if self._inflater is not None:
            data = self._inflated(memoryview(data))
        view = memoryview(data)
        limited = view[: self._left]
        self._left -= len(limited)
        self._walk(limited)
        if self.state == "reading" and len(view) > len(limited):
            self.state = "exhausted"
        elif self.state == "reading" and self._is_broken:
            self._fail("the deflated data cannot be inflated")

    def _inflated(self, data: memoryview) -> bytes:
        """Return what comes out of the next deflated bytes, one byte more than may be looked at, so that reaching the limit is noticed."""
        assert self._inflater is not None  # noqa: S101 (asked by the only caller; for the type checker)
        before = self._inflater.copy()
        try:
            return self._inflater.decompress(data, self._left + 1)
        except zlib.error:
            self._is_broken = True
        # zlib keeps back what it had before the fault; byte by byte it comes out, whichever piece of the data set the fault is in.
        out = bytearray()
        with contextlib.suppress(zlib.error):
            for at in range(len(data)):
                if len(out) > self._left:
                    break
                out += before.decompress(data[at : at + 1], self._left + 1 - len(out))
        return bytes(out)

    def _walk(self, view: memoryview) -> None:
        at = 0
        while at < len(view) and self.state == "reading":
            if self._skip:
                step = min(self._skip, len(view) - at)
                if self._collecting is not None:
                    self._take(self._collecting, view[at : at + step])
                self._skip -= step
                at += step
                if not self._skip:
                    self._end_value()
                continue
            if not self._head and len(view) - at >= _LONGEST_HEAD:
                at += self._parse_head(view[at : at + _LONGEST_HEAD])
                continue
            # A head may arrive in pieces: it is put together here, never more than twelve bytes.
            step = min(self._head_bytes - len(self._head), len(view) - at)
            self._head += view[at : at + step]
            at += step
            if len(self._head) == self._head_bytes:
                if self._parse_head(bytes(self._head)):
                    self._head.clear()
                    self._head_bytes = _SHORTEST_HEAD
                elif self.state == "reading":
                    self._head_bytes = _LONGEST_HEAD

    def _take(self, tag: int, piece: memoryview) -> None:
        """Keep bytes of a wanted value, up to its limit."""
        kept = self.values[tag]
        self.values[tag] = kept + bytes(piece[: self._max_value - len(kept)])

    def _end_value(self) -> None:
        if self._collecting is not None:
            self._collecting = None
            if self._wanted <= self.values.keys():
                self.state = "complete"

    def _parse_head(self, head: bytes | memoryview) -> int:
        """Enter the element that begins here and return the length of its head; 0 when the rest of a long head is missing."""
        group, element = self._tag.unpack_from(head)
        tag = group << 16 | element
        vr = bytes(head[4:6])
        size = _SHORTEST_HEAD
        if group == _DELIMITERS or self._in_implicit():
            parsed = _Head(tag, b"", self._long.unpack_from(head, 4)[0])
        elif vr in _SHORT_LENGTH:
            parsed = _Head(tag, vr, self._short.unpack_from(head, 6)[0])
        elif not _UPPER.issuperset(vr):
            self._fail("an element has no VR: not the announced transfer syntax, or not DICOM")
            return size
        elif len(head) < _LONGEST_HEAD:
            return 0
        else:
            size = _LONGEST_HEAD
            parsed = _Head(tag, vr, self._long.unpack_from(head, 8)[0])
        self._elements_left -= 1
        if self._elements_left < 0:
            self.state = "exhausted"
        else:
            self._enter(parsed)
        return size

    def _in_implicit(self) -> bool:
        return self._frames[-1].implicit if self._frames else self._implicit

    def _enter(self, head: _Head) -> None:
        if self._frames and self._frames[-1].kind is _Kind.SEQUENCE:
            self._enter_in_sequence(head)
        elif head.tag >> 16 == _DELIMITERS:
            self._enter_delimiter(head)
        elif self._frames:
            self._step_over(head)
        else:
            self._enter_top_level(head)

    def _enter_top_level(self, head: _Head) -> None:
        if head.tag >> 16 in _NEVER_IN_A_DATA_SET:
            self._fail("a file or command header stands inside the data set")
        elif self._stop_after is not None and head.tag > self._stop_after:
            self.state = "complete"
        elif head.tag in self._wanted and head.tag not in self.values and head.length != _UNDEFINED:
            self.values[head.tag] = b""
            self._collecting = head.tag
            self._skip = head.length
            if not head.length:
                self._end_value()
        else:
            self._step_over(head)

    def _step_over(self, head: _Head) -> None:
        if head.length != _UNDEFINED:
            self._skip = head.length
            return
        # PS3.5 6.2.2 note 2: UN of undefined length holds a sequence in implicit VR little endian.
        self._push(_Frame(_Kind.SEQUENCE, self._in_implicit() or head.vr == _UNKNOWN_VR))

    def _enter_in_sequence(self, head: _Head) -> None:
        if head.tag == _SEQUENCE_END:
            self._frames.pop()
        elif head.tag != _ITEM:
            self._fail("a sequence holds something else than items")
        elif head.length == _UNDEFINED:
            self._push(_Frame(_Kind.ITEM, self._frames[-1].implicit))
        else:
            self._skip = head.length

    def _enter_delimiter(self, head: _Head) -> None:
        if self._frames and head.tag == _ITEM_END:
            self._frames.pop()
        elif self._frames and head.tag == _SEQUENCE_END:
            # The item's own delimiter is missing: the sequence's closes both.
            del self._frames[-2:]
        else:
            # A stray delimiter: nothing is open that it could close, its bytes are stepped over.
            self._skip = 0 if head.length == _UNDEFINED else head.length

    def _push(self, frame: _Frame) -> None:
        if len(self._frames) >= self._max_depth:
            self._fail("sequences are nested too deep")
            return
        self._frames.append(frame)

    def _fail(self, problem: str) -> None:
        self.state = "failed"
        self.problem = problem
