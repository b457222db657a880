"""Whether the disk has room for what is derived: what can be made again must never take the room that reception needs.

Promises: something is derived only where, with it on the disk, reception is still far from refusing: half a reserve further than both of
its marks (`receive.space`).
Failures: `OSError` where the file system cannot be asked.
Limits: two that are made at once are judged each for itself; what is being made is judged again as it grows.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance.config.model import Retention
from appliance.spool.files import Space

# Twice what reception leaves to the ledger and the log.
_INODES = 512


class DerivedRoom:
    """The room for derived objects. Threads may share it."""

    def __init__(self, space: Callable[[], Space], retention: Callable[[], Retention]) -> None:
        """Judge by `space` against the marks that `retention` has at that moment."""
        self._space = space
        self._retention = retention

    def has(self, more_bytes: int) -> bool:
        """Say whether so many more bytes may be derived now."""
        space, marks = self._space(), self._retention()
        kept = max(marks.reserve, int((1 - marks.refuse_at) * space.total_bytes)) + marks.reserve // 2
        return space.free_bytes - more_bytes >= kept and space.free_inodes > _INODES
