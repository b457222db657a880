"""The body of a STOW-RS request: instances as DICOM files in multipart/related, made piece by piece from sealed objects.

Promises: the length is known before the first byte, and it is what comes out; memory is constant; nothing is written to a disk. The last
piece of an object leaves only when the object is known to be whole. What DICOM does not allow on the web, implicit and big endian, is
converted to explicit little endian on the way; an object that cannot be converted goes as it was received. A copy says nothing of how the
object came to the box.
Failures: what opening and reading a sealed object raises; `ConversionError` only for an object that changed between two readings.
Limits: an object to be converted is read twice, once for its length.
Standard: PS3.18 8.6.1.2 (multipart), 8.7.3 (transfer syntaxes), PS3.10 7.1; RFC 2046 5.1, RFC 2387.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.core.identity import AETitle, Uid
from appliance.deliver.bandwidth import ShapedSource, unshaped
from appliance.deliver.synthetic import SECONDARY_CAPTURE, TestImage
from appliance.deliver.task import Task
from appliance.dimse.conversion import EXPLICIT_LITTLE, ConversionError, ConvertedSource, convertible
from appliance.spool.names import SpoolName
from appliance.spool.part10 import encode_copy_header
from appliance.spool.store import SealedObject

OpenObject = Callable[[SpoolName], SealedObject]

# As one chunk of a sealed object: what is read is sent.
_PIECE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Part:
    """One instance: its file's header and the length of its data set, in the transfer syntax `syntax`."""

    task: Task
    name: SpoolName
    syntax: Uid
    header: bytes
    length: int


def prepare(task: Task, name: SpoolName, open_object: OpenObject) -> Part:
    """Return the part of a task whose object can be opened. Raises what opening does, and for one to be converted what reading does."""
    claim, own = task.claim, task.claim.transfer_syntax_uid
    with open_object(name) as sealed:
        syntax, length = own, sealed.length
        if convertible(own, EXPLICIT_LITTLE):
            try:
                read = unshaped(sealed).read
                syntax, length = EXPLICIT_LITTLE, _length(ConvertedSource(read, from_syntax=own, to_syntax=EXPLICIT_LITTLE))
            except ConversionError:
                # Not what its syntax announces: the destination may make more of it than we do.
                syntax, length = own, sealed.length
    return Part(task, name, syntax, encode_copy_header(claim.sop_class_uid, claim.sop_instance_uid, syntax, claim.calling_title), length)


class RequestBody(Protocol):
    """The body of a request: what its header says of it, and its bytes."""

    @property
    def content_type(self) -> str:
        """The value of the request's Content-Type."""

    @property
    def length(self) -> int:
        """The bytes of the body."""

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""


class Body:
    """One request's body. `current` is the task whose object is being read, None before the first."""

    def __init__(self, parts: Sequence[Part], open_object: OpenObject) -> None:
        """Make the body of these parts."""
        self.current: Task | None = None
        self._parts = parts
        self._open_object = open_object
        # RFC 2046 5.1.1: it must not stand in the content; 128 random bits do not.
        self._boundary = secrets.token_hex(16)
        self._heads = [self._head(part) for part in parts]
        self._end = f"\r\n--{self._boundary}--\r\n".encode("ascii")

    @property
    def content_type(self) -> str:
        """The value of the request's Content-Type."""
        return _content_type(self._boundary)

    @property
    def length(self) -> int:
        """The bytes of the body."""
        return sum(map(len, self._heads)) + sum(part.length for part in self._parts) + len(self._end)

    @property
    def stored_bytes(self) -> int:
        """The bytes that the destination has to store."""
        return sum(part.length for part in self._parts)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body. Raises what opening and reading an object raises."""
        for part, head in zip(self._parts, self._heads, strict=True):
            self.current = part.task
            with self._open_object(part.name) as sealed:
                yield head
                read = sealed.read
                own = part.task.claim.transfer_syntax_uid
                if part.syntax != own:
                    read = ShapedSource(ConvertedSource(sealed.read, from_syntax=own, to_syntax=part.syntax), sealed).read
                while piece := read(_PIECE_BYTES):
                    yield piece
        yield self._end

    def _head(self, part: Part) -> bytes:
        delimiter = "" if part is self._parts[0] else "\r\n"
        return (delimiter + _part_head(self._boundary, len(part.header) + part.length)).encode("ascii") + part.header


class ImageBody:
    """A request's body with one test image, which is in memory."""

    def __init__(self, image: TestImage, calling: AETitle) -> None:
        """Make the body of an image that is in explicit little endian; it is read to its end."""
        boundary = secrets.token_hex(16)
        header = encode_copy_header(SECONDARY_CAPTURE, Uid(image.sop_instance_uid), EXPLICIT_LITTLE, calling.text)
        file = header + image.read(image.length)
        self.content_type = _content_type(boundary)
        self._content = _part_head(boundary, len(file)).encode("ascii") + file + f"\r\n--{boundary}--\r\n".encode("ascii")

    @property
    def length(self) -> int:
        """The bytes of the body."""
        return len(self._content)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body."""
        yield self._content


def _content_type(boundary: str) -> str:
    return f'multipart/related; type="application/dicom"; boundary={boundary}'


def _part_head(boundary: str, length: int) -> str:
    return f"--{boundary}\r\nContent-Type: application/dicom\r\nContent-Length: {length}\r\n\r\n"


def _length(source: ConvertedSource) -> int:
    length = 0
    while piece := source.read(_PIECE_BYTES):
        length += len(piece)
    return length
