"""What came and went, by minute: how many instances each source sent, and how many each destination took.

Summed up while it happens, because a month of a busy box is too much to count whenever somebody looks. What is older than two hours is kept
by the quarter of an hour: days and hours begin on one in every time zone.

Promises: `arrived` costs a row for each source of a transaction, `went` one a delivery. An instance is counted once, when it is recorded;
the same bytes again count as a sign of life only. A delivery is counted as often as it was really sent and taken.
Failures: `LedgerScopeError` outside `write()` or `read()`; what `database` lists.
Limits: what came and went after the snapshot from which a ledger was rebuilt is counted again where it is recorded again, else not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.ledger.database import Ledger

MINUTE_S = 60
QUARTER = 15
"""Minutes in which what is older is summed up."""

# More callers than a hospital has; whoever calls under a new title each time fills no page with them.
_MOST_CALLERS = 500
# What is folded at once; the keeper comes every quarter of an hour, and a box that was off has at most some unfolded rows more.
_FOLDED_BACK = 2 * 24 * 60

_TOGETHER = """
    ON CONFLICT (minute, calling_title, source_address) DO UPDATE SET
        instances = instances + excluded.instances, bytes = bytes + excluded.bytes, last_at = max(last_at, excluded.last_at),
        least_lag = coalesce(min(least_lag, excluded.least_lag), least_lag, excluded.least_lag),
        first_id = coalesce(min(first_id, excluded.first_id), first_id, excluded.first_id)
"""
_ARRIVED = f"""
    INSERT INTO arrival (minute, calling_title, source_address, instances, bytes, last_at, least_lag, first_id)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) {_TOGETHER}
"""  # noqa: S608 (our own words)

WENT = """
    INSERT INTO departure (minute, destination_id, instances) VALUES (?, ?, 1)
    ON CONFLICT (minute, destination_id) DO UPDATE SET instances = instances + 1
"""
"""One more delivery that a destination took: the minute (`minute_of`), its id."""

_RECEIVED = "SELECT coalesce(sum(instances), 0), coalesce(sum(bytes), 0) FROM arrival WHERE minute >= ? AND minute < ?"
_DELIVERED = "SELECT destination_id, sum(instances) FROM departure WHERE minute >= ? AND minute < ? GROUP BY destination_id"

_CALLERS = """
    SELECT calling_title, source_address, max(last_at), sum(instances * (minute >= ?)), sum(instances * (minute >= ?))
    FROM arrival WHERE minute >= ? GROUP BY calling_title, source_address ORDER BY max(last_at) DESC LIMIT ?
"""
_LAGS = """
    SELECT calling_title, source_address, minute / 15, min(least_lag)
    FROM arrival WHERE minute >= ? AND least_lag IS NOT NULL GROUP BY calling_title, source_address, minute / 15
    ORDER BY calling_title, source_address, minute / 15 DESC
"""

_OLDER = "minute >= ?1 AND minute < ?2 AND minute % 15 <> 0"
_FOLD = (
    f"""
    INSERT INTO arrival (minute, calling_title, source_address, instances, bytes, last_at, least_lag, first_id)
    SELECT minute - minute % 15, calling_title, source_address, sum(instances), sum(bytes), max(last_at), min(least_lag), min(first_id)
    FROM arrival WHERE {_OLDER} GROUP BY 1, 2, 3 {_TOGETHER}
    """,  # noqa: S608 (our own words)
    f"DELETE FROM arrival WHERE {_OLDER}",  # noqa: S608
    f"""
    INSERT INTO departure (minute, destination_id, instances)
    SELECT minute - minute % 15, destination_id, sum(instances) FROM departure WHERE {_OLDER} GROUP BY 1, 2
    ON CONFLICT (minute, destination_id) DO UPDATE SET instances = instances + excluded.instances
    """,  # noqa: S608
    f"DELETE FROM departure WHERE {_OLDER}",  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Came:
    """One object that came: the number of the instance that it made, None where it made none.

    `lag_s` is from when the scanner says that it was acquired until it was received, None where it does not say.
    """

    calling_title: str
    source_address: str
    received_at: float
    length: int
    instance_id: int | None
    lag_s: float | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """What came under one title from one address: when last (wall time), and how many instances since the two moments asked for."""

    calling_title: str
    source_address: str
    last_at: float
    today: int
    last_hour: int
    lags_s: tuple[float, ...] = ()
    """The least time from acquisition to reception in each quarter of an hour in which something came, the latest first."""


@dataclass
class _Sum:
    last_at: float
    instances: int = 0
    bytes: int = 0
    least_lag: float | None = None
    first_id: int | None = None

    def add(self, one: Came) -> None:
        self.last_at = max(self.last_at, one.received_at)
        if one.instance_id is None:
            return
        self.instances += 1
        self.bytes += one.length
        self.first_id = one.instance_id if self.first_id is None else min(self.first_id, one.instance_id)
        if one.lag_s is not None:
            self.least_lag = one.lag_s if self.least_lag is None else min(self.least_lag, one.lag_s)


def minute_of(wall: float) -> int:
    """Return the minute (of all since 1970, UTC) in which a moment is."""
    return int(wall // MINUTE_S)


class Traffic:
    """The repository of what came and went."""

    def __init__(self, ledger: Ledger) -> None:
        """Work in `ledger`, inside its `write()` and `read()`."""
        self._ledger = ledger

    def arrived(self, objects: Iterable[Came]) -> None:
        """Count what came."""
        sums: dict[tuple[int, str, str], _Sum] = {}
        for one in objects:
            key = (minute_of(one.received_at), one.calling_title, one.source_address)
            sums.setdefault(key, _Sum(one.received_at)).add(one)
        for key, total in sums.items():
            self._ledger.change(_ARRIVED, (*key, total.instances, total.bytes, total.last_at, total.least_lag, total.first_id))

    def received(self, since: float, until: float) -> tuple[int, int]:
        """Return how many instances came, and how many bytes, from one wall time until before another; both at full quarters of an hour."""
        instances, length = self._ledger.rows(_RECEIVED, (minute_of(since), minute_of(until)))[0]
        return int(instances), int(length)

    def first_since(self, since: float) -> int | None:
        """Return the smallest number of an instance that came since the wall time `since` (a full quarter of an hour), None without any."""
        return self._ledger.rows("SELECT min(first_id) FROM arrival WHERE minute >= ?", (minute_of(since),))[0][0]  # type: ignore[no-any-return]

    def delivered(self, since: float, until: float) -> dict[str, int]:
        """Return how many deliveries each destination (id) took in that time; the minute of `until` is left out."""
        return dict(self._ledger.rows(_DELIVERED, (minute_of(since), minute_of(until))))

    def callers(self, since: float, *, today: float, last_hour: float, lags_since: float) -> list[Caller]:
        """Return who sent anything since the wall time `since`, the last to send first, at most 500; moments count by their minute."""
        lags: dict[tuple[str, str], list[float]] = {}
        for title, address, _, lag in self._ledger.rows(_LAGS, (minute_of(lags_since),)):
            lags.setdefault((title.upper(), address), []).append(lag)
        rows = self._ledger.rows(_CALLERS, (minute_of(today), minute_of(last_hour), minute_of(since), _MOST_CALLERS))
        return [
            Caller(title, address, last_at, today_, hour, tuple(lags.get((title.upper(), address), ())))
            for title, address, last_at, today_, hour in rows
        ]

    def fold(self, before: float) -> None:
        """Sum up by the quarter of an hour what is older than the wall time `before`."""
        upto = minute_of(before) // QUARTER * QUARTER
        for statement in _FOLD:
            self._ledger.change(statement, (upto - _FOLDED_BACK, upto))

    def prune(self, before: float) -> None:
        """Forget what is older than the wall time `before`."""
        for table in ("arrival", "departure"):
            self._ledger.change(f"DELETE FROM {table} WHERE minute < ?", (minute_of(before),))  # noqa: S608 (our own words)
