"""A daemon's eye on its ledger: when the ledger is to be rebuilt, or was taken away, the daemon has to end and come again.

Promises: within about a second of the mark, or of the file's end, `stop` is called once, and the watch ends. A file that vanished is noted,
so that it is rebuilt.
Failures: none; what cannot be looked at now is looked at again.
Limits: the daemon finishes what it is at first; the rebuild waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from appliance.ledger.access import RebuildCause, rebuild_requested, request_rebuild
from appliance.ledger.database import Ledger, ledger_path
from appliance.ledger.faults import LedgerError
from appliance.runtime.logging import get_logger

log = get_logger(__name__)

# Two calls to the file system each time.
_LOOK_S = 1.0


class LedgerWatch(threading.Thread):
    """Looks until `stopping` is set or there is something to see."""

    def __init__(self, data: Path, ledger: Ledger, stop: Callable[[], None], stopping: threading.Event, *, look_s: float = _LOOK_S) -> None:
        """Prepare; `stop` asks the daemon to end (`Service.stop`)."""
        super().__init__(name="ledger watch", daemon=True)
        self._data = data
        self._ledger = ledger
        self._stop_daemon = stop
        self._stopping = stopping
        self._look_s = look_s

    def run(self) -> None:
        """Look."""
        while not self._stopping.wait(self._look_s):
            try:
                if self._must_end():
                    log.warning("ledger.left", reason="the ledger is to be rebuilt or was replaced")
                    self._stop_daemon()
                    return
            except (LedgerError, OSError) as error:
                log.warning("ledger.not_watched", error=type(error).__name__)

    def _must_end(self) -> bool:
        if rebuild_requested(self._data) is not None:
            return True
        if self._ledger.is_in_place():
            return False
        if not ledger_path(self._data).exists():
            request_rebuild(self._data, RebuildCause.MISSING)
        return True
