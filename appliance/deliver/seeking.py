"""Who looks for work at one destination, and for what: is another look worth it, which lane is kept free of large objects. Pure.

Promises: with two lanes or more, one is never busy with a large object. A look that found nothing is not repeated before something new
came; one that was about small objects only says nothing about large ones.
Failures: none.
Limits: not thread-safe: the owner holds a lock, and says what became of every look.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """One look for work: how much had come when it began, and whether it is for small objects only."""

    arrivals: int
    small: bool


class Seeking:
    """The looks for work of one destination's lanes; somebody who opens a lane looks for it as None."""

    def __init__(self) -> None:
        """Begin with everything to be looked for."""
        self._arrivals = 1
        self._nothing = 0
        self._nothing_small = 0
        # Who is busy with a large object, and who may become so by a look that has not ended.
        self._heavy: set[object] = set()
        self._asking: set[object] = set()

    def arrived(self) -> None:
        """Note that there may be new work."""
        self._arrivals += 1

    def is_heavy(self, who: object) -> bool:
        """Say whether somebody is busy with a large object."""
        return who in self._heavy

    def is_worth_it(self, who: object, lanes: int) -> bool:
        """Say whether somebody may find something, where there may be `lanes` lanes."""
        return self._arrivals != (self._nothing_small if self._is_kept_free(who, lanes) else self._nothing)

    def begin(self, who: object, lanes: int) -> Look:
        """Return the look that somebody may begin now; the owner says what became of it."""
        small = self._is_kept_free(who, lanes)
        if not small:
            self._asking.add(who)
        return Look(self._arrivals, small)

    def found(self, who: object, lane: object, *, large: bool) -> None:
        """Note that somebody's look found an object, which `lane` is busy with now."""
        self.left(who)
        if large:
            self._heavy.add(lane)

    def found_nothing(self, who: object, look: Look, *, for_sure: bool) -> None:
        """Note that a look found nothing; not `for_sure`: it did not see everything."""
        self.left(who)
        if not for_sure:
            return
        self._nothing_small = max(self._nothing_small, look.arrivals)
        if not look.small:
            self._nothing = max(self._nothing, look.arrivals)

    def left(self, who: object) -> None:
        """Note that somebody is busy with nothing."""
        self._heavy.discard(who)
        self._asking.discard(who)

    def _is_kept_free(self, who: object, lanes: int) -> bool:
        return lanes > 1 and len((self._heavy | self._asking) - {who}) >= lanes - 1
