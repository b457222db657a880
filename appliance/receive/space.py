"""Whether the disk takes objects: the refuse mark, and what the last write said.

Promises: `may_accept` asks the file system at most once a second and never raises; after a failed write it says no for ten seconds, so that
a broken disk is tried again with a new file, never with the same descriptor.
Failures: none.
Limits: each worker judges for itself; two may cross the mark by what they have open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from appliance.config.model import Retention
from appliance.core.errors import ApplianceError
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.spool.files import Space

log = get_logger(__name__)

# An answer this old is still true enough: 1 Gbit/s fills 120 MB in it, and the reserve is larger.
_FRESH_S = 1.0
# Long enough to keep scanners from hammering a full disk, short enough for "reception resumes within 30 s" (F-06).
_FAULT_S = 10.0
# Half as much again as the largest object seen must fit (F-06): two of the largest may arrive at once.
_LARGEST_FACTOR = 1.5
# Each object is one inode, and the ledger and log need some too.
_RESERVED_INODES = 256


class StorageWatch:
    """The judgement that admission and each C-STORE ask for. Thread-safe."""

    def __init__(self, space: Callable[[], Space], retention: Callable[[], Retention], clock: Clock) -> None:
        """Judge by `space` against the marks that `retention` has at that moment."""
        self._space = space
        self._retention = retention
        self._clock = clock
        self._lock = threading.Lock()
        self._largest = 0
        self._fault_until = float("-inf")
        self._checked_at = float("-inf")
        self._has_room = True

    def may_accept(self) -> bool:
        """Say whether a new object may begin."""
        now = self._clock.now().boottime
        with self._lock:
            if now < self._fault_until:
                return False
            if now - self._checked_at >= _FRESH_S:
                self._checked_at = now
                had_room, self._has_room = self._has_room, self._measure()
                if had_room != self._has_room:
                    log.warning("storage.room_changed", has_room=self._has_room)
            return self._has_room

    def stored(self, length: int) -> None:
        """Learn how large objects get."""
        with self._lock:
            self._largest = max(self._largest, length)

    def failed(self, error: ApplianceError) -> None:
        """Learn that an object could not be sealed or written: nothing is accepted for a while."""
        with self._lock:
            self._fault_until = self._clock.now().boottime + _FAULT_S
        log.error("storage.failed", error=type(error).__name__, problem=str(error))

    def _measure(self) -> bool:
        try:
            space = self._space()
        except OSError as error:
            log.warning("storage.unreadable", errno=error.errno)
            return False
        retention = self._retention()
        used = 1 - space.free_bytes / space.total_bytes if space.total_bytes else 0.0
        wanted = max(retention.reserve, int(_LARGEST_FACTOR * self._largest))
        has_room = used <= retention.refuse_at and space.free_bytes >= wanted
        return has_room and space.free_inodes > _RESERVED_INODES
