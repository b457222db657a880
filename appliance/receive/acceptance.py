"""What the destinations are known to take, as the sender published it; asking costs one look at the file's age.

Promises: the answer is from the newest file that could be read; a file that is gone, half there or none of ours changes nothing, and is
said once in the log. Without any, nothing is known, and everything is taken.
Failures: none.
Limits: knowledge is the sender's, and as old as the last association with the destination.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias

from appliance.dimse.contexts import Acceptance
from appliance.dimse.learned import Learned, LearnedInvalidError, decode, together
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

FILE_NAME = "acceptance.json"
# A thousand pairs a destination are 100 KiB; a file beyond this is not the sender's.
_MOST_BYTES = 8 << 20

_Signature: TypeAlias = tuple[int, int, int, int]


class KnownAcceptance:
    """The published knowledge, remembered. Threads may share it."""

    def __init__(self, run_dir: Path) -> None:
        """Look for it in `run_dir`; nothing is read yet."""
        self._path = run_dir / FILE_NAME
        self._lock = threading.Lock()
        self._signature: _Signature | None = None
        self._known: dict[str, Learned] = {}

    def for_destinations(self, destination_ids: Collection[str]) -> Acceptance:
        """Return what an association may count on that can lead to these destinations, and to no others."""
        with self._lock:
            self._refresh()
            known = self._known
        return together([known.get(destination_id, Learned()) for destination_id in destination_ids])

    def _refresh(self) -> None:
        """Read the file when it is another one than the last."""
        try:
            status = self._path.stat()
        except OSError:
            # Not published yet, or no longer: what was known stays true enough.
            return
        # An inode may be used again, and a time has grains of milliseconds; all four together do not repeat.
        signature = status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._known = decode(_read(self._path))
        except (OSError, LearnedInvalidError) as error:
            log.warning("acceptance.kept_last_known", error=type(error).__name__, destinations=len(self._known))


def _read(path: Path) -> bytes:
    """Return the content of the file. Raises `OSError`, and `LearnedInvalidError` where it is too long."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise LearnedInvalidError("what is published about the destinations is longer than it can be")
    return content
