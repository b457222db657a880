"""What is learned about the destinations, put where the receivers find it: `acceptance.json` in the run directory.

Promises: a reader sees the old file or the new one, always whole; it holds all destinations, also those of which nothing new was learned;
nothing is written while nothing is new.
Failures: none; a file that cannot be written is said once in the log, and tried again with the next news.
Limits: what was never published is not known to the receivers, who then take everything; so the sender publishes when it starts.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from appliance.deliver.acceptance import Acceptance
from appliance.dimse.learned import Learned, encode
from appliance.runtime.logging import get_logger
from appliance.spool.files import write_atomically

log = get_logger(__name__)

FILE_NAME = "acceptance.json"


class AcceptancePublication:
    """The published knowledge about all destinations. Threads may share it."""

    def __init__(self, run_dir: Path) -> None:
        """Publish into `run_dir`; nothing is written before `begin` or `put`."""
        self._path = run_dir / FILE_NAME
        self._lock = threading.Lock()
        self._known: dict[str, Learned] = {}
        self._written: bytes | None = None
        self._is_failing = False

    def begin(self, kept: Mapping[str, str]) -> None:
        """Publish what the ledger keeps, a destination's id to its text (see `Acceptance`), and forget all other destinations.

        Of a destination that was published before, that counts: it is the same, or newer.
        """
        with self._lock:
            self._known = {one: self._known[one] if one in self._known else Acceptance(text).learned for one, text in kept.items()}
            self._publish()

    def put(self, destination_id: str, text: str) -> None:
        """Publish what is now known of one destination, as the ledger keeps it."""
        with self._lock:
            self._known[destination_id] = Acceptance(text).learned
            self._publish()

    def _publish(self) -> None:
        content = encode(self._known)
        if content == self._written:
            return
        try:
            write_atomically(self._path, content)
        except OSError as error:
            if not self._is_failing:
                log.warning("acceptance.not_published", error=type(error).__name__, errno=error.errno)
            self._is_failing = True
            return
        self._written, self._is_failing = content, False
