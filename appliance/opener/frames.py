"""What opener and its child say to each other over two pipes: a kind, a length, and so many bytes. Pure.

Promises: a frame that is longer than a frame may be is never waited for.
Failures: `FrameInvalidError`.
Limits: none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from appliance.core.errors import ApplianceError

READY: Final = b"R"
"""From the child, once: it is locked in; JSON that says how."""
JOB: Final = b"J"
"""To the child: what to do; JSON."""
DATA: Final = b"D"
"""Both ways: some bytes of the data set."""
END: Final = b"E"
"""To the child: there is no more data. From it: how the job ended; JSON."""

_HEAD = struct.Struct(">cI")
HEAD_BYTES: Final = _HEAD.size
PIECE_BYTES: Final = 256 * 1024
# A piece of data, or a few steps with their values.
MOST_BYTES: Final = 1 << 20


class FrameInvalidError(ApplianceError):
    """The other side said what the protocol does not have."""


def frame(kind: bytes, body: bytes = b"") -> bytes:
    """Return a frame."""
    return _HEAD.pack(kind, len(body)) + body


def read_head(head: bytes) -> tuple[bytes, int]:
    """Return kind and length of a frame."""
    kind, length = _HEAD.unpack(head)
    if kind not in {READY, JOB, DATA, END} or length > MOST_BYTES:
        raise FrameInvalidError("a frame is none of the protocol's")
    return bytes(kind), int(length)


class Frames:
    """Puts frames together from what a pipe gives."""

    def __init__(self) -> None:
        """Begin before the first frame."""
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the frames that are whole with `data`."""
        self._held += data
        while len(self._held) >= HEAD_BYTES:
            kind, length = read_head(bytes(self._held[:HEAD_BYTES]))
            if len(self._held) < HEAD_BYTES + length:
                return
            body = bytes(self._held[HEAD_BYTES : HEAD_BYTES + length])
            del self._held[: HEAD_BYTES + length]
            yield kind, body
