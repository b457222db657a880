"""Who waits for the report on a request of this moment: nobody listens on an association for what has come by another way.

Promises: whoever expects a report before the request leaves is told of it once it is durable, whichever way it came. Thread-safe.
Failures: none.
Limits: this process only; what nobody waits for any more is not remembered.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class ExpectedReports:
    """All that are waited for, by Transaction UID."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._lock = threading.Lock()
        self._expected: dict[str, threading.Event] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not self._expected

    @contextlib.contextmanager
    def expect(self, transaction_uid: str) -> Iterator[threading.Event]:
        """Expect the report on a request that has not left yet; the event is set when it is there."""
        come = threading.Event()
        with self._lock:
            self._expected[transaction_uid] = come
        try:
            yield come
        finally:
            with self._lock:
                self._expected.pop(transaction_uid, None)

    def heard(self, transaction_uid: str) -> None:
        """Tell who waits for this report, if anybody does."""
        with self._lock:
            come = self._expected.get(transaction_uid)
        if come is not None:
            come.set()
