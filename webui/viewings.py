"""Whose session has looked at which study's pictures: so that the journal says it once, and not for every picture.

Promises: `is_new` is true once for a session and a study, whatever number of threads ask.
Failures: none.
Limits: forgotten with the process, and beyond a few thousand: then the journal says it again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

# A department's day, several times over.
_REMEMBERED = 4096


class Viewings:
    """What has been looked at. Threads may share it."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[int, str], None] = OrderedDict()

    def is_new(self, session: int, study: str) -> bool:
        """Say whether this session looks at the study's pictures for the first time, and remember that it has."""
        with self._lock:
            if (session, study) in self._seen:
                self._seen.move_to_end((session, study))
                return False
            self._seen[session, study] = None
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            return True
