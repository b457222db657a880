"""The bandwidth of one destination: a bucket that all its lanes share, and objects whose bytes come no faster than it allows.

Promises: over ten seconds, all lanes together read no more than the bandwidth and a fiftieth, and no less while they have something to
send and the line takes it. It holds where the bytes come from the sealed object, and so for every transport; nothing waits in between.
Failures: none of its own.
Limits: counts the bytes of data sets, not what protocols and TLS add (about a hundredth). The sender's stop waits for a lane's instance, as
on a slow line. A transport that fills a buffer before it sends is as uneven as its buffer is large; those here send what a read gives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from appliance.runtime.clock import Clock
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from appliance.spool.sealed import SealedObject

# What was not used for this long may be made good: enough for the pauses between two objects, a fiftieth of ten seconds.
SAVED_S = 0.2
# What one read gives takes no longer than this, so that low bandwidths are no bursts either, and no lane keeps the others waiting.
_PIECE_S = 0.1
# Smaller pieces would be mostly heads; it is a quarter of a second of the lowest bandwidth that may be configured.
_SMALLEST_PIECE_BYTES = 2048

OpenObject = Callable[[SpoolName], SealedObject]


class TokenBucket:
    """When bytes may go. Pure: the moment is an argument, in seconds of any clock that does not go back. Not thread-safe."""

    def __init__(self, bytes_per_s: float, now_s: float) -> None:
        """Begin with nothing saved."""
        self._bytes_per_s = bytes_per_s
        self._free_at = now_s

    def take(self, size: int, now_s: float) -> float:
        """Promise `size` bytes to the caller; return the seconds after which they may go."""
        begin = max(self._free_at, now_s - SAVED_S)
        self._free_at = begin + size / self._bytes_per_s
        return max(0.0, begin - now_s)


class Bandwidth:
    """The bandwidth of one destination. Threads may share it."""

    def __init__(self, bytes_per_s: float, clock: Clock) -> None:
        """Let so many bytes a second go."""
        # Even, as what a PDU carries is (PS3.8 annex E).
        self.piece_bytes = max(_SMALLEST_PIECE_BYTES, int(bytes_per_s * _PIECE_S) & ~1)
        self._clock = clock
        self._lock = threading.Lock()
        self._bucket = TokenBucket(bytes_per_s, clock.now().boottime)

    def wait_for(self, size: int) -> None:
        """Return when `size` bytes may go."""
        with self._lock:
            wait_s = self._bucket.take(size, self._clock.now().boottime)
        if wait_s > 0:
            self._clock.sleep(wait_s)


class ShapedObject(SealedObject):
    """A sealed object that gives its bytes at the bandwidth of a destination."""

    def __init__(self, whole: SealedObject, bandwidth: Bandwidth) -> None:
        """Own the object `whole`."""
        self.name = whole.name
        self.whole = whole
        self.piece_bytes = bandwidth.piece_bytes
        self._bandwidth = bandwidth

    @property
    def header(self) -> ObjectHeader:
        """What was known when the object arrived."""
        return self.whole.header

    def read(self, size: int) -> bytes:
        """Return the next bytes when they may go, `size` or as many as go in a moment; b"" at the end only. Else as `SealedObject.read`."""
        piece = self.whole.read(min(size, self.piece_bytes))
        if piece:
            self._bandwidth.wait_for(len(piece))
        return piece

    def close(self) -> None:
        """Give the file back."""
        self.whole.close()


def shaped(open_object: OpenObject, bandwidth: Bandwidth | None) -> OpenObject:
    """Return how objects are opened for a destination with this bandwidth; None is as fast as it goes."""
    if bandwidth is None:
        return open_object
    return lambda name: ShapedObject(open_object(name), bandwidth)


class Converted(Protocol):
    """What is made of an object while it is sent; `length` is None where nobody knows it before the end."""

    @property
    def length(self) -> int | None:
        """The bytes."""

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""


class ShapedSource:
    """What is made of an object while it is sent: as that fills each read, none is for more than goes in a moment."""

    def __init__(self, made: Converted, sealed: SealedObject) -> None:
        """Give what is `made` of `sealed`, as fast as this comes."""
        self._made = made
        self._most = sealed.piece_bytes if isinstance(sealed, ShapedObject) else None

    @property
    def length(self) -> int | None:
        """As of what is made."""
        return self._made.length

    def read(self, size: int) -> bytes:
        """Return up to `size` next bytes, b"" at the end only. Raises what making and reading raise."""
        return self._made.read(size if self._most is None else min(size, self._most))


def unshaped(sealed: SealedObject) -> SealedObject:
    """Return an object that is read for another reason than to be sent: its bytes count for no bandwidth."""
    return sealed.whole if isinstance(sealed, ShapedObject) else sealed
