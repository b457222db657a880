"""Verifying the spool in pages, so that whoever asks can show how far it is, and stop.

Promises: a page takes about as long as was asked for; pages that follow each other look at every object once.
Failures: `SubsetInvalidError` (operator); those of the disk.
Limits: one run at a time; a second one begins anew and ends the first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.ledger.database import Ledger
from appliance.ledger.instances import Instances
from appliance.retain.verify import Condition, Extent, Subset, Verified, Verifier
from appliance.runtime.clock import Clock
from appliance.runtime.requests import VerifyReply, VerifyRequest, VerifyRow
from appliance.spool.inventory import Inventory
from appliance.spool.names import SpoolName
from appliance.spool.store import Spool

# The asker's deadline must hold, whatever was asked.
_LONGEST_PAGE_S = 5.0
# Fast enough for a night, slow enough that reception does not notice (about half of what a small disk reads).
_BYTES_PER_S = 50 << 20


class Verification:
    """The runs of one keeper."""

    def __init__(self, spool: Spool, data: Path, ledger: Ledger, clock: Clock) -> None:
        """Verify `spool`, which has the private keys."""
        self._spool = spool
        self._inventory = Inventory(data)
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._run: Iterator[Verified] = iter(())
        self._next = ""
        self._subset = ""
        self._extent = Extent(0, 0)

    def page(self, request: VerifyRequest) -> VerifyReply:
        """Return the next page of a run; an empty `after` begins one."""
        with self._lock:
            if not request.after or (request.after, request.subset) != (self._next, self._subset):
                self._begin(request)
            return self._look(min(request.seconds, _LONGEST_PAGE_S))

    def _begin(self, request: VerifyRequest) -> None:
        subset = Subset.parse(request.subset)
        mark = self._marker() if request.quarantine else None
        verifier = Verifier(self._spool, self._inventory, self._clock, bytes_per_s=_BYTES_PER_S, mark_quarantined=mark)
        self._extent = verifier.extent(subset)
        self._run = verifier.verify(subset, after=request.after)
        self._subset = request.subset

    def _look(self, seconds: float) -> VerifyReply:
        end = self._clock.now().boottime + seconds
        checked, rows, self._next = 0, [], ""
        for verified in self._run:
            checked += 1
            if verified.condition is not Condition.OK:
                rows.append(VerifyRow(verified.where, verified.condition.value, verified.problem, verified.quarantined))
            if self._clock.now().boottime >= end:
                self._next = verified.where
                break
        return VerifyReply(checked, self._extent.objects, self._extent.bytes, tuple(rows), self._next)

    def _marker(self) -> Callable[[SpoolName], None]:
        instances = Instances(self._ledger)

        def mark(name: SpoolName) -> None:
            with self._ledger.write():
                instances.quarantine_object(name.object_id)

        return mark
