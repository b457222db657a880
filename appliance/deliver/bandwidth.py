"""The bandwidth of one destination: a bucket that all its lanes share, and objects whose bytes come no faster than it allows.

Promises: over ten seconds, all lanes together read no more than the bandwidth and a fiftieth, and no less while they have something to
send and the line takes it. It holds where the bytes come from the sealed object, and so for every transport; nothing waits in between.
Failures: none of its own.
Limits: counts the bytes of data sets, not what protocols and TLS add (about a hundredth). The sender's stop waits for a lane's instance, as
on a slow line. A transport that fills a buffer before it sends is as uneven as its buffer is large.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from appliance.runtime.clock import Clock
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeader
from appliance.spool.sealed import SealedObject

# What was not used for this long may be made good: enough for the pauses between two objects, a fiftieth of ten seconds.
SAVED_S = 0.2
# No wait is longer than this where several lanes do not wait for one another.
_PIECE_S = 0.1

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
        self.piece_bytes = max(1, int(bytes_per_s * _PIECE_S))
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
        self._bandwidth = bandwidth

    @property
    def header(self) -> ObjectHeader:
        """What was known when the object arrived."""
        return self.whole.header

    def read(self, size: int) -> bytes:
        """Return `size` bytes of the data set when they may go, else as `SealedObject.read`."""
        pieces: list[bytes] = []
        while size > 0:
            piece = self.whole.read(min(size, self._bandwidth.piece_bytes))
            if not piece:
                break
            self._bandwidth.wait_for(len(piece))
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Give the file back."""
        self.whole.close()


def shaped(open_object: OpenObject, bandwidth: Bandwidth | None) -> OpenObject:
    """Return how objects are opened for a destination with this bandwidth; None is as fast as it goes."""
    if bandwidth is None:
        return open_object
    return lambda name: ShapedObject(open_object(name), bandwidth)


def unshaped(sealed: SealedObject) -> SealedObject:
    """Return an object that is read for another reason than to be sent: its bytes count for no bandwidth."""
    return sealed.whole if isinstance(sealed, ShapedObject) else sealed
