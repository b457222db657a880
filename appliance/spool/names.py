"""The name of a sealed object: everything that must be known about it without opening it, and nothing a peer chose.

Promises: `SpoolName.parse(str(name)) == name`; names sort by time; the place in the store follows from the name alone. Pure.
Failures: `parse` returns None for whatever is not one of our names; making an impossible name raises `ValueError` (a defect of ours).
Limits: order across processes and clock steps is only roughly that of arrival; the ledger's sequence is the order that counts.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, cast

Kind = Literal["i", "m"]

OBJECT_ID_LENGTH = 32
# What every name ends with, whatever it names.
SUFFIX = ".age"
DIGEST_BYTES = 16

_MILLISECONDS_LENGTH = 12
_TAIL_BYTES = 10
# What a calendar can say: the last millisecond of the year 9999.
_LAST_MILLISECOND = 253_402_300_799_999
# A step within a millisecond, so that ids of one worker do not tell how many came between; far below the 79 random bits of a fresh tail.
_STEP_BYTES = 4

_OBJECT_ID = re.compile(r"[0-9a-f]{32}")
_MILLISECONDS_AN_HOUR = 3_600_000
# Objects are received, sent and evicted in the order of time: a few hours are in use at once.
_HOURS_REMEMBERED = 64

_NAME = re.compile(r"([0-9a-f]{32})-g([1-9][0-9]{0,8})-([0-9a-f]{32})-(0|[1-9][0-9]{0,17})\.([im])\.age")


def is_object_id(text: str) -> bool:
    """Say whether `text` is an object id: 32 lower-case hexadecimal digits whose first 12 are a time a calendar can say."""
    return _OBJECT_ID.fullmatch(text) is not None and int(text[:_MILLISECONDS_LENGTH], 16) <= _LAST_MILLISECOND


@dataclass(frozen=True, slots=True, order=True)
class SpoolName:
    """One sealed object's name. `digest` is the keyed BLAKE3-128 of the data set in hexadecimal, `length` its bytes."""

    object_id: str
    generation: int
    digest: str
    length: int
    kind: Kind

    def __post_init__(self) -> None:
        """Refuse what could not be read back."""
        if not is_object_id(self.object_id) or not _NAME.fullmatch(str(self)):
            raise ValueError("not the parts of a spool name")

    @classmethod
    def parse(cls, text: str) -> SpoolName | None:
        """Return the name that `text` is, or None."""
        match = _NAME.fullmatch(text)
        if match is None or not is_object_id(match[1]):
            return None
        return cls(match[1], int(match[2]), match[3], int(match[4]), cast("Kind", match[5]))

    def __str__(self) -> str:
        """Return the file name."""
        return f"{self.object_id}-g{self.generation}-{self.digest}-{self.length}.{self.kind}{SUFFIX}"

    def store_directory(self) -> str:
        """Return the folder in the store, relative and with `/`: generation, hour of the id (UTC), first two characters of the digest."""
        hour = int(self.object_id[:_MILLISECONDS_LENGTH], 16) // _MILLISECONDS_AN_HOUR
        return f"g{self.generation}/{_hour_folder(hour)}/{self.digest[:2]}"


@lru_cache(maxsize=_HOURS_REMEMBERED)
def _hour_folder(hour: int) -> str:
    """Return the name of an hour since the epoch: year, month, day, hour (UTC)."""
    return f"{datetime.fromtimestamp(hour * 3600, UTC):%Y%m%d%H}"


class ObjectIds:
    """Makes object ids: 48 bits of milliseconds since the epoch, then 80 bits that are random in each new millisecond.

    Promises: strictly rising within a process, also when the clock steps back; threads may share one.
    """

    def __init__(self, entropy: Callable[[int], bytes] = os.urandom) -> None:
        """Take randomness from `entropy`, which returns as many bytes as it is asked for."""
        self._entropy = entropy
        self._last = -1
        self._lock = threading.Lock()

    def next(self, wall: float) -> str:
        """Return a new id for the moment `wall` (seconds since the epoch). Raises `ValueError` outside the years 1970 to 9999."""
        milliseconds = int(wall * 1000)
        if not 0 <= milliseconds <= _LAST_MILLISECOND:
            raise ValueError("the clock shows a time that no id can hold")
        # The top bit of the tail stays free, so that steps within a millisecond do not run into the next one.
        fresh = milliseconds << 8 * _TAIL_BYTES | int.from_bytes(self._entropy(_TAIL_BYTES), "big") >> 1
        with self._lock:
            if fresh <= self._last:
                fresh = self._last + 1 + int.from_bytes(self._entropy(_STEP_BYTES), "big")
            self._last = fresh
        return f"{fresh:0{OBJECT_ID_LENGTH}x}"
