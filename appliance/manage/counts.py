"""How many of everything there is, counted no more often than it is worth: a million rows take a walk of a tenth of a second each.

Promises: what `Counts.get` returns was counted at most `_OLDEST_S` ago, and less where counting is cheap: a small ledger is counted anew
each time. However many ask at once, one of them counts. An object on its way from `incoming/` into the ledger may be counted in both, never
in neither.
Failures: those of the ledger.
Limits: instances and deliveries are counted at the same time by two threads, hence not in the same snapshot of the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from appliance.ledger.database import Ledger
from appliance.ledger.instances import Instances, InstanceTotals
from appliance.ledger.queue import Queue, Waiting
from appliance.ledger.vocabulary import DeliveryState
from appliance.runtime.clock import Clock

# A status page is looked at, not read off to the second.
_OLDEST_S = 2.0
# Whoever asks without pause makes us count for a twentieth of the time at most, until the age above is reached.
_TIMES_ITS_COST = 20.0


@dataclass(frozen=True, slots=True)
class Owed:
    """What one destination is still to get: on its way, and held."""

    waiting: Waiting
    held: int


@dataclass(frozen=True, slots=True)
class Counted:
    """One count of everything. `incoming` is not recorded yet; `owed` has the destinations that were asked for, by id."""

    incoming: int
    deliveries: Mapping[DeliveryState, int]
    instances: InstanceTotals
    owed: Mapping[str, Owed]


@dataclass(frozen=True, slots=True)
class _Remembered:
    counted: Counted
    good_until: float


class Counts:
    """The latest count. Threads may share it; call it outside `read()`, since it reads for itself."""

    def __init__(self, ledger: Ledger, clock: Clock, incoming: Callable[[], int]) -> None:
        """Count nothing yet; `incoming` counts what is in no ledger yet."""
        self._incoming = incoming
        self._ledger = ledger
        self._instances = Instances(ledger)
        self._queue = Queue(ledger)
        self._clock = clock
        self._lock = threading.Lock()
        self._remembered: _Remembered | None = None

    def get(self, destination_ids: Collection[str]) -> Counted:
        """Return how much there is, in all and owed to these destinations."""
        # Those who come while one counts wait for its answer: a second walk would only make both slower.
        with self._lock:
            began = self._clock.now().boottime
            known = self._remembered
            if known is not None and began < known.good_until and known.counted.owed.keys() >= set(destination_ids):
                return known.counted
            counted = self._count(destination_ids)
            ended = self._clock.now().boottime
            self._remembered = _Remembered(counted, ended + min(_OLDEST_S, _TIMES_ITS_COST * (ended - began)))
            return counted

    def _count(self, destination_ids: Collection[str]) -> Counted:
        # Before the ledger: what is recorded in between is then in both.
        incoming = self._incoming()
        # The two long walks decipher different pages and do not hold the interpreter's lock, so two cores do them in the time of one.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="counts") as beside:
            instances = beside.submit(self._count_instances)
            with self._ledger.read():
                deliveries = self._queue.counts()
                owed = {each: Owed(self._queue.waiting(each), self._queue.held(each)) for each in destination_ids}
            return Counted(incoming, deliveries, instances.result(), owed)

    def _count_instances(self) -> InstanceTotals:
        try:
            with self._ledger.read():
                return self._instances.totals()
        finally:
            # This thread ends with its count, and its connection with it.
            self._ledger.close()
