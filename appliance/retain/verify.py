"""Verifying the spool: every sealed object opened and authenticated to its last byte, so that rot is found before it is needed.

Promises: `ok` means that every bit of the object is as it was sealed and named. What is not is named, with where it lies; the others are
not affected. A subset is a fixed share of the objects: subsets 1 to t of t cover all, whatever comes or goes. On request a damaged object
of the store is first marked in the ledger, then moved to the quarantine, so that a crash between the two is repaired by the next run.
Failures: `SubsetInvalidError` (operator); what the marking raises, and `OSError` where an object cannot be moved to the quarantine.
Limits: a damaged key stanza looks like an object of another box; it counts as damaged when the same generation's key has opened any other
object, else as foreign. Damaged objects that still wait in `incoming/` are reported and left to the router, whose folder it is.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.core.errors import ApplianceError, Fault
from appliance.runtime.clock import Clock
from appliance.runtime.logging import get_logger
from appliance.spool.age import SealDamagedError, SealForeignError, SealFormatError
from appliance.spool.inventory import STORE, Found, Inventory
from appliance.spool.names import SpoolName
from appliance.spool.part10 import ObjectHeaderError
from appliance.spool.store import Spool, SpoolObjectMissingError

# Enough that the pace and the progress cost nothing, little enough that a slow pace is even.
_PIECE_BYTES = 1 << 20
# How far behind its pace a run may fall and catch up; a run that was paused longer does not rush afterwards.
_CATCH_UP_S = 1.0
_SUBSET = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})")
_DAY_S = 86400

log = get_logger(__name__)


class SubsetInvalidError(ApplianceError):
    """A subset is not written as n/t."""

    fault = Fault.OPERATOR
    exit_code = 2
    advice = "Write a subset as 3/7: the third of seven parts."


class Condition(StrEnum):
    """What an object was found to be."""

    OK = "ok"
    DAMAGED = "damaged"
    """Its content is not what was sealed."""
    FOREIGN = "foreign"
    """Sealed to keys that are not here, or no object of ours, or not in its place."""
    UNREADABLE = "unreadable"
    """The disk does not give it, or another version of this program wrote it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """One object's condition: `where` relative to the spool; `name` is None for what is no object of ours in its place."""

    name: SpoolName | None
    condition: Condition
    where: str
    problem: str = ""
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Subset:
    """The `number`-th of `of` parts of all objects, counted from 1."""

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Subset:
        """Return the subset that `n/t` spells. Raises `SubsetInvalidError`."""
        match = _SUBSET.fullmatch(text.strip())
        if match is None or int(match[1]) > int(match[2]):
            raise SubsetInvalidError("a subset is not n/t with n from 1 to t")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_day(cls, wall: float, of: int) -> Subset:
        """Return the part that is due on the day of `wall` (UTC), so that `of` days in a row cover everything."""
        return cls(int(wall // _DAY_S) % of + 1, of)

    def includes(self, identifier: str) -> bool:
        """Say whether the object of this id belongs to the part; the same on every machine, for ever."""
        digest = hashlib.sha256(identifier.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1


WHOLE = Subset()


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is to verify: objects, and the bytes of their data sets."""

    objects: int
    bytes: int


class Verifier:
    """Verifies one spool with its private keys and its digest key. One thread at a time."""

    def __init__(
        self,
        spool: Spool,
        inventory: Inventory,
        clock: Clock,
        *,
        bytes_per_s: float | None = None,
        mark_quarantined: Callable[[SpoolName], None] | None = None,
    ) -> None:
        """Read at most `bytes_per_s` where that is given; quarantine what is damaged where `mark_quarantined` is given.

        `mark_quarantined` writes into the ledger that the object is set apart; it is called again for an object that was marked before.
        """
        self._spool = spool
        self._inventory = inventory
        self._pace = _Pace(clock, bytes_per_s)
        self._mark_quarantined = mark_quarantined
        self._proven: set[int] = set()

    def extent(self, subset: Subset = WHOLE) -> Extent:
        """Return how much a run has before it, from the names alone."""
        lengths = [found.name.length for found in self._inventory.files() if found.name is not None and _is_in(subset, found)]
        return Extent(len(lengths), sum(lengths))

    def verify(self, subset: Subset = WHOLE, *, after: str = "", progress: Callable[[int], None] = lambda _: None) -> Iterator[Verified]:
        """Yield the condition of each object of `subset`, going on after the one that was met as `after`.

        `progress` is called with the bytes of data sets read since its last call. What needs another object to be judged comes when that
        one was met, or at the end.
        """
        waiting: dict[int, list[Verified]] = {}
        for found in self._inventory.files(after):
            if not _is_in(subset, found):
                continue
            if found.name is None:
                yield _not_ours(found)
                continue
            verified = self._verify(found.name, found.where, progress)
            if verified is None:
                continue
            generation = found.name.generation
            if verified.condition is Condition.FOREIGN and generation not in self._proven:
                waiting.setdefault(generation, []).append(verified)
                continue
            for one in (*waiting.pop(generation, ()), verified) if generation in self._proven else (verified,):
                yield self._judged(one)
        for left in waiting.values():
            yield from map(_told, left)

    def _verify(self, name: SpoolName, where: str, progress: Callable[[int], None]) -> Verified | None:
        """Return the object's condition, or None where it is gone: evicted, or dropped, since it was seen."""
        try:
            with self._spool.open(name) as sealed:
                self._proven.add(name.generation)
                # An object without a data set is read once too: that read verifies its end.
                while piece := sealed.read(_PIECE_BYTES):
                    progress(len(piece))
                    self._pace.spend(len(piece))
        except SpoolObjectMissingError:
            return None
        except SealForeignError as error:
            return Verified(name, Condition.FOREIGN, where, str(error))
        except (SealDamagedError, SealFormatError) as error:
            return Verified(name, Condition.DAMAGED, where, str(error))
        except ObjectHeaderError as error:
            # It was authenticated first, so it is as it was written.
            return Verified(name, Condition.UNREADABLE, where, str(error))
        except OSError as error:
            return Verified(name, Condition.UNREADABLE, where, os.strerror(error.errno or 0))
        return Verified(name, Condition.OK, where)

    def _judged(self, verified: Verified) -> Verified:
        """Return the final word on an object whose generation's key is known to open others, having acted on it."""
        if verified.condition is Condition.FOREIGN:
            verified = replace(verified, condition=Condition.DAMAGED, problem="the key of its generation opens others, and not this one")
        if verified.condition is Condition.DAMAGED and verified.name is not None:
            verified = self._quarantine(verified, verified.name)
        return _told(verified)

    def _quarantine(self, verified: Verified, name: SpoolName) -> Verified:
        if self._mark_quarantined is None or not verified.where.startswith(f"{STORE}/"):
            return verified
        self._mark_quarantined(name)
        try:
            self._spool.quarantine(name, "verification")
        except SpoolObjectMissingError:
            # Evicted since it was read: there is nothing left to set apart.
            return verified
        return replace(verified, quarantined=True)


class _Pace:
    """Lets a run read so many bytes a second, averaged over the last second."""

    def __init__(self, clock: Clock, bytes_per_s: float | None) -> None:
        self._clock = clock
        self._bytes_per_s = bytes_per_s
        self._paid_until = 0.0

    def spend(self, count: int) -> None:
        """Return when `count` more bytes may have been read."""
        if self._bytes_per_s is None:
            return
        now = self._clock.now().boottime
        self._paid_until = max(self._paid_until, now - _CATCH_UP_S) + count / self._bytes_per_s
        if self._paid_until > now:
            self._clock.sleep(self._paid_until - now)


def _is_in(subset: Subset, found: Found) -> bool:
    return subset.includes(found.where if found.name is None else found.name.object_id)


def _not_ours(found: Found) -> Verified:
    if found.problem is not None:
        return _told(Verified(None, Condition.UNREADABLE, found.where, os.strerror(found.problem)))
    return _told(Verified(None, Condition.FOREIGN, found.where, "no object of the spool, or not in its place"))


def _told(verified: Verified) -> Verified:
    """Return what was found, having logged it unless it is well."""
    if verified.condition is not Condition.OK:
        object_id = verified.name.object_id if verified.name is not None else None
        log.error("spool.verify.failed", condition=verified.condition.value, object_id=object_id, where=verified.where)
    return verified
