"""Who waits for the report on a request of this moment: nobody listens on an association for what has come by another way.

Promises: whoever expects a report before the request leaves is told of it and of what it says, whichever way it came; of a request that is
in the ledger once it is durable. Thread-safe.
Failures: none.
Limits: this process only; what nobody waits for any more is not remembered.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(slots=True)
class Awaited:
    """A report that is waited for: when `come` is set, what it says of each instance (failure reason; None: committed).

    `caller` is the title under which it was reported on an association of the archive's own, "" for the one of the request.
    """

    come: threading.Event = field(default_factory=threading.Event)
    results: Mapping[str, int | None] = field(default_factory=lambda: MappingProxyType({}))
    caller: str = ""


class ExpectedReports:
    """All that are waited for, by Transaction UID."""

    def __init__(self) -> None:
        """Wait for nothing yet."""
        self._lock = threading.Lock()
        self._expected: dict[str, Awaited] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not self._expected

    @contextlib.contextmanager
    def expect(self, transaction_uid: str) -> Iterator[Awaited]:
        """Expect the report on a request that has not left yet."""
        awaited = Awaited()
        with self._lock:
            self._expected[transaction_uid] = awaited
        try:
            yield awaited
        finally:
            with self._lock:
                self._expected.pop(transaction_uid, None)

    def heard(self, transaction_uid: str, results: Iterable[tuple[str, int | None]], caller: str = "") -> bool:
        """Tell who waits for this report; return whether anybody does. What came first counts."""
        with self._lock:
            awaited = self._expected.get(transaction_uid)
            if awaited is None:
                return False
            if not awaited.come.is_set():
                awaited.results, awaited.caller = MappingProxyType(dict(results)), caller
                awaited.come.set()
        return True
